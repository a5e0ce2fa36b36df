"""What a verdict costs: pairs, runs and device-seconds of ideas that held up, were refuted or were parked."""

import time
from collections import defaultdict

import numpy as np
from captain.parts import Reported

from evidence.digits import recorded
from evidence.studies import STUDY, Outcome, Track, ideas_of, play
from secondshift.policies.evidence.levels import level
from secondshift.policies.evidence.verdicts import pairs_left, verdict
from secondshift.records.states import State

IDEAS, PAIRS = 20, 100
PLANTED = (2.0, 1.5, 1.0, -1.0, -1.5, -2.0)  # standard deviations of a run; the others do nothing
LOOK_PAIRS = 60
EARLY = 5  # pairs after which a price is looked at


def measured(studies: int) -> Reported:
    """Whole studies until every idea is settled or parked: simulated, and with real changes on digits."""
    found = Reported(lines=[f"## Cost per verdict: {studies} studies of {IDEAS} ideas, with parking, at most {PAIRS} pairs", ""])
    found.lines += ["| studies | ending | share of ideas | of those truly better | pairs, median | p90 | device-seconds a verdict, "
                    "baseline runs shared | not shared |", "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    rng = np.random.default_rng(71)
    _study_rows(found, "simulated", [_simulated(rng) for _ in range(studies)])
    _study_rows(found, "digits", [_digits(rng) for _ in range(studies)])
    _prices(found, 10 * studies)
    _speed(found)
    return found


Made = tuple[np.ndarray, np.ndarray]  # losses, and which ideas are truly better (1), the same (0), or worse (-1)


def _simulated(rng: np.random.Generator) -> Made:
    effects = np.zeros(IDEAS)
    effects[rng.permutation(IDEAS)[: len(PLANTED)]] = PLANTED
    losses = rng.normal(size=(1 + IDEAS, PAIRS))
    losses[1:] -= effects[:, None]
    return losses, np.sign(effects)


def _digits(rng: np.random.Generator) -> Made:
    """Every real change that was recorded, once, among no-ops from seeds that no change was run with."""
    pool = recorded()
    base = pool.base["loss"]
    changed = [values["loss"] for values in pool.changes.values()]
    seeds = rng.permutation(min(map(len, changed)))[:PAIRS]
    others = rng.permutation(np.arange(max(map(len, changed)), len(base)))
    runs = [(losses[seeds], float(np.sign(np.median(base[: len(losses)] - losses)))) for losses in changed]
    runs += [(base[others[k * PAIRS : (k + 1) * PAIRS]], 0.0) for k in range(IDEAS - len(runs))]
    order = rng.permutation(IDEAS)
    return np.stack([base[seeds], *(runs[k][0] for k in order)]), np.array([runs[k][1] for k in order])


def _study_rows(found: Reported, name: str, studies: list[Made]) -> None:
    run_s = recorded().seconds
    pairs: dict[str, list[float]] = defaultdict(list)
    shared: dict[str, list[float]] = defaultdict(list)
    better: dict[str, list[float]] = defaultdict(list)
    rates, runs = [], []
    for losses, signs in studies:
        outcomes = play(losses, parking=True, closing=True)
        spent = np.array([o.verdict.pairs for o in outcomes if o is not None])
        using = np.array([(spent > pair).sum() for pair in range(spent.max())])  # ideas that each baseline run serves
        kept = np.array([o is not None and o.kept() for o in outcomes])
        rates.append((kept & (signs <= 0)).sum() / max(1, kept.sum()))
        runs.append(int(spent.sum() + spent.max()))
        for outcome, count, sign in zip(outcomes, spent.tolist(), signs, strict=True):
            assert outcome is not None, "closing"
            ending = _ending(outcome)
            pairs[ending].append(count)
            shared[ending].append(run_s * (count + float((1.0 / using[:count]).sum())))
            better[ending].append(float(sign > 0))
    total = sum(map(len, pairs.values()))
    for ending, counts in sorted(pairs.items()):
        found.lines.append(
            f"| {name} | {ending} | {len(counts) / total:.3f} | {np.mean(better[ending]):.3f} | {np.median(counts):.0f} | "
            f"{np.quantile(counts, 0.9):.0f} | {np.median(shared[ending]):.2f} | {2 * run_s * np.median(counts):.2f} |"
        )
        found.row(f"{name}, pairs per idea {ending}, median", float(np.median(counts)), "pairs", "", None)
        found.row(f"{name}, device-seconds per idea {ending}, median", float(np.median(shared[ending])), "s", "", None)
    rate = float(np.mean(rates))
    found.row(f"{name}, studies with parking: false discovery rate", rate, "share", "<= 0.05", rate <= 0.05)
    found.lines.append(f"| {name} | all of a study | | | {np.median(runs):.0f} runs | {np.quantile(runs, 0.9):.0f} runs | "
                       f"{run_s * np.median(runs):.1f} | |")  # fmt: skip


def _prices(found: Reported, count: int) -> None:
    """Was the price that a brief would have told after a few pairs about what it then took?"""
    found.lines += [
        "", f"The price told after {EARLY} pairs (pairs to go) of ideas e2 that then held up, beside what it took:", "",
        "| effect (sd of a run) | told, median | took, median | told / took: p10 | median | p90 |", "|---" * 6 + "|",
    ]  # fmt: skip
    for effect in (1.0, 2.0):
        told, taken = [], []
        for losses in np.random.default_rng(75).normal(size=(count, 2, PAIRS)):
            losses[1] -= effect
            ideas = ideas_of(2)
            (outcome,) = play(losses, names=["e2"], ideas=ideas, closing=True)
            if outcome is not None and outcome.kept() and outcome.verdict.pairs > EARLY:
                told.append(pairs_left(Track(losses[1], losses[0]).better[:EARLY], level(ideas, "e2"), 0.0))
                taken.append(outcome.verdict.pairs - EARLY)
        ratios = np.quantile(np.array(told) / np.array(taken), [0.1, 0.5, 0.9], method="higher")
        shown = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        found.lines.append(f"| {effect:g} | {np.median(told):.0f} | {np.median(taken):.0f} | {shown} |")


def _ending(outcome: Outcome) -> str:
    if outcome.kept():
        return "held up"
    return "refuted" if outcome.verdict.decision == "refuted" else "parked" if outcome.parked else "open"


def _speed(found: Reported) -> None:
    """What a verdict costs the engine's own processor."""
    losses = np.random.default_rng(81).normal(size=(2, LOOK_PAIRS))
    track, ideas = Track(losses[1], losses[0]), ideas_of(1)
    state, taken = State(study=STUDY, ideas=ideas), []
    for _ in range(30):
        began = time.process_time()
        verdict(state, ideas["e1"], track.pairs(LOOK_PAIRS))
        taken.append(time.process_time() - began)
    found.row(f"one verdict of {LOOK_PAIRS} pairs, processor time", 1000 * float(np.median(taken)), "ms", "", None)
