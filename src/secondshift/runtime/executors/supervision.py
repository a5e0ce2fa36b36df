"""The life of one attempt, from its claim to its recorded exit; all of it happens in the supervisor's process."""

import _signal as signal  # type: ignore[import]  # unknown to typeshed; signal itself imports enum: see 0031
import errno
import os
import select
import sys
import time

from secondshift.runtime.executors.attempt_files import (
    DEVICE_FDS,
    MESSAGE_BYTES,
    claim_once,
    environment,
    read_fence,
    read_object,
    sync_folder,
    tail,
    to_json,
    write_atomic,
)
from secondshift.runtime.executors.processes import (
    PR_SET_CHILD_SUBREAPER,
    boot_id,
    boot_s,
    carriers,
    children,
    descendants,
    prctl,
    process_stat,
    signal_process,
    spawn,
    start_ticks,
)

HEARTBEAT_S = 1.0  # between two beats
SAMPLE_S = 5.0  # between two samples, where the order says nothing
FIRST_SAMPLE_S = 1.0  # from the script's start; one that ends before costs no sampling at all
CONTROL_S = 0.25  # longest time until a changed control.json is seen without a poke
LINGER_S = 0.2  # for what leaves by itself after the main process
GROUP_GRACE_S = 1.0  # for the rest of the group, after the main process had its grace
SWEEP_S = 10.0  # longest time spent on ending what a script left behind
FULL_DISK_S = 30.0  # longest time spent on recording an exit on a full disk
RESERVE_BYTES = 16384  # kept for exit.json, so that an exit is recorded on a full disk
MODES = ("pause", "stop", "kill")
RANKS = {"self": 0, "grant": 1, "pause": 1, "stop": 2, "kill": 3}


class Supervision:
    """The life of one attempt, from its claim to its recorded exit.

    driver: the folder in which `pynvml` lies, where the attempt has GPUs.
    """

    def __init__(self, folder: str, order: dict, env_token: str, driver: str = "") -> None:
        self.folder, self.order, self.env_token = folder, order, env_token
        self.token = int(order["token"])  # highest fencing token seen
        self.grant_s = float(order.get("grant_s", 600.0))
        self.cap_bytes = float(order.get("output_cap_mb", 1024.0)) * 1e6
        self.grace_s = float(order.get("grace_s", 10.0))
        self.cause, self.message = "self", ""
        self.phase = 0  # 1: main process asked, 2: group asked, 3: killed
        self.deadline = 0.0  # of the phase, by boot_s
        self.control_seen: tuple[int, int] = (0, 0)
        self.ask_seen = ""
        self.family: dict[int, int] = {}  # pid -> start time in ticks, as of the last beat
        self.family_seen: dict[int, int] = {}  # as it was last written down
        self.beats, self.beat_at = 0, 0.0
        self.sample_s = float(order.get("sample_every_s", SAMPLE_S))  # 0: never
        self.sampler, self.sample_at, self.driver = None, boot_s(), driver
        self.terminated = False
        self.pid, self.started, self.output, self.heart, self.wake = 0, boot_s(), -1, -1, -1

    def path(self, name: str) -> str:
        """Return the path of one of the attempt's files."""
        return os.path.join(self.folder, name)

    def listen(self) -> None:
        """Let signals wake the loop: a poke, a child's end, a request to end."""
        self.wake, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTERM, self.on_term)

    def on_term(self, *_: object) -> None:
        """Note that the supervisor itself was asked to end."""
        self.terminated = True

    def run(self) -> None:
        """Start the script, watch it to its end, and record the end."""
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        problem = ""
        try:
            problem = self.start()
            while not self.gone():
                self.watch()
                self.rest()
        except Exception as error:  # a fault of ours must not leave a script unwatched
            problem = f"The supervisor failed: {error!r}. The script was ended; see supervisor.log beside this file."
            sys.excepthook(type(error), error, error.__traceback__)
            if self.pid:
                self.end("kill", 0.0, "")
        self.finish(problem)

    def start(self) -> str:
        """Spawn the script and record its identity; return why it could not start, if so."""
        for name in ("tmp", "out"):
            os.makedirs(self.path(name), exist_ok=True)
        fd = os.open(self.path("exit.reserve"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.posix_fallocate(fd, 0, RESERVE_BYTES)
        os.close(fd)
        self.output = os.open(self.path("output.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.heart = os.open(self.path("heartbeat"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.started = boot_s()
        self.sample_at = self.started + min(FIRST_SAMPLE_S, self.sample_s) if self.sample_s > 0 else float("inf")
        self.pid, problem = spawn(
            confined(self.order),
            cwd=self.order["cwd"],
            variables=environment(self.order, self.env_token),
            output=self.output,
        )
        stat = process_stat(self.pid)
        child = {"pid": self.pid, "start_ticks": stat[2] if stat else 0, "pgid": self.pid, "boot_id": boot_id()}
        if not problem:
            write_atomic(
                self.path("child.json"),
                to_json({**child, "token": self.env_token, "started_boot_s": self.started}).encode(),
            )
        return problem

    def gone(self) -> bool:
        """Say whether the main process has ended. It is not reaped yet: its zombie keeps the group's number ours."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def watch(self) -> None:
        """One look around: beat, obey, enforce the limits, escalate what was begun."""
        now = boot_s()
        if now >= self.beat_at:
            self.beat(now)
        if now >= self.sample_at:
            self.sample(now)
        self.obey()
        if self.terminated:
            self.terminated = False
            self.end("pause", self.grace_s, "The supervisor was told to end (SIGTERM).")
        if now - self.started >= self.grant_s:
            self.end("grant", self.grace_s, f"The grant of {self.grant_s:g} s was used up.")
        self.measure_output()
        if self.phase and now >= self.deadline:
            self.escalate(now)
        for child in children(os.getpid()):
            stat = process_stat(child)
            if child != self.pid and stat and stat[0] == "Z":
                os.waitpid(child, os.WNOHANG)

    def measure_output(self) -> None:
        """Stop a script whose output passes the cap; one that goes on flooding gets no grace."""
        size = os.fstat(self.output).st_size
        if size > self.cap_bytes:
            text = f"The output passed the cap of {self.cap_bytes / 1e6:g} MB (output_cap_mb); it was cut there."
            self.end("stop", self.grace_s, text)
            if size > 2 * self.cap_bytes and self.phase < 3:
                self.kill()

    def rest(self) -> None:
        """Sleep until something is due or a signal comes."""
        now, size = boot_s(), os.fstat(self.output).st_size
        due = [CONTROL_S, self.beat_at - now, self.sample_at - now]
        if self.phase == 0:
            due.append(self.started + self.grant_s - now)
        if self.phase in (1, 2):
            due.append(self.deadline - now)
        if size > self.cap_bytes / 2:
            due.append(0.02)  # a flood writes gigabytes a second
        if select.select([self.wake], [], [], max(0.001, min(due)))[0]:
            os.read(self.wake, 4096)

    def beat(self, now: float) -> None:
        """Write the heartbeat and, if it changed, who belongs to the family.

        Written in place, because a new file may not fit on a full disk; the counter at both ends shows a torn reading.
        """
        self.beats, self.beat_at = self.beats + 1, now + HEARTBEAT_S
        try:
            os.pwrite(self.heart, f"{self.beats:>12} {now - self.started:>14.3f} {self.beats:>12}\n".encode(), 0)
            family = self.family = descendants(os.getpid())
            if family != self.family_seen:
                write_atomic(self.path("family.json"), to_json(list(family.items())).encode())
                self.family_seen = family
        except OSError:
            pass  # a full disk; the next beat tries again

    def sample(self, now: float) -> None:
        """Take down how the family is doing. Whatever goes wrong there must not harm the script: then there are no more."""
        self.sample_at = now + self.sample_s
        try:
            if self.sampler is None:
                from secondshift.runtime.executors import gpu_vitals, sampling  # optional: only who lives for a second

                devices = [str(name) for name in self.order.get("devices") or () if str(name).startswith("GPU-")]
                gpus = gpu_vitals.GpuWatch(self.driver, devices) if self.driver and devices else None
                self.sampler = sampling.Sampler(self.folder, self.pid, self.started, gpus=gpus)
            self.sampler.take(now, {self.pid: 0, **self.family})
        except OSError:
            pass  # a full disk, or one that does not answer; the next sample tries again
        except Exception as error:
            self.sample_at = float("inf")
            sys.excepthook(type(error), error, error.__traceback__)

    def obey(self) -> None:
        """Read control.json if it changed; whoever holds a lower fencing token than the highest seen is ignored."""
        try:
            stat = os.stat(self.path("control.json"))
        except OSError:
            return
        if (stat.st_ino, stat.st_mtime_ns) == self.control_seen:
            return
        self.control_seen = (stat.st_ino, stat.st_mtime_ns)
        control = read_object(self.path("control.json"))
        try:
            token, grant_s = int(control["token"]), float(control.get("grant_s") or 0.0)
            until_step, ask = int(control.get("until_step") or 0), control.get("ask") or {}
            mode, grace_s, name = str(ask.get("mode", "")), float(ask.get("grace_s", 0.0)), str(ask.get("id", ask))
        except (KeyError, TypeError, ValueError, AttributeError):
            return
        if token < max(self.token, read_fence(self.folder)):
            return
        self.token, self.grant_s = token, max(self.grant_s, grant_s)
        if until_step:
            write_atomic(self.path("until"), str(until_step).encode())  # the script's SDK reads it
        if mode in MODES and name != self.ask_seen:
            self.ask_seen = name
            self.end(mode, grace_s, "")

    def end(self, cause: str, grace_s: float, message: str) -> None:
        """Begin to end the script, or hasten an end already begun."""
        now = boot_s()
        if self.phase == 0:
            self.phase, self.deadline = 1, now + grace_s
            try:
                os.close(os.open(self.path("stopping"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
            except OSError:
                pass  # a full disk; SIGTERM says the same
            if cause != "kill":
                os.kill(self.pid, signal.SIGTERM)
        elif self.phase == 1:
            self.deadline = min(self.deadline, now + grace_s)
        if self.cause == "self" or RANKS[cause] > RANKS[self.cause]:
            self.cause, self.message = cause, message or self.message
        if cause == "kill" and self.phase < 3:
            self.kill()

    def kill(self) -> None:
        """Kill the group now."""
        self.phase = 2
        self.escalate(boot_s())

    def escalate(self, now: float) -> None:
        """Take the next, harder step against the group; our unreaped child keeps its number from being reused."""
        self.phase = min(3, self.phase + 1)
        self.deadline = now + GROUP_GRACE_S
        try:
            os.killpg(self.pid, signal.SIGTERM if self.phase == 2 else signal.SIGKILL)
        except OSError:
            pass  # nobody left in it

    def finish(self, problem: str) -> None:
        """End what the script left behind, reap it, and record the exit."""
        leftovers = self.end_family() if self.pid else 0
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) if self.pid else None
        os.closerange(DEVICE_FDS, 4096)  # nobody of the trial lives: who reads the exit finds its devices free
        elapsed_s = round(boot_s() - self.started, 4)
        why = problem or self.message
        said = tail(self.path("output.log"), MESSAGE_BYTES - len(why))
        self.record(
            {
                "code": code if code is not None and code >= 0 else None,
                "signal": -code if code is not None and code < 0 else None,
                "cause": self.cause if self.pid else "refused",
                "elapsed_s": elapsed_s,
                "leftovers": leftovers,
                "message": f"{why}\n{said}".strip(),
                **(self.signs() if code and self.cause == "self" else {}),
            }
        )
        if self.output >= 0 and os.fstat(self.output).st_size > self.cap_bytes:
            os.truncate(self.path("output.log"), int(self.cap_bytes))

    def signs(self) -> dict[str, object]:
        """What all of a failed script's output says of the failure: its last lines are often only what followed."""
        try:
            from secondshift.runtime.executors import logsigns  # optional: only who failed

            signs, unread = logsigns.look_through(self.path("output.log"))
        except Exception:  # a fault of ours must not cost the exit
            return {}
        return {"signs": list(signs), "unread_bytes": unread}

    def end_family(self) -> int:
        """End every process the script left behind: wait a moment, ask, wait, kill; return how many there were.

        The first moment is for those who leave by themselves when their parent has gone, as multiprocessing's do.
        """
        begun, seen, harsh = boot_s(), set(), self.phase == 3
        while (waited := boot_s() - begun) < SWEEP_S:
            family = {**descendants(os.getpid()), **carriers({self.env_token})}
            family.pop(os.getpid(), None)
            if not family:
                break
            harsh = harsh or waited >= LINGER_S + GROUP_GRACE_S
            if harsh:
                self.kill()
            for pid, ticks in family.items() if harsh or waited >= LINGER_S else ():
                if harsh or (pid, ticks) not in seen:
                    signal_process(pid, ticks, signal.SIGKILL if harsh else signal.SIGTERM)
                seen.add((pid, ticks))
            time.sleep(0.02)
        else:
            self.message = f"{self.message} Not all that it left behind could be ended within {SWEEP_S:g} s.".strip()
        return len(seen)

    def record(self, found: dict) -> None:
        """Write exit.json into space reserved before the start: a full disk cannot lose it. Retries for a while."""
        data, until = to_json(found).encode(), boot_s() + FULL_DISK_S
        while True:
            try:
                fd = os.open(self.path("exit.reserve"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
                try:
                    os.pwrite(fd, data, 0)
                    os.ftruncate(fd, len(data))
                    os.fsync(fd)
                finally:
                    os.close(fd)
                os.rename(self.path("exit.reserve"), self.path("exit.json"))
                return sync_folder(self.folder)
            except OSError as problem:
                if boot_s() > until or problem.errno == errno.ENOENT:
                    raise
                time.sleep(0.5)


def confined(order: dict) -> list[str]:
    """The command of an order, in its sandbox; one that may only write below some paths is run by what sees to that."""
    command, writable = list(order["command"]), list(order.get("writable") or ())
    if order.get("sandbox"):
        return [*order["sandbox"], *command]
    if not writable:
        return command
    keeper = os.path.join(os.path.dirname(os.path.abspath(__file__)), "confinement.py")
    private = os.path.dirname(os.path.dirname(order["folder"]))  # what other trials left is none of its business
    shown = ["--show", f"{private}/candidates.git", "--show", order["folder"]]
    return [sys.executable, "-I", "-S", keeper, "--hide", private, *shown, *writable, "--", *command]


def main(folder: str, driver: str = "") -> int:
    """Supervise the attempt in this folder; 0: done or somebody else does it, 2: no order, 3: stale token.

    driver: the folder in which `pynvml` lies; empty where it is not needed.
    """
    folder = os.path.abspath(folder)
    order = read_object(os.path.join(folder, "order.json"))
    if not order.get("command") or "token" not in order:
        print(f"{folder} holds no readable order.json; nothing was started.", file=sys.stderr)
        return 2
    fence = read_fence(folder)
    if int(order["token"]) < fence:
        print(f"Token {order['token']} is stale, the fence is at {fence}; nothing was started.", file=sys.stderr)
        return 3
    env_token = os.urandom(16).hex()
    supervision = Supervision(folder, {**order, "folder": folder}, env_token, driver)
    supervision.listen()  # before the claim: after it, others may signal this process
    claim = {"pid": os.getpid(), "start_ticks": start_ticks(os.getpid()), "boot_id": boot_id()}
    if not claim_once(folder, {**claim, "token": int(order["token"]), "env_token": env_token}):
        return 0
    supervision.run()
    return 0
