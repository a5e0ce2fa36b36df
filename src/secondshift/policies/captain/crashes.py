"""What ended a process, from its last words: a class, whether it will happen again, and the line that says so.

A line with `Error` proves nothing: 46 % of logs with one are healthy (an optional package is missing, and is caught). A traceback
counts only where the log ends with it or a launcher says that a child failed. What came first is the root; other ranks' failures
are its cascade; watchdogs and aborts after it are the teardown. Where the root's line is in neither the first nor the last lines,
the names that `signs_in` found in the whole log stand for it.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

CrashClass = Literal[
    "benign_only", "launch_config_error", "oom", "nan_in_optimizer_state", "nccl_watchdog_after_cuda_error", "nccl_timeout",
    "sigabrt", "killed", "segfault", "disk_full", "network", "node_lost", "script_error",
]  # fmt: skip
# Most telling first: a teardown line (abort, watchdog) is believed only where no root was seen.
ROOTS: tuple[tuple[CrashClass, bool, re.Pattern[str]], ...] = (
    ("oom", True,
     re.compile(r"RESOURCE_EXHAUSTED|OutOfMemoryError|CUDA out of memory|Out of memory while trying|oom-kill|MemoryError")),
    ("disk_full", True, re.compile(r"No space left on device|Disk quota exceeded")),
    ("nan_in_optimizer_state", True,
     re.compile(r"(?i)\b(?:nan|inf)s?\b.{0,60}(?:optimi[sz]er|parameter|gradient|eigh|matrix|svd)"
                r"|(?:eigh|svd|cholesky).{0,80}(?:failed to converge|non-?finite|ill-conditioned|not positive)")),
    ("launch_config_error", True,
     re.compile(r"unrecognized arguments|FlagsError|UnrecognizedFlag|IllegalFlagValue|ConfigError|KeyError: '--"
                r"|ModuleNotFoundError|ImportError|SyntaxError|FileNotFoundError")),
    ("network", False,
     re.compile(r"Connection (?:reset|refused|timed out)|Temporary failure in name resolution|Connection(?:Reset)?Error")),
    ("node_lost", False, re.compile(r"NODE_FAIL|node failure|\bXid\b|uncorrectable ECC|preempted")),
)  # fmt: skip
TEARDOWNS: tuple[tuple[CrashClass, bool, re.Pattern[str]], ...] = (
    ("nccl_timeout", False, re.compile(r"Watchdog caught collective operation timeout")),
    ("segfault", False, re.compile(r"SIGSEGV|Segmentation fault|exitcode\s*:\s*-11")),
    ("killed", False, re.compile(r"SIGKILL|exitcode\s*:\s*-9")),
    ("sigabrt", False, re.compile(r"SIGABRT|exitcode\s*:\s*-6")),
)  # fmt: skip
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

    `signs`: what `signs_in` found in all lines; needed where the root stands in neither.
    """
    ending = next((line for line in tail if CHILD_FAILED.search(line)), "")
    fatal = _fatal(head, tail) if ending else list(tail)
    watchdog = "nccl_timeout" in signs or any(TEARDOWNS[0][2].search(line) for line in [*head, *tail])
    for name, again, pattern in ROOTS:
        line = next((line for line in fatal if pattern.search(line)), "")
        if line or (ending and name in FAR and name in signs):
            known = "nccl_watchdog_after_cuda_error" if name == "oom" and watchdog else name
            return Crash(name=known, deterministic=again, line=(line or ending).strip(), role="root" if line else "cascade")
    for name, again, pattern in TEARDOWNS:
        line = next((line for line in [*head, *tail] if pattern.search(line)), "")
        if line or (ending and name in signs):
            return Crash(name=name, deterministic=again, line=(line or ending).strip(), role="teardown")
    if not ending:
        return Crash(name="benign_only", deterministic=False, line="", role="none")
    lived = _lived_s([*head, *tail])
    trained = any(TRAINED.search(line) for line in [*head, *tail]) or (lived is not None and lived > LAUNCH_S)
    # A failure before the first metric is a mistake of launch or configuration.
    name = "script_error" if trained else "launch_config_error"
    return Crash(name=name, deterministic=True, line=ending.strip(), role="cascade")


def signs_in(lines: Iterable[str]) -> frozenset[CrashClass]:
    """The classes whose lines occur anywhere in a log: one pass, constant memory."""
    found: set[CrashClass] = set()
    for line in lines:
        found.update(name for name, _, pattern in (*ROOTS, *TEARDOWNS) if name not in found and pattern.search(line))
    return frozenset(found)


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
