"""The verb `clean`: give back the space of what nothing needs any more."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from secondshift.errors import LeaseHeld, LeaseLost
from secondshift.interfaces.cli.desk import language, open_desk, study_file
from secondshift.interfaces.cli.printing import document
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.plain import clean as plain
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.snapshots import load_state
from secondshift.ledger.stores import Ledger
from secondshift.runtime import remnants
from secondshift.runtime.clocks import HostClock
from secondshift.runtime.keepernotes import read_note
from secondshift.runtime.opening import take_lease
from secondshift.runtime.remnants import Remnant
from secondshift.runtime.studyfiles import has_ledger

HELD = 3  # exit code: an engine works on this study


def clean(
    *,
    dry_run: Annotated[bool, Parameter(name="--dry-run", negative="", help="Only say what would go, and how much.")] = False,
    caches: Annotated[
        bool, Parameter(negative="", help="Caches too, which are made again: the study opens more slowly, once.")
    ] = False,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Delete what nothing needs any more: workspaces, trees and temporary files of what is over, drafts of killed writers."""
    tongue, file, code = language(lang), study_file(study), 0
    seen, kept = remnants.Found(remnants=(), young=0), list[str]()
    try:
        if has_ledger(file):
            seen, kept = _looked(file, caches) if dry_run else _deleted(file, caches)
        lines = _said(seen, kept, dry_run, tongue)
    except LeaseHeld:
        lines, code = [say("clean.held", tongue)], HELD
    if json:
        found = [{"kind": r.kind, "path": str(r.path.relative_to(file.parent)), "bytes": r.bytes} for r in seen.remnants]
        text = "\n".join(lines)
        document({"exit": code, "dry_run": dry_run, "found": found, "young": seen.young, "left": kept, "text": text})
    else:
        print(plain("\n".join(lines), limit=10_000))
    return code


def _busy(file: Path) -> bool:
    """Say whether somebody is seen to work on the study; another machine's lease is for `take_lease` to judge."""
    with open_desk(file) as desk:
        note = read_note(desk.folder)
        return desk.holder().life == "alive" or (note is not None and note.alive())


def _looked(file: Path, caches: bool) -> tuple[remnants.Found, list[str]]:
    with open_desk(file) as desk:
        return remnants.found(desk.folder, desk.state(), now_s=time.time(), caches=caches), []


def _deleted(file: Path, caches: bool) -> tuple[remnants.Found, list[str]]:
    """Delete what may go, for as long as the lease is ours; what went, and why the rest is still there.

    Raises LeaseHeld where an engine works on the study.
    """
    folder = file.resolve().parent / ".secondshift"
    if _busy(file):
        raise LeaseHeld("An engine works on this study, or is about to begin again. Clean when its shift is over.")
    with _leased(folder) as (ledger, token):
        seen = remnants.found(folder, load_state(ledger, folder / "cache" / "state.bin"), now_s=time.time(), caches=caches)
        gone, kept = list[Remnant](), list[str]()
        for remnant in seen.remnants:
            lease = ledger.lease()
            if lease is None or lease.token != token:
                raise LeaseLost("An engine has begun to work on this study. The rest stays; clean again when it is done.")
            why = remnants.delete(remnant)
            kept.append(why) if why else gone.append(remnant)
    return remnants.Found(remnants=tuple(gone), young=seen.young), kept


@contextmanager
def _leased(folder: Path) -> Iterator[tuple[Ledger, int]]:
    """Hold the study's lease, so that no engine begins meanwhile. It is not kept alive: one that hangs is taken over."""
    ledger = open_ledger(folder)
    try:
        lease = take_lease(ledger, HostClock())
        try:
            yield ledger, lease.token
        finally:
            ledger.release(lease.token)
    finally:
        ledger.close()


def _said(seen: remnants.Found, kept: Sequence[str], dry_run: bool, lang: str) -> list[str]:
    lines, total = [], sum(remnant.bytes for remnant in seen.remnants)
    for kind in dict.fromkeys(remnant.kind for remnant in seen.remnants):
        sizes = [remnant.bytes for remnant in seen.remnants if remnant.kind == kind]
        lines.append(say(f"clean.{kind}", lang, n=len(sizes), size=_size(sum(sizes))))
    if seen.remnants:
        lines.append(say("clean.would" if dry_run else "clean.gone", lang, size=_size(total)))
    elif not kept:
        lines.append(say("clean.nothing", lang))
    if seen.young:
        lines.append(say("clean.young", lang, n=seen.young))
    return [*lines, *(say("clean.kept", lang, why=why) for why in kept)]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
