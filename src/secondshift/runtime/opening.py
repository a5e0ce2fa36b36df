"""Opening a study for work: its folder, its ledger, the lease, the state so far, and what the study file says now."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from secondshift import config, plugins
from secondshift.errors import ConfigInvalid, FolderReadOnly, LeaseHeld
from secondshift.ledger.leases import STANDSTILL_S, Holder, Lease, LeaseWatch
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.probe import probe
from secondshift.ledger.snapshots import load_state, save_state
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.incidents import Incident
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.runtime import hosts
from secondshift.runtime.acting import Hands
from secondshift.runtime.clocks import Clock, HostClock
from secondshift.runtime.datafiles import DataFiles
from secondshift.runtime.executors.protocol import Executor
from secondshift.runtime.executors.remains import sweep
from secondshift.runtime.prooffiles import bound_files
from secondshift.runtime.secrecy import without_secrets
from secondshift.runtime.shiftclock import ShiftClock
from secondshift.runtime.tiers import in_effect, refused

BEAT_SEEN_S = 5.0  # a holder whose beat moved within this time lives; engines beat every 2 s


@dataclass(kw_only=True, slots=True)
class Night:
    """Everything an engine needs to begin."""

    folder: Path  # the study's private folder
    ledger: Ledger
    state: State
    executor: Executor
    clock: ShiftClock
    hands: Hands
    reload: Callable[[State], Sequence[facts.Payload]]
    opening: list[facts.Payload] = field(default_factory=list)  # to be recorded first: the lease, the study

    def keep(self, state: State) -> None:
        """Save the fold, so that reopening is fast. Only a cache: losing it costs time, never facts."""
        save_state(state, self.folder / "cache" / "state.bin", ledger=self.ledger)

    def overdue(self, state: State) -> bool:
        """Say whether the open shift's deadline passed while no engine ran."""
        shift = state.shift
        return shift is not None and shift.deadline_at is not None and self.clock.now(state) >= shift.deadline_at


def private_folder(study_file: Path) -> Path:
    """The folder beside the study file that holds everything secondshift writes; made if absent.

    Raises FolderReadOnly.
    """
    folder = study_file.resolve().parent / ".secondshift"
    try:
        for name in ("spool/tmp", "attempts", "trials", "cache", "briefs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderReadOnly(
            f"{folder} cannot be made or written ({error.strerror}). secondshift keeps its ledger, checkpoints and outputs "
            "there. Make the folder writable, or copy the study to one that is; nothing was started."
        ) from error
    return folder


@contextmanager
def open_night(study_file: Path, *, slots: int | None = None, resume: bool = False) -> Iterator[Night]:
    """Open a study and hold its lease until the block is left. `slots`: trials at once, instead of the study's own.

    `resume`: nobody stands by to correct the study file; where it has mistakes, an open shift goes on as it was recorded.

    Raises ConfigInvalid, FolderReadOnly, FilesystemUnfit, LeaseHeld, LedgerNewer, LedgerDamaged, LedgerBusy.
    """
    study, mistake = _read(study_file, resume), None
    folder = private_folder(study_file)
    probe(folder)
    if isinstance(study, Study) and study.data:  # before the lease: hashing may take minutes
        DataFiles(folder / "cache" / "data.json", study.data).hash_all(folder.parent / study.folder)
    ledger = open_ledger(folder)
    try:
        clock = HostClock()
        lease = take_lease(ledger, clock)
        try:
            if isinstance(study, ConfigInvalid):
                study, mistake = _recorded(ledger, folder, study), study
            study = in_effect(study_file, study, tell=_say)
            if not resume and (why := refused(study)):
                raise ConfigInvalid(f"{study_file} cannot be worked on; nothing was started: {why}")
            wide = replace(study, launch=replace(study.launch, slots=slots)) if slots else study
            executor = plugins.executor(study.launch.executor)(folder, study=wide)
            yield _assembled(study_file, study, executor, ledger, clock, lease, mistake)
        finally:
            ledger.release(lease.token)
    finally:
        ledger.close()


def _read(study_file: Path, resume: bool) -> Study | ConfigInvalid:
    """The study as the file says, or the mistakes in it. Raises ConfigInvalid unless a night is resumed."""
    try:
        return config.load_study(study_file)
    except ConfigInvalid as mistake:
        if not resume:
            raise
        return mistake


def _recorded(ledger: Ledger, folder: Path, mistake: ConfigInvalid) -> Study:
    """The study as it was recorded last, if its shift is open. Raises the mistake otherwise."""
    state = load_state(ledger, folder / "cache" / "state.bin")
    if state.study is None or state.shift is None:
        raise mistake
    return state.study


def _assembled(
    study_file: Path, study: Study, executor: Executor, ledger: Ledger, clock: Clock, lease: Lease,
    mistake: ConfigInvalid | None,
) -> Night:
    folder = private_folder(study_file)
    sweep(folder)  # what outlived a supervisor that is dead belongs to nobody, and holds devices
    state = load_state(ledger, folder / "cache" / "state.bin")
    taken = facts.LeaseTaken(token=lease.token, holder=lease.holder.name, how=lease.how, boot_id=lease.holder.boot_id)
    state = replace(state, token=lease.token)
    study, secrets = without_secrets(study)
    edited, reload = study_fact(state, study), Reload(study_file, hosts.boot_id(), secrets, study)
    told = reload.mistaken(state, mistake) if mistake else mended(state)
    return Night(
        folder=folder,
        ledger=ledger,
        state=state,
        executor=executor,
        clock=ShiftClock(clock, hosts.boot_id()),
        hands=Hands(folder=folder, place=study_file.resolve().parent, secrets=secrets),
        reload=reload,
        opening=[taken, *([edited] if edited else []), *told],
    )


def take_lease(ledger: Ledger, clock: Clock, *, standstill_s: float = STANDSTILL_S) -> Lease:
    """Take the lease, waiting for a holder that stands still; at once where it is free or its holder provably dead.

    Raises LeaseHeld as soon as the holder is seen to beat. Time is the challenger's own; the wall clock is not asked.
    """
    pid = os.getpid()
    me = Holder(host=hosts.hostname(), pid=pid, start_ticks=hosts.start_ticks(pid), boot_id=hosts.boot_id())
    watch = LeaseWatch(standstill_s=standstill_s)
    first: Lease | None = None
    told = False
    while True:
        seen = ledger.lease()
        stale = seen if watch.observe(seen, clock.boot()) else None
        try:
            return ledger.take_lease(me, how_dead=provably_dead, stale=stale)
        except LeaseHeld as held:
            first = first or seen
            if seen is not None and first is not None and (seen.token, seen.beat) != (first.token, first.beat):
                raise
            if not told:
                told = True
                print(f"{held} Watching it.", file=sys.stderr, flush=True)
        clock.sleep(0.25)


def provably_dead(lease: Lease) -> bool:
    """Say whether the holder cannot be alive: this very host, and another boot or no such process any more."""
    holder = lease.holder
    if holder.host != hosts.hostname():
        return False
    return not hosts.alive(holder.pid, holder.start_ticks, holder.boot_id)


def study_fact(state: State, study: Study) -> facts.StudyOpened | facts.StudyAmended | None:
    """What the study file says that the ledger does not know yet: a new study, a new revision, an amendment."""
    if state.study is None:
        return facts.StudyOpened(study=study)
    changed, new_revision = config.diff_studies(state.study, study)
    if new_revision:
        return facts.StudyOpened(study=replace(study, revision=state.study.revision + 1))
    if changed:
        return facts.StudyAmended(study=replace(study, revision=state.study.revision), changed=tuple(changed))
    return None


def mended(state: State) -> list[facts.Payload]:
    """Close what was open about a mistake in the study file, which can be read again."""
    return [
        facts.IncidentClosed(incident=incident.id, outcome="the file can be read again and is in effect")
        for incident in state.incidents.values()
        if incident.subject == Reload.SUBJECT
    ]


class Reload:
    """Looks at the study file when it, its script or its proof changes.

    A mistake in it stays an open incident, and the study goes on as it was.
    """

    SUBJECT = "study"

    def __init__(
        self, study_file: Path, boot_id: str, secrets: dict[str, str] | None = None, study: Study | None = None
    ) -> None:
        self.study_file = study_file
        self.boot_id = boot_id
        self.secrets = {} if secrets is None else secrets  # shared with the engine's hands, and kept in step
        self.bound = bound_files(study_file, study) if study is not None else ()
        self.seen, self.seen_bound = _stamp(study_file), self._bound_stamps()

    def _bound_stamps(self) -> tuple[tuple[int, int], ...]:
        return tuple(map(_stamp, self.bound))

    def __call__(self, state: State) -> Sequence[facts.Payload]:
        """Return what is to be recorded if the file was edited since the last look, or what decides its tier."""
        stamp, bound = _stamp(self.study_file), self._bound_stamps()
        if (stamp, bound) == (self.seen, self.seen_bound):
            return ()
        self.seen, self.seen_bound = stamp, bound
        if stamp == (0, 0):
            return self._incident(state, f"{self.study_file.name} is gone")
        try:
            found = config.load_study(self.study_file)
            self.bound = bound_files(self.study_file, found)
            self.seen_bound = self._bound_stamps()  # before they are read: what changes meanwhile is seen next time
            in_use = in_effect(self.study_file, found)
            if why := refused(in_use):
                raise ConfigInvalid(why)
            study, secrets = without_secrets(in_use)
        except ConfigInvalid as mistake:
            return self.mistaken(state, mistake)
        self.secrets.clear()
        self.secrets.update(secrets)
        edited = study_fact(state, study)
        return [*([edited] if edited is not None else []), *mended(state)]

    def mistaken(self, state: State, mistake: ConfigInvalid) -> Sequence[facts.Payload]:
        """Return what is to be recorded about a file that cannot be used."""
        text = " ".join(str(mistake).replace("; nothing was started", "").split())
        return self._incident(state, f"{self.study_file.name} was edited and cannot be used: {text}")

    def _incident(self, state: State, finding: str) -> Sequence[facts.Payload]:
        action = "the study goes on as it was recorded before; correct the file, and it takes effect at once"
        known = {i.finding for i in state.incidents.values() if i.subject == self.SUBJECT}
        incident = Incident(
            id=f"i{state.incidents_seen + 1}", subject=self.SUBJECT, finding=finding[:2000], opened_at=state.last_at,
            action=action,
        )  # fmt: skip
        replaced = [
            facts.IncidentClosed(incident=i.id, outcome="the file was edited again")
            for i in state.incidents.values()
            if i.subject == self.SUBJECT
        ]
        return () if finding in known else [*replaced, facts.IncidentOpened(incident=incident)]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)


def deadline(until: str | None, for_s: float | None, now: float) -> float | None:
    """Turn "08:00" (the next one, in this machine's zone) or a length in seconds into UTC seconds.

    Raises ConfigInvalid for what is not a time of day.
    """
    if for_s is not None:
        return now + for_s
    if until is None:
        return None
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", until.strip())
    if match is None:
        raise ConfigInvalid(f"--until was given {until!r}; expected a time of day like 08:00. Or say --for 2h.")
    here = datetime.fromtimestamp(now).astimezone()
    then = here.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    if then <= here:
        then = (here.replace(tzinfo=None) + timedelta(days=1)).replace(
            hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0
        )
        then = then.astimezone()
    return then.timestamp()
