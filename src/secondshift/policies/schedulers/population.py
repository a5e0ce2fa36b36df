"""Population-based training: trials train in slices; after each the worst make room for children of the best.

Jaderberg et al. (2017), see policies/models/populations.py. A child is a new candidate and a new trial that begins from
its parent's checkpoint, so what it comes to is due to the line of its parents and not to its own parameters alone.

All are compared at equal steps, so the last of a slice are waited for; whoever can be neither among the best nor among the
worst, whatever the others come to, goes on at once.
"""

import math
from dataclasses import dataclass

import numpy as np

from secondshift.policies.models.breeding import changes, placed_of
from secondshift.policies.models.guarding import barred
from secondshift.policies.models.nominating import finish
from secondshift.policies.models.populations import boundaries, child_of, founders, founders_wanted
from secondshift.policies.models.proposals import exhausted, trials_left
from secondshift.policies.models.resuming import cut_short, may_resume, resume_reason
from secondshift.policies.models.spaces import region
from secondshift.policies.models.standings import reached
from secondshift.records.decisions import Decision, bear, pause, remember, start, stop
from secondshift.records.guards import breaks
from secondshift.records.inheritances import Inheritance
from secondshift.records.states import MIN_GRANT_S, State
from secondshift.records.studies import POPULATION, Study
from secondshift.records.trials import Trial

NAME = POPULATION
SHARE = 4  # one in so many is replaced after a slice, by children of as many


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """What one round looks at."""

    state: State
    study: Study
    ladder: tuple[int, ...]
    step: int  # where the population is compared next; the horizon if it is not compared any more
    members: tuple[Trial, ...]  # open trials that search, oldest first
    ended: tuple[Trial, ...]  # that were trained to their end: they went on early
    size: int  # how many there are to be
    slots: int

    def last(self) -> bool:
        """Say whether what is left is run to the end."""
        return self.step >= self.study.horizon_steps

    def there(self) -> list[Trial]:
        """All that came to the step of the next comparison or went past it."""
        return [*self.ended, *(trial for trial in self.members if reached(trial) >= self.step)]

    def target(self, trial: Trial) -> int:
        """Give the step to which a member may run now."""
        return max(self.step, trial.until_step)

    def idle(self, trial: Trial) -> bool:
        """Say whether a member waits for a slot, and not for the others."""
        if trial.status == "queued":
            return not trial.awaits_inheritance()
        if trial.status != "paused" or not may_resume(self.study, trial):
            return False
        return self.target(trial) >= self.study.horizon_steps or reached(trial) < self.target(trial)

    def waits(self, trial: Trial) -> bool:
        """Say whether a member waits at the step where the population is compared next."""
        here = not self.last() and reached(trial) >= self.step >= trial.until_step
        return here and trial.status == "paused" and may_resume(self.study, trial)


def decide(state: State) -> list[Decision]:
    """Start what is to run on to the next comparison; compare when all are there; let children take the place of the worst."""
    if state.study is None or state.shift is None or state.ending:
        return []
    board = _look(state, state.study)
    pauses = _pauses(board)
    if _all_there(board):
        return pauses + _exchange(board)
    starts = _starts(board)
    return pauses + (starts or _finish(board))


def _look(state: State, study: Study) -> Board:
    ladder, compared = boundaries(study), _compared(state, study)
    step = next((step for step in ladder if step > compared), study.horizon_steps)
    own = (trial for trial in (state.trials[name] for name in state.open) if trial.pair < 0 and trial.revision == study.revision)
    ended = state.trials.values() if state.statuses.get("complete") else ()
    left = state.device_s_left()
    return Board(
        state=state, study=study, ladder=ladder, step=step, members=tuple(t for t in own if not barred(state, t)),
        ended=tuple(t for t in ended if t.status == "complete" and t.pair < 0 and t.revision == study.revision),
        size=min(study.policy.population, founders(state)),
        slots=state.free_slots() if left is None or left >= MIN_GRANT_S else 0,
    )  # fmt: skip


def _compared(state: State, study: Study) -> int:
    """Give the step of the newest comparison in this revision; 0 for none."""
    revision, _, step = state.memos.get(NAME, "").partition(" ")
    return int(step) if step.isdigit() and revision == str(study.revision) else 0


def _more_founders(board: Board) -> bool:
    return bool(founders_wanted(board.state)) and not exhausted(board.state) and trials_left(board.state) != 0


def _pauses(board: Board) -> list[Decision]:
    """Ask what runs past its step to wait there, where it does not leave by itself."""
    decisions: list[Decision] = []
    for attempt in board.state.attempts.values():
        trial = board.state.trials[attempt.trial]
        steps = trial.logged_step + 1
        if trial not in board.members or attempt.asked or attempt.closed or attempt.alone:
            continue
        leaves = board.study.tier == "cooperative" and steps <= trial.until_step  # it is just saving and leaving
        if not leaves and trial.until_step <= steps < board.study.horizon_steps:
            reason = f"{trial.id} waits at step {trial.until_step}, where the population is compared."
            decisions.append(pause(trial.id, reason=reason, by=NAME))
    return decisions


def _all_there(board: Board) -> bool:
    """Say whether every member has come to the step of the next comparison, and none is still to join."""
    if board.last() or _more_founders(board) or any(map(board.idle, board.members)):
        return False
    under_way = any(
        t.awaits_inheritance() or (t.status == "running" and (reached(t) < board.step or t.until_step <= board.step))
        for t in board.members
    )
    return not under_way and any(map(board.waits, board.members))


def _starts(board: Board) -> list[Decision]:
    """Start members that have not come to the next comparison, then those whose place in it is settled."""
    starts = [
        start(trial.id, until_step=board.target(trial), reason=_start_reason(board, trial), by=NAME)
        for trial in board.members if board.idle(trial)
    ]  # fmt: skip
    starts += _settled(board)
    return starts[: board.slots]


def _start_reason(board: Board, trial: Trial) -> str:
    until = board.target(trial)
    where = f"it trains to step {until}, where the population is compared"
    if until >= board.study.horizon_steps:
        where = "it trains to the end"
    if trial.status == "queued" and trial.inherited():
        return f"{trial.id} begins at step {trial.steps_done} of {trial.inherits.trial}; {where}."
    if trial.status == "queued":
        return f"{trial.id} is one of the population; {where}."
    if cut_short(board.study, trial) and reached(trial) < trial.until_step:
        return resume_reason(board.study, trial)
    return f"{trial.id} stays in the population; {where}."


def _settled(board: Board) -> list[Decision]:
    """Let go on who can be neither among the best nor among the worst of the comparison that others still train for."""
    count = board.size // SHARE
    there = [] if board.last() else board.there()
    if not count or len(there) <= 2 * count:
        return []
    losses = {trial.id: _loss(board, trial) for trial in there}
    until = next((step for step in board.ladder if step > board.step), board.study.horizon_steps)
    decisions: list[Decision] = []
    for trial in filter(board.waits, there):
        better = sum(loss < losses[trial.id] for loss in losses.values())
        worse = sum(losses[other.id] > losses[trial.id] for other in there if not _baseline(board, other))
        if better >= count and worse >= count:
            reason = f"{trial.id} goes on to step {until}: at step {board.step} {better} are better and {worse} worse already."
            decisions.append(start(trial.id, until_step=until, reason=reason, by=NAME))
    return decisions


def _exchange(board: Board) -> list[Decision]:
    """Let children of the best take the place of the worst and of those that are gone; then the comparison is over."""
    state, step = board.state, board.step
    order = sorted(board.there(), key=lambda trial: _loss(board, trial))
    count, left = board.size // SHARE, trials_left(state)
    best = [trial for trial in order[:count] if _may_give(board, trial)]
    least = min((_loss(board, trial) for trial in best), default=math.inf)
    others = [trial for trial in order if not _baseline(board, trial)]  # it is trained to its end, however bad it is
    worst = [
        trial for trial in reversed(others[max(0, len(others) - count) :])
        if board.waits(trial) and _loss(board, trial) > least and trial not in best
    ]  # fmt: skip
    gone = max(0, board.size - len(board.members) - len(board.ended))
    room = gone + len(worst) if left is None else min(left, gone + len(worst))
    children = _children(board, order, best, room)
    replaced = worst[: max(0, len(children) - gone)]
    stops = [stop(trial.id, reason=f"{trial.id} makes room: {_place(board, order, trial)}.", by=NAME) for trial in replaced]
    reason = f"The population was compared at step {step}: {len(children)} of {board.size} are new."
    return [*stops, *children, remember(NAME, memo=f"{board.study.revision} {step}", reason=reason)]


def _children(board: Board, order: list[Trial], best: list[Trial], count: int) -> list[Decision]:
    """Make as many children of the best, each of one drawn from them."""
    state, study = board.state, board.study
    ground = region(study.space)
    rng = np.random.default_rng([study.seed, study.revision, board.step, len(state.trials)])
    children: list[Decision] = []
    for _ in range(count if best else 0):
        parent = best[int(rng.integers(len(best)))]
        before = placed_of(ground, state.candidates[parent.candidate], parent)
        params = child_of(ground, before, rng) if before is not None else None
        if before is None or params is None:
            continue
        saved = state.checkpoints[parent.id][-1]
        children.append(
            bear(
                params=params, parent=parent.candidate, by=NAME, based_on=(parent.id,),
                inherits=Inheritance(trial=parent.id, step=saved.step, digest=saved.digest),
                reason=f"A child of {parent.id}, from its checkpoint at step {saved.step}: {_place(board, order, parent)}; "
                f"{changes(before, params)}.",
            )
        )  # fmt: skip
    return children


def _may_give(board: Board, trial: Trial) -> bool:
    """Say whether a child can begin from a member: it waits, has a checkpoint, and its parameters are known."""
    saved = board.state.checkpoints.get(trial.id, ())
    if not board.waits(trial) or not math.isfinite(_loss(board, trial)) or not saved or saved[-1].step != trial.steps_done:
        return False
    return placed_of(region(board.study.space), board.state.candidates[trial.candidate], trial) is not None


def _loss(board: Board, trial: Trial) -> float:
    value = _value(board, trial)
    if value is None or not math.isfinite(value) or breaks(board.study.objective, trial):
        return math.inf
    return board.study.objective.loss(value)


def _value(board: Board, trial: Trial) -> float | None:
    """Give the objective of a member at the comparison: where it paused there, else its newest."""
    found = next((milestone.value for milestone in trial.milestones if milestone.step >= board.step), None)
    return trial.objective(board.study.objective) if found is None else found


def _place(board: Board, order: list[Trial], trial: Trial) -> str:
    value = _value(board, trial)
    shown = "nothing logged" if value is None else f"{board.study.objective.metric} {value:.6g}"
    return f"at step {board.step} it ({shown}) is number {order.index(trial) + 1} of {len(order)}"


def _baseline(board: Board, trial: Trial) -> bool:
    return board.state.has_defaults(trial.candidate)


def _finish(board: Board) -> list[Decision]:
    """When nothing is left to train: end the shift."""
    if board.state.attempts or _more_founders(board) or any(board.idle(t) or t.awaits_inheritance() for t in board.members):
        return []
    if not founders(board.state):
        return []  # the searcher says why there are none
    return finish(board.state, reason=f"The population of {board.size} was trained to its end.", by=NAME)
