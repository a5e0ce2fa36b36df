"""Pack 26 circles into the unit square so that their radii add up to as much as possible. This is the program to improve.

    python pack.py --seed 0 --out FOLDER

It writes FOLDER/circles.json: 26 rows of x, y and radius. What counts is what check.py says of that file.
"""

import argparse
import json
from pathlib import Path

import numpy as np

COUNT = 26
JITTER = 0.02  # by how much centres are moved at random before anything else
ROUNDS = 20  # of improving
STEP = 0.05  # how far a centre may be moved in one of them


def layout(rng):
    """Where the centres are at first: float64[26, 2]."""
    cells = [((column + 0.5) / 5, (row + 0.5) / 6) for row in range(6) for column in range(5)]
    return np.array(cells[:COUNT])


def radii(centres):
    """How large the circles around these centres may be: each as large as the one nearest to it."""
    apart = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, 9.0)
    return np.minimum(apart.min(axis=1) / 2, np.minimum(centres, 1 - centres).min(axis=1))


def improved(centres, rng):
    """Centres that leave more room than those given."""
    return centres


def main():
    """Pack once, and write what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="")
    told = parser.parse_args()
    rng = np.random.default_rng(told.seed)
    first = np.clip(layout(rng) + JITTER * rng.standard_normal((COUNT, 2)), 0.01, 0.99)
    centres = improved(first, rng)
    sizes = radii(centres) * (1 - 1e-9)  # the check forgives no rounding
    rows = [[float(x), float(y), float(r)] for (x, y), r in zip(centres, sizes, strict=True)]
    if told.out:
        Path(told.out, "circles.json").write_text(json.dumps(rows))
    print(f"packed {len(rows)} circles")


if __name__ == "__main__":
    main()
