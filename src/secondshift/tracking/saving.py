"""Saving a checkpoint from within a script: a folder to fill, put in place when all of it is safe on disk."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from secondshift.tracking import checkpoints

TYPE_CHECKING = False  # see secondshift/__init__.py
if TYPE_CHECKING:
    from secondshift.tracking.runs import Run

DISK_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))
LOW_DISK_BYTES = 1 << 20  # with less than this left, a save that failed is blamed on the disk
MAX_REASON = 500  # characters of a failure that the study is told


class Restored:
    """A verified checkpoint to go on from."""

    __slots__ = ("path", "step")

    def __init__(self, path: Path, step: int) -> None:
        self.path = path  # the folder that was filled in `with run.checkpoint(step) as folder`
        self.step = step  # number of steps done; the next step to train has this number

    def __repr__(self) -> str:
        return f"Restored(path={str(self.path)!r}, step={self.step})"


class Saving:
    """The time between asking for a checkpoint's folder and having it safely in place."""

    def __init__(self, run: Run, step: int) -> None:
        self._run = run
        self._step = step
        self._root = Path()
        self._folder = Path()
        self._began_at = time.monotonic()
        self._unplaced = ""  # why there is no folder of its own to save into

    def __enter__(self) -> Path:
        run = self._run
        try:
            self._step = int(self._step)
            if self._step < 0:
                raise ValueError(f"step was {self._step}, expected the number of steps done, 0 or more")
            if not run._order.checkpoints:
                run._order.checkpoints = str(_scratch("checkpoints"))
                run._print(f"outside a study, checkpoints go to {run._order.checkpoints}")
            self._root = Path(run._order.checkpoints)
            checkpoints.sweep(self._root, run._order.attempt)
            self._folder = checkpoints.begin(self._root, self._step, run._order.attempt)
        except Exception as problem:
            self._unplaced = f"{type(problem).__name__}: {problem}"
            self._folder = _scratch("unplaced")
        return self._folder

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> bool:
        try:
            return self._finish(problem)
        finally:
            self._run._pulse.away_s += time.monotonic() - self._began_at

    def _finish(self, problem: BaseException | None) -> bool:
        """Keep what was saved, or give it up; say whether the block's exception was the disk's fault."""
        run = self._run
        run._saved_at = time.monotonic()
        if problem is not None:
            blame_disk = isinstance(problem, Exception) and self._disk_failed(problem)
            checkpoints.remove(self._folder)
            if blame_disk:
                self._give_up(f"{type(problem).__name__}: {problem}")
            return blame_disk
        try:
            if self._unplaced:
                self._give_up(self._unplaced)
            else:
                self._keep()
        except Exception as failure:
            self._give_up(f"{type(failure).__name__}: {failure}")
        run._saved_at = time.monotonic()
        return False

    def _keep(self) -> None:
        run, order = self._run, self._run._order
        value = run._judged
        digest, size = checkpoints.seal(
            self._folder, step=self._step, attempt=order.attempt, trial=order.trial, seed=order.seed, objective=value
        )
        if run._fragment is not None:
            run._fragment.sync()  # the points before a checkpoint must not be less durable than it
        place = checkpoints.install(self._folder, self._root, self._step)
        run._bad_steps.discard(self._step)
        judged = {"objective": value} if value is not None else {}
        run._tell("saved", step=self._step, bytes=size, digest=digest, folder=_within(order.private, place), **judged)
        for step in checkpoints.prune(
            self._root, order.keep_checkpoints, self._step, run._bad_steps, order.keep_older, order.keep_best
        ):
            run._tell("pruned", step=step)

    def _give_up(self, reason: str) -> None:
        checkpoints.remove(self._folder)
        step = self._step if isinstance(self._step, int) else -1  # what was given is in the reason
        self._run._tell("unsaved", step=step, reason=reason[:MAX_REASON])
        self._run._warn(f"the checkpoint of step {self._step} could not be saved: {reason}")

    def _disk_failed(self, problem: BaseException) -> bool:
        """Say whether the script's own save failed for want of disk, in whatever exception its library wrapped that."""
        if self._unplaced and isinstance(problem, OSError):
            return True
        seen: BaseException | None = problem
        for _ in range(10):
            if isinstance(seen, OSError) and seen.errno in DISK_FULL:
                return True
            seen = seen and (seen.__cause__ or seen.__context__)
        try:
            room = os.statvfs(self._root)
            return room.f_bavail * room.f_frsize < LOW_DISK_BYTES
        except OSError:
            return False


def _scratch(purpose: str) -> Path:
    """Return a folder of this process in the place for temporary files; it may be impossible to make."""
    name = f"secondshift-{purpose}-{os.getpid()}-{time.monotonic_ns():x}"
    path = Path(os.environ.get("TMPDIR") or "/tmp", name)
    try:
        path.mkdir(mode=0o700)
    except OSError:
        pass
    return path


def _within(private: str, place: Path) -> str:
    """Return a checkpoint's folder as the ledger names it: relative to the study's private folder if it lies there."""
    relative = os.path.relpath(place, private) if private else str(place)
    return str(place) if relative.startswith("..") else relative
