"""What a shift found, and what it does not prove."""

import math
from collections.abc import Iterable

from secondshift.interfaces.brief.environments import other_environments
from secondshift.interfaces.brief.fronts import front
from secondshift.interfaces.brief.guards import guards
from secondshift.interfaces.brief.imported import before, imported
from secondshift.interfaces.brief.noise import noise
from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.readmodel.environments import elsewhere
from secondshift.interfaces.readmodel.guards import is_plain
from secondshift.interfaces.readmodel.objectives import current, names, ordered, ranked, results, steps_to, written
from secondshift.records.fingerprints import comparable
from secondshift.records.guards import breaks
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.studies import Objective
from secondshift.records.trials import Trial


def found(night: Trace, state: State, objective: Objective) -> Iterable[Statement]:
    """The counts, the best complete trial, and how it stands against the defaults."""
    trials = current(state)
    seen = [t for t in trials if t.id in night.trials]
    done = [t for t in seen if t.status == "complete" and t.unaided()]
    helped = [t for t in seen if t.status == "complete" and not t.unaided()]
    if seen:
        yield _counts(night, seen)
        yield from _waiting(night, seen)
    best, everyone = ranked(objective, done), ordered(objective, done)
    fresh = [state.trials[name] for name in state.pairs.values() if name in night.trials]
    fresh = ordered(objective, [t for t in fresh if t.status == "complete"])
    rest = [t for t in done if t not in everyone]
    if not best:
        if everyone:
            none = {"n": len(everyone), "metric": objective.metric}
            yield Statement(key="found.none_within_guards", values=none, facts=_all_outcomes(night, everyone))
        if not done:
            none = {"metric": objective.metric}
            key = "found.none_unaided" if helped else "found.none_complete"
            yield Statement(key=key, values=none, facts=_all_outcomes(night, done or helped))
        yield from guards(night, state, seen)
        yield from front(night, state, seen)
        yield from _assisted(night, helped, objective)
        yield from _without_value(night, rest, objective)
        yield from _ahead(night, seen, objective)
        yield from imported(state)
        yield from noise(night, state, [*everyone, *fresh], before(state), None)
        return
    yield _best(night, state, best[0], objective)
    yield from guards(night, state, seen)
    yield from front(night, state, seen)
    yield from _assisted(night, helped, objective)
    yield from _seeds(night, state, best, objective)
    yield from other_environments(night, state, best)
    yield from _against_defaults(night, state, best[0], everyone, objective)
    yield from imported(state)
    yield from noise(night, state, [*everyone, *fresh], before(state), _gain(state, best[0], everyone, objective))
    yield from _without_value(night, rest, objective)


def _assisted(night: Trace, helped: list[Trial], objective: Objective) -> Iterable[Statement]:
    """What assisted trials came to, and those that began from another's checkpoint, marked, and set beside no other."""
    for mark in ("assisted", "inherited"):
        marked = [trial for trial in helped if trial.mark() == mark]
        if marked:
            values = {"n": len(marked), "metric": objective.metric, "results": results(objective, marked)}
            yield Statement(key=f"found.{mark}", values=values, facts=_all_outcomes(night, marked))


def _without_value(night: Trace, rest: list[Trial], objective: Objective) -> Iterable[Statement]:
    if rest:
        yield Statement(
            key="found.no_value",
            values={"n": len(rest), "trials": names(rest), "metric": objective.metric},
            facts=_all_outcomes(night, rest),
        )


def _all_outcomes(night: Trace, trials: list[Trial]) -> tuple[int, ...]:
    facts = tuple(sorted(s for t in trials if t.id in night.trials for s in night.trials[t.id].outcome()))
    return facts or tuple(s for s in (night.started, night.ended) if s)


def _counts(night: Trace, seen: list[Trial]) -> Statement:
    by = {
        status: sum(t.status == status for t in seen)
        for status in ("complete", "paused", "stopped", "failed", "running", "queued")
    }
    facts = sorted({s for t in seen for s in (night.trials[t.id].queued, *night.trials[t.id].outcome()) if s})
    return Statement(key="found.counts", values={"n": len(seen), **by}, facts=tuple(facts))


def _waiting(night: Trace, seen: list[Trial]) -> Iterable[Statement]:
    """Those that are paused on purpose, so that nobody takes them for broken off."""
    waiting = [trial for trial in seen if trial.waits()]
    if waiting and night.ended and not night.exhausted:
        values = {"n": len(waiting), "trials": names(waiting)}
        yield Statement(key="found.waiting", values=values, facts=_all_outcomes(night, waiting))


def _best(night: Trace, state: State, trial: Trial, objective: Objective) -> Statement:
    last = trial.metrics[objective.metric].last_step
    values = {
        "trial": trial.id,
        "metric": objective.metric,
        "value": _value(trial, objective),
        "seed": str(trial.seed),
        "params": params_of(state, trial) or "—",
        "steps": steps_to(last, state.study.horizon_steps if state.study else last + 1),
    }
    key = "found.best" if objective.at == "final" else "found.best_any_step"
    return Statement(key=key, values=values, facts=night.trials[trial.id].result(objective.at))


def _value(trial: Trial, objective: Objective) -> float:
    value = trial.objective(objective)
    return math.nan if value is None else value


def params_of(state: State, trial: Trial) -> str:
    """The trial's parameters in words, as the script resolved them where it said so."""
    candidate = state.candidates.get(trial.candidate)
    return written(trial.params or (candidate.params if candidate else {}))


def _seeds(night: Trace, state: State, best: list[Trial], objective: Objective) -> Iterable[Statement]:
    same = [t for t in best if t.candidate == best[0].candidate and comparable(t, best[0], state.fingerprints)]
    facts = tuple(s for t in same for s in night.trials[t.id].result(objective.at))
    seeds = len({t.seed for t in same})
    if seeds == 1:
        yield Statement(key="found.one_seed", values={"n": len(best)}, facts=facts)
        return
    values = [_value(t, objective) for t in same]
    yield Statement(
        key="found.more_seeds",
        values={
            "n": seeds,
            "mean": sum(values) / len(values),
            "low": min(values),
            "high": max(values),
            "of": len(best),
        },
        facts=facts,
    )


def _against_defaults(
    night: Trace, state: State, leader: Trial, everyone: list[Trial], objective: Objective
) -> Iterable[Statement]:
    plain = [t for t in everyone if is_plain(state, t)]
    if leader in plain:
        key = "found.defaults_lead" if leader is everyone[0] else "found.defaults_lead_within"
        yield Statement(key=key, values={"trial": leader.id}, facts=night.trials[leader.id].result(objective.at))
        return
    if not plain:
        helped = [t for t in current(state) if not t.unaided() and t.status == "complete" and is_plain(state, t)]
        key = "found.baseline_assisted" if helped else "found.no_baseline"
        facts = tuple(sorted(s for t in (leader, *helped) for s in night.trials[t.id].result(objective.at)))
        yield Statement(key=key, values={"n": len(helped), "trials": names(helped)}, facts=facts)
        return
    gain, alike = _gain(state, leader, everyone, objective), [t for t in plain if comparable(leader, t, state.fingerprints)]
    if gain is None:
        facts = tuple(sorted({*night.trials[plain[0].id].result(objective.at), *night.trials[leader.id].result(objective.at)}))
        values = {"trial": plain[0].id, "value": _value(plain[0], objective), "metric": objective.metric}
        where = elsewhere(state, plain[0], leader)
        yield Statement(key="found.baseline_elsewhere", values={**values, "difference": where}, facts=facts)
        return
    plain = alike
    facts = (*night.trials[plain[0].id].result(objective.at), *night.trials[leader.id].result(objective.at))
    values = {
        "trial": plain[0].id,
        "value": _value(plain[0], objective),
        "metric": objective.metric,
        "gain": abs(gain),
        "seeds": len({t.seed for t in plain}),
    }
    yield Statement(key="found.baseline", values=values, facts=facts)
    if objective.min_effect and gain < objective.min_effect:
        values = {"min_effect": objective.min_effect}
        yield Statement(key="found.too_small", values=values, facts=(night.study, *facts) if night.study else facts)


def _gain(state: State, leader: Trial, everyone: list[Trial], objective: Objective) -> float | None:
    """By how much the leader beats the defaults where it ran; None if it is the defaults, or they did not end there."""
    plain = [t for t in everyone if is_plain(state, t) and comparable(leader, t, state.fingerprints)]
    if not plain or leader in plain:
        return None
    return objective.loss(_value(plain[0], objective)) - objective.loss(_value(leader, objective))


def _ahead(night: Trace, seen: list[Trial], objective: Objective) -> Iterable[Statement]:
    ahead = ranked(objective, [t for t in seen if t.status in ("paused", "running")])
    if ahead:
        trial = ahead[0]
        summary = trial.metrics[objective.metric]
        values = {
            "trial": trial.id,
            "metric": objective.metric,
            "value": _value(trial, objective),
            "steps": summary.last_step + 1,
        }
        yield Statement(key="found.ahead", values=values, facts=night.trials[trial.id].result(objective.at))


def _unconfirmed(night: Trace, state: State, best: Trial, facts: tuple[int, ...]) -> Iterable[Statement]:
    """What is not known of the best against the defaults, where it is not the defaults: fresh seeds may have been run."""
    if is_plain(state, best):
        return
    ideas = [idea for idea in state.ideas.values() if idea.candidate == best.candidate and idea.revision == best.revision]
    judged = [idea for idea in ideas if idea.id in state.verdicts and state.verdicts[idea.id].pairs]
    if not judged:
        yield Statement(key="unproven.not_a_verdict", facts=facts)
    elif not any(idea.state == "held up" for idea in judged):
        verdict = state.verdicts[judged[-1].id]
        key = "same_number" if verdict.ending == "same number each time" else "not_confirmed"
        values = {"idea": judged[-1].id, "pairs": verdict.pairs}
        yield Statement(key=f"unproven.{key}", values=values, facts=night.of_idea(judged[-1].id))


def unproven(night: Trace, state: State, objective: Objective) -> Iterable[Statement]:
    """What a reader might conclude from this shift, and should not."""
    trials = [t for t in current(state) if t.id in night.trials]
    done = ranked(objective, [t for t in trials if t.status == "complete"])
    if done:
        leader = night.trials[done[0].id].result(objective.at)
        yield from _unconfirmed(night, state, done[0], leader)
        if len(done) > 1:
            yield Statement(key="unproven.chosen", values={"n": len(done)}, facts=_all_outcomes(night, done))
        if state.study and not state.study.evaluate:
            yield Statement(key="unproven.own_metric", values={"metric": objective.metric}, facts=leader)
        if objective.at == "best":
            yield Statement(key="unproven.best_step", facts=leader)
    else:
        ended = [t for t in trials if t.status == "complete"]
        unaided = any(t.unaided() for t in ended)
        key = "unproven.no_value" if unaided else "unproven.only_assisted" if ended else "unproven.nothing"
        if ordered(objective, ended):  # all of them break a guard
            key = "unproven.within_guards"
        yield Statement(key=key, facts=tuple(s for s in (night.started, night.ended) if s))
    early = [t for t in trials if t.status in ("paused", "stopped") and 0 <= t.logged_step and not breaks(objective, t)]
    if early:
        yield Statement(
            key="unproven.stopped_early",
            values={"n": len(early), "trials": names(early)},
            facts=_all_outcomes(night, early),
        )
        if state.study and state.study.schedule == "tied":
            yield Statement(key="unproven.tied", facts=_all_outcomes(night, early))
    for mark in ("assisted", "inherited"):
        marked = [t for t in trials if t.mark() == mark]
        if marked:
            values = {"n": len(marked), "trials": names(marked)}
            yield Statement(key=f"unproven.{mark}", values=values, facts=_all_outcomes(night, marked))
