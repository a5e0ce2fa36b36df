"""The part of the fold that is about ideas: what came in, what fresh seeds said, and what the baseline is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from secondshift.records import events as facts
from secondshift.records.trials import Trial

if TYPE_CHECKING:
    from secondshift.ledger.fold import Draft


def idea_captured(draft: Draft, fact: facts.IdeaCaptured, event: facts.Event) -> None:
    """An idea of the same id counts once."""
    if fact.idea.id not in draft.ideas:
        draft.write("ideas")[fact.idea.id] = fact.idea


def idea_amended(draft: Draft, fact: facts.IdeaAmended, event: facts.Event) -> None:
    """The newest word on an idea is what holds."""
    draft.write("ideas")[fact.idea.id] = fact.idea
    draft.put(comparisons=max(draft.comparisons, fact.idea.rank))


def verdict_reached(draft: Draft, fact: facts.VerdictReached, event: facts.Event) -> None:
    """The newest verdict of an idea replaces those before."""
    draft.write("verdicts")[fact.verdict.idea] = fact.verdict


def trial_evaluated(draft: Draft, fact: facts.TrialEvaluated, event: facts.Event) -> None:
    """The first judgement of a trial's artefact is what counts: nobody tries again until the number is better."""
    if fact.evaluation.trial not in draft.evaluations:
        draft.write("evaluations")[fact.evaluation.trial] = fact.evaluation


def change_examined(draft: Draft, fact: facts.ChangeExamined, event: facts.Event) -> None:
    """A change on the same code is looked at once."""
    if fact.examination.code not in draft.examinations:
        draft.write("examinations")[fact.examination.code] = fact.examination


def change_branched(draft: Draft, fact: facts.ChangeBranched, event: facts.Event) -> None:
    """The newest branch of an idea is what holds: begun anew, it has another."""
    draft.write("branches")[fact.branch.idea] = fact.branch


def baseline_moved(draft: Draft, fact: facts.BaselineMoved, event: facts.Event) -> None:
    """What was judged against another baseline begins anew, on seeds that nothing was run with."""
    draft.put(baseline=fact.candidate)
    for idea in list(draft.ideas.values()):
        if idea.id != fact.idea and idea.baseline not in ("", fact.candidate) and not idea.settled():
            why = f"the baseline is now {fact.candidate}; what was compared with {idea.baseline} does not count"
            _again(draft, idea.id, why)


def trial_queued(draft: Draft, trial: Trial) -> None:
    """A trial with a fresh seed is found by its candidate and the seed's number."""
    if trial.pair >= 0:
        draft.write("pairs")[f"{trial.candidate}/{trial.pair}"] = trial.id
        draft.put(next_pair=max(draft.next_pair, trial.pair + 1))


def shift_started(draft: Draft) -> None:
    """What an earlier shift could not settle is looked at again in a new one."""
    for idea in list(draft.ideas.values()):
        if idea.state == "undecided" and idea.candidate:
            draft.write("ideas")[idea.id] = replace(idea, state="exploring", answer="a new shift goes on with it")


def guards_changed(draft: Draft) -> None:
    """What was settled by a guard alone is looked at again, by the pairs there are; what held up did, by the guards of then."""
    for idea in list(draft.ideas.values()):
        found = draft.verdicts.get(idea.id)
        same = draft.study is not None and (idea.revision, idea.baseline) == (draft.study.revision, draft.baseline)
        if found is not None and found.guard and same and idea.state in ("refuted", "undecided"):
            draft.write("ideas")[idea.id] = replace(idea, state="exploring", answer="the guards of the study were changed")
            draft.write("verdicts").pop(idea.id)


def revision_began(draft: Draft, revision: int) -> None:
    """Another question: there is no baseline yet, and what was not settled is asked anew."""
    draft.put(baseline="")
    for idea in list(draft.ideas.values()):
        if idea.revision != revision and not idea.settled():
            _again(draft, idea.id, f"the study is now at revision {revision}", revision)


def _again(draft: Draft, name: str, why: str, revision: int = 0) -> None:
    idea = draft.ideas[name]
    draft.write("ideas")[name] = replace(
        idea, state="open", candidate="", baseline="", first_pair=draft.next_pair, answer=why,
        revision=revision or idea.revision,
    )  # fmt: skip
    draft.write("verdicts").pop(name, None)
