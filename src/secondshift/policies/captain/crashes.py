"""What ended a process, from its last words: a class, whether it will happen again, and the line that says so.

A line with `Error` proves nothing: 46 % of logs with one are healthy (an optional package is missing, and is caught). A traceback
counts only where the log ends with it or a launcher says that a child failed. What came first is the root; other ranks' failures
are its cascade; watchdogs and aborts after it are the teardown. Where the root's line is in neither the first nor the last lines,
the names that `records.crashsigns.signs_in` found in the whole log stand for it.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from secondshift.records.crashsigns import SIGNS

CrashClass = Literal[
    "benign_only", "launch_config_error", "oom", "nan_in_optimizer_state", "nccl_watchdog_after_cuda_error", "nccl_timeout",
    "sigabrt", "killed", "segfault", "disk_full", "network", "node_lost", "script_error",
]  # fmt: skip
# Most telling first: a teardown line (abort, watchdog) is believed only where no root was seen. True: it will happen again.
ROOTS: tuple[tuple[CrashClass, bool], ...] = (
    ("oom", True), ("disk_full", True), ("nan_in_optimizer_state", True), ("launch_config_error", True), ("network", False),
    ("node_lost", False),
)  # fmt: skip
TEARDOWNS: tuple[CrashClass, ...] = ("nccl_timeout", "segfault", "killed", "sigabrt")
# A root among these is believed from a line far from the end; the others are too often caught and harmless.
FAR = ("oom", "disk_full", "nan_in_optimizer_state")
CHILD_FAILED = re.compile(r"ChildFailedError|exitcode\s*:\s*[1-9]|^Traceback|internal frames from the traceback")
TRACEBACK = re.compile(r"^\s*Traceback \(most recent call last\)|^\s+File \"")
CAUGHT = re.compile(r"^(?:ERROR|WARNING|INFO):|^[EWI]\d{4} ")
TRAINED = re.compile(r"(?:global_step|step|Step|epoch|iter)\s*[=:]\s*\d+|\bloss\s*[=:]\s*[-\d]")
STAMP = re.compile(r"(?:^[IWEF](?P<month>\d\d)(?P<day>\d\d) |\d{4}-(?P<m>\d\d)-(?P<d>\d\d)[ T_])(?P<clock>\d\d:\d\d:\d\d)")
LAUNCH_S = 180.0  # a mistake of launch or configuration shows within this time


@dataclass(frozen=True, kw_only=True, slots=True)
class Crash:
    """What ended a process."""

    name: CrashClass
    deterministic: bool  # it will happen again: do not retry, tell the owner
    line: str  # the evidence
    role: Literal["root", "cascade", "teardown", "none"]  # what the line is; a cascade's root lies outside the excerpt


def classify(head: Sequence[str], tail: Sequence[str], *, signs: Collection[str] = ()) -> Crash:
    """Class the end of a log by its first error lines and its last lines.

    `signs`: what `signs_in` found in all lines; counts where the root stands in neither.
    """
    ending = next((line for line in tail if CHILD_FAILED.search(line)), "")
    fatal = _fatal(head, tail) if ending else list(tail)
    watchdog = "nccl_timeout" in signs or bool(_line("nccl_timeout", [*head, *tail]))
    lines = {name: _line(name, fatal) for name, _ in ROOTS}
    # A root that is seen outweighs one that is only known to stand somewhere: that may have been caught, and long ago.
    seen = [root for root in ROOTS if lines[root[0]]]
    far = {name for name in FAR if ending and name in signs}
    for name, again in seen or [root for root in ROOTS if root[0] in far]:
        known = "nccl_watchdog_after_cuda_error" if name == "oom" and watchdog else name
        role = "root" if lines[name] else "cascade"
        return Crash(name=known, deterministic=again, line=(lines[name] or ending).strip(), role=role)
    for name in TEARDOWNS:
        line = _line(name, [*head, *tail])
        if line or (ending and name in signs):
            return Crash(name=name, deterministic=False, line=(line or ending).strip(), role="teardown")
    if not ending:
        return Crash(name="benign_only", deterministic=False, line="", role="none")
    lived = _lived_s([*head, *tail])
    trained = any(TRAINED.search(line) for line in [*head, *tail]) or (lived is not None and lived > LAUNCH_S)
    # A failure before the first metric is a mistake of launch or configuration.
    kind = "script_error" if trained else "launch_config_error"
    return Crash(name=kind, deterministic=True, line=ending.strip(), role="cascade")


def _line(name: CrashClass, lines: Iterable[str]) -> str:
    pattern = SIGNS[name].pattern
    return next((line for line in lines if pattern.search(line)), "")


def _lived_s(lines: Sequence[str]) -> float | None:
    """Seconds from the first time of day in the lines to the last; None without two."""
    stamps = [match for match in map(STAMP.search, lines) if match and (match["m"] or match["month"]) != "00"]
    if len(stamps) < 2:
        return None
    read = [
        datetime.strptime(f"2024-{match['m'] or match['month']}-{match['d'] or match['day']} {match['clock']}", "%Y-%m-%d %H:%M:%S")
        for match in (stamps[0], stamps[-1])
    ]
    return (read[1] - read[0]).total_seconds()


def _fatal(head: Sequence[str], tail: Sequence[str]) -> list[str]:
    """The lines without the tracebacks that a logger announced and that were caught."""
    kept, caught = [], False
    for line in [*head, *tail]:
        if CAUGHT.search(line):
            caught = "import" in line
        elif not (caught and (TRACEBACK.search(line) or line.startswith((" ", "Module", "Import")))):
            caught = caught and not line.strip()
        if not caught:
            kept.append(line)
    return kept
