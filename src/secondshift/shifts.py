"""Working one shift from beginning to brief: open the study, run the engine, end politely."""

import gc
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from threadpoolctl import threadpool_limits

from secondshift import plugins
from secondshift.engine import Engine, Tell
from secondshift.errors import LeaseLost, LedgerBusy, LedgerFull
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.runtime import acting, awake, fits, imports, opening
from secondshift.runtime.notify import delivering
from secondshift.runtime.notify.paging import Compose
from secondshift.runtime.studyfiles import has_ledger

FINISHED, MISTAKE, HELD = 0, 2, 3  # exit codes; the keeper restarts an engine that ends in any other way
PASSING_S = 2.0  # between two tries to open a ledger on a full disk, or one that is locked
AT_THE_DESK = ("accept", "promote")  # requests that are answered where no shift is open
NEWEST = 200  # facts in which a shift's end is looked for that has no brief yet
WriteBrief = Callable[[Path, Ledger, State, str], tuple[str, ...]]


@contextmanager
def politely(engine: Engine) -> Iterator[None]:
    """Ctrl-C or SIGTERM once: finish politely. Twice: stop now. Still nothing recorded is lost."""

    def ask(number: int, frame: object) -> None:
        engine.wanted.append("now" if engine.state.ending or engine.wanted else "stop")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def work(
    study_file: Path,
    *,
    until: str | None = None,
    for_s: float | None = None,
    resume: bool = False,
    slots: int | None = None,
    write_brief: WriteBrief | None = None,
    write_page: Compose | None = None,
    tell: Tell | None = None,
    only_stop: Literal["", "stop", "now"] = "",
) -> int:
    """Work one shift on a study, or go on with the one that a dead engine left. Returns an exit code.

    Raises SecondshiftError with a sentence for people where the study, its folder or its ledger are not fit for work,
    LeaseHeld where another engine works on it.
    """
    with patiently_opened(study_file, slots, resume) as night:
        engine = Engine(
            ledger=night.ledger, state=night.state, executor=night.executor, clock=night.clock, hands=night.hands
        )
        engine.tell, engine.bells.pager.compose = tell or engine.tell, write_page
        engine.reload, engine.keep = night.reload, night.keep
        engine.fits = fits.Beside()
        threadpool_limits(1, user_api="blas")  # matrices of some hundred rows: more threads only wait for each other
        gc.freeze()  # ten thousand past trials are not garbage: the collector need not walk over them again and again
        with politely(engine), awake.kept_awake("secondshift is on shift"):
            try:
                engine.patiently(lambda: engine.record(night.opening))
                leave_owed_brief(engine, write_brief)
                if not resume and night.overdue(engine.state):
                    finish(engine, write_brief)  # it ends by its own deadline; then the one asked for begins
                if engine.state.shift is None and not only_stop and not (resume and engine.state.shifts):
                    engine.patiently(
                        lambda: engine.begin(opening.deadline(until, for_s, engine.clock.now(engine.state)), slots)
                    )
                if only_stop:
                    engine.wanted.append(only_stop)
                finish(engine, write_brief)
            except LeaseLost as lost:
                print(lost, file=sys.stderr, flush=True)
                return HELD
            night.keep(engine.state)
    return FINISHED


def finish(engine: Engine, write_brief: WriteBrief | None) -> None:
    """Run the current shift to its end and leave its brief."""
    shift = engine.state.shift
    if shift is None:
        return
    try:
        engine.run()
    finally:
        acting.leave(engine.hands)
        engine.fits.close()
    leave_brief(engine, write_brief, shift.id)


def leave_brief(engine: Engine, write_brief: WriteBrief | None, shift: str) -> None:
    """Write the brief of a shift and record that it is there."""
    if write_brief is not None:
        files = write_brief(engine.hands.folder, engine.ledger, engine.state, shift)
        written = facts.BriefWritten(shift=shift, files=files, digest=engine.ledger.digest())
        engine.patiently(lambda: engine.record([written]))
        send_owed_brief(engine)


def send_owed_brief(engine: Engine) -> None:
    """Send the newest brief to each channel that has no outcome recorded yet; each outcome is recorded at once."""
    owed = delivering.owed(engine.ledger)
    for channel in owed.channels:
        found = delivering.deliver(engine.hands.folder, owed, channel, engine.state, engine.clock.now(engine.state))
        engine.patiently(lambda found=found: engine.record(found))


def leave_owed_brief(engine: Engine, write_brief: WriteBrief | None) -> None:
    """Write the brief that an engine owes which died between the end of its shift and its brief."""
    owed = ""
    if engine.state.shift is None:
        newest = engine.ledger.read(max(0, engine.state.last_seq - NEWEST), kinds=("shift.ended", "brief.written"))
        for event in newest:
            owed = event.payload.shift if isinstance(event.payload, facts.ShiftEnded) else ""
    if owed:
        leave_brief(engine, write_brief, owed)
    elif engine.state.shift is None:
        send_owed_brief(engine)


@contextmanager
def patiently_opened(study_file: Path, slots: int | None, resume: bool) -> Iterator[opening.Night]:
    """Open a night; where a ledger is there already, a full disk and another program's lock are waited out."""
    told = ""
    with ExitStack() as stack:
        while True:
            try:
                night = stack.enter_context(opening.open_night(study_file, slots=slots, resume=resume))
                break
            except (LedgerFull, LedgerBusy) as passing:
                if not has_ledger(study_file):
                    raise
                if type(passing).__name__ != told:
                    told = type(passing).__name__
                    print(f"{passing} This engine waits for that.", file=sys.stderr, flush=True)
                time.sleep(PASSING_S)
        yield night


def take_imports(study_file: Path) -> bool:
    """Record the past runs that wait, on a study on which no engine works; False where a broken-off shift has to go on first.

    Raises LeaseHeld when an engine does work on it, which then takes them in by itself, and what open_night raises.
    """
    with opening.open_night(study_file) as night:
        engine = Engine(
            ledger=night.ledger, state=night.state, executor=night.executor, clock=night.clock, hands=night.hands
        )
        if engine.state.shift is not None:
            return False
        engine.record(night.opening)
        while imports.take_in(engine.state, night.folder, engine.record):
            pass
        night.keep(engine.state)
    return True


def attend(study_file: Path) -> bool:
    """Answer what people ask for while no shift is open; False where a broken-off one has to go on first.

    Runs the study's suite where that is needed, and returns when all is answered. Nothing is lost if it is killed: the next
    engine, or the next call, goes on. Raises LeaseHeld when an engine works on the study, and what open_night raises.
    """
    with opening.open_night(study_file) as night:
        engine = Engine(
            ledger=night.ledger, state=night.state, executor=night.executor, clock=night.clock, hands=night.hands
        )
        if engine.state.shift is not None:
            return False
        engine.record(night.opening)
        engine.take_requests()
        try:
            while _waited_for(engine.state):
                decided = engine.settle("desk", plugins.desk())
                engine.patiently(lambda: _measured(engine))
                engine.take_requests()
                if not decided:
                    engine.clock.sleep(0.05)
        finally:
            engine.hands.suites.close()
        night.keep(engine.state)
    return True


def _measured(engine: Engine) -> None:
    engine.beat()
    engine.record(acting.measured(engine.state, engine.hands))


def _waited_for(state: State) -> bool:
    """Say whether somebody waits for an answer that the desk gives, or for a release under way."""
    asked = any(request.verb in AT_THE_DESK for request in state.requests.values())
    return asked or any(not one.outcome for one in state.promotions.values())


def stop_now(study_file: Path, *, now: bool = False, write_brief: WriteBrief | None = None) -> int:
    """Stop a study on which no engine works: take the lease, end what still runs, settle, and leave.

    Raises LeaseHeld when an engine does work on it; then a request in the spool is the way.
    """
    return work(study_file, resume=True, write_brief=write_brief, only_stop="now" if now else "stop")
