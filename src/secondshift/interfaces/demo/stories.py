"""What the demo says: each line tagged REAL, DRILL or SIMULATED; a REAL line names a process and a recorded fact."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from secondshift.ledger.fold import fold
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.events import Event
from secondshift.records.states import State
from secondshift.records.trials import Trial

REAL, DRILL, SIMULATED = "REAL", "DRILL", "SIMULATED"
_HOW = {
    "first": "the first ever to do so", "released": "the one before had given it back",
    "expired": "the one before stood still", "dead": "the one before is dead",
}  # fmt: skip


def real(event: int, pid: int, text: str) -> str:
    """A line about something that happened: `event` is its number in the ledger, `pid` the process it is about."""
    return f"{REAL:<9} pid {pid:<7} event {event:<5} {text}"


def drill(text: str) -> str:
    """A line about something that the demo itself broke on purpose."""
    return f"{DRILL:<9} {text}"


@dataclass(kw_only=True, slots=True)
class Story:
    """Follows one ledger and tells what is new in it; keeps what the drills and the checks need to know."""

    metric: str
    say: Callable[[str], None]
    state: State = field(default_factory=State)
    engine: int = 0  # pid of the newest engine
    leases: list[Event] = field(default_factory=list)
    ended: int = 0  # attempts
    pids: dict[str, tuple[int, int]] = field(default_factory=dict)  # attempt -> pid, event of its start
    supervisors: list[int] = field(default_factory=list)
    ordered: list[str] = field(default_factory=list)  # attempts
    settled: list[str] = field(default_factory=list)  # charges, as often as they were settled
    last_settled: int = 0  # event
    briefs: tuple[str, ...] = ()
    watched: set[str] = field(default_factory=set)  # trials whose checkpoints are told too

    def follow(self, ledger: Ledger) -> list[Event]:
        """Tell what was recorded since the last call, and return it."""
        events = list(ledger.read(self.state.last_seq))
        for event in events:
            before = self.state
            self.state = fold(before, [event])
            self._tell(event, before)
        return events

    def _tell(self, event: Event, before: State) -> None:
        said = event.payload
        match said:
            case facts.LeaseTaken():
                self.engine = int(said.holder.rpartition(":")[2])
                self.leases.append(event)
                how = _HOW.get(said.how, said.how)
                self._real(event, self.engine, f"this engine takes the lease, token {said.token} ({how})")
            case facts.AttemptOrdered():
                self.ordered.append(said.attempt)
            case facts.AttemptStarted():
                self._started(event, said)
            case facts.AttemptEnded():
                self._ended(event, said, before)
            case facts.ChargeSettled():
                self.settled.append(said.charge)
                self.last_settled = event.seq
            case facts.CheckpointSaved() if said.checkpoint.trial in self.watched:
                pid, _ = self.pids.get(said.checkpoint.attempt, (self.engine, 0))
                self._real(event, pid, f"{said.checkpoint.trial} saved a checkpoint after {said.checkpoint.step} steps")
            case facts.DecisionMade() if said.decision.verb in ("pause", "stop", "fail", "end", "advance"):
                self._real(event, self.engine, f"decided to {said.decision.verb}: {said.decision.reason}")
            case facts.IncidentOpened():
                self._real(event, self.engine, f"incident: {said.incident.finding}")
            case facts.BriefWritten():
                self.briefs = said.files
                self._real(event, self.engine, "the brief is written")

    def _started(self, event: Event, said: facts.AttemptStarted) -> None:
        self.pids[said.attempt] = (said.pid, event.seq)
        self.supervisors.append(said.supervisor)
        attempt = self.state.attempts.get(said.attempt)
        if attempt is not None and attempt.number > 1:
            text = f"{attempt.trial} goes on from its checkpoint, {attempt.from_step} steps, to {attempt.until_step}"
            self._real(event, said.pid, text)

    def _ended(self, event: Event, said: facts.AttemptEnded, before: State) -> None:
        self.ended += 1
        attempt = before.attempts.get(said.attempt)
        pid, _ = self.pids.get(said.attempt, (attempt.pid if attempt else 0, 0))
        trial = self.state.trials.get(attempt.trial) if attempt else None
        if trial is None:
            return
        horizon = self.state.study.horizon_steps if self.state.study else 0
        value = self.value(trial)
        shown = "nothing logged" if value is None else f"{self.metric} {value:.4f}"
        lost = ""
        if trial.status == "paused" and trial.interruptions and said.exit.signal is not None:
            lost = f"was ended by {signal.Signals(said.exit.signal).name} and "
        steps = f"{trial.logged_step + 1} of {horizon} steps"
        self._real(event, pid, f"{trial.id} {lost}is {trial.status} after {said.exit.elapsed_s:.1f} s, {steps}, {shown}")

    def value(self, trial: Trial) -> float | None:
        """The trial's newest value of the demo's metric; None if there is none."""
        summary = trial.metrics.get(self.metric)
        return summary.last if summary is not None and summary.points else None

    def _real(self, event: Event, pid: int, text: str) -> None:
        self.say(real(event.seq, pid, text))
