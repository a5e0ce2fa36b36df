"""Runs attempts as processes of this host, each under a supervisor that outlives the loop."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from secondshift.errors import DeviceBusy, LeaseLost
from secondshift.records.orders import Chunk, Order, Sign
from secondshift.records.studies import Launch, Study
from secondshift.records.trials import Attempt, Checkpoint, Exit
from secondshift.runtime import inheriting
from secondshift.runtime.clocks import Clock, HostClock
from secondshift.runtime.devices import DeviceLease, DevicePool
from secondshift.runtime.executors.attempt_files import (
    DEVICE_FDS,
    claim_once,
    read_bytes,
    read_fence,
    read_object,
    tail,
    to_json,
    write_atomic,
)
from secondshift.runtime.executors.folders import read_exit, write_exit, write_order
from secondshift.runtime.executors.processes import boot_id, boot_s, signal_process
from secondshift.runtime.executors.protocol import COLLECT_LIMIT, Mode
from secondshift.runtime.executors.remains import end_remains, supervised
from secondshift.runtime.lending import Lending
from secondshift.runtime.readers.collecting import collect_attempt, seen
from secondshift.runtime.readers.fragments import entries
from secondshift.runtime.snapshots import Snapshots
from secondshift.tracking import wire

SUPERVISOR = Path(__file__).with_name("supervisor.py")
SAME_S = 0.1  # a busy device is watched so long: it may be held for this very attempt
BEAT_S = 1.0  # between two heartbeats of a supervisor
QUIET_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE)


class LocalExecutor:
    """Local processes. Everything it knows is in the attempts' folders, so a new one adopts what an old one started.

    folder: the study's private folder; pool: the devices, by default the GPUs of the host, or where there are none one
    per CPU or as many as the study has slots; claim_timeout_s: how long a supervisor may take to claim its attempt before
    the attempt counts as lost;
    fingerprint: describes the code and environment of an order (by default it stores a snapshot below `folder`).
    """

    def __init__(
        self,
        folder: Path,
        *,
        study: Study | None = None,
        pool: DevicePool | None = None,
        clock: Clock | None = None,
        claim_timeout_s: float = 10.0,
        fingerprint: Callable[[Order], Mapping[str, str]] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.lending = Lending(self.folder, study.launch if study else Launch(), pool=pool)
        self.pool = self.lending.pool
        self.clock, self.claim_timeout_s = clock or HostClock(), claim_timeout_s
        self._fingerprint = fingerprint or Snapshots(self.folder / "code", study.data if study else ()).fingerprint
        self._launched: dict[str, int] = {}  # attempt -> pid of a supervisor of ours, until reaped
        self._since: dict[str, float] = {}  # attempt -> when we began to wait for its claim, by the boot clock

    def devices(self) -> tuple[str, ...]:
        """List the devices that nobody on this host holds or needs."""
        return self.lending.free()

    def troubles(self) -> Mapping[str, str]:
        """Say what befalls devices: who else needs one, and which are held back; see `Watchful`."""
        return self.lending.troubles(self.clock.boot())

    def held(self) -> Mapping[str, str]:
        """Name the devices that others hold or need, each with words on who does."""
        return self.lending.held()

    def submit(self, order: Order) -> None:
        """Start a supervisor for the attempt, or extend one that is at work.

        Raises DeviceBusy (nothing was started), LeaseLost (the token is stale), OSError (the folder cannot be written).
        """
        folder = Path(order.folder)
        if read_fence(order.folder) > order.token:
            raise LeaseLost()
        ordered = (folder / "order.json").exists()
        if (folder / "claim.json").exists() or self._starting(order.attempt):
            return self._control(folder, order.token, grant_s=order.grant_s, until_step=order.until_step)
        lease = self._acquire(order)
        if lease is None:
            return
        with lease:
            write_order(self.lending.addressed(order))
            if ordered:  # an earlier supervisor may have read the earlier order
                self._control(folder, order.token, grant_s=order.grant_s, until_step=order.until_step)
            marks = {**self._fingerprint(order), **self.lending.marks(order.devices)}
            write_atomic(str(folder / "fingerprint.json"), to_json(marks).encode())
            self._launched[order.attempt] = _launch(folder, lease.fds, _driver())
            self._since[order.attempt] = self.clock.boot()

    def _acquire(self, order: Order) -> DeviceLease | None:
        """Lock the order's devices; None if a supervisor of this very attempt holds them. Raises DeviceBusy."""
        deadline = time.monotonic() + SAME_S
        while True:
            try:
                return self.lending.acquire(order)
            except DeviceBusy:
                if any(self.pool.holder(name).get("attempt") == order.folder for name in order.devices):
                    return None
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.01)  # whoever has just locked it may not have written yet for which attempt

    def poll(self, attempts: Sequence[Attempt]) -> list[Sign]:
        """Say which attempts have started or ended, as their folders tell; end what lost its supervisor."""
        return [sign for attempt in attempts for sign in self._look(attempt)]

    def bequeath(self, saved: Checkpoint, heir: str) -> Checkpoint:
        """Copy a checkpoint to a trial that has not begun; see `Bequeathing`."""
        return inheriting.copied(self.folder, saved, heir)

    def cancel(self, attempt: str, *, mode: Mode, token: int, grace_s: float) -> None:
        """Put the request into the attempt's folder and wake its supervisor. Raises LeaseLost if the token is stale."""
        folder = self._folder_of(attempt)
        folder.mkdir(parents=True, exist_ok=True)
        self._control(folder, token, ask={"mode": mode, "grace_s": grace_s, "id": f"{mode}:{grace_s:g}"})

    def collect(self, attempt: Attempt, *, limit: int = COLLECT_LIMIT) -> list[Chunk]:
        """Return what the attempt's streams hold after `attempt.offsets`."""
        folder = self._folder_of(attempt.id)
        return collect_attempt(folder, attempt.offsets, trial=attempt.trial, attempt=attempt.id, limit=limit)

    def written(self, attempt: str) -> Mapping[str, int]:
        """Give the sizes of the attempt's fragments; see `Listening`."""
        folder, sizes = self._folder_of(attempt), {}
        for name in entries(folder):
            if name.endswith(wire.SUFFIX):
                with contextlib.suppress(OSError):
                    sizes[name] = os.lstat(folder / name).st_size
        return sizes

    def seen(self, attempt: str, written: Sequence[str] = ()) -> Mapping[str, Mapping[str, int]]:
        """List the metrics of an attempt that ended, wherever they stand; see `Seeing`."""
        return seen(self._folder_of(attempt), written=written)

    def close(self) -> None:
        """Reap supervisors that have ended; the others go on by themselves."""
        for attempt in tuple(self._launched):
            self._starting(attempt)

    def _forget(self, attempt: str) -> None:
        if not self._starting(attempt):
            self._launched.pop(attempt, None)
        self._since.pop(attempt, None)

    def _control(
        self, folder: Path, token: int, *, grant_s: float = 0.0, until_step: int = 0, ask: dict | None = None
    ) -> None:
        """Merge a request into control.json and wake the supervisor. Raises LeaseLost if the token is stale."""
        path = str(folder / "control.json")
        found = read_object(path)
        if max(read_fence(str(folder)), found.get("token", 0)) > token:
            raise LeaseLost()
        wanted = {
            "token": token,
            "grant_s": max(grant_s, found.get("grant_s", 0.0)),
            "until_step": max(until_step, found.get("until_step", 0)),
            "ask": ask or found.get("ask"),
        }
        if wanted != found:
            write_atomic(path, to_json(wanted).encode())
        claim = read_object(str(folder / "claim.json"))
        if claim.get("boot_id") == boot_id():
            signal_process(claim["pid"], claim["start_ticks"], signal.SIGUSR1)

    def _folder_of(self, attempt: str) -> Path:
        return self.folder / "attempts" / attempt

    def _starting(self, attempt: str) -> bool:
        """Say whether a supervisor that we launched for this attempt still lives; reap it if it has left."""
        if pid := self._launched.get(attempt, 0):
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    return True
            except ChildProcessError:
                pass  # somebody else in this process reaped it
            self._launched[attempt] = 0
        return False

    def _look(self, attempt: Attempt) -> list[Sign]:
        folder = self._folder_of(attempt.id)
        self._starting(attempt.id)  # before the claim is read: one that has left has claimed, or never will
        claim = read_object(str(folder / "claim.json"))
        if not claim:
            return self._unclaimed(attempt, folder)
        if refused := claim.get("refused"):
            self._forget(attempt.id)
            return [Sign(attempt=attempt.id, kind="ended", exit=Exit(cause="lost", message=str(refused)))]
        dead = not supervised(claim)  # before the exit is read: a supervisor writes it before it leaves
        signs = []
        if attempt.status == "ordered" and (child := read_object(str(folder / "child.json"))):
            found = read_object(str(folder / "fingerprint.json"))
            signs.append(
                Sign(attempt=attempt.id, kind="started", supervisor=claim["pid"], pid=child["pid"], fingerprint=found)
            )
        if (exit := read_exit(folder)) or (dead and (exit := self._lost(folder, claim))):
            self._forget(attempt.id)
            signs.append(Sign(attempt=attempt.id, kind="ended", exit=exit))
        return signs

    def _unclaimed(self, attempt: Attempt, folder: Path) -> list[Sign]:
        """Put a tombstone where no supervisor came in time, so that one that comes late cannot start."""
        waited = self.clock.boot() - self._since.setdefault(attempt.id, self.clock.boot())
        left = self._launched.get(attempt.id) == 0  # ours came, and went without a claim
        if not left and waited < self.claim_timeout_s:
            return []
        said = tail(str(folder / "supervisor.log")) if left else f"No supervisor claimed the attempt in {waited:.0f} s."
        folder.mkdir(parents=True, exist_ok=True)
        if not claim_once(str(folder), {"refused": said or "The supervisor left without a word."}):
            return []  # it came at the last moment
        return self._look(attempt)

    def _lost(self, folder: Path, claim: dict) -> Exit | None:
        """End what a dead supervisor left, and record that; None while something of it still lives."""
        leftovers, clean = end_remains(folder, claim)
        if not clean:
            return None
        same_boot = claim.get("boot_id") == boot_id()
        how = "The supervisor died." if same_boot else "The machine was restarted."
        exit = Exit(
            cause="lost",
            elapsed_s=_last_known_s(folder, same_boot),
            leftovers=leftovers,
            message="\n".join([how, tail(str(folder / "supervisor.log"))]).strip(),
        )
        try:
            write_exit(folder, exit)
        except OSError:
            pass  # a full disk; the ledger gets the exit all the same
        return exit


def _driver() -> str:
    """The folder in which `pynvml` lies, if this process found GPUs by it; supervisors know no installed packages."""
    module = sys.modules.get("pynvml")
    return os.path.dirname(os.path.abspath(module.__file__)) if module and module.__file__ else ""


def _launch(folder: Path, fds: Sequence[int], driver: str) -> int:
    """Start a supervisor in a session of its own, with copies of the device leases; return its pid."""
    first = max((DEVICE_FDS, *(fd + 1 for fd in fds)))  # above all sources, so that no copy overwrites one
    log = (os.POSIX_SPAWN_OPEN, 2, str(folder / "supervisor.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", str(SUPERVISOR), str(folder), *([driver] if driver else [])],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            log,
            *((os.POSIX_SPAWN_DUP2, fd, first + place) for place, fd in enumerate(fds)),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=QUIET_SIGNALS,
    )


def _last_known_s(folder: Path, same_boot: bool) -> float:
    """Return how long an attempt ran, as far as its last heartbeat tells, plus at most one interval."""
    beat = read_bytes(str(folder / "heartbeat")).split()
    last = float(beat[1]) if len(beat) == 3 and beat[0] == beat[2] else 0.0
    started = read_object(str(folder / "child.json")).get("started_boot_s")
    if started is None:
        return 0.0
    return min(last + BEAT_S, boot_s() - started) if same_boot else last + BEAT_S
