"""Looks at a training command that nobody here knows: asks for its help, and runs it for a moment. Decides nothing."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from secondshift.records.metricnames import of_script
from secondshift.runtime.executors.attempt_files import environment, tail, to_json
from secondshift.runtime.executors.processes import carriers, signal_process
from secondshift.runtime.guessing import telling
from secondshift.runtime.helptexts import merged, read_code, read_help, read_yaml, uses_hydra
from secondshift.runtime.looks import Looked, Stream
from secondshift.runtime.readers.collecting import collect_attempt, seen
from secondshift.runtime.workfolders import changed, footprint

HELP_S = 60.0  # importing a library of models takes its time, on a busy machine a minute
PATIENCE = 4  # times as long, a script that has shown nothing yet is waited for
GRACE_S = 2.0  # between the polite and the harsh end of what we started
MOST_SOURCE = 2 << 20  # bytes of a script that are read
MOST_WRITTEN = 200  # files of the working folder that are looked into
OUTPUT_CAP = 64 << 20  # bytes printed; a flood is ended


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ran:
    folder: Path
    ended: bool
    code: int | None
    took_s: float
    words: str = field(default="")


class _Trace:
    """What a run writes into the folder where it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.before = folder, footprint(folder)

    def written(self) -> tuple[str, ...]:
        return changed(self.before, footprint(self.folder))[:MOST_WRITTEN]


def look(command: Sequence[str], folder: Path, *, seconds: float = 20.0, help_s: float = HELP_S) -> Looked:
    """Look at a command in the folder where it is to run; `seconds` of 0 runs nothing but its help.

    Everything that was started is ended, with its whole group, before this returns. Raises nothing of the command's.
    """
    script = script_of(command, folder)
    place_of_it = folder / script if script else installed(command)
    source = _source(place_of_it) if place_of_it else ""
    hydra = uses_hydra(source)
    with tempfile.TemporaryDirectory(prefix="secondshift-init-") as place:
        asked = _run([*command, *(("--cfg", "job") if hydra else ("--help",))], folder, Path(place) / "help", help_s)
        text = (asked.folder / "output.log").read_text("utf-8", "replace")[:MOST_SOURCE]
        listed = read_yaml(text) if hydra else read_help(text)
        why = "" if listed or asked.code == 0 else f"exit {asked.code}" if asked.ended else "timeout"
        options = tuple(listed) if hydra else tuple(merged(listed, read_code(source)))
        trace = _Trace(folder)
        ran = _run(list(command), folder, Path(place) / "run", seconds, trace) if seconds > 0 else None
        streams = _streams(ran.folder, trace.written()) if ran else ()
    return Looked(
        command=tuple(command), script=script, hydra=hydra, options=options, help_said=why,
        ran_s=ran.took_s if ran else 0.0, ended=bool(ran and ran.ended), code=ran.code if ran else None,
        metrics=streams, last_words=ran.words if ran else "",
        uses_sdk="secondshift" in source and any(stream.source == "sdk" for stream in streams),
    )  # fmt: skip


def script_of(command: Sequence[str], folder: Path) -> str:
    """Name the Python file that a command runs, as it stands there; empty if none does."""
    for number, word in enumerate(command):
        if word.endswith(".py") and (folder / word).is_file():
            return word
        if word == "-m" and number + 1 < len(command):
            path = command[number + 1].replace(".", "/")
            return next((p for p in (f"{path}.py", f"{path}/__main__.py") if (folder / p).is_file()), "")
    return ""


def installed(command: Sequence[str]) -> Path | None:
    """Find the Python file behind an installed command or `-m MODULE`, beside its interpreter; nothing is run."""
    program = shutil.which(command[0]) if command else None
    if program is None:
        return None
    module = command[command.index("-m") + 1] if "-m" in command[:-1] else ""
    head = "" if module else _source(Path(program))[:2000]
    if found := re.search(r"^from ([\w.]+) import ", head, re.MULTILINE) if head.startswith("#!") else None:
        module = found[1]
    path = module.replace(".", "/")
    for folder in sorted(Path(program).parent.parent.glob("lib/python3*/site-packages")) if module else ():
        for file in (folder / f"{path}.py", folder / path / "__main__.py"):
            if file.is_file():
                return file
    return None


def _source(path: Path) -> str:
    try:
        return path.read_bytes()[:MOST_SOURCE].decode("utf-8", "replace")
    except OSError:
        return ""


def _run(command: list[str], cwd: Path, place: Path, seconds: float, trace: _Trace | None = None) -> _Ran:
    """Run a command in a group of its own with its output in a file, as an attempt would, for at most so long.

    trace: longer, while it has shown no number that moves in its output or in what it writes: some import for longer
    than they train.
    """
    for part in (place / "tmp", place / "out"):
        part.mkdir(parents=True)
    (place / "order.json").write_text(
        to_json({"cwd": str(cwd), "attempt": "look", "trial": "look", "command": command})
    )
    (place / "params.json").write_text("{}")
    token = secrets.token_hex(16)
    variables = environment({"folder": str(place), "env": {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}}, token)
    began = time.monotonic()
    with open(place / "output.log", "wb") as output:
        try:
            process = subprocess.Popen(
                command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=variables,
                start_new_session=True,
            )  # fmt: skip
        except OSError as problem:
            return _Ran(folder=place, ended=True, code=127, took_s=0.0, words=str(problem))
        try:
            ended = _waited(process, began + seconds, place / "output.log")
            for _ in range(PATIENCE - 1 if trace else 0):
                if ended or (trace and telling(_streams(place, trace.written()))):
                    break
                ended = _waited(process, time.monotonic() + seconds, place / "output.log")
        finally:
            _end(process, token)
    took = time.monotonic() - began
    words = tail(str(place / "output.log"))
    return _Ran(folder=place, ended=ended, code=process.returncode if ended else None, took_s=took, words=words)


def _waited(process: subprocess.Popen[bytes], until: float, output: Path) -> bool:
    while (left := until - time.monotonic()) > 0:
        try:
            process.wait(timeout=min(left, 0.25))
            return True
        except subprocess.TimeoutExpired:
            if output.stat().st_size > OUTPUT_CAP:
                return False
    return process.poll() is not None


def _end(process: subprocess.Popen[bytes], token: str) -> None:
    """End the whole group, and what left the group but carries our token."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        for pid, ticks in carriers({token}).items():
            signal_process(pid, ticks, number)
        try:
            process.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            continue


def _streams(folder: Path, written: Sequence[str]) -> tuple[Stream, ...]:
    (folder / "exit.json").write_text("{}")
    counted = seen(folder, written=written)
    steps: dict[str, tuple[int, int, float]] = {}
    values: dict[str, set[float]] = {}
    for chunk in collect_attempt(folder, {}, trial="look", attempt="look", limit=OUTPUT_CAP):
        for batch in chunk.batches:
            if len(batch.steps):
                first, _, _ = steps.get(batch.metric, (batch.steps[0], 0, 0.0))
                steps[batch.metric] = (first, batch.steps[-1], batch.values[-1])
                values[batch.metric] = {*values.get(batch.metric, ()), *batch.values[:2], batch.values[-1]}
    return tuple(
        Stream(
            name=name,
            source=source,
            points=points,
            first_step=first,
            last_step=last,
            last=value,
            moves=len(values[name]) > 1 if name in values else points > 1,
        )
        for source, names in counted.items()
        for name, points in names.items()
        if of_script(name)
        for first, last, value in [steps.get(name, (0, max(0, points - 1), 0.0))]
    )
