"""Which fresh seed next: repeats go where they are expected to settle an idea for the least device time.

Every idea first gets a few pairs; then the one that is nearest to being settled, if it is a little better or worse than it
looks, comes first (racing, after O. Maron, A. Moore: "Hoeffding Races", 1994). What would need more pairs than anybody
would pay for is parked with its price. Fresh seeds take their share of the spend before the search does, and beyond it
whatever the search leaves free.
"""

import math
from dataclasses import dataclass, replace

from secondshift.policies.evidence.answering import price
from secondshift.policies.evidence.canaries import withheld
from secondshift.policies.evidence.levels import level
from secondshift.policies.evidence.pairing import pairs_of, trial_of
from secondshift.policies.evidence.verdicts import pair_cost, pairs_left
from secondshift.policies.models.handing import calls_by_idea, mending
from secondshift.policies.models.resuming import may_resume
from secondshift.policies.models.spaces import region
from secondshift.records.decisions import Decision, answer, explore, found_baseline, repeat, start
from secondshift.records.ideas import Idea
from secondshift.records.states import MIN_GRANT_S, State
from secondshift.records.studies import Value
from secondshift.records.trials import Trial

NAME = "racing"
FAIR = 3  # pairs that every idea gets before they race
HOPELESS = 100.0  # more pairs than this, even with some luck, and an idea is parked
MOST_VOID = 5  # pairs that do not count, and more than do, and an idea is parked: the next will not either
HOPE = 1.0  # standard errors that an idea may be luckier than it looks


@dataclass(frozen=True, kw_only=True, slots=True)
class Runner:
    """An idea in the race."""

    idea: Idea
    next_pair: int
    waiting: int  # pairs that were begun and are not finished
    pairs: int  # that count
    void: int  # that do not
    left: float  # pairs until it is settled, with some luck


def decide(state: State) -> list[Decision]:
    """Make candidates of ideas that came in, park what is hopeless, and start as many fresh seeds as there are slots."""
    study = state.study
    if study is None or state.shift is None or state.ending or not state.settling():
        return []
    if not state.baseline:
        return _baseline(state)
    begun = [_begin(state, idea) for idea in state.ideas.values() if _may_begin(state, idea)]
    if begun:
        return begun
    calls = calls_by_idea(state)
    mended = {name for name, known in calls.items() if mending(state, state.ideas[name], known)}
    field = [_runner(state, idea) for idea in state.ideas.values() if idea.state == "exploring" and idea.id not in mended]
    hopeless = [r for r in field if (r.pairs >= FAIR and r.left > HOPELESS) or r.void > max(r.pairs, MOST_VOID)]
    if not _affordable(state) and not _confirming(state):
        hopeless = field
    parked = [_park(state, runner) for runner in hopeless]
    return parked + _starts(state) + _repeats(state, [runner for runner in field if runner not in hopeless])


def _may_begin(state: State, idea: Idea) -> bool:
    """Say whether an idea becomes a candidate now; a canary that edits what measures never does."""
    return idea.state == "open" and idea.ready() and idea.canary != "metric" and not withheld(state, idea)


def _affordable(state: State, pairs: float = 1.0) -> bool:
    """Say whether the budget holds so many more pairs, as far as their cost is known."""
    left = state.device_s_left()
    return left is None or pair_cost(state) * pairs <= left


def _baseline(state: State) -> list[Decision]:
    """Make the candidate that ideas are judged against: the study's defaults, or the script's own."""
    assert state.study is not None, "decide() says so"
    params = region(state.study.space).baseline()
    if params is None and state.study.tier_offered() == "cooperative":
        params = {}
    if params is None:
        return [_without_baseline(idea) for idea in state.ideas.values() if idea.state == "open" and idea.ready()]
    known = next(
        (c for c in state.candidates.values() if c.revision == state.study.revision and c.params == params and not c.idea),
        None,
    )
    why = "Ideas are judged against the study's defaults" + (f", as {known.id} has them." if known else ".")
    return [found_baseline(params, known=known.id if known else "", reason=why, by=NAME)]


def _without_baseline(idea: Idea) -> Decision:
    why = "there is nothing to judge it against: give every parameter of [search] a default"
    return answer(replace(idea, state="undecided", answer=why), reason=f"{idea.id} waits: {why}.", by=NAME)


def _begin(state: State, idea: Idea) -> Decision:
    """Make a candidate of an idea; one that names a candidate already, the search's best, keeps it."""
    standing = replace(idea, state="exploring", baseline=state.baseline, answer="fresh seeds are being run")
    base: dict[str, Value] = dict(state.candidates[state.baseline].params)
    if not idea.change and {**base, **idea.params} == base:
        why = f"it changes nothing: {state.baseline}, the baseline, has these very values"
        return answer(replace(idea, state="refused", answer=why), reason=f"{idea.id} is refused: {why}.", by=NAME)
    why = f"{idea.id} becomes a candidate: {idea.text[:80]}"
    return explore(standing, {**base, **idea.params}, parents=(state.baseline,), reason=why, by=NAME)


def _runner(state: State, idea: Idea) -> Runner:
    assert state.study is not None, "decide() says so"
    pairs = pairs_of(state, idea)
    done = len(pairs.candidate) + pairs.void
    behind = idea.first_pair
    while trial_of(state, idea.candidate, behind) is not None:
        behind += 1
    least = state.study.objective.min_effect
    left = pairs_left(pairs.differences(), level(state.ideas, idea.id), least, HOPE)
    return Runner(
        idea=idea, next_pair=behind, waiting=behind - idea.first_pair - done, pairs=len(pairs.candidate), void=pairs.void,
        left=left,
    )


def _park(state: State, runner: Runner) -> Decision:
    after = replace(runner.idea, state="undecided", answer=price(state.verdicts.get(runner.idea.id)))
    return answer(after, reason=f"{runner.idea.id} is parked: {after.answer}.", by=NAME)


def _starts(state: State) -> list[Decision]:
    """Start or resume the trials that have a fresh seed, oldest seed first, within their share or into what is left over."""
    study = state.study
    assert study is not None, "decide() says so"
    left = state.device_s_left()
    slots = state.free_slots() if left is None or left >= MIN_GRANT_S else 0
    source = "evidence" if _within_share(state) else "searcher"
    ready = [t for t in _confirming(state) if t.status == "queued" or (t.status == "paused" and may_resume(study, t))]
    return [
        start(
            trial.id, until_step=study.horizon_steps, by=NAME, source=source, based_on=(trial.candidate,),
            reason=f"{trial.id} runs {trial.candidate} with fresh seed {trial.pair + 1}, all {study.horizon_steps} steps.",
        )
        for trial in sorted(ready, key=lambda t: t.pair)[:slots]
    ]  # fmt: skip


def _confirming(state: State) -> list[Trial]:
    return [t for t in (state.trials[i] for i in state.open) if t.pair >= 0 and t.revision == _revision(state)]


def _revision(state: State) -> int:
    return state.study.revision if state.study else 1


def _within_share(state: State) -> bool:
    """Say whether fresh seeds have had less than their share of the device time so far."""
    assert state.study is not None, "decide() says so"
    open_s = sum(
        state.charges[a.id].reserved_device_s
        for a in state.attempts.values()
        if a.id in state.charges and state.trials[a.trial].pair >= 0
    )
    spent = state.spend.settled_device_s + state.spend.reserved_device_s
    return state.spend.confirm_device_s + open_s <= state.study.budget.confirm_share * spent


def _repeats(state: State, field: list[Runner]) -> list[Decision]:
    """Queue the next pairs: first of ideas with few, then of those that are nearest to being settled."""
    room = state.free_slots() - sum(t.status == "queued" for t in _confirming(state))
    planned: dict[str, int] = {}  # idea -> pairs queued now
    queued: list[Decision] = []
    names: set[str] = set()
    while room > 0 and field:
        best = min(field, key=lambda r: _rank(r, planned.get(r.idea.id, 0)))
        pair = best.next_pair + planned.get(best.idea.id, 0)
        if not _affordable(state, len(queued) / 2 + 1):
            break
        for candidate in (best.idea.candidate, best.idea.baseline):
            name = f"{candidate}/{pair}"
            if name not in state.pairs and name not in names:
                names.add(name)
                queued.append(repeat(candidate, pair=pair, by=NAME, reason=_why(best, pair)))
                room -= 1
        planned[best.idea.id] = planned.get(best.idea.id, 0) + 1
    return queued


def _rank(runner: Runner, planned: int) -> tuple[float, float, int]:
    ahead = runner.waiting + planned
    begun = runner.pairs + ahead
    if begun < FAIR:
        return (-1.0, begun, runner.idea.number())
    return (ahead, runner.left, runner.idea.number())


def _why(runner: Runner, pair: int) -> str:
    left = f"about {math.ceil(runner.left)} more may settle it" if math.isfinite(runner.left) else "nothing is known yet"
    return f"Fresh seed {pair + 1} for {runner.idea.id}, which has {runner.pairs} pairs; {left}."
