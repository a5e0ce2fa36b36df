"""What went wrong in a shift: failures, incidents, and what waits for a person."""

from collections.abc import Iterable, Sequence

from secondshift.interfaces.brief.captains_log import logged, questions
from secondshift.interfaces.brief.trace import Told, Trace, by_others
from secondshift.interfaces.plain import last_line, one_line
from secondshift.interfaces.readmodel.incidents import ordered
from secondshift.interfaces.readmodel.objectives import current, names
from secondshift.ledger.attempts import trial_of
from secondshift.records.events import (
    AttemptEnded,
    AttemptOrdered,
    CheckpointFailed,
    CheckpointRejected,
    LeaseTaken,
    PointsDropped,
    ShiftAnchored,
    TrialClosed,
)
from secondshift.records.nights import Statement
from secondshift.records.states import MIN_GRANT_S, State
from secondshift.records.trials import Trial

MOST_INCIDENTS = 12  # lines of them in a brief, unless more are open
MOST_ASKED = 3
MOST_FAILURES = 8
MOST_NAMES = 6


def needs_you(night: Trace, state: State) -> Iterable[Statement]:
    """At most three things that wait for a person, each with what happens without an answer, and when."""
    kinds = (_nothing_worked, _open_incidents, _budget_gone, _left_paused)
    asked = [statement for kind in kinds for statement in kind(night, state)]
    yield from asked[:MOST_ASKED]
    if len(asked) > MOST_ASKED:
        facts = tuple(s for a in asked[MOST_ASKED:] for s in a.facts)
        yield Statement(key="needs.more", values={"n": len(asked) - MOST_ASKED}, facts=facts)
    if not asked:
        yield Statement(key="needs.nothing", facts=tuple(s for s in (night.started, night.ended) if s))


def _open_incidents(night: Trace, state: State) -> Iterable[Statement]:
    yield from questions(night, state)
    suffix = "over" if night.ended else "running"
    for known in night.met():
        incident = known.incident
        if not incident.cause and not known.outcome:  # what the captain does something about itself needs nobody yet
            values = {"incident": incident.id, "subject": incident.subject, "finding": incident.finding}
            yield Statement(key=f"needs.incident_{suffix}", values=values, facts=(known.opened,))


def _budget_gone(night: Trace, state: State) -> Iterable[Statement]:
    waiting = [t for t in current(state) if t.status in ("queued", "paused")]
    if _no_time_left(state) and waiting and night.ended:
        facts = tuple(seq for seq, _ in night.settled) or (night.ended,)
        yield Statement(key="needs.budget", values={"n": len(waiting), "trials": names(waiting)}, facts=facts)


def _no_time_left(state: State) -> bool:
    left = state.device_s_left()
    return left is not None and left < MIN_GRANT_S  # with less, nothing is started


def _nothing_worked(night: Trace, state: State) -> Iterable[Statement]:
    tried = [t for t in current(state) if t.id in night.trials and t.status != "queued"]
    if tried and night.ended and all(t.status == "failed" for t in tried):
        facts = tuple(s for t in tried for s in night.trials[t.id].outcome())
        yield Statement(key="needs.all_failed", values={"n": len(tried), "trials": names(tried)}, facts=facts)


def _left_paused(night: Trace, state: State) -> Iterable[Statement]:
    paused = [t for t in current(state) if t.status in ("queued", "paused") and t.id in night.trials and not t.waits()]
    if paused and night.ended and not night.exhausted and not _no_time_left(state):
        facts = tuple(s for t in paused for s in (*night.trials[t.id].outcome(), night.trials[t.id].queued) if s)
        key = "needs.begin_again" if state.study and state.study.alone() and state.study.proof != "not needed" else "needs.go_on"
        yield Statement(key=key, values={"n": len(paused), "trials": names(paused)}, facts=facts)


def failed(night: Trace, state: State) -> Iterable[Statement]:
    """The trials that failed or were stopped in this shift, those with one cause together."""
    ended_here = {trial_of(e.fact.attempt) for e in night.of(AttemptEnded)}
    ended_here |= {e.fact.trial for e in night.of(TrialClosed)}
    groups: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in state.trials.values():
        if trial.status not in ("failed", "stopped") or trial.id not in ended_here:
            continue
        groups.setdefault(_cause(night, trial), []).append(trial)
    ordered = sorted(groups.items(), key=lambda g: (g[0][0] != "failed", -len(g[1])))
    for (status, reason, said), trials in ordered[:MOST_FAILURES]:
        facts = tuple(s for t in trials for s in night.trials[t.id].outcome())
        if status in ("outranked", "barred"):
            values = {"n": len(trials), "trials": names(trials), "by": reason}
            yield Statement(key=f"failed.{status}", values=values, facts=facts)
            continue
        values = {"n": len(trials), "trials": names(trials), "reason": reason, "said": said}
        yield Statement(key=f"failed.{status}_said" if said else f"failed.{status}", values=values, facts=facts)
    if len(ordered) > MOST_FAILURES:
        rest = [t for _, group in ordered[MOST_FAILURES:] for t in group]
        facts = tuple(s for t in rest for s in night.trials[t.id].outcome())
        yield Statement(key="failed.more", values={"n": len(rest), "trials": names(rest)}, facts=facts)
    if not groups:
        yield Statement(key="failed.none", facts=tuple(s for s in (night.started, night.ended) if s))


def _cause(night: Trace, trial: Trial) -> tuple[str, str, str]:
    """What trials have in common that are told in one sentence: how they ended, why, and the script's last words."""
    known = night.trials.get(trial.id)
    if trial.status == "stopped" and known is not None and (known.barred or known.outranked_by):
        return ("barred", "", "") if known.barred else ("outranked", known.outranked_by, "")
    return (trial.status, *_why(night, trial))


def _why(night: Trace, trial: Trial) -> tuple[str, str]:
    """The recorded reason, and for a failure what the script said last."""
    ended = night.trials[trial.id].last_exit if trial.id in night.trials else None
    said = last_line(ended.exit.message) if ended and trial.status == "failed" else ""
    halted = night.trials[trial.id].halted_why if trial.id in night.trials else ""
    reason = one_line(halted if trial.status == "stopped" and halted else trial.reason) or "—"
    return reason, "" if said and said in reason else said


def incidents(night: Trace, state: State) -> Iterable[Statement]:
    """Kills and resumes, engines that died, lost points, bad checkpoints, clock jumps, and the captain's log."""
    told = [*_log(night, state), *_kills(night), *_engines(night), *_losses(night), *_clock(night)]
    yield from told
    if not told:
        yield Statement(key="incidents.none", facts=tuple(s for s in (night.started, night.ended) if s))


def _log(night: Trace, state: State) -> Iterable[Statement]:
    """Open incidents and the newest others; a page is no list of a hundred, which `secondshift incidents` gives."""
    met = list(ordered(night.met(), state))
    shown = [known for known in met if known.incident.id in state.incidents]
    shown += [known for known in met if known.incident.id not in state.incidents][: max(0, MOST_INCIDENTS - len(shown))]
    for known in shown:
        incident = known.incident
        if incident.cause:
            yield logged(known, state)
            continue
        values = {
            "when_at": incident.opened_at,
            "incident": incident.id,
            "subject": incident.subject,
            "finding": incident.finding,
            "action": incident.action or "—",
            "outcome": known.outcome,
        }
        key = "incidents.closed" if known.outcome else "incidents.open"
        yield Statement(key=key, values=values, facts=tuple(known.facts))
    if len(met) > len(shown):
        rest = [known for known in met if known not in shown]
        facts = tuple(sorted({seq for known in rest for seq in known.facts}))
        yield Statement(key="incidents.more", values={"n": len(rest)}, facts=facts)


def _kills(night: Trace) -> Iterable[Statement]:
    ends = night.of(AttemptEnded)
    killed = [e for e in ends if by_others(e.fact.exit)]
    if killed:
        yield _counted("incidents.killed", killed)
        struck = {trial_of(e.fact.attempt): e.seq for e in reversed(killed)}
        orders = [e for e in night.of(AttemptOrdered) if e.fact.number > 1]
        again = [e for e in orders if e.seq > struck.get(e.fact.trial, e.seq)]
        if resumed := [e for e in again if not e.fact.alone]:
            yield _counted("incidents.resumed", resumed)
        if begun := [e for e in again if e.fact.alone]:
            yield _counted("incidents.begun_again", begun)
    left = [e for e in ends if e.fact.exit.leftovers]
    if left:
        yield _counted("incidents.leftovers", left, n=sum(e.fact.exit.leftovers for e in left))


def _counted(key: str, told: Sequence[Told[AttemptEnded] | Told[AttemptOrdered]], n: int = 0) -> Statement:
    ids = [e.fact.attempt for e in told]
    listed = ", ".join(ids[:MOST_NAMES]) + (f" +{len(ids) - MOST_NAMES}" if len(ids) > MOST_NAMES else "")
    return Statement(key=key, values={"n": n or len(told), "attempts": listed}, facts=tuple(e.seq for e in told))


def _engines(night: Trace) -> Iterable[Statement]:
    for seq, at, taken in night.of(LeaseTaken):
        if taken.how in ("dead", "expired"):
            values = {"when_at": at, "holder": taken.holder}
            yield Statement(key=f"incidents.engine_{taken.how}", values=values, facts=(seq,))


def _losses(night: Trace) -> Iterable[Statement]:
    lost = night.of(PointsDropped)
    if lost:
        trials = sorted({e.fact.trial for e in lost})
        values = {
            "n": sum(e.fact.points for e in lost),
            "reason": lost[0].fact.reason,
            "trials": ", ".join(trials[:MOST_NAMES]),
        }
        yield Statement(key="incidents.dropped", values=values, facts=tuple(e.seq for e in lost))
    unsaved = night.of(CheckpointFailed)
    if unsaved:
        values = {
            "n": len(unsaved),
            "reason": unsaved[0].fact.reason,
            "trials": ", ".join(sorted({e.fact.trial for e in unsaved})[:MOST_NAMES]),
        }
        yield Statement(key="incidents.unsaved", values=values, facts=tuple(e.seq for e in unsaved))
    for seq, _, fact in night.of(CheckpointRejected):
        values = {"trial": fact.trial, "step": fact.step, "reason": fact.reason}
        yield Statement(key="incidents.rejected", values=values, facts=(seq,))


def _clock(night: Trace) -> Iterable[Statement]:
    for seq, at, anchored in night.of(ShiftAnchored):
        if abs(anchored.jump_s) >= 1:
            key = "incidents.clock_ahead" if anchored.jump_s > 0 else "incidents.clock_back"
            yield Statement(key=key, values={"jump_s": abs(anchored.jump_s), "when_at": at}, facts=(seq,))
        elif night.shift and anchored.boot_id != night.shift.boot_id:
            yield Statement(key="incidents.reboot", values={"when_at": at}, facts=(seq,))
