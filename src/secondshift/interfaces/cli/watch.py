"""The verb `watch`: the captain beside any training, reading only. What it finds is told, and nothing is done."""

import json as jsonlib
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TextIO

from cyclopts import Parameter
from rich.live import Live as Screen

from secondshift.errors import SecondshiftError
from secondshift.interfaces.cli.languages import language
from secondshift.interfaces.cli.printing import console, document, lined
from secondshift.interfaces.cli.watchsay import as_json, blind, guesses, sentence, show, unknown
from secondshift.interfaces.cli.watchview import view
from secondshift.watching.live import Beside, Live
from secondshift.watching.once import look
from secondshift.watching.sightings import NAMED, Asked, RunSeen, Sighting

EVERY_S = 1.0  # between two looks at files
PUMP_S = 0.2  # a command's output is waited for so long at a time
Tell = Callable[[Sequence[Sighting]], None]


def watch(
    *paths: Annotated[Path, Parameter(help="Folders or files; a command goes behind --.")],
    once: Annotated[bool, Parameter(negative="", help="Read what is there, tell, and leave.")] = False,
    columns: Annotated[
        tuple[str, ...],
        Parameter(
            name="--map", negative="", help="STREAM=COLUMN, such as loss=train/loss; may be given several times."
        ),
    ] = (),
    goal: Annotated[
        Literal["min", "max"] | None, Parameter(help="Whether the metric of training shall fall or rise.")
    ] = None,
    quiet_seconds: Annotated[
        float, Parameter(help="How long nothing may come before a run is silent. 0: by its own rhythm.")
    ] = 0.0,
    to: Annotated[Path | None, Parameter(help="Add what is told to this file, and print nothing of ours.")] = None,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON line for each finding.")] = False,
    behind_dashes: Annotated[str, Parameter(show=False)] = "[]",
) -> int:
    """Watch any training, reading only: folders and files of trackers, or a command behind --, passed through unchanged."""
    tongue, command = language(lang), jsonlib.loads(behind_dashes)
    if not 0.0 <= quiet_seconds < math.inf:
        raise SecondshiftError(f"--quiet-seconds was {quiet_seconds:g}. Expected seconds, or 0 for the rhythm of each run.")
    asked = Asked(told=told(columns), goal=goal, quiet_s=quiet_seconds)
    if not paths and not command:
        raise SecondshiftError(
            "Nothing to watch was named. Name a folder or file, such as runs/, or a command: secondshift watch -- CMD."
        )
    if once and command:
        raise SecondshiftError(
            "--once looks at files; a command is watched to its end. Leave out --once, or the command."
        )
    if once:
        return _once(paths, asked, to, json, tongue)
    with told_to(to, sys.stderr if command else sys.stdout, json, tongue) as tell:
        if command:
            return _command(command, paths, asked, tell, None if to or json else tongue, here=to is None)
        return _files(paths, asked, tell, tongue if sys.stdout.isatty() and not json and to is None else None)


def told(columns: Sequence[str]) -> dict[str, str]:
    """Read what `--map` says. Raises SecondshiftError."""
    found: dict[str, str] = {}
    for text in columns:
        stream, mark, column = text.partition("=")
        if not mark or not column or stream not in NAMED:
            raise SecondshiftError(
                f"--map {text} names no stream and column. Expected STREAM=COLUMN, such as loss=train/loss, where STREAM is one of "
                f"{', '.join(NAMED)}."
            )
        found[stream] = column
    return found


@contextmanager
def told_to(file: Path | None, stream: TextIO, json: bool, lang: str) -> Iterator[Tell]:
    """Give how findings are told: into a file, or a line each. Raises SecondshiftError if the file cannot be written."""
    if file is None:
        yield lambda found: _lines(stream, found, json, lang)
        return
    try:
        opened = file.open("a", encoding="utf-8")
    except OSError as problem:
        raise SecondshiftError(f"--to {file} cannot be written: {problem.strerror}. Name a file that can.") from None
    with opened:
        yield lambda found: _lines(opened, found, json, lang)


def _lines(stream: TextIO, found: Sequence[Sighting], json: bool, lang: str) -> None:
    for sighting in found:
        text = lined(as_json(sighting)) if json else f"secondshift: {sentence(sighting, lang, named=True).plain}"
        stream.write(text + "\n")
    if found:
        stream.flush()


def _once(paths: Sequence[Path], asked: Asked, to: Path | None, json: bool, lang: str) -> int:
    if to is not None:
        with told_to(to, sys.stdout, json, lang) as tell:
            for seen in look(paths, asked).runs:
                tell(seen.sightings)
        return 0
    report = look(paths, asked)
    if not json:
        show(console(), report, lang)
        return 0
    for seen in report.runs:
        for sighting in seen.sightings:
            document(as_json(sighting))
    return 0


def _files(paths: Sequence[Path], asked: Asked, tell: Tell, lang: str | None) -> int:
    """Follow files until Ctrl-C: in a view of the whole terminal if `lang` is given, else line by line."""
    live, found, said = Live(paths, asked), [], False
    screen = console()
    try:
        if lang is None:
            while True:
                tell(live.tick(time.monotonic()))
                said = said or _say_unseen(live.seen(), asked, language(None))
                time.sleep(EVERY_S)
        with Screen(console=screen, auto_refresh=False, transient=False) as shown:
            while True:
                found += live.tick(time.monotonic())
                shown.update(view(screen, live.seen(), found, lang, asked.told), refresh=True)
                time.sleep(EVERY_S)
    except KeyboardInterrupt:
        return 0


def _command(words: list[str], paths: Sequence[Path], asked: Asked, tell: Tell, lang: str | None, *, here: bool) -> int:
    """Start a command and watch it to its end, and the files under `paths` beside it; leave as it left.

    lang: the language in which the columns that were guessed are said on standard error; None: they are not.
    here: findings are told on standard error, and not behind a line that the command has not ended, such as its progress bar.
    """
    beside = Beside(words, asked)
    live = Live(paths, asked, missing_ok=True) if paths else None
    beside.command.start()
    looked, said = time.monotonic(), lang is None
    try:
        while True:
            found = beside.tick(PUMP_S)
            over = beside.command.over
            now = time.monotonic()
            if live is not None and (over or now - looked >= EVERY_S):
                looked = now
                found += live.tick(now)
            to_say = lang is not None and not said and (over or beside.run.seen.points > 0)
            if here and (found or to_say):
                _end_line(beside.output.open_lines)
            tell(found)
            if lang and to_say:
                said = True
                _say_columns(beside, lang)
            if over:
                if lang:
                    _say_unseen([beside.run.seen, *(live.seen() if live is not None else ())], asked, lang)
                return _leave(beside.command.code or 0)
    finally:
        beside.command.close()


def _end_line(open_lines: set[int]) -> None:
    """Begin a line of our own on standard error, where the command has left one open that stands there too."""
    if 2 in open_lines or (open_lines and ((os.isatty(1) and os.isatty(2)) or os.path.sameopenfile(1, 2))):
        sys.stderr.write("\n")
        open_lines.clear()


def _say_columns(beside: Beside, lang: str) -> None:
    if beside.run.seen.guessed.streams:
        [text] = guesses([beside.run.seen], lang)
        sys.stderr.write(f"secondshift: {text}\n")
        sys.stderr.flush()


def _say_unseen(runs: Sequence[RunSeen], asked: Asked, lang: str) -> bool:
    """Say on standard error which columns of --map no run has, and whose loss is not seen; whether anything was read at all."""
    for text in (*unknown(runs, asked.told, lang), *blind(runs, lang)):
        sys.stderr.write(f"secondshift: {text}\n")
        sys.stderr.flush()
    return any(seen.names for seen in runs)


def _leave(code: int) -> int:
    """End as the command did: with its exit code, or by the signal that ended it."""
    if code >= 0:
        return code
    sys.stdout.flush()
    sys.stderr.flush()
    number = -code
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # the core is not ours
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number
