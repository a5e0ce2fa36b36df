"""A study as the product would judge it, looked at after every seed: the product's own levels, pairs and verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from secondshift.policies.evidence import levels, verdicts
from secondshift.policies.evidence.levels import level
from secondshift.policies.evidence.pairing import Pairs
from secondshift.policies.evidence.racing import FAIR, HOPE, HOPELESS
from secondshift.policies.evidence.verdicts import pairs_left, verdict
from secondshift.policies.models.signflips import wealth
from secondshift.records.ideas import Idea, IdeaState, Verdict
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study

STUDY = Study(name="benchmark", command="", folder=".", objective=Objective(metric="loss"), horizon_steps=1)
AFTER: Mapping[str, IdeaState] = {"supported": "held up", "refuted": "refuted", "undecided": "undecided"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one idea ended."""

    verdict: Verdict  # the one that settled it, or the last
    parked: bool = False  # undecided, for it needs more than anybody would pay

    def kept(self) -> bool:
        """Say whether it held up."""
        return self.verdict.decision == "supported"


def ideas_of(count: int) -> dict[str, Idea]:
    """As many ideas as a study has had, all being explored, e1 first."""
    return {
        f"e{n}": Idea(id=f"e{n}", text=f"idea {n}", author="", state="exploring", candidate=f"c{n}", baseline="c0", rank=n)
        for n in range(1, count + 1)
    }


class Track:
    """One idea's runs, and where a look could find something: only there is the product asked, which finds nothing elsewhere."""

    def __init__(self, candidate: np.ndarray, baseline: np.ndarray, least: float = 0.0) -> None:
        self.candidate, self.baseline = tuple(candidate.tolist()), tuple(baseline.tolist())
        better = Pairs(candidate=self.candidate, baseline=self.baseline).differences()
        self.better = better
        self.up = np.maximum.accumulate(wealth(better))  # evidence() of each beginning, as the product computes it
        self.down = np.maximum.accumulate(wealth(-better, -least))

    def pairs(self, count: int) -> Pairs:
        """The first pairs, as the product collects them."""
        ours, theirs = self.candidate[:count], self.baseline[:count]
        return Pairs(
            candidate=ours, baseline=theirs, crashed=sum(map(math.isinf, ours)), baseline_crashed=sum(map(math.isinf, theirs))
        )


def play(
    losses: np.ndarray, *, study: Study = STUDY, names: Sequence[str] = (), ideas: Mapping[str, Idea] | None = None,
    parking: bool = False, closing: bool = False,
) -> list[Outcome | None]:  # fmt: skip
    """Judge the ideas of a study after every pair, until each is settled or the seeds are used up.

    `losses` float64[1 + ideas, pairs]: of the baseline, shared by all ideas, and of each idea. `names` are the ideas' in a
    study that has had more than these. With `parking` an idea that is hopeless, as racing has it, gets no more seeds. None
    is an idea that was not settled; with `closing` it gets the verdict of all its pairs instead.
    """
    names = names or [f"e{n}" for n in range(1, len(losses))]
    known = dict(ideas or ideas_of(len(losses) - 1))
    least = study.objective.min_effect
    tracks = [Track(losses[1 + k], losses[0], least) for k in range(len(names))]
    state = State(study=study, ideas=known)
    ended: list[Outcome | None] = [None] * len(names)
    refuting = -math.log(verdicts.REFUTE)
    edge = np.array([_edge(track, refuting) for track in tracks])
    for seen in range(1, losses.shape[1] + 1):
        for k, name in enumerate(names):
            if ended[k] is not None or (seen < edge[k] and not parking):
                continue
            track, idea = tracks[k], state.ideas[name]
            found = None
            if track.down[seen - 1] >= refuting or track.up[seen - 1] >= -math.log(level(state.ideas, name)):
                found = verdict(state, idea, track.pairs(seen))
            if found is not None and found.ending != "unsettled":
                ended[k] = Outcome(verdict=found)
                state = _with(state, replace(idea, state=AFTER[found.decision]))
            elif parking and _hopeless(state, name, track, seen, least):
                ended[k] = Outcome(verdict=found or verdict(state, idea, track.pairs(seen)), parked=True)
                state = _with(state, replace(idea, state="undecided"))
    for k, name in enumerate(names):
        if closing and ended[k] is None:
            ended[k] = Outcome(verdict=verdict(state, state.ideas[name], tracks[k].pairs(losses.shape[1])))
    return ended


def _edge(track: Track, refuting: float) -> float:
    """The first look at which anything could be settled, at any level that an idea can be given."""
    hits = np.flatnonzero((track.up >= -math.log(levels.MOST)) | (track.down >= refuting))
    return float(hits[0] + 1) if len(hits) else math.inf


def _hopeless(state: State, name: str, track: Track, seen: int, least: float) -> bool:
    return seen >= FAIR and pairs_left(track.better[:seen], level(state.ideas, name), least, HOPE) > HOPELESS


def _with(state: State, idea: Idea) -> State:
    return replace(state, ideas={**state.ideas, idea.id: idea})
