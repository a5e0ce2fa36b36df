"""Kills a real study at every named write point, before, during and after the write, and audits what is left."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from drill.points import points
from drill.table import last_line, show


def main() -> int:
    """Play the points and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under 60 s on 2 cores: some of the points")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000, help="the same order again")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    rows, kept = points(quick=asked.quick, seed=asked.seed)
    print(show(rows))
    if kept:
        print(f"kept: {kept}")
    if asked.json:
        print(last_line(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
