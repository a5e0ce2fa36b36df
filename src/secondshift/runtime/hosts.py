"""This host: which boot it is, what it is called, and which processes live on it."""

import os
import socket

from secondshift.runtime.executors.processes import alive, boot_id, start_ticks

__all__ = ["alive", "boot_id", "hostname", "own_pid", "own_start_ticks", "start_ticks"]


def hostname() -> str:
    """Return the name of this machine, as people call it."""
    return socket.gethostname()


def own_pid() -> int:
    """Return the id of this process."""
    return os.getpid()


def own_start_ticks() -> int:
    """Return when this process started, in ticks since boot; with the pid it names the process for good."""
    return start_ticks(os.getpid())
