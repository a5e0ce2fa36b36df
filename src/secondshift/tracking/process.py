"""What this process can say about itself: whose it is, since when it runs, how much memory it holds."""

from __future__ import annotations

import os
import sys
import time


def is_worker() -> bool:
    """Say whether multiprocessing started this process: its parent ends it by SIGTERM and speaks for the attempt."""
    process = sys.modules.get("multiprocessing.process")
    try:
        return process is not None and process.parent_process() is not None
    except Exception:
        return False


def began() -> float:
    """Return the monotonic time at which this process was started, so that imports count as part of the attempt."""
    now = time.monotonic()
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return now - max(0.0, age)
    except (OSError, ValueError, IndexError, AttributeError):
        return now


def rss_mb() -> float | None:
    """Return the resident memory of this process in MB (10^6 bytes); None where the system does not say. About 10 us."""
    try:
        fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            pages = int(os.read(fd, 100).split()[1])
        finally:
            os.close(fd)
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError, AttributeError):
        return None
