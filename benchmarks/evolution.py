#!/usr/bin/env python3
"""Evolutionary search beside random and Sobol search and beside the steps that were tried and are not used.

python3 benchmarks/evolution.py [--quick] [--json] [--seeds 20] [--trials 120]

Six analytic functions (benchmarks/evolving/functions.py), four trials at once, in the simulator with the policies that a
study runs. What counts is the true value of the trial that looks best, after 30, 60 and 120 results, without noise and
with noise of 0.1 on every result. Ranks are means over functions and seeds; 1 is the best of all that were compared.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence

import preparing

preparing.environment()

import numpy as np  # noqa: E402  # the folders come first
from evolving.functions import FUNCTIONS  # noqa: E402
from evolving.steps import aging, best, gaussian  # noqa: E402
from scipy.stats import rankdata  # noqa: E402

from secondshift.policies.schedulers import fifo, halving  # noqa: E402
from secondshift.policies.searchers import evolution, sobol, uniform  # noqa: E402
from secondshift.records.decisions import Decision  # noqa: E402
from secondshift.records.states import State  # noqa: E402
from secondshift.records.studies import Budget, Objective, Policy, Study, Value  # noqa: E402
from secondshift.records.trials import Trial  # noqa: E402
from secondshift.testing.simulated_nights import Night, play  # noqa: E402

Searcher = Callable[[State], list[Decision]]
NOISES = (0.0, 0.1)
AT = (30, 60, 120)
STEPS = 27  # of the halving rows
SEARCHERS: dict[str, Searcher] = {
    "random": uniform.decide,
    "sobol": sobol.decide,
    "evolution": evolution.decide,
    "aging, 20 newest, best of 5": gaussian("a", aging(20, 5), sigma=0.15, moved=1.5),
    "aging, 40 newest, best of 20": gaussian("b", aging(40, 20), sigma=0.15, moved=2.0),
    "best 3, normal steps": gaussian("c", best(3), sigma=0.1, moved=2.0),
    "best 8, normal steps": gaussian("d", best(8), sigma=0.1, moved=2.0),
}


def night(searcher: Searcher, name: str, seed: int, *, trials: int, noise: float, steps: int = 1) -> Night:
    """Play one search; with more than one step by halving, on curves that fall to the function's value."""
    function, space = FUNCTIONS[name]
    asked = Study(
        name=name, command=" ".join(f"--{p.name} {{{p.name}}}" for p in space.parameters), folder=".",
        objective=Objective(metric="loss"), horizon_steps=steps, space=space, budget=Budget(trials=trials), seed=seed,
        policy=Policy(failure_floor=10**6),
    )  # fmt: skip

    def curve(params: Mapping[str, Value], step: int) -> float:
        slow = 3.0 + 6.0 * (sum(map(ord, json.dumps(dict(params), sort_keys=True))) % 97 / 97)
        return function(params) + (math.exp(-slow * (step + 1) / steps) if steps > 1 else 0.0)

    def seeds(trial: Trial, step: int) -> float:
        return noise * float(np.random.default_rng([seed, int(trial.id[1:])]).standard_normal()) if noise else 0.0

    scheduler = halving if steps > 1 else fifo
    return play(asked, [scheduler.decide, searcher], curve=curve, slots=4, stride=max(1, steps // 3), noise=seeds, ticks=20_000)


def shown(played: Night, name: str, at: Sequence[int]) -> list[float]:
    """The true value of what looks best among the first so many results; of none, the worst there is."""
    function, _ = FUNCTIONS[name]
    results = [
        (trial.metrics["loss"].last, function(played.state.candidates[trial.candidate].params))
        for trial in played.state.trials.values() if trial.status == "complete"
    ]  # fmt: skip
    found = []
    for count in at:
        first = [(seen, true) for seen, true in results[:count] if math.isfinite(seen)]
        found.append(min(first)[1] if first else math.inf)
    return found


def compared(searchers: Mapping[str, Searcher], seeds: int, trials: int, noise: float) -> dict[str, np.ndarray]:
    """For each searcher an array [functions * seeds, budgets] of what it found."""
    at = [count for count in AT if count <= trials]
    return {
        label: np.array([
            shown(night(searcher, name, seed, trials=trials, noise=noise), name, at) for name in FUNCTIONS for seed in range(seeds)
        ])
        for label, searcher in searchers.items()
    }  # fmt: skip


def ranks(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Mean rank of each, by budget."""
    places = rankdata(np.stack(list(found.values())), axis=0).mean(axis=1)
    return dict(zip(found, places, strict=True))


def ahead(found: Mapping[str, np.ndarray], of: str = "random") -> np.ndarray:
    """Share of runs in which evolution is strictly better, by budget."""
    return (found["evolution"] < found[of]).mean(axis=0)


def halved(seeds: int, trials: int) -> dict[str, tuple[np.ndarray, float]]:
    """With successive halving: the true value of the best full result, and the mean of steps trained."""
    rows = {}
    for label in ("random", "evolution"):
        nights = [
            (name, night(SEARCHERS[label], name, seed, trials=trials, noise=0.0, steps=STEPS))
            for name in FUNCTIONS for seed in range(seeds)
        ]  # fmt: skip
        values = np.array([shown(played, name, [trials])[0] for name, played in nights])
        rows[label] = (values, float(np.mean([played.steps for _, played in nights])))
    return rows


def main(argv: Sequence[str]) -> int:
    """Measure and print; the exit code says only whether it was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=120)
    given = parser.parse_args(argv)
    seeds, trials = (2, 60) if given.quick else (given.seeds, given.trials)
    at = [count for count in AT if count <= trials]
    rows = {}
    for noise in NOISES:
        found = compared(SEARCHERS, seeds, trials, noise)
        print(f"\nmean rank of {len(SEARCHERS)}, noise {noise:g}, {len(FUNCTIONS)} functions, {seeds} seeds")
        print("| searcher | " + " | ".join(f"{count} results" for count in at) + " |\n|---|" + "---|" * len(at))
        for label, places in ranks(found).items():
            print(f"| {label} | " + " | ".join(f"{place:.2f}" for place in places) + " |")
        for count, share in zip(at, ahead(found), strict=True):
            rows[f"ahead of random, noise {noise:g}, {count} results"] = share
    by_halving = halved(seeds, trials)
    rows[f"ahead of random, by halving, {trials} trials"] = (by_halving["evolution"][0] < by_halving["random"][0]).mean()
    print("\nby halving, steps trained: " + ", ".join(f"{label} {steps:.0f}" for label, (_, steps) in by_halving.items()))
    print("\n" + "\n".join(f"{label}: {share:.2f} of {len(FUNCTIONS) * seeds} runs" for label, share in rows.items()))
    if given.json:
        out = {
            label: {"ours": float(share), "unit": "share of runs", "peers": {}, "target": "> 0.5", "holds": bool(share > 0.5)}
            for label, share in rows.items()
        }  # fmt: skip
        print(json.dumps(out))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
