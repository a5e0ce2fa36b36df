"""Kills, freezes, fills and reboots a real study on purpose, then audits what is left against a witness of its own."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from drill.storm import storm
from drill.table import last_line, show


def main() -> int:
    """Play what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under 60 s on 2 cores")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000, help="the same faults again")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    rows, kept = storm(quick=asked.quick, seed=asked.seed)
    print(show(rows))
    if kept:
        print(f"kept: {kept}")
    if asked.json:
        print(last_line(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
