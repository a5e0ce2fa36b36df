#!/usr/bin/env python3
"""Population-based training beside fixed settings, on a real small training whose best learning rate falls while it trains.

python3 benchmarks/population.py [--quick] [--json] [--seeds 10]

The training is benchmarks/populations/train.py (numpy, 600 steps), trained step by step; policies, arbitration and fold are
those of a night, processes and their starts are left out. A population of 8 is compared with as many random rates trained to
their end (the same budget of 4,800 steps, the same first rates), and with the best of 40 fixed rates on a fine grid, which
is five times that budget. What counts is how far the error is above the least there is; smaller is better.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence

import preparing

preparing.environment()

import numpy as np  # noqa: E402  # the folders come first
from populations.train import DIMENSIONS, Job  # noqa: E402

from secondshift.policies.schedulers import budgets, fifo, population  # noqa: E402
from secondshift.policies.searchers import uniform  # noqa: E402
from secondshift.records.studies import Budget, Objective, Parameter, Policy, Space, Study, Value  # noqa: E402
from secondshift.records.trials import Trial  # noqa: E402
from secondshift.testing.simulated_nights import play  # noqa: E402

STEPS, SIZE, GRID = 600, 8, 40
SLICES = (30, 60, 100)  # steps
RATE = Parameter(name="lr", kind="float", low=1e-3, high=1.0, log=True, default=0.01)


def question(seed: int, length: int, scheduler: str) -> Study:
    """A study of one learning rate."""
    return Study(
        name="population", command="x --lr {lr}", folder=".", objective=Objective(metric="loss"), horizon_steps=STEPS, seed=seed,
        space=Space(parameters=(RATE,)), budget=Budget(trials=SIZE if scheduler == "fifo" else None),
        policy=Policy(scheduler=scheduler, population=SIZE, min_steps=length, max_failure_rate=1.0, failure_floor=10**6),
    )  # fmt: skip


def night(seed: int, length: int, scheduler: str) -> tuple[float, int]:
    """Train a night; the least loss at the end, and the steps trained."""
    job, weights = Job(seed), {}

    def course(trial: Trial, params: Mapping[str, Value], step: int) -> float:
        job.weights = weights.get((trial.inherits.trial if step == trial.inherits.step else trial.id, step), np.zeros(DIMENSIONS))
        with np.errstate(over="ignore", invalid="ignore"):
            job.step(step, float(params["lr"]))
        weights[trial.id, step + 1] = job.weights
        return job.loss() if (step + 1) % length == 0 or step + 1 == STEPS else 0.0  # read where it is compared

    decide = population.decide if scheduler == "population" else fifo.decide
    played = play(
        question(seed, length, scheduler), [decide, uniform.decide, budgets.decide], curve=lambda params, step: 0.0,
        slots=4, stride=length, ticks=10_000, course=course,
    )  # fmt: skip
    ended = [t.metrics["loss"].last for t in played.state.trials.values() if t.status == "complete"]
    return min((value for value in ended if math.isfinite(value)), default=math.inf), played.steps


def fixed(seed: int) -> float:
    """The least loss of rates on a fine grid, each kept for the whole training."""
    best = math.inf
    for rate in np.geomspace(RATE.low, RATE.high, GRID):
        job = Job(seed)
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(STEPS):
                job.step(step, float(rate))
        loss = job.loss()
        best = min(best, loss) if math.isfinite(loss) else best
    return best


def main(argv: Sequence[str]) -> int:
    """Measure and print; the exit code says only whether it was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args(argv)
    seeds = range(2 if given.quick else given.seeds)
    random, grid = [night(seed, STEPS, "fifo")[0] for seed in seeds], [fixed(seed) for seed in seeds]
    print(f"{len(seeds)} seeds, medians: {SIZE} random rates {np.median(random):.4g}, best of {GRID} rates {np.median(grid):.4g}")
    rows = {}
    for length in SLICES:
        found = [night(seed, length, "population") for seed in seeds]
        values = [value for value, _ in found]
        ahead, fine = (sum(a < b for a, b in zip(values, other, strict=True)) for other in (random, grid))
        print(
            f"slices of {length} steps: median {np.median(values):.4g}, {found[0][1]} steps; better than {SIZE} random rates on "
            f"{ahead} seeds, than the best of {GRID} on {fine}, of {len(seeds)}"
        )
        rows[f"population, slices of {length}, ahead of the best fixed rate of {GRID}"] = fine / len(seeds)
    if given.json:
        out = {
            label: {"ours": share, "unit": "share of seeds", "peers": {}, "target": "> 0.5", "holds": share > 0.5}
            for label, share in rows.items()
        }  # fmt: skip
        print(json.dumps(out))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
