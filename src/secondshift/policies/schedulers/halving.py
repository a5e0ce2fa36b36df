"""Asynchronous successive halving: many trials are begun, and only the best of each rung are run on.

L. Li, K. Jamieson, A. Rostamizadeh, E. Gonina, J. Ben-tzur, M. Hardt, B. Recht, A. Talwalkar: "A System for Massively
Parallel Hyperparameter Tuning" (MLSys 2020), with pause and resume where the script can, and stop where it cannot.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from secondshift.policies.models.guarding import barred
from secondshift.policies.models.nominating import finish
from secondshift.policies.models.proposals import exhausted, trials_left
from secondshift.policies.models.resuming import cut_short, may_resume, resume_reason
from secondshift.policies.models.standings import Rung, reached, rung_of, rungs, standings
from secondshift.records.decisions import Decision, advance, pause, start, stop
from secondshift.records.guards import breaks
from secondshift.records.states import MIN_GRANT_S, State
from secondshift.records.studies import Study
from secondshift.records.trials import Attempt, Trial

NAME = "halving"
BASELINE = "it is the baseline, and without its full result nothing could be compared with it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """What one round of halving looks at."""

    state: State
    study: Study
    ladder: tuple[int, ...]
    slots: int
    at_rung: dict[str, Trial]  # trials paused at a rung, oldest first
    cut: tuple[Trial, ...]  # trials that were cut short, oldest first
    queued: tuple[Trial, ...]


def decide(state: State) -> list[Decision]:
    """Judge what runs past a rung; then resume what was cut short, promote, and start anew, into the free slots."""
    if state.study is None or state.shift is None or state.ending:
        return []
    board = _look(state, state.study)
    late = [state.trials[a.trial] for a in state.attempts.values() if _at_rung(board, a)]
    table: tuple[Rung, ...] = ()
    if late or (board.at_rung and board.slots > len(board.cut)):
        table = standings(state, board.study, board.ladder)
    decisions = _judgements(board, table, late)
    starts = [
        start(trial.id, until_step=_allowed(board, trial), reason=resume_reason(board.study, trial), by=NAME)
        for trial in board.cut[: board.slots]
    ]
    starts += _promotions(board, table, board.slots - len(starts))
    for trial in board.queued[: board.slots - len(starts)]:
        first = board.ladder[0] if board.ladder else board.study.horizon_steps
        reason = f"{trial.id} is next in line; it runs to step {first}, where it is first compared."
        starts.append(start(trial.id, until_step=first, reason=reason, by=NAME, based_on=(trial.candidate,)))
    return decisions + (starts or _finish(board, table))


def _look(state: State, study: Study) -> Board:
    ladder = rungs(study)
    first = ladder[0] if ladder else study.horizon_steps
    at_rung: dict[str, Trial] = {}
    cut, queued = [], []
    guarded = bool(study.objective.guards)
    for name in state.open:
        trial = state.trials[name]
        status = trial.status
        if status == "running" or trial.pair >= 0 or trial.revision != study.revision or (guarded and barred(state, trial)):
            continue
        if status == "queued":
            queued.append(trial)
        elif first <= trial.until_step <= trial.steps_done and not trial.interruptions:
            at_rung[name] = trial  # the plain case of many, told without further calls
        elif may_resume(study, trial):
            if cut_short(study, trial) or reached(trial) < first:
                cut.append(trial)
            else:
                at_rung[name] = trial
    left = state.device_s_left()
    slots = state.free_slots() if left is None or left >= MIN_GRANT_S else 0
    return Board(
        state=state, study=study, ladder=ladder, slots=slots, at_rung=at_rung, cut=tuple(cut), queued=tuple(queued)
    )


def _at_rung(board: Board, attempt: Attempt) -> bool:
    """Say whether a running trial must be judged now, because it does not pause at the rung by itself."""
    trial = board.state.trials[attempt.trial]
    steps, horizon = trial.logged_step + 1, board.study.horizon_steps
    if attempt.asked or attempt.closed or trial.pair >= 0 or trial.revision != board.study.revision:
        return False
    if barred(board.state, trial):
        return False  # it is stopped for that, and not for its place
    if not trial.until_step <= steps < horizon or rung_of(board.ladder, steps) < 0:
        return False
    # A cooperative script is just saving and leaving when it has logged its last step; only one that goes on is judged.
    leaves = board.study.tier_offered() == "cooperative" and not attempt.alone
    return not leaves or steps > trial.until_step


def _judgements(board: Board, table: tuple[Rung, ...], late: list[Trial]) -> list[Decision]:
    """Let each trial that runs past a rung go on, wait or stop, by its place among all that reached the rung."""
    decisions: list[Decision] = []
    for number, rung in enumerate(table):
        here = [trial for trial in late if rung_of(board.ladder, trial.logged_step + 1) == number]
        values = [trial.objective(board.study.objective) for trial in here]
        losses = [math.inf if value is None else board.study.objective.loss(value) for value in values]
        for trial, value, rank in zip(here, values, rung.ranks(losses), strict=True):
            decisions.append(_judge(board, rung, number, trial, value, rank))
    return decisions


def _judge(board: Board, rung: Rung, number: int, trial: Trial, value: float | None, rank: int) -> Decision:
    study, count = board.study, len(rung.trials)
    shown = "nothing logged yet" if value is None else f"{study.objective.metric} {value:.6g}"
    place = f"at step {rung.step} it ({shown}{f', {trial.mark()}' if trial.mark() else ''}) is number {rank + 1} of {count}"
    if value is not None and _baseline(board, trial) and math.isfinite(value):
        until, reason = study.horizon_steps, f"{trial.id} goes on to the end: {BASELINE}."
        return advance(trial.id, step=rung.step, value=value, until_step=until, reason=reason, by=NAME)
    # Nobody who is stopped comes back, so the share is rounded up: the best so far always goes on.
    if value is not None and math.isfinite(value) and rank * study.policy.eta < count:
        until = _next(board, number)
        reason = f"{trial.id} goes on to step {until}: {place}."
        return advance(trial.id, step=rung.step, value=value, until_step=until, reason=reason, by=NAME)
    share = f"only the best 1 in {study.policy.eta} go on"
    attempt = board.state.attempt_of(trial.id)
    if study.tier == "opaque" or (attempt is not None and attempt.alone):
        return stop(trial.id, reason=f"{trial.id} is stopped: {place}; {share}, and it cannot pause.", by=NAME)
    return pause(trial.id, reason=f"{trial.id} waits: {place}; {share} now.", by=NAME)


def _promotions(board: Board, table: tuple[Rung, ...], slots: int) -> list[Decision]:
    """Resume paused trials within the best 1/eta of all that reached their rung, from the top rung down."""
    decisions = _baselines(board, slots)
    eta = board.study.policy.eta
    for number in reversed(range(len(table))):
        rung = table[number]
        keep = len(rung.trials) // eta
        for place, name in enumerate(rung.best(keep), 1):
            if len(decisions) >= slots:
                return decisions
            trial = board.at_rung.get(name)
            if trial is None or rung_of(board.ladder, reached(trial)) != number or _baseline(board, trial):
                continue
            until = _next(board, number)
            reason = (
                f"{_named(trial)} is promoted to step {until}: number {place} of {len(rung.trials)} trials that reached step "
                f"{rung.step}, of which the best {keep} go on."
            )
            decisions.append(start(name, until_step=until, reason=reason, by=NAME))
    return decisions


def _baselines(board: Board, slots: int) -> list[Decision]:
    """Run on to the end what waits with the defaults."""
    decisions: list[Decision] = []
    for name, trial in board.at_rung.items():
        value = trial.objective(board.study.objective) if _baseline(board, trial) else None
        if value is not None and math.isfinite(value) and len(decisions) < slots:
            reason = f"{name} is promoted to step {board.study.horizon_steps}: {BASELINE}."
            decisions.append(start(name, until_step=board.study.horizon_steps, reason=reason, by=NAME))
    return decisions


def _baseline(board: Board, trial: Trial) -> bool:
    return board.state.has_defaults(trial.candidate)


def _allowed(board: Board, trial: Trial) -> int:
    """Give the step to which a trial that was cut short may run: as before, or the first rung of a changed ladder."""
    return trial.until_step if cut_short(board.study, trial) else _next(board, -1)


def _next(board: Board, number: int) -> int:
    return board.ladder[number + 1] if number + 1 < len(board.ladder) else board.study.horizon_steps


def _named(trial: Trial) -> str:
    """The name of a trial, with the mark of one that was helped on its way: it is never called good without it."""
    return f"{trial.id} ({trial.mark()})" if trial.mark() else trial.id


def _full_results(board: Board) -> bool:
    """Say whether a trial came to its end that others can be compared with: one that is assisted or breaks a guard cannot."""
    trials = board.state.trials.values() if board.state.statuses.get("complete", 0) else ()
    ended = (t for t in trials if t.status == "complete" and t.pair < 0 and t.revision == board.study.revision)
    return any(t.unaided() and not breaks(board.study.objective, t) for t in ended)


def _unaided_first(state: State, ranked: Iterable[str]) -> list[str]:
    return sorted(ranked, key=lambda name: not state.trials[name].unaided())


def _finish(board: Board, table: tuple[Rung, ...]) -> list[Decision]:
    """When nothing is left to do: run the best paused trial to the end if there is no full result, else end it all."""
    state = board.state
    why = exhausted(state) or ("all trials of the budget were used" if trials_left(state) == 0 else "")
    if not why or state.attempts or board.queued or board.cut:
        return []
    if board.slots and not _full_results(board):
        for number in reversed(range(len(table))):
            for name in _unaided_first(state, table[number].best(len(table[number].trials))):
                if name in board.at_rung and rung_of(board.ladder, reached(board.at_rung[name])) == number:
                    reason = (
                        f"{_named(state.trials[name])} is run to the end: {why}, and it is the best of those that came to step "
                        f"{table[number].step}; without it there would be no full result."
                    )
                    return [start(name, until_step=board.study.horizon_steps, reason=reason, by=NAME)]
    if board.slots == 0 and board.at_rung and not state.free_devices:
        return []  # another study holds the devices; what is paused here may still be wanted
    return finish(state, reason=f"The search is exhausted: {why}, and no paused trial is good enough to go on.", by=NAME)
