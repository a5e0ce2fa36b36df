"""`secondshift watch -- CMD`: the command cannot tell, and neither can who reads it, but for what is found."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from secondshift.runtime.watched import commands

SRC = str(Path(__file__).resolve().parents[2] / "src")
TRAIN = """
import math, os, random, signal, sys, time
rng = random.Random(0)
for step in range(300):
    loss = math.nan if "nan" in sys.argv and step >= 200 else 2 * math.exp(-step / 100) + 0.5 + 0.02 * rng.gauss(0, 1)
    print(f"step {step} loss={loss:.4f}")
sys.stdout.flush()
"""


def watch(arguments: list[str], **more) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": SRC, "SECONDSHIFT_LANG": "en"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen([sys.executable, "-m", "secondshift", "watch", *arguments], env=environment, **pipes)


def script(folder: Path, text: str) -> list[str]:
    path = folder / "train.py"
    path.write_text(text)
    return [sys.executable, str(path)]


def findings(text: bytes | str) -> list[dict]:
    lines = (text.decode() if isinstance(text, bytes) else text).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.mark.parametrize("ending", ["sys.exit(3)", "sys.exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_output_and_end_are_those_of_the_command_byte_for_byte(tmp_path: Path, ending: str) -> None:
    text = TRAIN + "sys.stdout.buffer.write(bytes(range(256)) * 500)\nsys.stdout.flush()\n"
    text += f"sys.stderr.write('warn \\r 50%\\r no end ' + str(sys.argv[1:]))\nsys.stderr.flush()\n{ending}\n"
    command = [*script(tmp_path, text), "nan", "--once", "--", "--json", "a b", "$HOME", "*"]
    alone = subprocess.run(command, capture_output=True, check=False)
    watched = watch(["--to", str(tmp_path / "found"), "--json", "--", *command])
    out, err = watched.communicate(timeout=60)
    assert (out, err, watched.returncode) == (alone.stdout, alone.stderr, alone.returncode)
    assert [one["step"] for one in findings((tmp_path / "found").read_text())][:1] == [200]


def test_a_crash_is_classed_by_its_last_words_and_told_behind_them(tmp_path: Path) -> None:
    watched = watch(["--json", "--", *script(tmp_path, TRAIN + "raise MemoryError('no room for 3 GiB')\n")])
    out, err = watched.communicate(timeout=60)
    assert watched.returncode == 1 and out.count(b"\n") == 300
    [crash] = findings(err)
    assert err.index(b"MemoryError") < err.index(b'{"stream"')
    assert (crash["symptom"], crash["diagnosis"], crash["action"], crash["stream"]) == ("crash", "oom", "ask", "output:output")
    assert crash["evidence"]["last_words"] == "MemoryError: no room for 3 GiB" and crash["evidence"]["exit_code"] == 1


def test_a_command_that_never_trained_made_a_mistake_of_launch(tmp_path: Path) -> None:
    watched = watch(["--json", "--", *script(tmp_path, "import nothing_of_that_name\n")])
    [crash] = findings(watched.communicate(timeout=60)[1])
    assert (crash["diagnosis"], crash["step"], crash["action"]) == ("launch_config_error", 0, "ask")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_a_signal_reaches_the_command_once_and_it_ends_as_it_likes(tmp_path: Path, number: signal.Signals) -> None:
    text = f"""
import signal, sys, time
def caught(number, frame):
    print("caught", number, flush=True)
    time.sleep(0.5)
    sys.exit(7)
signal.signal({int(number)}, caught)
print("ready", flush=True)
for _ in range(300): time.sleep(0.1)  # a signal between the last line and a long sleep is seen only after it
"""
    watched = watch(["--", *script(tmp_path, text)])
    assert watched.stdout is not None and watched.stdout.readline() == b"ready\n"
    watched.send_signal(number)
    out, err = watched.communicate(timeout=30)
    assert out == b"caught %d\n" % number and watched.returncode == 7
    assert b"the command ended badly" in err and b"Traceback" not in err


def test_a_command_that_a_signal_ended_takes_its_watch_the_same_way(tmp_path: Path) -> None:
    watched = watch(["--json", "--", *script(tmp_path, "import time\nprint('ready', flush=True)\ntime.sleep(30)\n")])
    assert watched.stdout is not None and watched.stdout.readline() == b"ready\n"
    watched.send_signal(signal.SIGTERM)
    [ended] = findings(watched.communicate(timeout=30)[1])
    assert watched.returncode == -signal.SIGTERM
    assert (ended["diagnosis"], ended["action"]) == ("ended_by_signal", "note")


def test_who_stops_reading_stops_the_command_too(tmp_path: Path) -> None:
    command = script(tmp_path, "while True: print('y' * 100)\n")
    watched = watch(["--", *command], stderr=subprocess.DEVNULL)
    assert watched.stdout is not None
    watched.stdout.readline()
    watched.stdout.close()
    assert watched.wait(timeout=30) != 0


def test_a_command_at_a_terminal_finds_a_terminal_of_the_same_size_and_a_typed_ctrl_c_reaches_it_once(tmp_path: Path) -> None:
    text = """
import os, signal, sys, time
print(sys.stdout.isatty(), sys.stderr.isatty(), tuple(os.get_terminal_size(1)), flush=True)
count = [0]
signal.signal(signal.SIGINT, lambda *_: count.__setitem__(0, count[0] + 1))
print("ready", flush=True)
end = time.monotonic() + 3
while time.monotonic() < end: time.sleep(0.05)
print("caught", count[0], "times", flush=True)
"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(PYTHONPATH=SRC, SECONDSHIFT_LANG="en")
        os.execv(sys.executable, [sys.executable, "-m", "secondshift", "watch", "--", *script(tmp_path, text)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    seen = b""
    until = time.monotonic() + 40
    while time.monotonic() < until:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        if b"ready" in data:
            for _ in range(6):  # two signals that come at once are seen as one, but hardly six times in a row
                os.write(terminal, b"\x03")
                time.sleep(0.2)
        seen += data
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen
    caught = int(seen.partition(b"caught ")[2].split()[0])
    assert b"True True (77, 33)" in seen and 1 <= caught <= 6, seen  # fewer where the machine is too busy to tell two apart


def test_a_signal_that_a_terminal_sent_to_the_command_as_well_is_not_handed_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two signals that come at once are seen as one, so no count of a real command can tell this on a quick machine."""
    class Enough(Exception):
        pass

    came = iter([(signal.SIGINT, True), (signal.SIGQUIT, True), (signal.SIGTERM, False), (signal.SIGINT, False)])

    def next_signal() -> tuple[int, bool]:
        for one in came:
            return one
        raise Enough

    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(commands, "_next_signal", next_signal)
    monkeypatch.setattr(commands.os, "kill", lambda pid, number: sent.append((pid, number)))
    command = commands.Command(["never-started"])
    with pytest.raises(Enough):
        command._forward()
    assert [number for _, number in sent] == [signal.SIGTERM, signal.SIGINT]


def test_a_command_that_is_none_is_explained(tmp_path: Path) -> None:
    watched = watch(["--", "no-such-program", "--lr", "3"])
    out, err = watched.communicate(timeout=30)
    assert (out, watched.returncode) == (b"", 2) and b"no-such-program is no program that can be started" in err
    watched = watch(["--once", "--", "true"])
    assert b"--once looks at files" in watched.communicate(timeout=30)[1] and watched.returncode == 2


def test_files_that_the_command_writes_are_watched_beside_what_it_prints(tmp_path: Path) -> None:
    text = """
import math, os, time
os.mkdir("runs")
with open("runs/log.csv", "w") as file:
    print("step,train/loss", file=file)
    for step in range(100): print(step, math.nan if step > 90 else 1 / (step + 1), sep=",", file=file)
print("done")
"""
    command = script(tmp_path, text)
    watched = watch(["--json", "runs", "--", *command], cwd=tmp_path)
    out, err = watched.communicate(timeout=60)
    assert out == b"done\n" and watched.returncode == 0
    assert [(one["stream"], one["step"]) for one in findings(err)][:1] == [("log.csv:train/loss", 91)]


def test_the_verb_loads_nothing_that_starts_threads_or_takes_long(tmp_path: Path) -> None:
    """A thread of a library that does not block signals would take those that are meant for the command."""
    program = (
        "import sys, os; import secondshift.interfaces.cli.watch\n"
        "print([name for name in ('numpy', 'sqlalchemy', 'pydantic') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": SRC}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


BAR = """
import sys, time
for step in range(40):
    loss = 2.5 / (step + 1) if step < 20 else float("nan")
    sys.stderr.write(f"\\rEpoch 0: {step}%|##  | {step}/4000 [00:01<00:02, 50.0it/s, loss={loss:.3f}]")
    sys.stderr.flush()
    time.sleep(0.02)
time.sleep(20)
"""


def test_a_nan_in_a_progress_bar_is_told_before_the_bar_is_at_its_end_and_on_a_line_of_its_own(tmp_path: Path) -> None:
    """An epoch may take hours; its bar says at each step that the loss is NaN."""
    running = watch(["--json", "--", *script(tmp_path, BAR)])
    assert running.stderr is not None
    try:
        begun = time.monotonic()
        while not (line := running.stderr.readline()).startswith(b"{") and line:
            pass
        assert json.loads(line)["symptom"] == "non_finite" and time.monotonic() - begun < 15
    finally:
        running.terminate()
        running.communicate(timeout=20)
