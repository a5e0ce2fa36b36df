"""Null nights, mixed studies and ideas that begin anew: how often something is kept that does nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from captain.parts import Reported
from captain.scoring import wilson

from evidence.noises import COVERED, UNCOVERED, Noise
from evidence.rules import rules
from evidence.studies import AFTER, Outcome, ideas_of, play

IDEAS, PAIRS = 20, 40
MIXED_PAIRS = 60
REAL = (1.0, 1.25, 1.5, 2.0)  # effects of the ideas that are real in a mixed study, in standard deviations of a run
MOVES = 6  # of the baseline
TARGET = "<= 0.05, upper <= 0.06"


def null(studies: int) -> Reported:
    """No-ops under noises that the assumption covers."""
    found = Reported(lines=[f"## Null nights: {studies} studies of {IDEAS} no-ops, a look after each of {PAIRS} pairs", ""])
    _null(found, "null nights", COVERED, studies, TARGET)
    return found


def uncovered(studies: int) -> Reported:
    """Ideas whose pairs are not symmetric though one may call them no-ops: reported, not promised."""
    found = Reported(lines=[f"## Not covered by the assumption: {studies} studies of {IDEAS}", ""])
    _null(found, "not covered", UNCOVERED, studies, "")
    return found


def _null(found: Reported, title: str, noises: Mapping[str, Noise], studies: int, target: str) -> None:
    found.lines += [f"| noise | ours: studies with a keep (95 %) | keeps a study | {' | '.join(rules(IDEAS))} |"]
    found.lines += ["|---" * (3 + len(rules(IDEAS))) + "|"]
    for number, (noise, drawn) in enumerate(noises.items()):
        losses = drawn(np.random.default_rng([11, number, len(title)]), (studies, 1 + IDEAS, PAIRS))
        kept = np.array([_kept(play(study)) for study in losses])
        null_row(found, f"{title}, {noise}", kept, losses, target)


def null_row(found: Reported, name: str, kept: np.ndarray, losses: np.ndarray, target: str) -> None:
    """One row of studies in which nothing should be kept: `kept` bool[studies, ideas], and other rules on the same losses."""
    any_, upper = float(kept.any(axis=1).mean()), wilson(int(kept.any(axis=1).sum()), len(kept))[1]
    others = {rule: keeps(losses) for rule, keeps in rules(losses.shape[1] - 1).items()}
    shares = {rule: float(keeps.any(axis=1).mean()) for rule, keeps in others.items()}
    counts = " | ".join(f"{shares[rule]:.3f} ({keeps.sum(axis=1).mean():.2f})" for rule, keeps in others.items())
    found.lines.append(f"| {name.split(', ', 1)[1]} | {any_:.4f} (to {upper:.4f}) | {kept.sum(axis=1).mean():.4f} | {counts} |")
    holds = (any_ <= 0.05 and upper <= 0.06) if target else None
    found.row(f"{name}: studies with a false keep", any_, "share", target, holds, {k: round(v, 4) for k, v in shares.items()})
    found.rows[f"{name}: studies with a false keep"]["upper"] = round(upper, 6)


def _kept(outcomes: Sequence[Outcome | None]) -> list[bool]:
    return [outcome is not None and outcome.kept() for outcome in outcomes]


def mixed(studies: int) -> Reported:
    """A few of the ideas are real, at places drawn by chance; what of what is kept is not."""
    rng = np.random.default_rng(21)
    losses = rng.normal(size=(studies, 1 + IDEAS, MIXED_PAIRS))
    real = np.zeros((studies, IDEAS))
    for study in range(studies):
        real[study, rng.permutation(IDEAS)[: len(REAL)]] = REAL
    losses[:, 1:] -= real[:, :, None]
    keeps = {"ours": np.array([_kept(play(study)) for study in losses])}
    parked = [play(study, parking=True, closing=True) for study in losses[: max(10, studies // 5)]]
    keeps["ours, parking"] = np.array([_kept(outcomes) for outcomes in parked])
    keeps |= {rule: keeping(losses) for rule, keeping in rules(IDEAS).items()}
    sizes = ", ".join(f"{size:g}" for size in REAL)
    found = Reported(lines=[
        f"## Mixed studies: {studies}, {len(REAL)} of {IDEAS} ideas real ({sizes} sd), {MIXED_PAIRS} pairs", "",
        "| rule | false discovery rate | studies with a false keep | false keeps a study | found of the real | by effect |",
        "|---|---|---|---|---|---|",
    ])  # fmt: skip
    rates, shares = {}, {}
    for rule, kept in keeps.items():
        effects = real[: len(kept)]
        false, true = (kept & (effects == 0.0)).sum(axis=1), (kept & (effects > 0.0)).sum(axis=1)
        rates[rule] = float(np.mean(false / np.maximum(1, false + true)))
        shares[rule] = float(true.mean() / len(REAL))
        each = ", ".join(f"{size:g} sd {kept[effects == size].mean():.2f}" for size in REAL)
        found.lines.append(
            f"| {rule} | {rates[rule]:.4f} | {np.mean(false > 0):.4f} | {false.mean():.3f} | {shares[rule]:.3f} | {each} |"
        )
    spent = np.mean([o.verdict.pairs for outcomes in parked for o in outcomes if o is not None])
    found.lines += ["", f"Ours looks up to {MIXED_PAIRS} times; with parking ({len(parked)} studies): {spent:.1f} pairs an idea."]
    peers = {rule: round(rate, 4) for rule, rate in rates.items() if rule != "ours"}
    found.row("mixed studies: false discovery rate", rates["ours"], "share", "<= 0.05", rates["ours"] <= 0.05, peers)
    peers = {rule: round(share, 4) for rule, share in shares.items() if rule != "ours"}
    found.row("mixed studies: found of the real", shares["ours"], "share", "", None, peers)
    return found


def again(studies: int) -> Reported:
    """No-ops that begin anew each time the baseline moves: are the shares of the error budget spent once?"""
    rng = np.random.default_rng(31)
    fooled = np.zeros((studies, MOVES + 1), dtype=bool)
    for study in range(studies):
        ideas, hit, begun = ideas_of(IDEAS), False, 0
        for move in range(MOVES + 1):
            names = [name for name, idea in ideas.items() if idea.state == "exploring"]
            for name in names:  # a comparison that begins anew is another one, as arbitrate counts them
                begun += 1
                ideas[name] = replace(ideas[name], rank=begun)
            outcomes = play(rng.normal(size=(1 + len(names), PAIRS)), names=names, ideas=ideas)
            for name, outcome in zip(names, outcomes, strict=True):
                if outcome is not None:
                    ideas[name] = replace(ideas[name], state=AFTER[outcome.verdict.decision])
                    hit |= outcome.kept()
            fooled[study, move] = hit
    found = Reported(lines=[f"## Ideas that begin anew: {studies} studies of {IDEAS} no-ops, {PAIRS} pairs a baseline", ""])
    found.lines += ["| moves of the baseline | studies with a false keep | at most |", "|---|---|---|"]
    for move, share in enumerate(fooled.mean(axis=0)):
        found.lines.append(f"| {move} | {share:.4f} | {wilson(int(fooled[:, move].sum()), studies)[1]:.4f} |")
    share, upper = float(fooled[:, -1].mean()), wilson(int(fooled[:, -1].sum()), studies)[1]
    holds = share <= 0.05 and upper <= 0.06
    found.row(f"null nights, {MOVES} moves of the baseline: studies with a false keep", share, "share", TARGET, holds)
    return found
