"""Trying a study's command outside any night, by the very hands a night has: the same orders, supervisors and readers."""

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from secondshift.errors import DeviceBusy
from secondshift.records.orders import Order
from secondshift.records.proofs import Probe
from secondshift.records.studies import Study
from secondshift.runtime.executors.protocol import Seeing
from secondshift.runtime.probejobs import Job, Tried
from secondshift.runtime.proberuns import QUICK_S, SLOW_S, Running
from secondshift.runtime.workfolders import changed, footprint

AT_ONCE = 2  # runs side by side, where the host has slots; noise in their timing does not matter to curves
END_S = 20.0  # longest wait for runs that were told to end
WAIT_S = 60.0  # for a device that others hold


class Bench:
    """A private folder in which runs of one study are tried, one or two at a time.

    study: with the tier as its file names it; folder: private, empty, absolute, that of the executor too; cwd: where the
    command runs; order: writes what a night would order for a job on a device.
    """

    def __init__(
        self, study: Study, *, folder: Path, cwd: Path, slots: int, executor: Seeing, order: Callable[[Job, str], Order],
    ) -> None:  # fmt: skip
        self.study, self.folder, self.cwd, self.slots = study, folder, cwd, slots
        self.executor, self._order = executor, order
        self._plain_words: frozenset[str] = frozenset()  # what the first run printed, before any parameter was changed

    def try_all(
        self, jobs: Sequence[Job], *, wait_s: float = WAIT_S, done: Callable[[Probe], None] = lambda probe: None
    ) -> list[Tried]:
        """Run jobs, as many at once as the host has slots for, at most two; give what came of each, in their order.

        Raises DeviceBusy if others hold all devices for `wait_s`. Whatever happens, nothing that was started lives on.
        """
        waiting, live, over = list(enumerate(jobs)), dict[int, Running](), dict[int, Tried]()
        idle_since = time.monotonic()
        try:
            while waiting or live:
                while waiting and len(live) < min(AT_ONCE, self.slots) and (device := self._free_device()):
                    number, job = waiting.pop(0)
                    live[number] = self._start(job, device)
                for number, running in list(live.items()):
                    if running.look():
                        over[number] = self._finished(running)
                        del live[number]
                        done(over[number].probe)
                        idle_since = time.monotonic()
                if waiting and not live and time.monotonic() - idle_since > wait_s:
                    raise DeviceBusy(self._all_held(wait_s))
                time.sleep(min((running.pause_s() for running in live.values()), default=SLOW_S))
        finally:
            self._end(live.values())
        return [over[number] for number in range(len(jobs))]

    def _start(self, job: Job, device: str) -> Running:
        before = footprint(self.cwd) if job.footprint else None
        order = self._order(job, device)
        return Running(job, order, study=self.study, executor=self.executor, before=before)

    def _finished(self, running: Running) -> Tried:
        wrote = changed(running.before, footprint(self.cwd)) if running.before is not None else ()
        found = running.tried(wrote, self._plain_words)
        self._plain_words = self._plain_words or running.words()
        return found

    def _end(self, left: Collection[Running]) -> None:
        """Kill what still runs and wait until it is gone."""
        for running in left:
            running.ask("kill")
        until = time.monotonic() + END_S
        remaining = list(left)
        while remaining and time.monotonic() < until:
            remaining = [running for running in remaining if not running.gone()]
            time.sleep(QUICK_S)
        self.executor.close()

    def _free_device(self) -> str:
        return next(iter(self.executor.devices()), "")

    def _all_held(self, wait_s: float) -> str:
        held = "; ".join(f"{name}: {who}" for name, who in self.executor.held().items()) or "none was found"
        return (
            f"No device of this host came free in {wait_s:.0f} s ({held}). The doctor needs one to try the script on: "
            "run it again when that is over, or with SECONDSHIFT_HOST_DIR set to a folder of its own."
        )
