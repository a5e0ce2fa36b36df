"""How well the captain's symptoms, diagnosis and ladder do, on data that nothing was tuned on, beside other tools' defaults.

    python3 benchmarks/captain.py --data DIR [--only live|generator|saving|real|rl|crash|speed|left-out] [--quick]
                                  [--json] [--seeds N] [--held-out-seeds N]

DIR is the folder of incidents (live_faults, algoperf, nanogpt, rl, crash_logs); without it only `generator`, `saving` and
`speed` run.
What tunes and what judges stands in docs/captain/recoverable.md; results stand in docs/captain/benchmark.md.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import preparing

preparing.environment()

from captain import leaving_out, parts  # noqa: E402  # the folders come first
from captain.parts import Reported  # noqa: E402

NAMES = ("live", "generator", "saving", "real", "rl", "crash", "speed", "left-out")
NEED_NO_DATA = ("generator", "saving", "speed")


def main() -> None:
    """Run the parts that were asked for; print what they found, and the rows of the contract."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, help="the folder of incidents")
    options.add_argument("--only", choices=NAMES, action="append", help="one part; may be given again")
    options.add_argument("--seeds", type=int, default=10, help="fresh seeds of each kind of the generator")
    options.add_argument("--held-out-seeds", type=int, default=24, help="the same of kinds that are held out, and of rises")
    options.add_argument("--quick", action="store_true", help="one seed a kind, and without left-out")
    options.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = options.parse_args()
    possible = [name for name in NAMES if given.data or name in NEED_NO_DATA]
    chosen = given.only or [name for name in possible if not (given.quick and name == "left-out")]
    missing = [name for name in chosen if name not in NEED_NO_DATA]
    if missing and given.data is None:
        options.error(f"{', '.join(missing)} reads the folder of incidents: say where it is with --data DIR")
    seeds, held_out = (1, 1) if given.quick else (given.seeds, given.held_out_seeds)
    calls: dict[str, Callable[[], Reported]] = {
        "live": lambda: parts.live(given.data), "generator": lambda: parts.generated(seeds, held_out),
        "saving": lambda: parts.saves(given.data, seeds, held_out), "real": lambda: parts.real(given.data),
        "rl": lambda: parts.rl(given.data), "crash": lambda: parts.crash(given.data),
        "speed": parts.speed, "left-out": lambda: leaving_out.measured(given.data, seeds),
    }  # fmt: skip
    rows: dict[str, dict[str, object]] = {}
    for name in chosen:
        found = calls[name]()
        print(*found.lines, "", sep="\n", flush=True)
        rows |= found.rows
    print("| what | ours | unit | target | verdict | peers |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        peers = row["peers"]
        assert isinstance(peers, dict)
        beside = ", ".join(f"{peer} {parts.shown(value)}" for peer, value in peers.items())
        verdict = "" if not row["target"] else "HOLDS" if row["holds"] else "**MISS**"
        print(f"| {name} | {parts.shown(row['ours'])} | {row['unit']} | {row['target']} | {verdict} | {beside} |")
    if given.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
