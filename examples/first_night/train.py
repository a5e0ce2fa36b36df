"""Fit a curve through noisy points by gradient descent: the smallest script that cooperates fully with secondshift.

`python train.py` works on its own; inside a study it is paused, resumed, and searched over. Standard library only.
"""

import json
import math
import random
from pathlib import Path

import secondshift

run = secondshift.init(horizon=27)  # inside a study, the study's own horizon is used instead
p = run.params(lr=0.05, degree=3)  # defaults are the baseline

chance = random.Random(run.seed)
points = [(x / 20, math.sin(x / 6) + chance.gauss(0, 0.1)) for x in range(-20, 21)]
seen, unseen = points[::2], points[1::2]
weights, start = [0.0] * (p.degree + 1), 0
if checkpoint := run.restore():  # newest verified checkpoint, or None
    weights, start = json.loads((checkpoint.path / "weights.json").read_text()), checkpoint.step


def error(x: float, y: float) -> float:
    """How far the curve is above the point."""
    return sum(weight * x**power for power, weight in enumerate(weights)) - y


for step in range(start, run.horizon):
    for _ in range(20):
        slopes = [sum(error(x, y) * x**power for x, y in seen) / len(seen) for power in range(len(weights))]
        weights = [weight - p.lr * slope for weight, slope in zip(weights, slopes, strict=True)]
    run.log(step, train_loss=sum(error(x, y) ** 2 for x, y in seen) / len(seen))
    if run.eval_due(step):
        run.log(step, val_loss=sum(error(x, y) ** 2 for x, y in unseen) / len(unseen))
    if run.checkpoint_due(step):  # interval, pause request, SIGTERM
        with run.checkpoint(step + 1) as folder:  # atomic; checksummed; old ones pruned
            (Path(folder) / "weights.json").write_text(json.dumps(weights))
        if run.stopping:
            break
run.close()
