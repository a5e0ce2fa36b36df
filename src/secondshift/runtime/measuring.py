"""One command that prints metrics, run to its end as a process of its own: no shell, a time limit, nothing left behind."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from secondshift.runtime.executors import confinement
from secondshift.runtime.executors.attempt_files import tail
from secondshift.runtime.executors.processes import carriers, process_stat, signal_process, spawn
from secondshift.runtime.readers.dialects import dialect_of
from secondshift.runtime.readers.texts import read_text

MOST_BYTES = 64 << 20  # of output
MOST_METRICS = 200  # of one run that are kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a command came to."""

    metrics: Mapping[str, float] = field(default_factory=dict)  # the last value of each
    failed: str = ""  # why it came to nothing
    took_s: float = 0.0


def measure(
    command: Sequence[str], *, cwd: Path, variables: Mapping[str, str], timeout_s: float, output: Path, token: str,
    writable: Sequence[Path],
) -> Outcome:
    """Run a command to its end and read the metrics it printed; what it leaves running is ended.

    output: the file for what it prints, made anew; token: marks its processes, so that all of them are found again; writable: the
    folders that it may write to, where the kernel can keep it to them: what is measured may be code that nobody read.
    """
    words = list(command)
    if confinement.available():
        words = confinement.confined(words, [str(path) for path in writable])
    began = time.monotonic()
    with open(output, "wb") as file:
        marked = {**variables, "SECONDSHIFT_TOKEN": token}
        pid, problem = spawn(words, cwd=str(cwd), variables=marked, output=file.fileno())
        failed = _waited(pid, began + timeout_s, timeout_s, file.fileno())
    end_all(token)
    failed = problem or failed
    metrics = {} if failed else dict(islice(printed(output).items(), MOST_METRICS))
    if not failed and not metrics:
        failed = "it printed no metric"
    elif failed.startswith("exit"):
        failed = f"{failed}: {tail(str(output), 300)}".removesuffix(": ")
    return Outcome(metrics=metrics, failed=failed, took_s=time.monotonic() - began)


def _waited(pid: int, deadline: float, timeout_s: float, output: int) -> str:
    """Wait for a process; say how it ended unless well. Its group is ended while its zombie keeps the number ours."""
    failed = ""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            failed = f"it took longer than {timeout_s:g} s"
        elif os.fstat(output).st_size > MOST_BYTES:
            failed = f"it printed more than {MOST_BYTES >> 20} MB"
        if failed:
            break
        time.sleep(0.01)
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass  # it never became a leader, or all of the group is gone
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return failed or ("" if code == 0 else f"exit {code}" if code > 0 else f"exit by signal {-code}")


def end_all(token: str) -> None:
    """End every process that carries a token: what escaped from its group, or outlived who started it."""
    for _ in range(20):
        found = carriers({token})
        for pid, ticks in found.items():
            signal_process(pid, ticks, signal.SIGKILL)
        if not any((state := process_stat(pid)) and state[0] not in "ZXx" for pid in found):
            return
        time.sleep(0.02)


def printed(output: Path, pattern: str = "", step: str = "") -> dict[str, float]:
    """The last value of each metric in a file that a command printed, in the order in which they came up.

    pattern, step: how it prints them, as in a study's [metrics].
    """
    last: dict[str, float] = {}
    offset, before = 0, -1
    while offset != before:
        before = offset
        columns, offset = read_text(str(output), offset, lambda: dialect_of("stdout", pattern, step), ended=True)
        last |= {name: values[-1] for name, (_, values) in columns.columns.items()}
    return last
