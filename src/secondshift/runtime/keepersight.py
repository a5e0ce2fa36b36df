"""What a keeper can see of an engine it does not talk to: its traces in the ledger."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.ledger.leases import Holder
from secondshift.ledger.opening import open_ledger
from secondshift.records.events import MetricsLogged

WORK = frozenset({"candidate.proposed", "attempt.started", "attempt.ended", "metrics.logged", "checkpoint.saved"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What the ledger shows of an engine's work."""

    seq: int = 0  # the newest fact
    began: bool = False  # a shift was started since the keeper began
    worked: bool = False  # a trial came further since the last look


def progress(folder: str | os.PathLike[str], since: Progress | None) -> Progress:
    """Look into the ledger for what was done since `since`; None only asks where it stands. Never raises.

    A ledger that cannot be read shows no progress: the engine itself says in its log what is wrong with it.
    """
    if not (Path(folder) / "ledger.db").exists():
        return since or Progress()
    try:
        ledger = open_ledger(Path(folder), readonly=True)
        try:
            last = ledger.last_seq()
            wanted = ("shift.started", *sorted(WORK))
            events = ledger.read(since.seq, until=last, kinds=wanted) if since else ()
            # That a machine was measured is no progress: a script that hangs is measured, too.
            kinds = {e.kind for e in events if not (isinstance(e.payload, MetricsLogged) and e.payload.machine)}
        finally:
            ledger.close()
    except (SecondshiftError, OSError):
        return replace(since, worked=False) if since else Progress()
    if since is None:
        return Progress(seq=last)
    return Progress(seq=last, began=since.began or "shift.started" in kinds, worked=bool(kinds & WORK))


def lease_holder(folder: str | os.PathLike[str]) -> Holder | None:
    """Name the process that holds the lease; None if nobody does or the ledger cannot be read."""
    try:
        ledger = open_ledger(Path(folder), readonly=True)
        try:
            lease = ledger.lease()
        finally:
            ledger.close()
    except (SecondshiftError, OSError):
        return None
    return None if lease is None or lease.released else lease.holder
