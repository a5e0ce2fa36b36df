"""What became of every idea: held up, didn't, undecided, refused, with intervals, seeds and price."""

import math
from collections.abc import Iterable
from dataclasses import replace

from secondshift.interfaces.brief.gates import gates
from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.readmodel.ideas import branch_of, told
from secondshift.interfaces.readmodel.objectives import written
from secondshift.interfaces.readmodel.spending import cost, spent_on
from secondshift.records.ideas import Verdict
from secondshift.records.nights import Statement
from secondshift.records.states import State

MOST = 24  # ideas told one by one, so that a brief stays a page
TIMES = 1000.0  # from here on pairing took all noise away that matters, and the figure is one of rounding


def ideas(night: Trace, state: State) -> Iterable[Statement]:
    """The section; nothing where nobody ever had an idea."""
    if not state.ideas:
        return
    if state.baseline:
        values = {"candidate": state.baseline, "params": _baseline_params(state)}
        moved = night.baseline or night.study
        yield Statement(key="ideas.baseline", values=values, facts=(moved,) if moved else ())
    theirs = [idea for idea in state.ideas.values() if not idea.canary]
    every = [replace(one, facts=night.of_idea(str(one.values["idea"]))) for one in told(state, theirs)]
    for one in every[:MOST]:
        yield one
        yield from _branch(night, state, str(one.values["idea"]))
        yield from _cost(night, state, str(one.values["idea"]))
    if more := every[MOST:]:
        yield Statement(key="ideas.more", values={"n": len(more)}, facts=tuple(sorted({seq for one in more for seq in one.facts})))
    yield from _canaries(night, state)
    yield from _former(night, state)
    yield from _pairing(night, state)
    yield from gates(night)


def _branch(night: Trace, state: State, name: str) -> Iterable[Statement]:
    """Which branch holds the change of an idea."""
    said = branch_of(state, state.ideas[name])
    if said is not None and name in night.branched:
        yield replace(said, facts=(night.branched[name],))


def _cost(night: Trace, state: State, name: str) -> Iterable[Statement]:
    """What an idea took, over all nights."""
    said, found = cost(state, state.ideas[name]), spent_on(state, state.ideas[name])
    if said is not None:
        charged = (seq for trial in found.trials if trial in night.trials for seq in night.trials[trial].settled)
        ended = (night.calls[call.id] for call in found.calls if call.id in night.calls)
        yield replace(said, facts=tuple(sorted({*charged, *ended})) or night.of_idea(name))


def _canaries(night: Trace, state: State) -> Iterable[Statement]:
    """What became of the changes that must not win, in a line: they are nobody's ideas."""
    flown = [idea for idea in state.ideas.values() if idea.canary]
    if not flown:
        return
    facts = tuple(sorted({seq for idea in flown for seq in night.of_idea(idea.id)}))
    stray = [idea for idea in flown if idea.state not in ("refuted", "refused")]
    values = {"n": len(flown), "idea_list": ", ".join(f"{idea.id} {idea.canary}" for idea in stray or flown)}
    yield Statement(key="ideas.canaries_stray" if stray else "ideas.canaries_failed", values=values, facts=facts)


def _former(night: Trace, state: State) -> Iterable[Statement]:
    """Which verdicts are about a baseline that is not the present one."""
    settled = [i for i in state.ideas.values() if i.state in ("held up", "refuted") and not i.canary]
    old = [i for i in settled if i.baseline != state.baseline != i.candidate]
    if old and state.baseline:
        facts = tuple(sorted({seq for idea in old for seq in night.of_idea(idea.id)}))
        values = {"n": len(old), "idea_list": ", ".join(idea.id for idea in old), "candidate": state.baseline}
        yield Statement(key="ideas.former_baseline", values=values, facts=facts)


def _pairing(night: Trace, state: State) -> Iterable[Statement]:
    """What pairing the seeds gained, measured, where enough pairs say so."""
    measured: list[Verdict] = [v for v in state.verdicts.values() if math.isfinite(v.pairing) and v.pairs >= 4]
    if not measured:
        return
    gains = sorted(v.pairing for v in measured)
    facts = tuple(sorted({seq for v in measured for seq in night.of_idea(v.idea)}))
    times = gains[len(gains) // 2]
    values = {"times": min(times, TIMES), "idea_list": ", ".join(v.idea for v in measured)}
    yield Statement(key="ideas.pairing_helped" if times < TIMES else "ideas.pairing_all", values=values, facts=facts)


def unproven_ideas(night: Trace, state: State) -> Iterable[Statement]:
    """What a reader might conclude from ideas that held up, and should not."""
    held = [idea for idea in state.ideas.values() if idea.state == "held up"]
    if held:
        facts = tuple(sorted({seq for idea in held for seq in night.of_idea(idea.id)}))
        values = {"n": len(held), "idea_list": ", ".join(idea.id for idea in held)}
        yield Statement(key="unproven.held_up", values=values, facts=facts)
    yield from _without_sandbox(night, state)


def _without_sandbox(night: Trace, state: State) -> Iterable[Statement]:
    """Say loudly which code ran where only its writing was limited."""
    by = {idea.candidate: idea.id for idea in state.ideas.values() if idea.change and idea.candidate}
    loose = [state.trials[name] for name, found in state.evaluations.items() if found.kept_by == "landlock"]
    loose = [trial for trial in loose if trial.candidate in by]
    if loose:
        named = dict.fromkeys(by[trial.candidate] for trial in loose)
        facts = tuple(sorted({seq for name in named for seq in night.of_idea(name)}))
        yield Statement(key="unproven.no_sandbox", values={"n": len(loose), "idea_list": ", ".join(named)}, facts=facts)


def _baseline_params(state: State) -> str:
    """What the baseline ran with, as its script resolved it: of a script's own defaults the candidate names none."""
    runs = (trial.params for trial in state.trials.values() if trial.candidate == state.baseline and trial.params)
    return written(next(runs, state.candidates[state.baseline].params)) or "—"
