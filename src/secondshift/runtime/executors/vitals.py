"""How a family of processes is doing, as /proc and the control groups tell. Linux.

Standard library only and few imports: the supervisor reads this of its script every few seconds, without our package.
"""

import os
import time
from _thread import LockType, allocate_lock, start_new_thread  # threading's own, without importing threading

from secondshift.runtime.executors.attempt_files import read_bytes

MB = 1_000_000
PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
SHARING_SHARE = 0.0001  # most of the time that may go into measuring shared memory, which costs milliseconds a GB
WAIT_S = 0.1  # for a measurement of shared memory; if it takes longer, it is used at the next look
DEEPEST = 16  # processes that wait for a child, one below the other
UNLIMITED = 1 << 60  # bytes; control groups of version 1 say "no limit" by a number like this

# Where the kernel says that a thread sleeps (/proc/PID/wchan), by the beginnings of the names of its functions.
_PLACES = (
    ("futex", "lock"),
    ("hrtimer_nanosleep", "sleep"),
    ("do_nanosleep", "sleep"),
    ("do_wait", "child"),
    ("kernel_wait", "child"),
    ("poll_", "events"),
    ("do_poll", "events"),
    ("do_sys_poll", "events"),
    ("do_select", "events"),
    ("ep_poll", "events"),
    ("do_epoll", "events"),
    ("pipe_", "input"),
    ("anon_pipe", "input"),
    ("unix_", "input"),
    ("sk_", "input"),
    ("inet_", "input"),
    ("tcp_", "input"),
    ("wait_woken", "input"),
    ("n_tty", "input"),
)
# The same by number of the system call, where the place is hidden: x86-64, then the generic numbers (arm64, riscv).
_CALLS = {
    "x86_64": {202: "lock", 230: "sleep", 35: "sleep", 61: "child", 247: "child", 7: "events", 271: "events",
               23: "events", 270: "events", 232: "events", 281: "events", 0: "input", 45: "input", 47: "input"},
    "": {98: "lock", 115: "sleep", 101: "sleep", 260: "child", 95: "child", 73: "events", 72: "events", 22: "events",
         63: "input", 207: "input", 212: "input"},
}  # fmt: skip


class Process:
    """One process at one moment."""

    __slots__ = ("address_bytes", "parent", "pid", "rss_bytes", "start", "state", "threads", "ticks")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        self.state = fields[0].decode()  # R, S, D, T, t, Z, ...
        self.parent = int(fields[1])
        self.ticks = int(fields[11]) + int(fields[12])  # of CPU time
        self.threads = int(fields[17])
        self.start = int(fields[19])  # ticks since boot
        self.address_bytes = int(fields[20])
        self.rss_bytes = int(fields[21]) * PAGE


def process(pid: int) -> Process | None:
    """Look at one process; None if there is none."""
    fields = read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return Process(pid, fields) if len(fields) > 21 else None


class Family:
    """A main process and all below it: what they use, and what the main one is at."""

    def __init__(self, main: int) -> None:
        self.main = main
        self.living: dict[int, Process] = {}
        self.cpu = 0.0  # cores in use since the look before
        self.rss_mb = 0.0  # resident memory of all, what they share counted once where that could be measured
        self._ticks: dict[tuple[int, int], int] = {}
        self._looked_at = -1.0
        self._sharing, self._sharing_at, self._shared_by, self._measuring = 1.0, 0.0, 0, False

    def look(self, known: dict[int, int], at: float, began: float) -> None:
        """Look at everybody. known: pid -> start time in ticks, 0: not known; at, began: seconds of a steady clock."""
        seen = [(process(pid), start) for pid, start in known.items()]
        self.living = {one.pid: one for one, start in seen if one and one.state not in "ZXx" and start in (0, one.start)}
        ticks = {(found.pid, found.start): found.ticks for found in self.living.values()}
        spent = sum(now - self._ticks.get(who, 0) for who, now in ticks.items())
        elapsed = at - (self._looked_at if self._looked_at >= 0 else began)
        self.cpu = max(0.0, spent / TICKS / elapsed) if elapsed > 0 else 0.0
        self._ticks, self._looked_at = ticks, at
        self.rss_mb = sum(found.rss_bytes for found in self.living.values()) / MB
        self.rss_mb *= self._shared(at)

    def _shared(self, at: float) -> float:
        """Which share of the summed memory is there: workers made by fork share pages, and the sum counts them again."""
        if len(self.living) < 2:
            return 1.0
        if not self._measuring and (at >= self._sharing_at or len(self.living) > 2 * self._shared_by):
            self._measuring = True
            done = allocate_lock()
            done.acquire()
            # Of hundreds of GB it takes seconds, in which a supervisor has other duties.
            start_new_thread(self._measure, (list(self.living.values()), at, done))
            done.acquire(timeout=WAIT_S)
        return self._sharing

    def _measure(self, living: list[Process], at: float, done: LockType) -> None:
        try:
            began = time.thread_time()
            used, rss = sum(proportional_bytes(one.pid) for one in living), sum(one.rss_bytes for one in living)
            self._sharing = min(1.0, used / rss) if used and rss else 1.0
            self._sharing_at = at + (time.thread_time() - began) / SHARING_SHARE
            self._shared_by = len(living)
        finally:
            self._measuring = False
            done.release()

    def worker(self) -> Process | None:
        """The process that does the work: the main one, or, while that waits for a child, the child with most memory."""
        found = self.living.get(self.main)
        for _ in range(DEEPEST):
            if found is None or found.state != "S" or waits_on(found.pid) != "child":
                break
            below = [other for other in self.living.values() if other.parent == found.pid]
            if not below:
                break
            found = max(below, key=lambda other: other.rss_bytes)
        return found


def proportional_bytes(pid: int) -> int:
    """Resident memory of a process, each shared page divided among those who share it; 0 if that cannot be read."""
    for line in read_bytes(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) << 10
    return 0


def waits_on(pid: int) -> str:
    """Say what the first thread of a sleeping process waits for.

    `lock`, `sleep`, `child`, `events`, `input`, else the kernel's own name of the place; empty if it does not say.
    """
    place = read_bytes(f"/proc/{pid}/wchan").decode("ascii", "replace").strip()
    if place and place != "0":
        name = place.lstrip("_")
        return next((word for start, word in _PLACES if name.startswith(start)), name[:40])
    call = read_bytes(f"/proc/{pid}/syscall").split()
    number = int(call[0]) if call and call[0].isdigit() else -1
    return _CALLS.get(os.uname().machine, _CALLS[""]).get(number, "")


def memory_limit_mb(main: Process, *, proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> float:
    """The least resident memory at which something ends: the machine's, a control group's, or the address space's.

    A limit of the address space (RLIMIT_AS) counts what is mapped, so what is mapped beyond the resident is taken off.
    """
    limits = [_machine_bytes(proc), *_group_bytes(main.pid, proc, groups)]
    for line in read_bytes(f"{proc}/{main.pid}/limits").splitlines():
        if line.startswith(b"Max address space") and (soft := line.split()[3]).isdigit():
            limits.append(int(soft) - max(0, main.address_bytes - main.rss_bytes))
    return min((limit for limit in limits if 0 < limit < UNLIMITED), default=0) / MB


def _machine_bytes(proc: str) -> int:
    for line in read_bytes(f"{proc}/meminfo").splitlines():
        if line.startswith(b"MemTotal:"):
            return int(line.split()[1]) << 10
    return 0


def _group_bytes(pid: int, proc: str, groups: str) -> list[int]:
    """The memory limits of a process's control group and of all groups around it, of version 2 and 1."""
    found = []
    for line in read_bytes(f"{proc}/{pid}/cgroup").decode("utf-8", "replace").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            base, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = f"{groups}/memory", "memory.limit_in_bytes"
        else:
            continue
        parts = [part for part in path.split("/") if part and part != ".."]
        for depth in range(len(parts) + 1):
            text = read_bytes("/".join([base, *parts[:depth], name])).strip()
            if text.isdigit():
                found.append(int(text))
    return found


def free_mb(folder: str) -> float:
    """Free space of the disk under a folder, in MB, as far as we may use it. Raises OSError."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize / MB
