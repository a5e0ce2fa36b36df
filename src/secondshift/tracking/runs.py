"""The run: what a training script talks to. `init()` gives it; outside a study all of it is harmless."""

from __future__ import annotations

import atexit
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from secondshift.tracking import checkpoints, process
from secondshift.tracking.fragments import Fragment
from secondshift.tracking.orders import Order, newer_until_step, read_order
from secondshift.tracking.params import Params, like, plain
from secondshift.tracking.pulse import Pulse
from secondshift.tracking.saving import Restored, Saving
from secondshift.tracking.stops import Stops

TYPE_CHECKING = False  # see secondshift/__init__.py
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

MAX_ANNOUNCED = 1000  # changes of one process; a script that announces each step is misunderstood anyway
MAX_LAYERS_TEXT = 100_000  # characters of JSON
MAX_WHAT = 200  # characters of what is announced
MAX_WARNINGS = 20  # sentences on stderr of one run

_current: Run | None = None
_hooked = False


def init(horizon: int | None = None) -> Run:
    """Begin (or, in a process that secondshift started, join) a run and return it.

    `horizon` is the number of steps of a full training; inside a study the study's own number is used instead.
    A second call closes the run of the first. Raises OrderUnreadable if this process was started by secondshift and
    its order cannot be read; nothing else.
    """
    global _current, _hooked
    if _current is not None:
        _current._end(clean=False)
    _current = Run(read_order(), horizon)
    if not _hooked:
        _hooked = True
        atexit.register(_at_exit)
        os.register_at_fork(after_in_child=_after_fork)
    return _current


def current() -> Run | None:
    """Return the run that `init` gave last in this process, or None."""
    return _current


def _at_exit() -> None:
    if _current is not None:
        _current._end(clean=False)


def _after_fork() -> None:
    if _current is not None:
        _current._after_fork()


class Run:
    """One execution of a training script, made by `init()`.

    Only `horizon` and what the script itself raises inside `with run.checkpoint(...)` can raise; anything else that
    goes wrong is counted in `dropped`, told to the study, and said once on stderr.
    """

    def __init__(self, order: Order, horizon: int | None) -> None:
        self._order = order
        self._horizon = order.horizon_steps or horizon
        self._until = order.until_step
        self._forked = False
        self._closed = False
        self._steps_done = 0
        self._counted = 0  # what that was, or will be, after the last call that named no step
        self._params: dict[str, object] = {}
        self._warned: set[str] = set()
        self._announced: set[tuple[str, int]] = set()
        self._beside: dict[str, object] = {}  # metrics that wait for the next step
        self._directives = order.directives
        self._directives.tell = self._followed
        self._judged: float | None = None  # the newest value of the objective, if it is a number
        self._pulse = Pulse()
        self._bad_steps: set[int] = set()
        self._saved_at = time.monotonic()
        worker = process.is_worker()
        self._silent_at_exit = worker  # a worker's end says nothing about the attempt, unless it calls close() itself
        self._fragment = None
        if order.folder:
            self._fragment = Fragment(order.points, base=process.began(), warn=self._warn)
            self._greet(worker=worker)
            self._fragment.open()
        self._stops = Stops(order.folder, handle_signals=bool(order.folder) and not worker)

    # What the script asks

    @property
    def seed(self) -> int:
        """The seed of the trial; 0 outside a study."""
        return self._order.seed

    @property
    def horizon(self) -> int:
        """The number of steps of a full training. Raises RuntimeError outside a study if `init` was not told."""
        if self._horizon is None:
            raise RuntimeError(
                "The number of steps is not known outside a study. Say it for runs on your own: init(horizon=1000)."
            )
        return self._horizon

    @property
    def stopping(self) -> bool:
        """Whether the script shall leave its loop: asked to pause or stop, or done with the steps it may do for now."""
        try:
            return self._stops.requested() or self._reached_until(self._steps_done)
        except Exception as problem:
            self._swallow("stopping", problem)
            return False

    @property
    def recording(self) -> bool:
        """Whether what is logged is kept: False outside a study."""
        return self._fragment is not None

    @property
    def dropped(self) -> int:
        """How many points of this process could not be recorded so far."""
        return self._fragment.dropped if self._fragment else 0

    def params(self, **defaults: object) -> Params:
        """Return the parameters to train with: the given defaults, replaced by what the study chose for this trial.

        A whole number chosen for a parameter whose default is a float arrives as a float.
        """
        chosen = {name: like(defaults.get(name), value) for name, value in self._order.params.items()}
        result = Params({**defaults, **chosen})
        resolved = {name: plain(value) for name, value in result.items()}
        if self._fragment and not resolved.items() <= self._params.items():
            self._params.update(resolved)
            self._fragment.note("params", dict(self._params))
        return result

    def restore(self) -> Restored | None:
        """Return the newest checkpoint that is whole, or None. A damaged one is skipped, and the study is told."""
        try:
            if not self._order.checkpoints:
                return None
            root = Path(self._order.checkpoints)
            checkpoints.sweep(root, self._order.attempt)
            newest = checkpoints.newest_verified(root, rejected=self._reject, seed=self._order.seed)
            if newest is None:
                return None
            folder, manifest = newest
            fresh, self._steps_done = self._counted == self._steps_done, max(self._steps_done, manifest["step"])
            self._counted = self._steps_done if fresh else self._counted
            self._pulse.restart()
            self._tell("restored", step=manifest["step"])
            return Restored(folder, manifest["step"])
        except Exception as problem:
            self._swallow("restore", problem)
            return None

    def eval_due(self, step: int) -> bool:
        """Say whether to evaluate after `step`: at the study's interval, at the last step, and where it is to pause."""
        try:
            done = int(step) + 1
            return done % self._order.eval_every_steps == 0 or done == self._horizon or self._reached_until(done)
        except Exception as problem:
            self._swallow("eval_due", problem)
            return False

    def checkpoint_due(self, step: int) -> bool:
        """Say whether to save after `step`: interval passed, asked to stop, done for now, or done altogether."""
        try:
            done = int(step) + 1
            self._steps_done = max(self._steps_done, self._clamp(done))
            return (
                time.monotonic() - self._saved_at >= self._order.checkpoint_every_s
                or done == self._horizon
                or self._stops.requested()
                or self._reached_until(done)
            )
        except Exception as problem:
            self._swallow("checkpoint_due", problem)
            return False

    # What the captain asks of the script; asking back is following it

    def skips(self, step: int) -> bool:
        """Say whether the work of `step` is to be left out: its batch is fetched, and not trained on."""
        try:
            return self._directives.skips(step)
        except Exception as problem:
            self._swallow("skips", problem)
            return False

    @property
    def lr_scale(self) -> float:
        """The factor for every learning rate of this attempt; 1.0 unless the captain asks for another."""
        return self._directives.lr_scale(self._steps_done)

    @property
    def fresh_loader(self) -> int:
        """How often the loader was asked to be started afresh, 0 at first: make it a part of the loader's seed."""
        return self._directives.fresh_loader(self._steps_done)

    # What the script says

    def log(self, step: object = None, /, *others: object, **metrics: object) -> None:
        """Record the value of each metric at `step` (counted from 0). Values are anything that float() takes.

        A dict of metrics will do, too: `log({"loss": 0.5}, step=3)`; without a step it is the next one, or the newest of
        those that the script names elsewhere. Late and repeated steps are kept, and so are NaN and infinities. Takes about 5
        microseconds and never raises.
        """
        try:
            if step.__class__ is dict or others:
                step, others, metrics = self._of_dict((step, *others), metrics)
            if self._fragment is None:
                self._steps_done = max(self._steps_done, self._clamp(int(step) + 1))  # type: ignore[arg-type]  # a wrong type is swallowed below
                return
            if step is None and "step" in metrics:
                step = metrics.pop("step")
            if others or self._closed or not metrics:
                self._refuse(others, len(metrics))
                return
            done = self._fragment.points(step, metrics) + 1
            if done > self._steps_done:
                self._steps_done = self._clamp(done)
                if (now := time.monotonic()) >= self._pulse.due_at:
                    self._sample(now, done)
                if self._beside:
                    beside, self._beside = self._beside, {}
                    self._fragment.points(done - 1, beside)
            if self._order.objective in metrics:
                self._judge(metrics[self._order.objective])
        except Exception as problem:
            self._swallow("log", problem)

    def log_next(self, metrics: dict[str, float]) -> None:
        """Record metrics at the next new step that the script logs: for code that does not know the step."""
        if self._fragment is not None:
            self._beside |= metrics

    def describe(self, layers: list[dict[str, object]]) -> None:
        """Tell the study what the model is made of: of each layer `name`, `kind`, `shapes` by parameter, `parameters`.

        Only a trial's first step tells it, and only if it is below 100 kB as JSON. Never raises.
        """
        try:
            if self._fragment is not None and not self._order.from_step:
                text = json.dumps(layers)
                if len(text) > MAX_LAYERS_TEXT:
                    self._warn(f"the model's layers make {len(text)} characters, {MAX_LAYERS_TEXT} fit; describe parts")
                else:
                    self._tell("described", layers=text)
        except Exception as problem:
            self._swallow("describe", problem)

    def announce(self, what: str, step: int | None = None) -> None:
        """Say that a change is planned from `step` on (default: the next step), so that nobody takes it for a fault.

        `what` is a few words: "lr_drop", "curriculum: long sequences". The same is said once. Never raises.
        """
        try:
            said = str(what)[:MAX_WHAT], self._steps_done if step is None else int(step)
            if self._fragment is None or said in self._announced:
                return
            if self._closed or len(self._announced) >= MAX_ANNOUNCED:
                why = "announce was called after close" if self._closed else f"more than {MAX_ANNOUNCED} announced changes"
                self._fragment.drop(why, 0)
                return
            self._announced.add(said)
            self._tell("announced", what=said[0], step=said[1])
        except Exception as problem:
            self._swallow("announce", problem)

    def loading(self, batches: Iterable[T]) -> Iterator[T]:
        """Hand on what a loader gives, for `for batch in run.loading(loader)`; the time it takes becomes `sys/data_s`."""
        return iter(batches) if self._fragment is None else self._pulse.timed(batches)

    def checkpoint(self, step: int) -> Saving:
        """Return a context manager that gives an empty folder to save into; `step` is the number of steps done.

        When the block ends, the files are synced, checksummed and put in place in one move, and older checkpoints are
        removed. If the block raises, nothing is kept and the exception goes on its way; if the disk is full, the
        checkpoint is given up, the study is told, and training goes on.
        """
        return Saving(self, step)

    def close(self) -> None:
        """Say that the script came to its end in good order. Later calls do nothing."""
        self._end(clean=True)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        self._end(clean=problem is None or (isinstance(problem, SystemExit) and problem.code in (None, 0)))

    # Inside

    def _reached_until(self, done: int) -> bool:
        if not 0 < self._until <= done or self._until >= (self._horizon or 0):
            return False
        self._until = newer_until_step(self._order)
        return self._until <= done and self._until < (self._horizon or 0)

    def _clamp(self, done: int) -> int:
        return min(done, self._horizon) if self._horizon else done

    def _end(self, *, clean: bool) -> None:
        try:
            if self._closed:
                return
            stopping = self.stopping and not (self._horizon and self._steps_done >= self._horizon)
            self._closed = True
            self._stops.release()
            if self._fragment is None:
                return
            if not self._forked and (clean or not self._silent_at_exit):
                self._fragment.note("closed", {"clean": clean, "stopping": stopping, "steps_done": self._steps_done})
            self._fragment.close()
            if self._fragment.dropped:
                self._print(f"{self._fragment.dropped} points of this run were not recorded")
        except Exception as problem:
            self._swallow("close", problem)

    def _after_fork(self) -> None:
        """Run in a forked child: it has its own file, leaves signals alone, and does not speak for its parent's end."""
        try:
            self._forked = True
            self._stops.release()
            if self._fragment is not None:
                self._fragment.after_fork()
                self._pulse.restart()
                self._greet(worker=True)
        except Exception as problem:
            self._swallow("fork", problem)

    def _judge(self, value: object) -> None:
        """Remember the objective, so that a checkpoint knows how good it is."""
        try:
            judged = float(value)  # type: ignore[arg-type]  # what is none is dropped by `points`, and told there
        except Exception:  # a tensor of several values has its own
            return
        self._judged = judged if math.isfinite(judged) else None

    def _sample(self, now: float, done: int) -> None:
        own = self._pulse.sample(now, done)
        if own and self._fragment is not None and not self._fragment.held():  # points of the script's own come first
            self._fragment.points(done - 1, own)

    def _greet(self, *, worker: bool) -> None:
        if self._fragment is not None:
            python = ".".join(map(str, sys.version_info[:3]))
            self._fragment.hello({"pid": os.getpid(), "parent": os.getppid(), "worker": worker, "python": python})

    def _tell(self, kind: str, **values: object) -> None:
        if self._fragment is not None:
            self._fragment.note(kind, values)

    def _followed(self, **values: object) -> None:
        self._tell("applied", **values)

    def _reject(self, step: int, reason: str) -> None:
        self._bad_steps.add(step)
        self._tell("rejected", step=step, reason=reason)
        self._warn(f"the checkpoint of step {step} is damaged ({reason}); the one before it is used")

    def _of_dict(
        self, given: tuple[object, ...], metrics: dict[str, object]
    ) -> tuple[object, tuple[object, ...], dict[str, object]]:
        """Step, what is of no use, and metrics of a call that was given a dict of them, before or behind the step."""
        found = [one for one in given if isinstance(one, dict)]
        others = tuple(one for one in given if not isinstance(one, dict))
        if len(found) != 1 or len(others) > 1:
            return given[0], given[1:], metrics
        metrics = {str(name): value for name, value in found[0].items()} | metrics
        if others or "step" in metrics or not metrics:
            return (others[0] if others else metrics.pop("step", None)), (), metrics
        if self._steps_done not in (self._counted, self._counted - 1):
            return max(0, self._steps_done - 1), (), metrics  # the script names its steps elsewhere
        self._counted = self._clamp(self._steps_done + 1)
        return self._steps_done, (), metrics

    def _refuse(self, others: tuple[object, ...], points: int) -> None:
        if self._fragment is None or (not others and not points):
            return
        if others:
            given = ", ".join(type(other).__name__ for other in others)
            points += sum(len(other) if isinstance(other, dict) else 1 for other in others)
            self._fragment.drop(f"log was given {given} beside the step; write log(step, name=value)", points)
        else:
            self._fragment.drop("log was called after close", points)

    def _swallow(self, where: str, problem: Exception) -> None:
        """Nothing of ours may end a training: say it and go on."""
        try:
            reason = f"{where} failed: {type(problem).__name__}: {problem}"
            if self._fragment is not None and where != "close":
                self._fragment.drop(reason[:300], 0)
            elif self._order.folder:
                self._warn(reason)
        except Exception:
            pass

    def _warn(self, reason: str) -> None:
        if reason not in self._warned and len(self._warned) < MAX_WARNINGS:
            self._warned.add(reason)
            self._print(reason)

    def _print(self, text: str) -> None:
        try:
            print(f"secondshift: {text}", file=sys.stderr, flush=True)
        except Exception:
            pass  # a notebook or a daemon may have no stderr
