"""Scenes in which the machine, not a process, lets the night down: disk, standstill, logout, reboot, two at once."""

import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from secondshift.records import events as facts

from .audit import audit
from .points import INJECTED
from .stage import Plan, Process, Stage
from .table import Row, held, skipped

FILL_MB = 24  # size of the small disk


def promises(stage: Stage, *, told: bool = False) -> list[str]:
    """Audit a stage; every harm is a broken promise. told: a lost point is forgiven where the trial says it was dropped."""
    found = audit(stage)
    if told:
        dropped = sum(trial.dropped for trial in stage.state().trials.values())
        if len(found.lost) <= dropped:
            found.lost.clear()
    return [f"{name}: {'; '.join(texts[:2])}" for name, texts in found.harm()]


def works(stage: Stage, points: int = 12) -> bool:
    """Wait until training is well under way; say whether it ever was."""
    file = stage.witness / "witness.jsonl"
    return stage.until(lambda: file.exists() and file.read_bytes().count(b'"is": "step"') >= points, 30.0)


def ended(stage: Stage, night: "subprocess.Popen[bytes]", timeout: float = 60.0) -> list[str]:
    """Wait for the night; what is wrong with its end."""
    code = stage.wait(night, timeout)
    return [] if code == 0 else [f"the command ended with {code} (None: not at all) instead of 0"]


def incidents(stage: Stage) -> list[str]:
    """All findings that were recorded as incidents."""
    ledger = stage.ledger()
    try:
        opened = [event.payload for event in ledger.read(kinds=("incident.opened",))]
        return [fact.incident.finding for fact in opened if isinstance(fact, facts.IncidentOpened)]
    finally:
        ledger.close()


def disk_full(stage: Stage, *, full_s: float, kill: bool) -> list[str]:
    """The disk of the study fills up in the middle of the night, and is freed again; the engine may be killed meanwhile."""
    night = stage.run()
    if not works(stage):
        return ["it never began to work"]
    filler = stage.study / "somebody-elses.bin"
    fill(filler)
    before = stage.state().last_seq
    deadline = time.monotonic() + full_s
    engine = stage.engine()
    while time.monotonic() < deadline:
        fill(filler)  # whoever frees a block meanwhile does not get it back
        time.sleep(0.2)
        if kill and engine is not None and time.monotonic() > deadline - full_s * 0.7:
            engine, _ = None, engine.send(signal.SIGKILL)
    broken = [] if night.poll() is None else [f"the command ended with {night.returncode} while the disk was full"]
    if stage.state().last_seq < before:
        broken.append("facts vanished")
    filler.unlink()
    if night.poll() is not None:
        night = stage.run()
    broken += ended(stage, night, 90.0)
    if not any("full" in finding for finding in incidents(stage)):
        broken.append("no incident says that the disk was full")
    return broken + promises(stage, told=True)


def fill(path: Path) -> None:
    """Write until nothing fits any more."""
    for size in (1 << 20, 1 << 14, 1 << 12):
        try:
            with open(path, "ab", buffering=0) as file:
                while file.write(bytes(size)) == size:
                    pass
        except OSError:
            continue


def frozen(stage: Stage, *, point: str = "") -> list[str]:
    """The engine stands still past its lease, another takes over, the first comes back and must not act.

    point: where it is frozen, by its own hand; without one, wherever it is.
    """
    if point:
        armed = stage.root / "armed"
        armed.mkdir()
        stage.extra |= {"PYTHONPATH": str(INJECTED), "SOAK_ARMED": str(armed)}
    night = stage.run()
    if not works(stage):
        return ["it never began to work"]
    first = _freeze(stage, point)
    if first is None:
        return [f"no engine was frozen at {point or 'any moment'}"]
    token = stage.state().token
    stage.extra.pop("SOAK_ARMED", None)
    second = stage.start("engine", "--study", str(stage.file), "--resume")
    if not stage.until(lambda: stage.state().token > token, 40.0, pause=0.3):
        return ["no second engine took over within 40 s"]
    took_at = stage.state().last_seq
    time.sleep(1.0)
    first.send(signal.SIGCONT)
    broken = [] if stage.until(lambda: not first.alive(), 10.0) else ["the first engine came back and did not leave"]
    if (code := stage.wait(second, 60.0)) != 0:
        broken.append(f"the second engine ended with {code}")
    stage.wait(night, 30.0)
    return broken + _stale_acts(stage, token, took_at) + promises(stage)


def _freeze(stage: Stage, point: str) -> Process | None:
    if not point:
        engine = stage.engine()
        return engine if engine is not None and engine.send(signal.SIGSTOP) else None
    path = stage.root / "armed" / f"{point}@whole"
    path.write_text("STOP")
    return stage.engine() if stage.until(lambda: not path.exists(), 20.0, pause=0.02) else None


def _stale_acts(stage: Stage, token: int, took_at: int) -> list[str]:
    """What the first engine did after it had been taken over: facts with its token, attempts under its token."""
    ledger = stage.ledger()
    try:
        events = list(ledger.read())
    finally:
        ledger.close()
    taken = next(e.seq for e in events if isinstance(e.payload, facts.LeaseTaken) and e.payload.token > token)
    stale = [e for e in events if e.seq > taken and e.token <= token]
    broken = [f"fact {e.seq} was written with token {e.token} after the takeover" for e in stale]
    ordered = {e.payload.attempt for e in events if isinstance(e.payload, facts.AttemptOrdered)}
    folders = {path.name for path in (stage.private / "attempts").iterdir()}
    broken += [f"{name} was started and never ordered" for name in sorted(folders - ordered)]
    return broken + ([] if took_at >= taken else ["the takeover was seen before it was recorded"])


def frozen_inside(stage: Stage) -> list[str]:
    """The engine stands still inside a transaction: nobody can take over while it holds the lock, and nothing is lost."""
    armed = stage.root / "armed"
    armed.mkdir()
    stage.extra |= {"PYTHONPATH": str(INJECTED), "SOAK_ARMED": str(armed)}
    running = stage.run()
    if not works(stage):
        return ["it never began to work"]
    (armed / "ledger append@whole").write_text("STOP")
    if not stage.until(lambda: not (armed / "ledger append@whole").exists(), 20.0, pause=0.02):
        return ["no engine was frozen inside a transaction"]
    first = stage.engine()
    second = stage.start("engine", "--study", str(stage.file), "--resume")
    time.sleep(22.0)
    broken = [] if second.poll() is None else [f"the second engine ended with {second.returncode} instead of waiting"]
    if "ocked" not in stage.log.read_text(errors="replace"):
        broken.append("the second engine did not say what it waits for")
    if first is None or not first.send(signal.SIGCONT):
        broken.append("the first engine was gone")
    codes = {stage.wait(second, 60.0), stage.wait(running, 60.0)}
    if not codes <= {0, 3}:
        broken.append(f"the commands ended with {codes}")
    return broken + promises(stage)


def beginnings(stage: Stage, *, strikes: int, rng: random.Random) -> list[str]:
    """Everything is killed again and again in its first second, while folder, ledger and lease are being made."""
    for _ in range(strikes):
        stage.run()
        time.sleep(rng.uniform(0.15, 1.8))
        stage.strike()
    return ended(stage, stage.run()) + promises(stage)


def stop_alone(stage: Stage) -> list[str]:
    """No engine lives any more, trials run on: `stop` ends them itself, also where it is killed half way."""
    night = stage.run()
    if not works(stage):
        return ["it never began to work"]
    for process in (stage.keeper(), stage.engine()):
        if process is not None:
            process.send(signal.SIGKILL)
    stage.wait(night, 10.0)
    if not stage.trainings():
        return ["no trial ran on without its engine"]
    stopping = stage.start("stop")
    taken = stage.state().token
    if not stage.until(lambda: stage.state().token > taken, 20.0, pause=0.05):
        return ["stop did not take the lease"]
    stopping.kill()
    stopping.wait()
    code, said = stage.call("stop")
    broken = [] if code == 0 else [f"the second stop ended with {code}: {said[-200:]}"]
    if stage.trainings() or stage.state().shift is not None:
        broken.append("something still runs after the stop")
    return broken + ended(stage, stage.run()) + promises(stage)


def logout(stage: Stage) -> list[str]:
    """A detached night outlives the terminal it was started from."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(stage.study)
        os.execve(
            "/bin/sh", ["sh", "-c", f"{sys.executable} -P -m secondshift run --for 1h --detach; exec sleep 60"], stage.env()
        )
    try:
        if not works(stage):
            return ["it never began to work"]
        keeper = stage.keeper()
        os.close(terminal)  # the terminal's window is closed
        os.kill(pid, signal.SIGHUP)
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(pid, 0)
    broken = [] if keeper is not None and stage.until(lambda: not keeper.alive(), 60.0) else ["the keeper did not come to an end"]
    state = stage.state()
    if state.shift is not None or state.open:
        broken.append(f"the night did not end: {dict(state.statuses)}")
    return broken + promises(stage)


def reboot(stage: Stage) -> list[str]:
    """Everything is killed at once, and the same command is given again: on another boot, where that can be played."""
    night = stage.run()
    if not works(stage):
        return ["it never began to work"]
    killed = stage.strike()
    broken = [] if night.poll() is not None and killed >= 4 else [f"only {killed} processes were there to kill"]
    prefix = another_boot(stage)
    night = stage.start("run", "--for", "1h", prefix=prefix)
    broken += ended(stage, night, 90.0)
    ledger = stage.ledger()
    try:
        anchored = list(ledger.read(kinds=("shift.anchored",)))
    finally:
        ledger.close()
    if prefix and not anchored:
        broken.append("the night did not notice that the machine was booted anew")
    return broken + promises(stage)


def another_boot(stage: Stage) -> tuple[str, ...]:
    """A prefix of commands under which the machine has another boot id and a clock that began anew; none if refused."""
    (stage.root / "boot_id").write_text("11111111-2222-3333-4444-555555555555\n")
    young = -int(time.clock_gettime(time.CLOCK_BOOTTIME) - 60)
    script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    prefix = ("unshare", "--mount", "--time", "--boottime", str(young), "sh", "-c", script, str(stage.root / "boot_id"))
    try:
        tried = subprocess.run([*prefix, "true"], capture_output=True, timeout=10.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return prefix if tried.returncode == 0 else ()


def two_at_once(stage: Stage) -> list[str]:
    """Four commands are given at the same moment; one works, the others say who does."""
    nights = [stage.run(), stage.start("engine", "--study", str(stage.file), "--for", "1h"), stage.run(),
              stage.start("engine", "--study", str(stage.file), "--for", "1h")]  # fmt: skip
    codes = [stage.wait(night, 90.0) for night in nights]
    broken = [f"a command ended with {code} instead of 0 or 3" for code in codes if code not in (0, 3)]
    said = stage.log.read_text(errors="replace")
    if codes.count(3) and "already looks after" not in said and "is working on this study" not in said:
        broken.append("nobody said who works on the study")
    if 0 not in codes:
        broken.append("nobody worked")
    return broken + promises(stage)


SCENES = {
    "disk full, then freed": (disk_full, Plan(name="disk", trials=8, steps=50, step_s=0.06)),
    "disk full, and the engine killed meanwhile": (disk_full, Plan(name="disk-kill", trials=8, steps=50, step_s=0.06)),
    "engine frozen past its lease, and its return": (frozen, Plan(name="frozen", trials=8, steps=50, step_s=0.08)),
    "engine frozen while it orders an attempt": (frozen, Plan(name="order", trials=8, steps=50, step_s=0.08)),
    "engine frozen while it controls one": (frozen, Plan(name="control", trials=8, steps=50, step_s=0.08, grant="3s")),
    "engine frozen inside a transaction": (frozen_inside, Plan(name="inside", trials=6, steps=50, step_s=0.08)),
    "all killed again and again in the first second": (beginnings, Plan(name="begin", trials=3, steps=24)),
    "stop where no engine lives, itself killed": (stop_alone, Plan(name="alone", trials=4, steps=60, step_s=0.08)),
    "logout of a detached night": (logout, Plan(name="logout", trials=4, steps=40)),
    "machine rebooted": (reboot, Plan(name="reboot", trials=6, steps=40)),
    "two engines and two keepers at once": (two_at_once, Plan(name="two", trials=4, steps=30)),
}
QUICK = (
    "disk full, then freed", "engine frozen past its lease, and its return", "logout of a detached night", "machine rebooted",
    "two engines and two keepers at once",
)  # fmt: skip


def play(name: str, *, quick: bool, seed: int) -> tuple[Row, str]:
    """Play one scene on its own stage; return its row and the folder that was kept if something broke."""
    scene, plan = SCENES[name]
    root = None
    if name.startswith("disk"):
        root = small_disk()
        if root is None:
            return skipped(name, "a small disk could not be mounted; this needs root on Linux"), ""
    rng = random.Random(f"{seed} {name}")
    stage = Stage(replace(plan, seed=rng.randrange(1000)), root=root)
    try:
        if scene is disk_full:
            broken = disk_full(stage, full_s=6.0 if quick else 25.0, kill=plan.name == "disk-kill")
        elif scene is beginnings:
            broken = beginnings(stage, strikes=3 if quick else 8, rng=rng)
        elif scene is frozen:
            point = {"order": "order.json", "control": "control.json"}.get(plan.name, "")
            broken = frozen(stage, point=point)
        else:
            broken = scene(stage)  # type: ignore[call-arg]  # the two with more arguments were met above
    except BaseException:
        stage.close(keep=True)
        print(f"{name} could not be played to its end; its folder is {stage.root}", file=sys.stderr)
        raise
    stage.close(keep=bool(broken))
    if root is not None:
        unmount(root, keep=bool(broken))
    return held(name, broken), str(stage.root) if broken else ""


def small_disk() -> Path | None:
    """Mount a small file system in a temporary folder, for a study and everything of it; None where that is refused."""
    root = Path(tempfile.mkdtemp(prefix="soak-disk-"))
    disk = root / "study"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={FILL_MB}m", "soak", str(disk)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        shutil.rmtree(root)
        return None
    return root


def unmount(root: Path, *, keep: bool) -> None:
    """Take the small disk away; what was on it is copied first if somebody wants to look."""
    if keep and (root / "study").exists():
        shutil.copytree(root / "study", root / "kept", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.bin"))
    subprocess.run(["umount", "-l", str(root / "study")], capture_output=True, check=False)
    if not keep:
        shutil.rmtree(root, ignore_errors=True)
