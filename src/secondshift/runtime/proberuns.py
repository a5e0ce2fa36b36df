"""One run that is tried: watched closely while it lives, interrupted where its job says, and told as a probe."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from secondshift.errors import DeviceBusy
from secondshift.records.orders import Order
from secondshift.records.proofs import Probe
from secondshift.records.studies import Study
from secondshift.records.trials import Attempt, Exit
from secondshift.runtime.executors.attempt_files import read_object, tail
from secondshift.runtime.executors.processes import boot_s, start_ticks
from secondshift.runtime.executors.protocol import Seeing
from secondshift.runtime.ownsaves import Seen, newest, saved_files
from secondshift.runtime.probejobs import Job, Leave, Tried, View
from secondshift.runtime.probestreams import Said, printed_words, stands_in
from secondshift.runtime.workfolders import Footprint

GRANT_S, EXTEND_S = 30.0, 10.0  # a run is ended by its supervisor so long after its doctor died
QUICK_S, SLOW_S = 0.01, 0.05  # between two looks: at a run that is to be interrupted, and at others
STRIDE_S = 0.003  # how long a run that is stepped through may go on between two looks
READ_BYTES = 1 << 19  # of a stream at one look, so that a look stays short
WORDS = 2000  # characters of a script's last words that are kept
MOST_SAVES = 100  # names of saved files that are kept


class Running:
    """A run that was started and is not yet known to have ended."""

    def __init__(self, job: Job, order: Order, *, study: Study, executor: Seeing, before: Footprint | None) -> None:
        self.job, self.study, self.executor, self.before = job, study, executor, before
        self.said = Said(objective=study.objective.metric)
        self.attempt = Attempt(id=order.attempt, trial=order.trial, number=order.number, from_step=order.from_step)
        self.order = replace(order, grant_s=GRANT_S)
        self.folder, self.checkpoints = Path(self.order.folder), Path(self.order.checkpoints)
        self.exit: Exit | None = None
        self.asked, self.asked_at = "", 0.0
        self._began, self._granted_at = boot_s(), boot_s()
        self._group = (0, 0)  # process group, start time of its leader in ticks
        self._saved: Seen | None = newest(self.checkpoints)
        self._changes, self._settled, self._saved_at = 0, True, job.from_step
        try:
            executor.submit(self.order)
        except DeviceBusy:  # somebody else was faster; as a night does, it is tried again
            time.sleep(QUICK_S)
            executor.submit(self.order)

    def look(self) -> bool:
        """Read what is new, and end the run if its job says so; say whether it has ended and all of it was read."""
        if self.gone():
            while self._read():
                pass
            self._look_at_saves()
            return True
        if self.job.stepped:
            self._signal_group(signal.SIGSTOP)
        self._read()
        if self.job.tense:
            self._look_at_saves()
        if not self.asked and (how := self.job.leave(self._view())):
            self.ask(how)
        if self.job.stepped:
            self._signal_group(signal.SIGCONT)
        if not self.asked and boot_s() - self._granted_at > EXTEND_S:
            self._granted_at = boot_s()
            self.executor.submit(replace(self.order, grant_s=self._elapsed_s() + GRANT_S))
        return False

    def pause_s(self) -> float:
        """How long it may be left alone until the next look."""
        if self.job.stepped and not self.asked:
            return STRIDE_S
        return QUICK_S if self.job.tense or self.asked else min(SLOW_S, max(QUICK_S, self._elapsed_s() / 50.0))

    def ask(self, how: Leave) -> None:
        """Tell it to leave: as a night pauses a trial, or at once."""
        self.asked, self.asked_at = how, boot_s()
        mode = "pause" if how == "pause" else "kill"
        self.executor.cancel(self.attempt.id, mode=mode, token=self.order.token, grace_s=self.study.launch.grace_s)

    def gone(self) -> bool:
        """Say whether nothing of it lives any more."""
        if self.exit is None:
            for sign in self.executor.poll([self.attempt]):
                if sign.kind == "started":
                    child = read_object(str(self.folder / "child.json"))
                    self._began = float(child.get("started_boot_s", self._began))
                    self._group = (int(child.get("pgid", 0)), int(child.get("start_ticks", 0)))
                    self.attempt = replace(self.attempt, status="running")
                self.exit = sign.exit or self.exit
        return self.exit is not None

    def words(self) -> frozenset[str]:
        """The words of what it printed."""
        return printed_words(self.folder / "output.log")

    def tried(self, wrote: tuple[str, ...], plain_words: frozenset[str]) -> Tried:
        """Tell what came of it; `plain_words`: those that a run without the changed parameter printed."""
        job, said, exit = self.job, self.said, self.exit or Exit(cause="lost")
        by_itself = exit.cause in ("self", "refused")
        code = exit.code if exit.signal is None else 128 + exit.signal
        value = job.params.get(job.changed)
        echoed = value is not None and bool(plain_words) and stands_in(value, self.words(), plain_words)
        probe = Probe(
            name=job.name, seed=job.seed, params=dict(job.params), part=job.part, changed=job.changed,
            curves=said.curves(job.until),
            seen=self.executor.seen(self.attempt.id, wrote) if job.look_everywhere else {},
            resolved=dict(said.params), echoed=echoed, uses_sdk=said.uses_sdk, ended=by_itself,
            code=(1 if code is None else code) if by_itself else None,
            took_s=exit.elapsed_s, first_point_s=said.first_point_s(), eval_s=said.eval_s(), wrote=wrote,
            saved=saved_files(self.checkpoints)[:MOST_SAVES],
            words=(exit.message or tail(str(self.folder / "output.log")))[-WORDS:],
        )  # fmt: skip
        after = self._began + exit.elapsed_s - self.asked_at if self.asked else 0.0
        return Tried(job=job, probe=probe, exit=exit, saved_at=self._saved_at, after_s=max(0.0, after))

    def _elapsed_s(self) -> float:
        return boot_s() - self._began

    def _view(self) -> View:
        saved = self.said.saves > 0
        if self.study.tier != "cooperative":
            saved = self._changes > 0 and (self._settled or self._changes > 2)  # half a file is no checkpoint
        return View(
            elapsed_s=self._elapsed_s(), reached=self.said.reached(), points=self.said.points(), saved=saved
        )  # fmt: skip

    def _read(self) -> bool:
        """Take in what is new; say whether anything was."""
        chunks = self.executor.collect(self.attempt, limit=READ_BYTES)
        self.said.take(chunks, self._elapsed_s())
        before = dict(self.attempt.offsets)
        offsets = {**before, **{chunk.fragment: chunk.end for chunk in chunks}}
        self.attempt = replace(self.attempt, offsets=offsets)
        return offsets != before

    def _look_at_saves(self) -> None:
        """Note the steps that were logged one look after the folder had changed: some print first, others save first."""
        if not self._settled:
            self._saved_at = self.said.logged() + 1
        found = newest(self.checkpoints)
        self._settled = found == self._saved
        if not self._settled:
            self._saved, self._changes = found, self._changes + 1
            self._saved_at = self.said.logged() + 1

    def _signal_group(self, number: signal.Signals) -> None:
        """Signal the script's group while its leader surely is the one that was started."""
        group, ticks = self._group
        if group > 1 and ticks and start_ticks(group) == ticks:
            try:
                os.killpg(group, number)
            except OSError:
                pass  # it left meanwhile
