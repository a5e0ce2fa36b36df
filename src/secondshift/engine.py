"""READ THIS FIRST: the shift. One tick takes in what happened, decides, records the decisions, and acts on them.

A crash anywhere is mended by running again: facts are recorded before anything acts on them, acts are idempotent by
id, and the next engine repeats whatever was recorded but not done.
"""

import errno
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from secondshift import plugins
from secondshift.arbitrate import arbitrate
from secondshift.errors import LedgerBusy, LedgerFull, SecondshiftError
from secondshift.ledger.fold import fold
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.decisions import Decision
from secondshift.records.nights import Shift
from secondshift.records.orders import Batch
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.runtime import acting, fits, imports, ingest, ownsaves, pruning, pulses, spool
from secondshift.runtime.devicewatch import DeviceWatch
from secondshift.runtime.executors.protocol import Executor
from secondshift.runtime.notify.bells import Bells
from secondshift.runtime.shiftclock import ShiftClock
from secondshift.standing import closing, noted, outdated, requested

POLICY = f"11 numpy-{np.__version__}"  # raise the number when a decider's answer to the same state changes
BEAT_EVERY_S = 2.0
KEEP_EVERY_S = 60.0  # between two snapshots of the fold
Decider = Callable[[State], Sequence[Decision]]
Tell = Callable[[State, Sequence[facts.Event]], None]
Stages = tuple[tuple[str, tuple[tuple[str, Decider], ...]], ...]


def stages(study: Study) -> Stages:
    """The two stages of a tick: what is observed is recorded before anything is decided on it."""
    fixed = (("requests", requested), ("revisions", outdated), ("closing", closing))
    return (("observe", tuple(plugins.observers(study))), ("decide", (*fixed, *plugins.deciders(study))))


def decide(state: State, deciders: Sequence[tuple[str, Decider]]) -> list[facts.Payload]:
    """Ask every decider about one frozen state and arbitrate. Pure: replay calls the very same function.

    A decider that raises is passed over for this tick and an incident says so; a faulty policy must not end a night.
    """
    wishes: list[Decision] = []
    faults: list[facts.Payload] = []
    for name, decider in deciders:
        try:
            wishes.extend(decider(state))
        except Exception as error:
            finding = f"the policy {name} raised {type(error).__name__}: {error}"
            evidence, action = tuple(traceback.format_exc().splitlines()[-3:]), "passed over; the other policies went on"
            faults += noted(state, finding, evidence, action, at=state.now_s, number=len(faults) + 1)
    return [*faults, *arbitrate(replace(state, incidents_seen=state.incidents_seen + len(faults)), wishes)]


class Engine:
    """One engine on one study, for as long as it holds the lease."""

    def __init__(self, *, ledger: Ledger, state: State, executor: Executor, clock: ShiftClock, hands: acting.Hands) -> None:
        self.ledger = ledger
        self.state = state
        self.executor = executor
        self.clock = clock
        self.hands = hands
        self.beaten_at = -1e9
        self.reload: Callable[[State], Sequence[facts.Payload]] = lambda state: ()
        self.watch = DeviceWatch()
        self.bells = Bells()
        self.keeper = plugins.memory()(ledger.batches)
        self.fits = fits.AtOnce()
        self.pulses = pulses.Pulses()
        self.saves = ownsaves.OwnSaves(folder=hands.folder)
        self.tell: Tell = lambda state, events: None  # hears of facts once they are recorded
        self.keep: Callable[[State], None] = lambda state: None  # saves the fold now and then, so that reopening is fast
        self.kept_at = clock.boot()
        self.waits_for = ""  # what was last told to be waited for
        self.wanted: list[str] = []  # what a signal handler asks for: "stop", "now"

    def tick(self) -> bool:
        """Do one round. Returns whether anything was decided, so that the next round should follow at once."""
        self.beat()
        self.take_in()
        decided, ending = False, self.state.ending
        for stage, deciders in stages(self.study()):
            decided = self.settle(stage, deciders) or decided
        self.act()
        self.end_if_over(ending)
        if self.state.shift is not None:  # last: a full disk, be it another than ours, keeps nothing else from being done
            self.record(acting.measured(self.state, self.hands))
        return decided

    def beat(self) -> None:
        """Show that this engine lives; LeaseLost if another has taken over."""
        if self.clock.boot() - self.beaten_at >= BEAT_EVERY_S:
            self.ledger.beat(self.state.token)
            self.beaten_at = self.clock.boot()

    def take_in(self) -> None:
        """Record what came in: an edited study, requests, points, starts and ends, a clock that jumped, a lack of devices."""
        jumped = self.clock.check(self.state)
        self.record([*self.reload(self.state), *([jumped] if jumped is not None else [])])
        self.record(self.watch.check(self.state, self.executor, boot_s=self.clock.boot(), now_s=self.clock.now(self.state)))
        self.take_signals()
        self.take_requests()
        imports.take_in(self.state, self.hands.folder, self.record)
        self.record(self.bells.check(self.state, boot_s=self.clock.boot(), now_s=self.clock.now(self.state)))
        self.record(self.pulses.listen(self.state, self.executor, self.clock.now(self.state)))
        seen = ingest.observations(self.state, self.executor, self.clock.now(self.state), self.pulses.collected, self.saves)
        self.record(seen.out, seen.batches)

    def take_signals(self) -> None:
        """Record what was asked for at the terminal; not through the spool, which a full disk cannot hold."""
        if wanted := list(self.wanted):
            at, last = self.clock.now(self.state), self.state.last_seq
            self.record([
                facts.RequestReceived(id=f"signal-{last}-{number}", verb="stop", who="terminal", asked_at=at,
                                      args={"now": True} if mode == "now" else {})
                for number, mode in enumerate(wanted)
            ])  # fmt: skip
            del self.wanted[: len(wanted)]

    def take_requests(self) -> None:
        """Record what people asked for; what is recorded leaves the spool."""
        asked = ingest.requests(self.state, self.hands.folder)
        self.record(asked.out)
        for request in asked.requests:
            spool.discard(self.hands.folder, request)

    def settle(self, stage: str, deciders: Sequence[tuple[str, Decider]]) -> bool:
        """Decide on a frozen snapshot and append the decisions; nothing is acted on before this returns."""
        now = self.clock.now(self.state)
        slots = self.state.shift.slots if self.state.shift else 0
        taken = {device for attempt in self.state.attempts.values() for device in attempt.devices}
        free = tuple(d for d in self.executor.devices() if d not in taken)[: max(0, slots - len(self.state.attempts))]
        seen = self.keeper.filled_in(replace(self.state, now_s=now, free_devices=free))
        made = decide(seen, deciders)
        if made:
            tick = facts.TickDecided(
                tick=self.state.ticks + 1, now_s=now, stage=stage, policy=POLICY, digest=self.ledger.digest(),
                free_devices=free, decisions=len(made),
            )  # fmt: skip
            self.record([tick, *made])
        if stage == "observe":
            self.keeper.told()
            self.record(self.fits.work(self.state, self.keeper.filled_in))
        return bool(made)

    def act(self) -> None:
        """Do what is recorded and not yet done, and record how it went."""
        self.hands = acting.forget(self.state, self.hands)
        self.record(acting.act(self.state, self.executor, self.hands))
        self.record(pruned := pruning.overflow(self.state))
        pruning.delete(self.hands.folder, pruned, whole=self.study().tier_offered() == "resumable")

    def end_if_over(self, ending: str) -> None:
        """Close the shift once nothing runs and every decider could know that it ends, and has had its last word."""
        if self.state.shift is not None and ending and not self.state.at_work() and not self.bells.ringing():
            self.record([facts.ShiftEnded(shift=self.state.shift.id, reason=self.state.ending, digest=self.ledger.digest())])

    def record(self, payloads: Sequence[facts.Payload], batches: Sequence[Batch] = ()) -> None:
        """Append facts in one transaction and fold them in. LeaseLost and LedgerFull leave the state as it was."""
        if not payloads and not batches:
            return
        at = self.clock.now(self.state)
        events = self.ledger.append(payloads, at=at, token=self.state.token, batches=batches)
        self.state = fold(self.state, events)
        self.follow(events, batches)
        self.tell(self.state, events)

    def follow(self, events: Sequence[facts.Event], batches: Sequence[Batch]) -> None:
        """Let the captain's detectors follow what was recorded; a trial that they never met is read from its beginning."""
        self.keeper.follow(self.ledger, self.state.study, events, batches)

    def study(self) -> Study:
        """The study as it now stands."""
        if self.state.study is None:
            raise SecondshiftError("The ledger holds no study yet. Open one with shifts.work before the first tick.")
        return self.state.study

    def begin(self, deadline_at: float | None, slots: int | None = None) -> None:
        """Start a shift, or go on with the one that was not ended."""
        study = self.study()
        if self.state.shift is not None:
            return
        self.take_requests()
        late, asked = "nothing was running when it was asked", requested(self.state)
        self.record([facts.DecisionDropped(decision=one, reason=late) for one in asked if one.verb == "end"])
        devices = len(self.executor.devices()) + len(self.executor.held())  # what others hold now comes free later
        shift = Shift(
            id=f"s{self.state.shifts + 1}", started_at=self.clock.now(self.state), deadline_at=deadline_at, may=study.may,
            slots=slots or study.launch.slots or devices or 1, boot_id=self.clock.boot_id, anchor_boot_s=self.clock.boot(),
        )  # fmt: skip
        self.record([facts.ShiftStarted(shift=shift)])

    def run(self) -> None:
        """Tick until the shift has ended; a lost lease ends this engine at once."""
        while self.state.shift is not None:
            if not self.patiently(self.tick):
                self.clock.sleep(0.1 if self.state.at_work() else 0.25)
            if self.clock.boot() - self.kept_at >= KEEP_EVERY_S:
                self.keep(self.state)
                self.kept_at = self.clock.boot()

    def patiently(self, act: Callable[[], bool | None]) -> bool | None:
        """Act, and act again: a full disk and another program's lock are waited out. What trials write stays in their files."""
        while True:
            try:
                done = act()
                self.waits_for = ""
                return done
            except LedgerFull as full:
                self.wait_for_space(full)
            except LedgerBusy as busy:
                self.say_once(busy)  # the ledger has waited for it already
            except OSError as problem:
                if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self.wait_for_space(LedgerFull(f"The disk is full: {problem}. Free some space; the shift goes on from there."))

    def say_once(self, problem: SecondshiftError) -> None:
        """Tell people what is waited for, each time something else is."""
        if type(problem).__name__ != self.waits_for:
            self.waits_for = type(problem).__name__
            try:
                print(f"{problem} This engine waits for that.", file=sys.stderr, flush=True)
            except OSError:
                pass  # what we say goes to a file on the same full disk

    def wait_for_space(self, full: LedgerFull) -> None:
        """Say once that the disk is full, with the space kept back for it."""
        self.say_once(full)
        try:
            action = "waits for space; recorded facts are safe"
            self.record(noted(self.state, "the disk is full", (str(full)[:200],), action, at=self.clock.now(self.state)))
        except (LedgerFull, LedgerBusy):
            pass  # not even the ballast was enough; the next round tries again
        self.clock.sleep(1.0)
