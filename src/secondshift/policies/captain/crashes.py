"""What ended a process, from its last words: a class, whether it will happen again, and the line that says so.

A line with `Error` proves nothing: 46 % of logs with one are healthy (an optional package is missing, and is caught). A traceback
counts only where the log ends with it or a launcher says that a child failed. What came first is the root; other ranks' failures
are its cascade; watchdogs and aborts after it are the teardown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CrashClass = Literal[
    "benign_only", "launch_config_error", "oom", "nan_in_optimizer_state", "nccl_watchdog_after_cuda_error", "nccl_timeout",
    "sigabrt", "killed", "segfault", "disk_full", "network", "node_lost", "script_error",
]  # fmt: skip
# Most telling first: a teardown line (abort, watchdog) is believed only where no root was seen.
ROOTS: tuple[tuple[CrashClass, bool, re.Pattern[str]], ...] = (
        ("oom", True, re.compile(r"RESOURCE_EXHAUSTED|OutOfMemoryError|CUDA out of memory|Out of memory while trying"
         r"|oom-kill|MemoryError")),
        ("disk_full", True, re.compile(r"No space left on device|Disk quota exceeded")),
        ("nan_in_optimizer_state", True, re.compile(r"(?i)(?:nan|inf).{0,60}(?:optimi[sz]er|parameter|gradient|eigh|matrix|svd)")),
        ("launch_config_error", True, re.compile(r"unrecognized arguments|FlagsError|UnrecognizedFlag|IllegalFlagValue"
         r"|ConfigError|KeyError: '--|ModuleNotFoundError|ImportError|SyntaxError|FileNotFoundError")),
        ("network", False,
     re.compile(r"Connection (?:reset|refused|timed out)|Temporary failure in name resolution|ConnectionError")),
        ("node_lost", False, re.compile(r"NODE_FAIL|node failure|Xid|uncorrectable ECC|preempted")),
)  # fmt: skip
TEARDOWNS: tuple[tuple[CrashClass, bool, re.Pattern[str]], ...] = (
        ("nccl_timeout", False, re.compile(r"Watchdog caught collective operation timeout")),
        ("segfault", False, re.compile(r"SIGSEGV|Segmentation fault|exitcode\s*:\s*-11")),
        ("killed", False, re.compile(r"SIGKILL|exitcode\s*:\s*-9")),
        ("sigabrt", False, re.compile(r"SIGABRT|exitcode\s*:\s*-6")),
)  # fmt: skip
CHILD_FAILED = re.compile(r"ChildFailedError|exitcode\s*:\s*[1-9]|^Traceback|internal frames from the traceback")
TRACEBACK = re.compile(r"^\s*Traceback \(most recent call last\)|^\s+File \"")
CAUGHT = re.compile(r"^(?:ERROR|WARNING|INFO):|^[EWI]\d{4} ")
TRAINED = re.compile(r"(?:global_step|step|Step|epoch|iter)\s*[=:]\s*\d+|\bloss\s*[=:]\s*[-\d]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Crash:
    """What ended a process."""

    name: CrashClass
    deterministic: bool  # it will happen again: do not retry, tell the owner
    line: str  # the evidence
    role: Literal["root", "cascade", "teardown", "none"]  # what the line is; a cascade's root lies outside the excerpt


def classify(head: Sequence[str], tail: Sequence[str]) -> Crash:
    """Class the end of a log by its first error lines and its last lines."""
    ending = next((line for line in tail if CHILD_FAILED.search(line)), "")
    fatal = _fatal(head, tail) if ending else list(tail)
    for name, again, pattern in ROOTS:
        line = next((line for line in fatal if pattern.search(line)), "")
        if line:
            return Crash(name=name, deterministic=again, line=line.strip(), role="root")
    for name, again, pattern in TEARDOWNS:
        line = next((line for line in [*head, *tail] if pattern.search(line)), "")
        if line:
            return Crash(name=name, deterministic=again, line=line.strip(), role="teardown")
    if not ending:
        return Crash(name="benign_only", deterministic=False, line="", role="none")
    trained = any(TRAINED.search(line) for line in [*head, *tail])
    if not trained:  # it failed before its first metric: a mistake of launch or configuration
        return Crash(name="launch_config_error", deterministic=True, line=ending.strip(), role="cascade")
    return Crash(name="script_error", deterministic=True, line=ending.strip(), role="cascade")


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
