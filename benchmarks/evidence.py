"""Whether a keep means something: null nights, planted effects, intervals and costs of the product's verdicts, beside other rules.

    python3 benchmarks/evidence.py [--only null|uncovered|again|mixed|power|coverage|digits|cost] [--quick] [--json]

Simulated studies with fixed seeds, and real trainings that benchmarks/evidence/record_digits.py recorded once. Results stand in
docs/evidence/benchmark.md.
"""

import argparse
import json
import time
from collections.abc import Callable

import preparing

preparing.environment()

from captain.parts import Reported, shown  # noqa: E402  # the folders come first
from evidence import costs, digits, effects, nights  # noqa: E402

Part = Callable[[int], Reported]
# Of each part: what runs, with how many studies (a row), and with how many where it is quick.
PARTS: dict[str, tuple[tuple[Part, int, int], ...]] = {
    "null": ((nights.null, 2000, 100),), "uncovered": ((nights.uncovered, 500, 20),), "again": ((nights.again, 500, 20),),
    "mixed": ((nights.mixed, 1000, 60),), "power": ((effects.power, 500, 20),), "coverage": ((effects.coverage, 300, 10),),
    "digits": ((digits.null, 1000, 60), (digits.changes, 100, 4)), "cost": ((costs.measured, 100, 4),),
}  # fmt: skip


def main() -> None:
    """Run the parts that were asked for; print what they found, and the rows of the contract."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=tuple(PARTS), action="append", help="one part; may be given again")
    options.add_argument("--quick", action="store_true", help="the same with few studies")
    options.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = options.parse_args()
    rows: dict[str, dict[str, object]] = {}
    for name in given.only or PARTS:
        began = time.monotonic()
        for part, whole, quick in PARTS[name]:
            found = part(quick if given.quick else whole)
            print(*found.lines, "", sep="\n", flush=True)
            rows |= found.rows
        print(f"({name}: {time.monotonic() - began:.0f} s)\n", flush=True)
    print("| what | ours | unit | target | verdict | peers |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        peers = row["peers"]
        assert isinstance(peers, dict)
        beside = ", ".join(f"{peer} {shown(value)}" for peer, value in peers.items())
        upper = f" (to {shown(row['upper'])})" if "upper" in row else ""
        verdict = "" if not row["target"] else "HOLDS" if row["holds"] else "**MISS**"
        print(f"| {name} | {shown(row['ours'])}{upper} | {row['unit']} | {row['target']} | {verdict} | {beside} |")
    if given.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
