"""Names processes so that they cannot be mistaken, finds those of an attempt, signals only the right ones. Linux.

Standard library only, and imported by the supervisor without our package: keep the imports few, they are part of
every trial's start.
"""

import _signal as signal  # type: ignore[import]  # unknown to typeshed; signal itself imports enum: see 0031
import ctypes
import os
import select
import time

from secondshift.runtime.executors.attempt_files import read_bytes

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
IGNORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT)  # by us; a script expects their defaults
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_s() -> float:
    """Seconds since the machine booted, time asleep included."""
    return time.clock_gettime(CLOCK)


def boot_id() -> str:
    """Name this boot of this machine; empty where the system does not say."""
    return read_bytes("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def process_stat(pid: int) -> tuple[str, int, int] | None:
    """State letter, parent and start time (ticks since boot) of a process; None if there is no such process."""
    fields = read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (fields[0].decode(), int(fields[1]), int(fields[19])) if len(fields) > 19 else None


def start_ticks(pid: int) -> int:
    """Start time of a process in ticks since boot; 0 if it does not live. With the pid it names a process for good."""
    stat = process_stat(pid)
    return stat[2] if stat and stat[0] not in "ZXx" else 0


def alive(pid: int, ticks: int, boot: str) -> bool:
    """Say whether just this process lives: a later one with the same pid does not count, nor does a zombie."""
    return pid > 0 and ticks > 0 and boot == boot_id() and start_ticks(pid) == ticks


def signal_process(pid: int, ticks: int, number: int) -> bool:
    """Signal a process only if it is the one that started at `ticks`; say whether it was signalled."""
    if pid <= 1 or pid == os.getpid():
        return False
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # The descriptor is held before the check, so the process that is checked is the process that is signalled.
        if ticks <= 0 or start_ticks(pid) != ticks:
            return False
        signal.pidfd_send_signal(fd, number)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def children(pid: int) -> list[int]:
    """Pids of the children of a process, by all its threads."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        found += map(int, read_bytes(f"/proc/{pid}/task/{thread}/children").split())
    return found


def descendants(pid: int) -> dict[int, int]:
    """Living processes below a process: pid -> start time in ticks."""
    found: dict[int, int] = {}
    seen, queue = {pid}, [pid]
    while queue:
        for child in children(queue.pop()):
            if child not in seen:
                seen.add(child)
                queue.append(child)
                if ticks := start_ticks(child):
                    found[child] = ticks
    return found


def carriers(tokens: set[str]) -> dict[int, int]:
    """Living processes whose environment carries one of these attempt tokens: pid -> start time in ticks."""
    marks = {f"SECONDSHIFT_TOKEN={token}".encode() for token in tokens if token}
    found: dict[int, int] = {}
    if not marks:
        return found
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        variables = read_bytes(f"/proc/{name}/environ")
        marked = b"SECONDSHIFT_TOKEN=" in variables and not marks.isdisjoint(variables.split(b"\0"))
        if marked and (ticks := start_ticks(int(name))):
            found[int(name)] = ticks
    return found


def prctl(option: int, value: int) -> None:
    """Set a property of this process where the system knows it; elsewhere the token in the environment must do."""
    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        pass


def spawn(command: list[str], *, cwd: str, variables: dict[str, str], output: int) -> tuple[int, str]:
    """Start the script as leader of its own session; return its pid, and why it could not start (empty if it did)."""
    supervisor = os.getpid()
    report, complaint = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:
                os._exit(127)
            for number in IGNORED:
                signal.signal(number, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.chdir(cwd)
            os.execvpe(command[0], command, variables)
        except BaseException as problem:
            os.write(complaint, f"Could not start {command[:1]} in {cwd}: {problem}".encode(errors="replace"))
        finally:
            os._exit(127)
    os.close(complaint)
    # The pipe closes by itself at exec; a file system that hangs must not hang the supervisor.
    ready = select.select([report], [], [], 10.0)[0]
    problem = os.read(report, 2000).decode(errors="replace") if ready else ""
    os.close(report)
    return pid, problem
