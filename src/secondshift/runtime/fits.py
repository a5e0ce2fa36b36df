"""Fits that were ordered: made beside the loop by a process of their own, or at once where everybody waits for them.

A fit that was on its way when its engine died is lost, and the next engine orders it anew. The process ends by itself: its
work is bounded, its input and output are files without a name, and nobody has to find it.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import IO

from secondshift import plugins
from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.standing import noted

LONGEST_S = 60.0  # of a fit, which takes less than one; on a machine that is busy with other things
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
Filled = Callable[[State], State]  # gives a state its curves


class AtOnce:
    """Makes each fit while its caller waits: what came of it depends on nobody's speed."""

    def work(self, state: State, filled: Filled) -> list[facts.Payload]:
        """Make the fits that the state says were ordered; what came of them."""
        return [fact for name in state.fitting for fact in self._made(state, name, plugins.fit(name).job(filled(state)))]

    def _made(self, state: State, name: str, job: str) -> list[facts.Payload]:
        try:
            return [facts.MemoRemembered(policy=name, memo=plugins.fit(name).fitted(job), fit=state.fitting[name])]
        except Exception as problem:  # as a decider that raises: it must not end a night
            return _failed(state, name, job, f"{type(problem).__name__}: {problem}")

    def close(self) -> None:
        """Nothing is on its way."""


class Beside(AtOnce):
    """Has each fit that is not quick made by a process of its own, and hears of it when it is done."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}  # of each model, the newest

    def work(self, state: State, filled: Filled) -> list[facts.Payload]:
        """Begin what was ordered, and give what came of what is done. Nobody waits."""
        out: list[facts.Payload] = []
        for name, decision in state.fitting.items():
            worker = self._workers.get(name)
            if worker is None or worker.decision != decision:
                self._drop(name)
                job = plugins.fit(name).job(filled(state))
                if plugins.fit(name).quick(job):
                    out += self._made(state, name, job)
                    continue
                try:
                    self._workers[name] = _Worker(name, decision, job)
                except OSError:  # no space, no memory, too many processes
                    out += self._made(state, name, job)
            elif worker.process.poll() is not None:
                out += self._heard(state, name, worker)
                self._drop(name)
            elif time.monotonic() - worker.began > LONGEST_S:
                out += _failed(state, name, worker.job, f"it took longer than {LONGEST_S:.0f} s")
                self._drop(name)
        return out

    def _heard(self, state: State, name: str, worker: "_Worker") -> list[facts.Payload]:
        memo, said = worker.told()
        if memo:
            return [facts.MemoRemembered(policy=name, memo=memo, fit=worker.decision)]
        return _failed(state, name, worker.job, said)

    def _drop(self, name: str) -> None:
        worker = self._workers.pop(name, None)
        if worker is not None:
            worker.end()

    def close(self) -> None:
        """End what is on its way: nobody will hear of it."""
        for name in list(self._workers):
            self._drop(name)


class _Worker:
    """One fit in a process of its own."""

    def __init__(self, name: str, decision: str, job: str) -> None:
        self.decision, self.job, self.began = decision, job, time.monotonic()
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  # `end` closes them
        command = [sys.executable, "-P", "-m", "secondshift.runtime.fits", name]
        with tempfile.TemporaryFile() as given:  # a pipe would have to be read before this could go on
            given.write(job.encode())
            given.seek(0)
            self.process = subprocess.Popen(
                command, stdin=given, stdout=self.out, stderr=self.err, env=_environment(), cwd="/", start_new_session=True
            )

    def told(self) -> tuple[str, str]:
        """The memo of a process that has ended, or what it said instead."""
        if self.process.returncode == 0:
            return _read(self.out), "it said nothing"
        last = _read(self.err).strip().splitlines()[-1:]
        return "", f"exit code {self.process.returncode}" + "".join(f", {line[:200]}" for line in last)

    def end(self) -> None:
        """End it if it lives; it has no children."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)
        self.out.close()
        self.err.close()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(65536).decode(errors="replace")


def _environment() -> Mapping[str, str]:
    return {**os.environ, **dict.fromkeys(ONE_THREAD, "1")}


def _failed(state: State, name: str, job: str, why: str) -> list[facts.Payload]:
    """The settings of before hold until there is more to see; that it failed is an incident."""
    finding, action = f"a fit of {name} failed", "the settings of before hold until there is more to see"
    kept = facts.MemoRemembered(policy=name, memo=plugins.fit(name).unfitted(job), fit=state.fitting[name])
    return [kept, *noted(state, finding, (why,), action, at=state.last_at)]


def main(name: str) -> int:
    """Fit what standard input asks for, and give the memo. Its time is bounded, also when nobody is left to hear of it."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(LONGEST_S), int(LONGEST_S)))
    sys.stdout.write(plugins.fit(name).fitted(sys.stdin.read()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
