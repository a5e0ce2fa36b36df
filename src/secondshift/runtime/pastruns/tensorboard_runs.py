"""Reads the runs of TensorBoard folders without TensorBoard: scalars, the hparams plugin, and names of folders."""

import re
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from secondshift.records.pastruns import PastRun, RunStatus
from secondshift.records.studies import Value
from secondshift.runtime.pastruns.gathering import LIMIT, Gathered, relative, settings_in
from secondshift.runtime.pastruns.plain_yaml import read_yaml
from secondshift.runtime.readers.eventfiles import GROUPS, events, read_events
from secondshift.runtime.readers.protobuf import FIXED64, VARINT, doubles, fields

_TIME = re.compile(r"\d{9,10}\.\d+\Z")  # how add_hparams names the folder for its own event file
_START, _END = "_hparams_/session_start_info", "_hparams_/session_end_info"
_OUTCOMES: dict[int, RunStatus] = {1: "finished", 2: "failed", 3: "running"}
_HELD = b"_hparams_/"


def run_folders(files: Iterable[Path]) -> dict[Path, list[Path]]:
    """Put event files together into runs: a folder is a run, its folders `train`, `validation` or of a time belong to it."""
    places: dict[Path, list[Path]] = {}
    for file in sorted(files):
        places.setdefault(file.parent, []).append(file)
    found: dict[Path, list[Path]] = {}
    for place, here in places.items():
        own = place.parent if place.name.lower() in GROUPS else place
        if _TIME.match(place.name) and place.parent in places:
            own = place.parent
        found.setdefault(own, []).extend(here)
    return found


def tensorboard_run(folder: Path, files: Sequence[Path], root: Path, home: Path) -> PastRun:
    """Read one run. Parameters come from the hparams plugin, `hparams.yaml` beside it, and names such as lr=0.1."""
    gathered, params, status = Gathered(), dict[str, Value](), "unknown"
    started = ended = 0.0
    for file in files:
        gathered.drain(lambda start, file=file: read_events(str(file), start, ended=True, limit=LIMIT))
        first, last, told, outcome = _told(file)
        params |= told
        status = outcome or status
        started = min(filter(None, (started, first)), default=0.0)
        ended = max(ended, last)
    beside = {**settings_in(_names(folder, root)), **read_yaml(folder / "hparams.yaml")}
    run = relative(folder, home)
    return PastRun(
        source="tensorboard", run=run, name=folder.resolve().name, status=status, params={**beside, **params},
        columns=gathered.columns, started_at=started, ended_at=ended, damaged=gathered.damaged,
    )  # fmt: skip


def _names(folder: Path, root: Path) -> Sequence[str]:
    folder, root = folder.resolve(), root.resolve()
    inside = folder.relative_to(root).parts if folder.is_relative_to(root) else ()
    return (*inside, folder.name)


def _told(file: Path) -> tuple[float, float, dict[str, Value], RunStatus | None]:
    """Return the time of the first and the last event, and what the hparams plugin says."""
    first = last = 0.0
    params: dict[str, Value] = {}
    status: RunStatus | None = None
    try:
        for event in events(str(file)):
            if event[:1] == b"\x09" and len(event) >= 9:  # the field comes first wherever it was seen
                (last,) = struct.unpack_from("<d", event, 1)
                first = first or last
            if _HELD in event:
                told, outcome = _session(event)
                params |= told
                status = outcome or status
    except (OSError, ValueError):
        pass
    return first, last, params, status


def _session(event: bytes) -> tuple[dict[str, Value], RunStatus | None]:
    for value in _parts(_within(event, 5), 1):
        tag = _within(value, 1)
        content = _within(value, 9, 1, 2)  # metadata of the summary, of its plugin, and what that keeps
        if tag == _START.encode():
            return _hparams(_within(content, 3)), None
        if tag == _END.encode():
            outcome = next((v for n, w, v in fields(_within(content, 4)) if n == 1 and w == VARINT), 0)
            return {}, _OUTCOMES.get(outcome) if isinstance(outcome, int) else None
    return {}, None


def _parts(message: bytes, number: int) -> list[bytes]:
    return [value for n, _, value in fields(message) if n == number and isinstance(value, bytes)]


def _within(message: bytes, *path: int) -> bytes:
    for number in path:
        message = next(iter(_parts(message, number)), b"")
    return message


def _hparams(session: bytes) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for number, _, entry in fields(session):
        if number != 1 or not isinstance(entry, bytes):
            continue
        parts = {n: v for n, _, v in fields(entry) if isinstance(v, bytes)}
        for kind, wire, value in fields(parts.get(2, b"")):
            name = parts.get(1, b"").decode("utf-8", "replace")
            if kind == 2 and wire == FIXED64 and isinstance(value, bytes):
                found[name] = _whole(doubles(value)[0])
            elif kind == 3 and isinstance(value, bytes):
                found[name] = value.decode("utf-8", "replace")
            elif kind == 4 and isinstance(value, int):
                found[name] = bool(value)
    return found


def _whole(value: float) -> Value:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
