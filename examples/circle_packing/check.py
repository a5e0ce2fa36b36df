"""The referee: are these 26 circles in the unit square without overlap, and what do their radii add up to?

    python check.py FOLDER

Every number in FOLDER/circles.json is read as the decimal fraction that is written there, and all is computed with
fractions: there is no tolerance, and no rounding to forgive. Circles may touch. Protected: no program may change this file.
"""

import json
import re
import sys
from fractions import Fraction
from itertools import combinations
from pathlib import Path

COUNT = 26
NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,60})?([eE][-+]?\d{1,2})?")  # longer ones only cost time
MOST_BYTES = 100_000
SHOWN = 5  # faults that are told, of many


class Unfit(Exception):
    """What was handed in is no packing."""


def number(text):
    """A written number, exactly. Raises Unfit."""
    if not NUMBER.fullmatch(text):
        raise Unfit(f"{text[:40]!r} is not a finite decimal number of ordinary length")
    return Fraction(text)


def circles(text):
    """The rows of a file as exact fractions. Raises Unfit."""
    try:
        rows = json.loads(text, parse_float=number, parse_int=number, parse_constant=number)
    except (ValueError, RecursionError) as error:
        raise Unfit(f"circles.json is not JSON: {error}") from error
    if not isinstance(rows, list) or len(rows) != COUNT:
        raise Unfit(f"expected a list of {COUNT} circles, got {len(rows) if isinstance(rows, list) else type(rows).__name__}")
    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 3 or not all(isinstance(value, Fraction) for value in row):
            raise Unfit(f"circle {place} is not [x, y, radius]")
    return rows


def faults(rows):
    """Each thing that is wrong with a packing, as a sentence."""
    found = []
    for place, (x, y, r) in enumerate(rows):
        if r < 0:
            found.append(f"circle {place} has the negative radius {float(r):.6g}")
        out = max(r - x, x + r - 1, r - y, y + r - 1)
        if out > 0:
            found.append(f"circle {place} sticks out of the square by {float(out):.3g}")
    for (i, (x, y, r)), (j, (u, v, s)) in combinations(enumerate(rows), 2):
        if (x - u) ** 2 + (y - v) ** 2 < (r + s) ** 2:
            found.append(f"circles {i} and {j} overlap: radii {float(r):.6g} and {float(s):.6g}")
    return found


def main():
    """Judge a folder; exit 1 where it holds no packing."""
    file = Path(sys.argv[1]) / "circles.json"
    try:
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            raise Unfit(f"expected a file circles.json of at most {MOST_BYTES} bytes")
        rows = circles(file.read_text("utf-8"))
        wrong = faults(rows)
        if wrong:
            raise Unfit("; ".join(wrong[:SHOWN]) + (f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""))
    except Unfit as why:
        sys.exit(f"no packing: {why}")
    sizes = sorted(float(r) for _, _, r in rows)
    print(f"the radii go from {sizes[0]:.4f} to {sizes[-1]:.4f}; {sum(size < 0.05 for size in sizes)} are below 0.05")
    print(f"sum_of_radii={float(sum(r for _, _, r in rows)):.12f}")


if __name__ == "__main__":
    main()
