"""Stands outside a sandbox for as long as it lasts: starts it, passes signals in, keeps its limits, is its way out.

Run as `python -I -S outside.py ORDER -- command`, where ORDER is JSON: see `confining`. It ends as the command ends: with
its exit code, or by the same signal. What is inside dies with it: bubblewrap sees to that.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

if __name__ == "__main__":
    # A bare stand-in for the package, so that `import secondshift.runtime...` finds the files and runs nothing else.
    package = type(sys)("secondshift")
    package.__path__ = [__file__.rpartition("/runtime/")[0]]
    sys.modules["secondshift"] = package

from secondshift.runtime.executors.processes import children, descendants
from secondshift.runtime.sandbox import proxy
from secondshift.runtime.sandbox.inside import HANDED, NOT_CONFINED

OVER_LIMIT = 122  # exit code: it was ended because it took more than it may
LOOK_S = 0.2  # between two looks at how much is taken
PAGE = os.sysconf("SC_PAGE_SIZE")
PASSED_IN = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Keeper:
    """One sandbox, from its start to its end."""

    def __init__(self, order: dict, command: list[str]) -> None:
        self.order, self.command = order, command
        self.limits = order["limits"]
        self.asked = 0  # signals so far
        self.over = ""  # the limit that was passed, in words
        self.early = 0  # the signal that came before the command did
        self.ours, self.theirs = socket.socketpair()
        self.box: subprocess.Popen | None = None
        self.door: socket.socket | None = None
        self.ready = False

    def run(self) -> int:
        """Start it and stay until it ends; its exit code, negative for a signal."""
        for number in PASSED_IN:
            signal.signal(number, self.pass_in)
        handed = str(self.theirs.fileno())
        words = [word if word != "{keeper}" else handed for word in self.order["words"]]
        self.box = subprocess.Popen([*words, "--", *self.command], pass_fds=[self.theirs.fileno()], start_new_session=True)
        self.theirs.close()
        end = os.pidfd_open(self.box.pid)
        ears = [end, self.ours.fileno()]
        while end not in (heard := select.select(ears, [], [], LOOK_S)[0]):
            if heard:
                self.hear()
                ears = [end]
            self.look()
        if not self.ready:
            self.hear()
        code = self.box.wait()
        if self.over:
            print(f"secondshift: the sandbox was ended: {self.over}", file=sys.stderr, flush=True)
            return OVER_LIMIT
        if self.early:
            return -self.early
        if not self.ready and not self.asked:
            print(f"secondshift: the sandbox could not be made (exit {code})", file=sys.stderr, flush=True)
            return NOT_CONFINED
        return code if code <= 128 else 128 - code  # a signal's number, as bubblewrap says it

    def hear(self) -> None:
        """Take what the inside hands out: that it begins, and the proxy's door."""
        self.ours.setblocking(False)
        try:
            said, descriptors, *_ = socket.recv_fds(self.ours, 1, 1)
        except OSError:
            return
        self.ready = said == HANDED
        if descriptors:
            self.door = socket.socket(fileno=descriptors[0])
            proxy.serve(self.door, lambda host, port: proxy.allowed(host, port, self.order["hosts"]), refused)

    def pass_in(self, number: int, _: object) -> None:
        """Pass a signal on: the first to the command, as it would get it outside, further ones to all that runs inside."""
        if self.box is None:
            os._exit(128 + number)
        self.asked += 1
        for pid in self.first()[:1] if self.asked == 1 else list(self.inside()):
            try:
                os.kill(pid, number)
            except OSError:
                pass  # it has just ended
        if not self.ready and not self.first():
            self.early = number
            self.box.kill()  # it is still being made

    def first(self) -> list[int]:
        """The command, and what was left to the sandbox's first process, in the order in which it came."""
        assert self.box is not None, "run() made it"
        return [pid for init in children(self.box.pid) for pid in children(init)]

    def inside(self) -> dict[int, int]:
        """All that runs inside, but for the first process, which only reaps."""
        assert self.box is not None, "run() made it"
        first = set(children(self.box.pid))
        return {pid: ticks for pid, ticks in descendants(self.box.pid).items() if pid not in first}

    def look(self) -> None:
        """End all at once where too much is taken: the kernel does not limit what root starts, nor the sum of memory."""
        assert self.box is not None, "run() made it"
        most, memory = self.limits["processes"], self.limits["memory_bytes"]
        if not most and not memory:
            return
        running = self.inside()
        if most and len(running) > most:
            self.end(f"more than {most} processes at once")
        elif memory and (taken := resident(running)) > memory and (taken := shared_out(running)) > memory:
            self.end(f"{taken >> 20} MiB of memory, and {memory >> 20} MiB are allowed")

    def end(self, why: str) -> None:
        """Kill the first process of the sandbox: the kernel ends all others with it, at once."""
        assert self.box is not None, "run() made it"
        self.over = why
        for pid in children(self.box.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass  # it has just ended


def resident(pids: dict[int, int]) -> int:
    """Bytes of memory that processes have, what they share counted each time."""
    return sum(_number(f"/proc/{pid}/statm", 1) for pid in pids) * PAGE


def shared_out(pids: dict[int, int]) -> int:
    """Bytes of memory that processes have, what they share counted once. Slower."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
                total += next((int(line.split()[1]) for line in file if line.startswith(b"Pss:")), 0) << 10
        except OSError:
            continue  # it has just ended
    return total


def _number(path: str, place: int) -> int:
    try:
        with open(path, "rb") as file:
            return int(file.read().split()[place])
    except (OSError, ValueError, IndexError):
        return 0  # it has just ended


def refused(what: str) -> None:
    """Say what was asked for and not given: it goes where the command's own words go."""
    print(f"secondshift: not reached, because [agent] hosts does not name it: {what}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Keep one sandbox."""
    code = Keeper(json.loads(arguments[0]), arguments[2:]).run()
    sys.stderr.flush()
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        time.sleep(1.0)  # never: it ends this process
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
