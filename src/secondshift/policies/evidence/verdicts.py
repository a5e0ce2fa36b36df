"""What fresh seeds say of an idea: supported, refuted or undecided, valid however often one looks. Source: models.signflips."""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal, cast

import numpy as np

from secondshift.policies.evidence.canaries import withheld
from secondshift.policies.evidence.honesty import deterministic, reservation
from secondshift.policies.evidence.levels import level
from secondshift.policies.evidence.pairing import Pairs, pairs_of
from secondshift.policies.models.guarding import Confirmed, confirmed
from secondshift.policies.models.signflips import evidence, lower_bound, middle, pairs_needed, upper_bound, wealth
from secondshift.records.decisions import Decision, judge
from secondshift.records.ideas import Ending, Idea, Verdict
from secondshift.records.states import State
from secondshift.records.trials import Trial

NAME = "verdicts"
NEWEST = 200  # trials that say what a pair costs
SIDE = 0.025  # error of each side of the interval that is shown
REFUTE = SIDE  # of refuting one idea, so that interval and verdict agree; false keeps, not these, add up over a study

SAME_NUMBER = "is better by the same number each time, so there is no luck to rule out and no verdict"
DECISIONS: Mapping[Ending, Literal["supported", "refuted", "undecided"]] = {
    "better": "supported", "unsettled": "undecided", "unprotected metric": "undecided", "same for every seed": "undecided",
    "same number each time": "undecided", "more time": "undecided", "guard not checked": "undecided",
}  # fmt: skip


def decide(state: State) -> list[Decision]:
    """Judge each idea of which another pair has finished."""
    if state.study is None:
        return []
    decisions = []
    for idea in state.ideas.values():
        if idea.state != "exploring" or not idea.candidate:
            continue
        pairs, before = pairs_of(state, idea), state.verdicts.get(idea.id)
        seen = (before.pairs, before.void, before.candidate) if before is not None else (0, 0, idea.candidate)
        if (len(pairs.candidate), pairs.void, idea.candidate) != seen or _guards_say_otherwise(state, idea, pairs, before):
            decisions.append(judge(verdict(state, idea, pairs), by=NAME))
    return decisions


def _guards_say_otherwise(state: State, idea: Idea, pairs: Pairs, before: Verdict | None) -> bool:
    """Say whether the guards of the study, which may have been changed, give the same pairs another end."""
    if before is None or not (before.guard or (state.study is not None and state.study.objective.guards)):
        return False
    return verdict(state, idea, pairs).ending != before.ending


def verdict(state: State, idea: Idea, pairs: Pairs) -> Verdict:
    """Judge an idea by its pairs so far."""
    assert state.study is not None, "there are no ideas without a study"
    better, allowed, least = pairs.differences(), level(state.ideas, idea.id), state.study.objective.min_effect
    ending, kept = _ending(better, allowed, least), confirmed(state, idea)
    if kept.worst is not None and ending in ("better", "unsettled"):
        ending = "breaks a guard"  # no more seeds can mend that
    elif ending == "better" or (ending == "unsettled" and _plainly_better(state, idea, better, least)):
        ending = reservation(state, idea) or ("guard not checked" if kept.unchecked is not None else ending)
    if ending == "better" and withheld(state, idea):
        ending = "unsettled"  # until the canaries have failed to win
    if evidence(pairs.crash_differences()) >= -math.log(SIDE):
        ending = "crashes more"
    effect, log_evidence = middle(better), evidence(better)
    left = pairs_left(better, allowed, least) if ending == "unsettled" else 0.0
    decision = DECISIONS.get(ending, "refuted")
    return Verdict(
        idea=idea.id, candidate=idea.candidate, baseline=idea.baseline, decision=decision, ending=ending,
        reason=_reason(ending, idea, len(better), effect, log_evidence, allowed, kept), pairs=len(better), effect=effect,
        low=lower_bound(better, SIDE), high=upper_bound(better, SIDE), log_evidence=log_evidence, level=allowed,
        crashed=pairs.crashed, baseline_crashed=pairs.baseline_crashed, void=pairs.void,
        pairing=pairs.gain_of_pairing(), pairs_left=left, device_s_left=left * pair_cost(state), **_of_guard(ending, kept),
    )  # fmt: skip


def _plainly_better(state: State, idea: Idea, better: np.ndarray, least: float) -> bool:
    """Say whether an idea is better by the same number each time: no more seeds can tell more."""
    return len(better) > 0 and middle(better) > 0.0 and middle(better) >= least and deterministic(state, idea)


def _of_guard(ending: Ending, kept: Confirmed) -> dict[str, Any]:
    """What a verdict says of the guard that it ends by; nothing where it ends by none."""
    if ending == "breaks a guard" and kept.worst is not None:
        return {"guard": kept.worst.guard.text, "guard_value": kept.worst.value, "guard_runs": kept.broke,
                "guard_baseline": kept.baseline_broke}  # fmt: skip
    if ending == "guard not checked" and kept.unchecked is not None:
        return {"guard": kept.unchecked.text}
    return {}


def _ending(better: np.ndarray, allowed: float, least: float) -> Ending:
    """Say what the differences settle: better by enough, too small, no better, worse, or nothing yet."""
    real = evidence(better) >= -math.log(allowed)
    limit = -math.log(REFUTE)
    if evidence(-better, -least) >= limit:  # below what matters
        return "too small" if real else "worse" if evidence(-better) >= limit else "no better"
    return "better" if real and middle(better) >= least else "unsettled"


def pairs_left(better: np.ndarray, allowed: float, least: float, hope: float = 0.0) -> float:
    """Estimate how many more pairs settle it, if the effect is as it looks, or `hope` standard errors better for a verdict."""
    finite = better[np.isfinite(better)]
    if len(finite) < 2:
        return math.inf if hope == 0.0 else pairs_needed(1.0, allowed)
    centre = middle(finite)
    spread = float(np.median(np.abs(finite - centre))) / 0.6745 or float(np.std(finite)) or 1e-12
    extra = hope / math.sqrt(len(finite))
    to_support = pairs_needed(max(0.0, centre / spread + extra), allowed, float(wealth(better)[-1]))
    to_refute = pairs_needed(max(0.0, (least - centre) / spread + extra), REFUTE, float(wealth(-better, -least)[-1]))
    if hope == 0.0:
        return to_support if centre >= least else to_refute
    return min(to_support, to_refute)


def pair_cost(state: State) -> float:
    """Estimate the device-seconds of a pair from the newest trials that ran to their end, those with fresh seeds if any did."""
    pairs, trials = cast("dict[str, str]", state.pairs), cast("dict[str, Trial]", state.trials)  # walked from the newest on
    fresh = [t for t in (trials[name] for name in islice(reversed(pairs.values()), NEWEST)) if t.status == "complete"]
    whole = fresh or [t for t in islice(reversed(trials.values()), NEWEST) if t.status == "complete" and not t.stopped()]
    return 2.0 * sum(t.device_s for t in whole) / len(whole) if whole else 0.0


def _reason(
    ending: Ending, idea: Idea, pairs: int, effect: float, log_evidence: float, allowed: float, kept: Confirmed
) -> str:
    seeds = f"{pairs} fresh seeds, typical gain {effect:+.4g}" if pairs else "no fresh seed yet"
    odds = f"e-value {math.exp(min(log_evidence, 700.0)):.3g} of {1.0 / allowed:.3g} needed"
    said = {
        "better": f"{idea.id} holds up", "too small": f"{idea.id} is real but too small to matter",
        "no better": f"{idea.id} is no better by what matters", "worse": f"{idea.id} is worse",
        "crashes more": f"{idea.id} comes to no result more often",
        "unprotected metric": f"{idea.id} looks better, but its own process reports its metric",
        "same for every seed": f"{idea.id} looks better, but its result is the same for every seed: it is one run, not many",
        "same number each time": f"{idea.id} {SAME_NUMBER}",
        "more time": f"{idea.id} looks better, but its runs take much longer than the baseline's",
        "breaks a guard": f"{idea.id} {_broken(kept)}",
        "guard not checked": f"{idea.id} looks better, but nothing that counts says whether it keeps to {_unchecked(kept)}",
    }.get(ending, f"{idea.id} is not settled")  # fmt: skip
    plain = DECISIONS.get(ending, "refuted") == "refuted" or ending == "same number each time"
    return f"{said}: {seeds}." if plain else f"{said}: {seeds}; {odds}."  # those odds are of being better at all


def _broken(kept: Confirmed) -> str:
    if kept.worst is None:
        return ""
    guard, baseline = kept.worst.guard, "the baseline keeps to it"
    if kept.baseline_broke:
        baseline = f"the baseline does so in {kept.baseline_broke}"
    shown = f"{guard.metric} came to {kept.worst.value:.6g}"
    return f"breaks the guard {guard.text} in {kept.broke} of {kept.runs} pairs ({shown}; {baseline})"


def _unchecked(kept: Confirmed) -> str:
    return kept.unchecked.text if kept.unchecked is not None else ""
