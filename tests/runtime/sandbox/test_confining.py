"""A command in a sandbox: it ends as it would outside, hears SIGTERM, and leaves nobody."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from secondshift.runtime.executors.processes import carriers
from secondshift.runtime.sandbox.confining import Means, confined, home, interpreters, means, missing, variables
from secondshift.runtime.sandbox.policies import Limits, Policy

needs_bubblewrap = pytest.mark.skipif(not means().bwrap, reason=f"no sandbox can be made here: {means().why_not}")
LONG_S = 60.0


def started(policy: Policy, code: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        confined([sys.executable, "-I", "-S", "-c", code], policy), env={**os.environ, **variables(policy), **env},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def ran(policy: Policy, code: str) -> tuple[int, str]:
    process = started(policy, code)
    said, _ = process.communicate(timeout=LONG_S)
    return process.returncode, said


@needs_bubblewrap
@pytest.mark.parametrize(("code", "ends"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 11)", -11)])
def test_it_ends_as_the_command_ends(code: str, ends: int) -> None:
    assert ran(Policy(home=home()), code) == (ends, "")


@needs_bubblewrap
def test_it_writes_where_it_may_and_nowhere_else(tmp_path: Path) -> None:
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
    policy = Policy(writable=(str(tmp_path / "mine"),), readable=(str(tmp_path / "theirs"),), home=home())
    code, said = ran(policy, f"""
import os
open({str(tmp_path / "mine" / "a")!r}, "w").close()
for place in ({str(tmp_path / "theirs")!r}, "/usr", "/etc"):
    try:
        open(place + "/a", "w")
    except OSError as problem:
        print(problem.errno)
print(os.listdir({str(tmp_path)!r}))
""")  # fmt: skip
    assert code == 0
    assert said.split("\n")[:3] == ["30", "30", "30"]
    assert "mine" in said and (tmp_path / "mine" / "a").exists()


@needs_bubblewrap
def test_sigterm_reaches_the_command_which_may_take_its_time() -> None:
    process = started(Policy(), """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("heard"), sys.exit(3)))
print("ready", flush=True)
signal.pause()
""")  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=LONG_S)
    assert (process.returncode, said) == (3, "heard\n")


@needs_bubblewrap
def test_what_it_leaves_running_dies_with_it_and_with_its_keeper() -> None:
    daemon = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/bin/sleep", ["sleep", "300"], dict(os.environ))
    os._exit(0)
os.wait()
print("left", flush=True)
time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""
    process = started(Policy(), daemon, SECONDSHIFT_TOKEN="left-to-itself")
    assert process.communicate(timeout=LONG_S)[0] == "left\n"
    assert gone("left-to-itself")
    process = started(Policy(), daemon.replace("else 0", "else 300"), SECONDSHIFT_TOKEN="keeper-killed")
    assert process.stdout is not None
    assert process.stdout.readline() == "left\n"
    process.kill()
    process.communicate(timeout=LONG_S)
    assert gone("keeper-killed")


def gone(token: str) -> bool:
    """Say whether nobody carries a token, within a while."""
    until = time.monotonic() + 20.0
    while carriers({token}):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


MANY = "import os, time\nfor _ in range(60):\n    os.fork() or time.sleep(60)\ntime.sleep(60)"
SHARED = "import mmap, time\nm = mmap.mmap(-1, 300 << 20)\n[m.write(b'1' * (1 << 20)) for _ in range(300)]\ntime.sleep(60)"


@needs_bubblewrap
@pytest.mark.parametrize(
    ("limits", "code", "ends", "says"),
    [
        (Limits(processes=20), MANY, 122, "20 processes"),
        (Limits(memory_bytes=100 << 20), "bytearray(300 << 20)", 1, "MemoryError"),
        (Limits(memory_bytes=100 << 20), SHARED, 122, "100 MiB are allowed"),
        (Limits(cpu_s=1), "while True: pass", -signal.SIGXCPU, ""),
    ],
    ids=["processes", "memory", "shared memory", "cpu"],
)  # fmt: skip
def test_it_takes_no_more_than_it_may(limits: Limits, code: str, ends: int, says: str) -> None:
    found, said = ran(Policy(limits=limits), code)
    if "processes" in says and os.getuid():
        assert found in (1, ends)  # the kernel itself said no
        return
    assert (found, says in said) == (ends, True), said


class Host:
    """A host outside, that says a word to whoever connects."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self.socket.accept()
            except OSError:
                return
            with caller:
                caller.sendall(b"hello from outside")


ASK = """
import socket
with socket.create_connection(("127.0.0.1", 3128), 20) as s:
    s.sendall(b"CONNECT %s HTTP/1.1\\r\\n\\r\\n")
    print(b"".join(iter(lambda: s.recv(1000), b"")))
"""


@needs_bubblewrap
def test_the_only_way_out_leads_to_named_hosts() -> None:
    host = Host()
    try:
        name = f"127.0.0.1:{host.port}"
        code, said = ran(Policy(hosts=(name,)), ASK % name)
        assert (code, "hello from outside" in said) == (0, True), said
        code, said = ran(Policy(hosts=("api.example.com:443",)), ASK % name)
        assert "hello" not in said and "403" in said, said
        assert f"not reached, because [agent] hosts does not name it: {name}" in said
        direct = f"import socket; socket.create_connection(('127.0.0.1', {host.port}), 5)"
        code, said = ran(Policy(hosts=(name,)), direct)
        assert "refused" in said, "the loopback inside is another one"
    finally:
        host.socket.close()


@needs_bubblewrap
def test_a_sandbox_that_cannot_be_made_says_so_by_its_exit_code() -> None:
    words = confined(["true"], Policy())
    broken = [word.replace('"--proc", "/proc"', '"--proc", "/nowhere/at/all"') for word in words]
    done = subprocess.run(broken, capture_output=True, text=True, timeout=LONG_S, check=False)
    assert (done.returncode, "could not be made" in done.stderr) == (126, True), done


def test_without_bubblewrap_what_is_not_enforced_is_named(tmp_path: Path) -> None:
    policy = Policy(hosts=("a.b:443",), limits=Limits(memory_bytes=1 << 30))
    assert missing(policy, by=Means(bwrap="/usr/bin/bwrap")) == ()
    assert missing(policy, by=Means(landlock=True)) == (
        "home", "others", "daemon", "host", "network", "processes", "memory"
    )  # fmt: skip
    assert {"data", "write_outside"} <= set(missing(policy, by=Means()))
    assert missing(Policy(home="/home/kim", readable=("/home",)), by=Means(bwrap="bwrap")) == ("home",)
    assert variables(policy, by=Means(landlock=True)) == {}, "no proxy is there to be found"


@pytest.mark.skipif(not means().landlock, reason="this kernel cannot confine a process")
def test_without_bubblewrap_landlock_keeps_it_to_what_it_may_write(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    policy = Policy(writable=(str(tmp_path / "mine"),), limits=Limits(file_bytes=1000))
    code = f"open({str(tmp_path)!r} + '/mine/a', 'w').write('1'); open({str(tmp_path)!r} + '/b', 'w')"
    words = confined([sys.executable, "-I", "-S", "-c", code], policy, by=Means(landlock=True))
    done = subprocess.run(words, capture_output=True, text=True, timeout=LONG_S, check=False)
    assert "PermissionError" in done.stderr and (tmp_path / "mine" / "a").exists()
    words = confined(["sh", "-c", f"head -c 5000 /dev/zero > {tmp_path}/mine/b"], policy, by=Means(landlock=True))
    assert subprocess.run(words, capture_output=True, timeout=LONG_S, check=False).returncode != 0


def test_a_python_is_read_with_its_environment_and_what_stands_behind_it(tmp_path: Path) -> None:
    (tmp_path / "installed" / "bin").mkdir(parents=True)
    (tmp_path / "installed" / "lib" / "python3.12").mkdir(parents=True)
    (tmp_path / "installed" / "lib" / "python3.12" / "os.py").touch()
    (tmp_path / "installed" / "bin" / "python3").touch()
    (tmp_path / "local" / "bin").mkdir(parents=True)
    (tmp_path / "local" / "bin" / "python3").symlink_to(tmp_path / "installed" / "bin" / "python3")
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "python").symlink_to(tmp_path / "local" / "bin" / "python3")
    (tmp_path / "env" / "pyvenv.cfg").write_text(f"home = {tmp_path}/local/bin\n")
    found = {Path(path).relative_to(tmp_path).as_posix() for path in interpreters(str(tmp_path / "env" / "bin" / "python"))}
    assert found == {"env", "local/bin", "installed"}, "and not all of what lies beside a link to it"


def test_a_shim_needs_the_folder_in_which_it_finds_its_python(tmp_path: Path) -> None:
    shim = tmp_path / ".pyenv" / "shims" / "python"
    shim.parent.mkdir(parents=True)
    shim.write_text("#!/bin/sh\nexec $PYENV_ROOT/versions/3.11.7/bin/python $@\n")
    assert interpreters(str(shim)) == (str(tmp_path / ".pyenv"),)
