"""Does the interval that the demo's brief shows for its helpful idea hold on seeds that nobody has seen?

    python3 benchmarks/demo_ideas.py [--seeds 30] [--nights 5] [--json]

Each night runs the demo's study of ideas with another study seed; then candidate and baseline are trained with extra seeds, by the
script's own class and outside of any study. The mean paired gain on those is the truth that the interval should hold.
"""

import argparse
import json
import tempfile
from pathlib import Path

import preparing

preparing.environment()

import numpy as np  # noqa: E402  # the folders come first

from secondshift.interfaces.demo.ideas import STEPS, show_ideas  # noqa: E402
from secondshift.interfaces.demo.train_digits import DEFAULTS, Job  # noqa: E402
from secondshift.ledger.fold import fold  # noqa: E402
from secondshift.ledger.opening import open_ledger  # noqa: E402
from secondshift.records.states import State  # noqa: E402

APART = 1000  # between the study seeds of two nights, whose fresh seeds are counted from them: no two nights share any
EXTRA = 50_000  # the first extra seed; the demo's fresh ones are around a million


def loss(seed: int, **changes: float) -> float:
    """The validation loss in nats after the demo's steps."""
    job = Job(**{**DEFAULTS, **changes}, seed=seed)
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            job.train_step()
        return job.evaluate()[0]


def night(seed: int) -> dict:
    """Run the study of ideas once and return what was found of the helpful one."""
    with tempfile.TemporaryDirectory() as folder:
        problems = show_ideas(Path(folder), seed=seed, say=lambda text: None)
        ledger = open_ledger(Path(folder) / "ideas" / ".secondshift", readonly=True)
        try:
            state = fold(State(), ledger.read())
        finally:
            ledger.close()
    found = state.verdicts["e1"]
    states = [idea.state for idea in state.ideas.values()]
    return {"seed": seed, "effect": found.effect, "low": found.low, "high": found.high, "pairs": found.pairs, "states": states,
            "problems": problems}  # fmt: skip


def main() -> None:
    """Print what each night said, and the truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--nights", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    gains = np.array([loss(EXTRA + s) - loss(EXTRA + s, momentum=0.9) for s in range(args.seeds)])
    truth, error = float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
    nights = [night(APART * number) for number in range(args.nights)]
    inside = sum(n["low"] <= truth <= n["high"] for n in nights)
    if args.json:
        print(json.dumps({"truth": truth, "standard_error": error, "inside": inside, "nights": nights}))
        return
    print(f"{args.seeds} extra seeds: mean gain {truth:.4f}, standard error {error:.4f}, median {np.median(gains):.4f}")
    for n in nights:
        span = f"[{n['low']:.4f}, {n['high']:.4f}]"
        print(f"night {n['seed']}: {n['effect']:.4f} {span} from {n['pairs']} pairs; {', '.join(n['states'])}")
    print(f"{inside} of {len(nights)} intervals hold it")


if __name__ == "__main__":
    main()
