"""Kills, freezes, fills and reboots a real study on purpose, then audits what is left against a witness of its own.

    python3 soak/kill.py [--quick] [--json] [--seed N] [--record] [PART ...]

PART: storm, points, or part of a scene's name (`disk`, `frozen`, `reboot`, `locked`, ...); left out: everything.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from drill import bad_input, scenes  # noqa: E402
from drill.points import points  # noqa: E402
from drill.storm import storm  # noqa: E402
from drill.table import Row, last_line, machine, markdown, put_into, show  # noqa: E402

LONG = ("storm", "frozen", "locked", "disk", "points")  # begun first, so that nobody waits for them alone
Part = Callable[[], tuple[list[Row], str]]


def parts(asked: argparse.Namespace) -> dict[str, Part]:
    """What is to be played: name -> what gives its rows and the folder it kept."""

    def scene(name: str) -> Part:
        def played() -> tuple[list[Row], str]:
            if name in scenes.SCENES:
                row, kept = scenes.play(name, quick=asked.quick, seed=asked.seed)
            else:
                row, kept = bad_input.play(name, seed=asked.seed)
            return [row], kept

        return played

    found: dict[str, Part] = {"storm": lambda: storm(quick=asked.quick, seed=asked.seed)}
    found["points"] = lambda: points(quick=asked.quick, seed=asked.seed)
    names = (*scenes.QUICK, *bad_input.QUICK) if asked.quick and not asked.part else (*scenes.SCENES, *bad_input.SCENES)
    found |= {name: scene(name) for name in names}
    if asked.part:
        found = {name: part for name, part in found.items() if any(word in name for word in asked.part)}
    return found


def play(asked: argparse.Namespace) -> tuple[list[Row], list[str]]:
    """Play all parts, some beside each other: each has a study, a host and a witness of its own."""
    rows: list[Row] = []
    kept: list[str] = []
    every = parts(asked)
    with ThreadPoolExecutor(asked.beside) as pool:
        first = sorted(every, key=lambda name: not any(word in name for word in LONG))
        running = {name: pool.submit(every[name]) for name in first}
        for name in every:
            found, folder = running[name].result()
            rows += found
            verdict = "as it must be" if all(row.holds for row in found) else "see below"
            print(f"{time.strftime('%H:%M:%S')} {name}: {verdict}", flush=True)
            if folder:
                kept.append(f"{name}: {folder}")
    return rows, kept


def record(rows: list[Row], asked: argparse.Namespace, took_s: float) -> None:
    """Put the table into docs/benchmarks.md."""
    asking = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asking, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    words = "".join(f" {word}" for word in asked.part)
    heading = (
        f"`python3 soak/kill.py --seed {asked.seed}{words}`: {took_s:.0f} s on {machine()}; "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit}.",
        "Harm is counted, and judged against what the training processes themselves noted outside the study; "
        "the contract is in [soak/README.md](../soak/README.md).",
    )
    put_into(ROOT / "docs" / "benchmarks.md", markdown(rows, heading))


def main() -> int:
    """Play what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", help="storm, points, or part of a scene's name; left out: everything")
    parser.add_argument("--quick", action="store_true", help="under 60 s on 2 cores")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000, help="the same faults again")
    parser.add_argument("--beside", type=int, default=0, help="parts played at once; left out: 6 if quick, else 3")
    parser.add_argument("--record", action="store_true", help="put the table into docs/benchmarks.md")
    asked = parser.parse_args()
    asked.beside = asked.beside or (6 if asked.quick else 3)
    print(f"seed {asked.seed}", flush=True)
    began = time.monotonic()
    rows, kept = play(asked)
    print(show(rows))
    print(f"{time.monotonic() - began:.0f} s")
    for line in kept:
        print(f"kept {line}")
    if asked.record:
        record(rows, asked, time.monotonic() - began)
    if asked.json:
        print(last_line(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
