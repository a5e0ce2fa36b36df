"""Plays recorded curves on a clock that someone else moves: the loop and its policies run a night in seconds."""

import math
import zlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from secondshift.errors import ConfigInvalid, DeviceBusy, LeaseLost
from secondshift.records.orders import Batch, Chunk, Note, Order, Sign
from secondshift.records.studies import Study
from secondshift.records.trials import Attempt, Checkpoint, Exit
from secondshift.runtime.clocks import Clock, HostClock
from secondshift.runtime.executors.protocol import COLLECT_LIMIT, Mode

FRAGMENT = "simulated.frag"
POINT_BYTES = 16  # what `limit` of collect counts for one point
Curve = Mapping[str, Sequence[float] | np.ndarray]  # metric -> one value per step, from step 0
Recording = Callable[[Order], Curve]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mishap:
    """Something that goes wrong in a simulated attempt when it has done `at_step` steps.

    fail: exit code 1; crash: ended by signal 11; lost: its supervisor dies; hang: it goes on without a step;
    silent: it trains on without logging; nan: it logs NaN from there on.
    """

    kind: Literal["fail", "crash", "lost", "hang", "silent", "nan"]
    at_step: int
    attempt: int = 1  # number of the attempt it happens to; 0: to each


@dataclass(slots=True, kw_only=True)
class _Run:
    """One attempt being played. Its end is known from the start, and known anew when somebody intervenes."""

    order: Order
    started: float  # boot seconds
    columns: dict[str, array]
    grant_s: float
    until_step: int
    end_at: float = math.inf
    end_step: int = 0
    exit: Exit = field(default_factory=Exit)
    every: int = 1  # steps between checkpoints
    hang: float = math.inf  # no step is done from here on
    silent: float = math.inf  # nothing is logged from here on
    saves: bool = False  # it leaves a checkpoint at its end
    stopping: bool = False


def recorded(curves: Mapping[str, Curve]) -> Recording:
    """Choose a trial's curve: by the parameter `curve`, else by the trial's id, else evenly by its parameters."""
    names = sorted(curves)

    def pick(order: Order) -> Curve:
        for name in (str(order.params.get("curve", "")), order.trial):
            if name in curves:
                return curves[name]
        return curves[names[zlib.crc32(repr(sorted(order.params.items())).encode()) % len(names)]]

    return pick


def load_curves(path: Path) -> dict[str, Curve]:
    """Read recorded curves from an .npz file whose arrays are named `<curve>/<metric>`. Raises ConfigInvalid."""
    curves: dict[str, dict[str, np.ndarray]] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                curve, _, metric = name.rpartition("/")
                curves.setdefault(curve, {})[metric] = np.asarray(file[name], dtype=float)
    except (OSError, ValueError, EOFError) as problem:
        raise ConfigInvalid(
            f"The simulated executor found no curves in {path} ({problem}); expected arrays named <curve>/<metric>, "
            "one value per step. Write one with numpy.savez, or choose executor = 'local'."
        ) from problem
    return dict(curves)


class SimulatedExecutor:
    """Attempts that are curves. Nothing runs, nothing is kept: a new one knows no attempts, and calls them lost.

    folder: the study's private folder, or where curves.npz lies; curves: recorded curves by name, or a function that
    gives an order's curve; clock: moved by the caller; seconds_per_step: training time, and before the first step
    `start_s`; slots: devices, by default the study's slots or 2; noise: standard deviation added to each value, the
    same for the same trial; mishaps: by trial.
    """

    def __init__(
        self,
        folder: Path,
        *,
        study: Study | None = None,
        curves: Mapping[str, Curve] | Recording | None = None,
        clock: Clock | None = None,
        seconds_per_step: float = 1.0,
        start_s: float = 0.0,
        slots: int = 0,
        noise: float = 0.0,
        mishaps: Mapping[str, Sequence[Mishap]] | None = None,
    ) -> None:
        found = load_curves(folder / "curves.npz") if curves is None else curves
        self.recording: Recording = found if callable(found) else recorded(found)
        self.clock = clock or HostClock()
        self.seconds_per_step, self.start_s, self.noise = seconds_per_step, start_s, noise
        self.mishaps = mishaps or {}
        slots = slots or (study.launch.slots if study else 0) or 2
        self._held: dict[str, str] = {f"sim-{number}": "" for number in range(slots)}  # device -> attempt
        self._runs: dict[str, _Run] = {}
        self._steps = array("q")  # 0, 1, 2, ...: sliced, never changed
        self._token = 0

    def devices(self) -> tuple[str, ...]:
        """List the devices without an attempt that goes on."""
        now, runs = self.clock.boot(), self._runs
        return tuple(name for name, holder in self._held.items() if not holder or runs[holder].end_at <= now)

    def held(self) -> Mapping[str, str]:
        """Nothing: simulated devices are ours alone."""
        return {}

    def submit(self, order: Order) -> None:
        """Begin to play an attempt, or extend it. Raises DeviceBusy, LeaseLost; ValueError for too short a curve."""
        self._check(order.token)
        if run := self._runs.get(order.attempt):
            if self.clock.boot() < run.end_at:
                run.grant_s = max(run.grant_s, order.grant_s)
                run.until_step = min(max(run.until_step, order.until_step), order.horizon_steps)
                self._foresee(run)
            return
        free = self.devices()
        if busy := [name for name in order.devices if name not in free]:
            raise DeviceBusy(f"{busy[0]} is held or unknown; expected one of {free}. Ask devices() what is free.")
        run = _Run(
            order=order,
            started=self.clock.boot(),
            columns=self._columns(order),
            grant_s=order.grant_s,
            until_step=min(order.until_step or order.horizon_steps, order.horizon_steps),
            every=max(1, round(order.checkpoint_every_s / self.seconds_per_step)),
            hang=self._mishap(order, "hang"),
            silent=self._mishap(order, "silent"),
        )
        self._held.update(dict.fromkeys(order.devices, order.attempt))
        self._runs[order.attempt] = run
        self._foresee(run)

    def poll(self, attempts: Sequence[Attempt]) -> list[Sign]:
        """Say which attempts have started and which have ended by now."""
        now, signs = self.clock.boot(), []
        for attempt in attempts:
            run = self._runs.get(attempt.id)
            if run is None:
                exit = Exit(cause="lost", message="The simulation it belonged to is gone.")
                signs.append(Sign(attempt=attempt.id, kind="ended", exit=exit))
                continue
            if attempt.status == "ordered":
                signs.append(Sign(attempt=attempt.id, kind="started", fingerprint={"host": "simulated"}))
            if run.end_at <= now:
                signs.append(Sign(attempt=attempt.id, kind="ended", exit=run.exit))
        return signs

    def cancel(self, attempt: str, *, mode: Mode, token: int, grace_s: float) -> None:
        """Let an attempt end now: with a checkpoint after the step it is at, or killed. Raises LeaseLost."""
        self._check(token)
        run, now = self._runs.get(attempt), self.clock.boot()
        if run is None or run.end_at <= now:
            return
        step = self._step_at(run, now)
        if mode == "kill":
            self._end(run, now, step, Exit(signal=9, cause="kill"))
        else:
            self._end(run, now, step, Exit(code=0, cause=mode), saves=True, stopping=True)

    def collect(self, attempt: Attempt, *, limit: int = COLLECT_LIMIT) -> list[Chunk]:
        """Return the points of the steps done since the last chunk; an offset counts steps, and one for the end."""
        run = self._runs.get(attempt.id)
        if run is None:
            return []
        now, offset, first = self.clock.boot(), attempt.offsets.get(FRAGMENT, 0), run.order.from_step
        ended = run.end_at <= now
        step = run.end_step if ended else self._step_at(run, now)
        last = first + offset + max(1, limit // (POINT_BYTES * len(run.columns)))
        final = ended and last > step
        end = min(step, last) - first + final
        if end <= offset:
            return []
        here, there = first + offset, first + end - final
        batches = self._batches(run, here, there)
        notes = self._notes(run, here, there, first=offset == 0, final=final)
        name = run.order.attempt
        return [Chunk(attempt=name, fragment=FRAGMENT, start=offset, end=end, batches=batches, notes=notes)]

    def close(self) -> None:
        """Nothing is held."""

    def _check(self, token: int) -> None:
        if token < self._token:
            raise LeaseLost()
        self._token = token

    def bequeath(self, saved: Checkpoint, heir: str) -> Checkpoint:
        """Give a checkpoint on: nothing is copied, because nothing is kept. The heir goes on along its own curve."""
        return replace(saved, trial=heir, folder=f"trials/{heir}/checkpoints/step-{saved.step}", attempt="")

    def _step_at(self, run: _Run, now: float) -> int:
        """Return how many steps of the trial are done; the inverse of `_time_of`, whatever was rounded."""
        done = int((now - run.started - self.start_s) / self.seconds_per_step + 1e-9)
        step = run.order.from_step + done if done > 0 else run.order.from_step
        step = run.until_step if step > run.until_step else step
        return step if step < run.hang else int(run.hang)

    def _time_of(self, run: _Run, step: int) -> float:
        return run.started + self.start_s + (step - run.order.from_step) * self.seconds_per_step

    def _mishap(self, order: Order, kind: str) -> float:
        """Return the first step at which such a mishap happens to the attempt; infinity if none does."""
        steps = (
            mishap.at_step
            for mishap in self.mishaps.get(order.trial, ())
            if mishap.kind == kind and mishap.attempt in (0, order.number) and mishap.at_step >= order.from_step
        )
        return min(steps, default=math.inf)

    def _foresee(self, run: _Run) -> None:
        """Work out when and how the attempt ends if nobody intervenes."""
        order, stop = run.order, run.until_step
        early = stop < order.horizon_steps
        at = math.inf if run.hang < stop else self._time_of(run, stop)
        ends = [(at, stop, Exit(code=0), early, early)]
        for kind, exit in (("fail", Exit(code=1)), ("crash", Exit(signal=11)), ("lost", Exit(cause="lost"))):
            step = self._mishap(order, kind)
            if step < min(stop, run.hang):
                ends.append((self._time_of(run, int(step)), int(step), exit, False, False))
        granted = run.started + run.grant_s
        ends.append((granted, self._step_at(run, granted), Exit(code=0, cause="grant"), True, True))
        at, step, exit, saves, stopping = min(ends, key=lambda end: end[0])
        self._end(run, at, step, exit, saves=saves, stopping=stopping)

    def _end(self, run: _Run, at: float, step: int, exit: Exit, *, saves: bool = False, stopping: bool = False) -> None:
        run.end_at, run.end_step, run.saves, run.stopping = at, step, saves, stopping
        text = f"simulated: step {step} of {run.order.horizon_steps}"
        run.exit = Exit(
            code=exit.code, signal=exit.signal, cause=exit.cause, elapsed_s=max(0.0, at - run.started), message=text
        )

    def _columns(self, order: Order) -> dict[str, array]:
        """Return the values of every step and metric of a trial, noise and NaN included."""
        columns: dict[str, array] = {}
        spoilt = int(min(self._mishap(order, "nan"), order.horizon_steps))
        for number, (metric, values) in enumerate(self.recording(order).items()):
            played = np.array(values, dtype=float)[: order.horizon_steps]
            if len(played) < order.horizon_steps:
                raise ValueError(
                    f"The recorded curve of {metric} has {len(played)} steps; expected at least the "
                    f"{order.horizon_steps} of the horizon. Record a longer one, or shorten [horizon] steps."
                )
            if self.noise:
                seed = [order.seed, zlib.crc32(order.trial.encode()), number]
                played += self.noise * np.random.default_rng(seed).standard_normal(len(played))
            played[spoilt:] = math.nan
            columns[metric] = array("d", played.tobytes())
        if order.horizon_steps > len(self._steps):
            self._steps = array("q", range(order.horizon_steps))
        return columns

    def _batches(self, run: _Run, here: int, there: int) -> tuple[Batch, ...]:
        there = int(min(there, run.silent))
        if there <= here:
            return ()
        trial, attempt, steps = run.order.trial, run.order.attempt, self._steps[here:there]
        return tuple(
            [
                Batch(trial=trial, attempt=attempt, metric=metric, steps=steps, values=values[here:there])
                for metric, values in run.columns.items()
            ]
        )

    def _notes(self, run: _Run, here: int, there: int, *, first: bool, final: bool) -> tuple[Note, ...]:
        """Return what the script's SDK would have said: its parameters, its checkpoints, its end."""
        order, notes = run.order, []
        if first:
            notes.append(Note(kind="params", values=order.params))
            if order.from_step:
                notes.append(Note(kind="restored", values={"step": order.from_step}))
        newest = there - (there - order.from_step) % run.every
        saved = [newest] if newest > here else []
        if final and run.saves and there > order.from_step and there not in saved:
            saved.append(there)
        for step in saved:
            folder = f"trials/{order.trial}/checkpoints/step-{step}"
            values = {"step": step, "folder": folder, "bytes": 1, "digest": "simulated"}
            judged = run.columns.get(order.objective)
            if judged is not None and step > 0:
                values["objective"] = judged[step - 1]
            notes.append(Note(kind="saved", values=values))
        if final and run.exit.code == 0:
            values = {"clean": True, "stopping": run.stopping, "steps_done": there}
            notes.append(Note(kind="closed", values=values))
        return tuple(notes)
