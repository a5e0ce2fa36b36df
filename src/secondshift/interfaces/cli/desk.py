"""What every verb needs at hand: the study file, its private folder, its ledger for reading, the state so far."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.interfaces.cli.askers import asker as asker  # verbs at a desk have these from here
from secondshift.interfaces.cli.askers import study_file as study_file
from secondshift.interfaces.cli.languages import language as language
from secondshift.interfaces.readmodel.objectives import as_judged
from secondshift.interfaces.readmodel.overview import Holder
from secondshift.ledger.fold import fold
from secondshift.ledger.leases import Lease
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.snapshots import load_state
from secondshift.ledger.stores import Ledger
from secondshift.records.events import LeaseTaken
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.trials import Trial
from secondshift.runtime import hosts
from secondshift.runtime.studyfiles import has_ledger


@dataclass(kw_only=True, slots=True)
class Desk:
    """An open study, for reading only."""

    file: Path  # secondshift.toml
    folder: Path  # .secondshift beside it
    ledger: Ledger
    _known: State | None = None

    def state(self) -> State:
        """All facts so far, folded; a second look folds only what is new."""
        if self._known is None:
            self._known = load_state(self.ledger, self.folder / "cache" / "state.bin")
        else:
            self._known = fold(self._known, self.ledger.read(self._known.last_seq))
        return as_judged(self._known)

    def holder(self) -> Holder:
        """Who works on the study now, as far as this machine can see."""
        lease = self.ledger.lease()
        if lease is None:
            return Holder(life="never")
        since = 0.0
        for event in self.ledger.read(kinds=("lease.taken",)):
            if isinstance(event.payload, LeaseTaken) and event.payload.token == lease.token:
                since = event.at
        return Holder(life=life(lease), name=lease.holder.name, since=since)


@dataclass(kw_only=True, slots=True)
class Sitting:
    """A study that is looked at again and again: its desk, opened once something was recorded, and anew where it was begun anew."""

    file: Path  # secondshift.toml
    _open: ExitStack = field(default_factory=ExitStack)
    _desk: Desk | None = None
    _inode: int = 0

    def desk(self) -> Desk | None:
        """The study opened for reading; None before its first shift."""
        if not has_ledger(self.file):
            self.close()
            return None
        inode = os.stat(self.file.resolve().parent / ".secondshift" / "ledger.db").st_ino
        if self._desk is None or inode != self._inode:
            self.close()
            self._desk, self._inode = self._open.enter_context(open_desk(self.file)), inode
        return self._desk

    def close(self) -> None:
        """Give the ledger back."""
        self._desk = None
        self._open.close()


def life(lease: Lease) -> str:
    """Say whether the holder of a lease lives: alive, remote (another machine's), dead, or left (given back)."""
    if lease.released:
        return "left"
    if lease.holder.host != hosts.hostname():
        return "remote"
    return "alive" if hosts.alive(lease.holder.pid, lease.holder.start_ticks, lease.holder.boot_id) else "dead"


@contextmanager
def open_desk(study: Path | None) -> Iterator[Desk]:
    """Open a study for reading. Raises StudyMissing, LedgerDamaged, LedgerNewer, LedgerBusy."""
    file = study_file(study)
    folder = file.parent / ".secondshift"
    ledger = open_ledger(folder, readonly=True)
    try:
        yield Desk(file=file, folder=folder, ledger=ledger)
    finally:
        ledger.close()


def trial_named(state: State, name: str) -> Trial:
    """The trial a person means: "t7", or "7", one of its attempts "t7.a2", or an imported run "p2". Raises SecondshiftError."""
    wanted = name.strip().split(".a")[0]
    if wanted in state.imported:
        return state.imported[wanted].trial
    for known in (wanted, f"t{wanted}"):
        if known in state.trials:
            return state.trials[known]
    newest = next(reversed(list(state.trials)), None)
    have = f"They go from t1 to {newest}" if newest else "None has been queued yet"
    raise SecondshiftError(
        f"There is no trial {name!r} in this study. {have}. `secondshift status` lists the open ones."
    )


def idea_named(state: State, name: str) -> Idea:
    """The idea that a person names, such as e3. Raises SecondshiftError."""
    if name not in state.ideas:
        known = ", ".join(state.ideas) or "none"
        raise SecondshiftError(f"There is no idea {name!r}; there are {known}. `secondshift ideas` lists them.")
    return state.ideas[name]
