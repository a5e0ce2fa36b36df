"""Keep a workstation from suspending while a shift runs, where the system offers a way, and say what could be done."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

REFUSAL_S = 0.5  # a tool that is refused leaves at once; one that still runs after this holds the machine awake
_LEAVE_S = 2.0


@contextmanager
def kept_awake(why: str, *, command: Sequence[str] | None = None) -> Iterator[str]:
    """Hold off sleep for the length of the block; the value is a sentence about what could be done.

    Never raises: a night on a machine that may suspend is still a night. The hold ends with this process, however it
    ends. `command` replaces the tool that is looked for; it must hold the machine awake until its standard input
    closes.
    """
    wanted = _tool(why) if command is None else tuple(command)
    if not wanted:
        yield "This system offers no way to hold off sleep (no systemd-inhibit, no caffeinate); it may suspend."
        return
    holder, sentence = _hold(wanted)
    try:
        yield sentence
    finally:
        if holder is not None:
            _release(holder)


def _tool(why: str) -> tuple[str, ...]:
    """Name the command that holds sleep off and ends when its input closes, or nothing."""
    if sys.platform == "darwin" and shutil.which("caffeinate"):
        return ("caffeinate", "-i", "-s", "-w", str(os.getpid()))
    if shutil.which("systemd-inhibit") and shutil.which("cat"):
        # `cat` reads a pipe that only we write to: when we die, by SIGKILL too, it ends and frees the machine.
        what = ("--what=sleep:idle", "--who=secondshift", f"--why={why}", "--mode=block")
        return ("systemd-inhibit", *what, "cat")
    return ()


def _hold(command: Sequence[str]) -> tuple["subprocess.Popen[bytes] | None", str]:
    name = os.path.basename(command[0])
    try:
        holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as problem:
        return None, f"{name} could not be started ({problem.strerror}); this machine may suspend during the shift."
    try:
        holder.wait(REFUSAL_S)
    except subprocess.TimeoutExpired:
        return holder, f"{name} keeps this machine from suspending while the shift runs (pid {holder.pid})."
    said = holder.stderr.read() if holder.stderr else b""
    _close(holder)
    lines = said.decode(errors="replace").strip().splitlines() or [f"exit code {holder.returncode}"]
    return None, f"{name} was refused ({lines[-1].strip()}); this machine may suspend during the shift."


def _release(holder: "subprocess.Popen[bytes]") -> None:
    if holder.stdin:
        holder.stdin.close()
    try:
        holder.wait(_LEAVE_S)
    except subprocess.TimeoutExpired:
        holder.terminate()
        try:
            holder.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.wait(_LEAVE_S)
    _close(holder)


def _close(holder: "subprocess.Popen[bytes]") -> None:
    for pipe in (holder.stdin, holder.stderr):
        if pipe:
            pipe.close()
