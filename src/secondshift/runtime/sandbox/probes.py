"""Every claim of a sandbox, tried from inside by code that means to break it (`secondshift doctor --sandbox`)."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from secondshift.runtime.executors.processes import carriers, signal_process
from secondshift.runtime.sandbox.confining import Claim, Means, confined, home, means, missing, variables
from secondshift.runtime.sandbox.policies import Limits, Policy

Found = Literal["holds", "broken", "not enforced"]
BEGAN, BROKE = "it was tried", "it broke out"  # what the code inside prints
LONGEST_S = 120.0  # of one try
MARK = ".secondshift-sandbox-probe"  # a file in the home folder, while one is tried
LIMITS = Limits(processes=24, memory_bytes=192 << 20, file_bytes=1 << 20, cpu_s=1)
STAYS_S = 2.0  # how long what took too much has to live for the limit to be broken

_WRITE = """
for path in PATHS:
    try:
        open(path, "a").write("x")
        broke(path)
    except OSError:
        pass
"""
TRIES: dict[Claim, str] = {
    "data": _WRITE.replace("PATHS", "[DATA]"),
    "write_outside": _WRITE.replace("PATHS", "[OUTSIDE + '/x', '/usr/secondshift-probe', '/etc/secondshift-probe']"),
    "home": """
import os
if os.path.exists(HOME_MARK):
    broke(HOME_MARK)
""",
    "others": """
import os
for pid in os.listdir("/proc"):
    if pid.isdigit() and open(f"/proc/{pid}/cmdline").read().endswith(OTHER + "\\0"):
        broke("process " + pid)
""",
    "daemon": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 3)
        while True:
            with open(MINE + "/alive", "a") as f:
                f.write("x")
            time.sleep(0.05)
    os._exit(0)
os.wait()
while not os.path.exists(MINE + "/alive") or not os.path.getsize(MINE + "/alive"):
    time.sleep(0.02)
""",
    "network": """
import socket
try:
    socket.create_connection(("127.0.0.1", ALLOWED), 5).close()
    broke("127.0.0.1")
except OSError:
    pass
""",
    "host": """
import os, socket
def asked(port):
    with socket.create_connection(("127.0.0.1", int(os.environ["HTTPS_PROXY"].rsplit(":", 1)[1])), 10) as s:
        s.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\\r\\n\\r\\n" % port)
        return b"hello" in b"".join(iter(lambda: s.recv(1000), b""))
if not asked(ALLOWED):
    raise SystemExit("the host that may be reached was not")
print(BEGAN, flush=True)
if asked(OTHER_PORT):
    broke("127.0.0.1:%d" % OTHER_PORT)
""",
    "processes": """
import os, time
for _ in range(4 * PROCESSES):
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    except OSError:
        raise SystemExit(0)
time.sleep(STAYS)
broke("%d processes" % (4 * PROCESSES))
""",
    "memory": """
import mmap, time
m = mmap.mmap(-1, 2 * MEMORY)
for _ in range(2 * MEMORY >> 20):
    m.write(b"1" * (1 << 20))
time.sleep(STAYS)
broke("%d MiB" % (2 * MEMORY >> 20))
""",
    "file_size": """
with open(MINE + "/large", "wb") as f:
    f.write(bytes(2 * FILE))
broke("%d MiB" % (2 * FILE >> 20))
""",
    "cpu": """
import time
while time.process_time() < CPU + 0.6:
    pass
broke("%g s" % (CPU + 0.6))
""",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What came of one claim."""

    claim: Claim
    found: Found
    detail: str = ""  # what broke, or why it could not be tried


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What is tried on: folders and files of our own, two hosts, and a process that is none of the sandbox's business."""

    folder: Path
    allowed: int  # port of a host on this machine that may be reached through the proxy
    other: int  # of one that may not
    token: str  # in the command line of the process outside

    def policy(self, claim: Claim) -> Policy:
        """The policy under which a claim is tried: each limit only where it is the one that is tried."""
        name = {"processes": "processes", "memory": "memory_bytes", "file_size": "file_bytes", "cpu": "cpu_s"}.get(claim, "")
        limits = replace(Limits(processes=0), **{name: getattr(LIMITS, name)}) if name else Limits()
        return Policy(
            writable=(str(self.folder / "mine"),), readable=(str(self.folder / "data"),), home=home(), limits=limits,
            hosts=(f"127.0.0.1:{self.allowed}",) if claim == "host" else (),
        )  # fmt: skip

    def code(self, claim: Claim) -> str:
        """The code that means to break a claim."""
        values = {
            "BEGAN": BEGAN, "DATA": str(self.folder / "data" / "kept"), "OUTSIDE": str(self.folder / "outside"),
            "MINE": str(self.folder / "mine"), "HOME_MARK": str(self.mark()), "OTHER": self.token, "ALLOWED": self.allowed,
            "OTHER_PORT": self.other, "PROCESSES": LIMITS.processes, "MEMORY": LIMITS.memory_bytes, "FILE": LIMITS.file_bytes,
            "CPU": LIMITS.cpu_s, "STAYS": STAYS_S,
        }  # fmt: skip
        head = "".join(f"{name} = {value!r}\n" for name, value in values.items())
        head += f"def broke(what):\n    print({BROKE!r}, what, flush=True)\n    raise SystemExit(0)\n"
        return head + ("" if claim == "host" else "print(BEGAN, flush=True)\n") + TRIES[claim]

    def mark(self) -> Path:
        """The file in the home folder that is looked for."""
        return Path(home() or self.folder) / f"{MARK}-{self.token}"


@contextlib.contextmanager
def prepared() -> Iterator[Ground]:
    """Make what is tried on; take it away again."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="secondshift-sandbox-", dir="/var/tmp")))
        for name in ("mine", "data", "outside"):
            (folder / name).mkdir()
        (folder / "data" / "kept").write_text("as it was")
        doors = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        for door in doors:
            threading.Thread(target=_greet, args=(door,), daemon=True).start()
            stack.callback(door.shutdown, socket.SHUT_RDWR)
        token = f"probe{os.getpid()}-{time.monotonic_ns():x}"
        ground = Ground(folder=folder, allowed=doors[0].getsockname()[1], other=doors[1].getsockname()[1], token=token)
        with contextlib.suppress(OSError):
            ground.mark().touch()
        stack.callback(ground.mark().unlink, missing_ok=True)
        outside = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)", token])
        stack.callback(outside.wait)
        stack.callback(outside.kill)
        yield ground


def _greet(door: socket.socket) -> None:
    while True:
        try:
            caller, _ = door.accept()
        except OSError:
            return
        with caller, contextlib.suppress(OSError):
            caller.sendall(b"hello")


def tried_all(told: Callable[[Tried], None], by: Means | None = None) -> list[Tried]:
    """Try every claim, one after the other; `told` hears of each as it is done."""
    found: list[Tried] = []
    by = by or means()
    with prepared() as ground:
        for claim in TRIES:
            policy = ground.policy(claim)
            one = Tried(claim=claim, found="not enforced") if claim in missing(policy, by=by) else tried(claim, ground, policy, by)
            found.append(one)
            told(one)
    return found


def tried(claim: Claim, ground: Ground, policy: Policy, by: Means) -> Tried:
    """Try to break one claim under a policy, by the means given."""
    words = confined([sys.executable, "-I", "-S", "-c", ground.code(claim)], policy, by=by)
    box = f"{ground.token}-{claim}"
    env = {**os.environ, **variables(policy, by=by), "SECONDSHIFT_TOKEN": box}
    try:
        process = subprocess.Popen(
            words, env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True,
        )  # fmt: skip
        said = _said(process)
        left = claim == "daemon" and _goes_on(ground.folder / "mine" / "alive")
    finally:
        _end_all(box)
    if left:
        return Tried(claim=claim, found="broken", detail="a process that it left behind goes on")
    if BROKE in said:
        return Tried(claim=claim, found="broken", detail=said.partition(BROKE)[2].splitlines()[0].strip())
    if BEGAN not in said:
        return Tried(claim=claim, found="broken", detail=f"it could not be tried: {said.strip()[-200:]}")
    return Tried(claim=claim, found="holds")


def _said(process: subprocess.Popen[str]) -> str:
    try:
        return process.communicate(timeout=LONGEST_S)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0] + f" it did not end within {LONGEST_S:g} s"


def _goes_on(file: Path) -> bool:
    """Say whether a file is still being written; it must have been, or nothing was left behind that could end."""
    before = file.stat().st_size if file.exists() else 0
    time.sleep(0.5)
    return not before or file.stat().st_size > before


def _end_all(token: str) -> None:
    """End what a try left where nothing else does."""
    for _ in range(20):
        found = carriers({token})
        for pid, ticks in found.items():
            signal_process(pid, ticks, 9)
        if not found:
            return
        time.sleep(0.05)


def broken(found: Sequence[Tried]) -> list[Tried]:
    """The claims that do not hold though something was to enforce them."""
    return [one for one in found if one.found == "broken"]
