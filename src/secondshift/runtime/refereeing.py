"""The study's own evaluator, run on what a trial left: in a process of its own that knows nothing of the trial's."""

import errno
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from secondshift.records import events as facts
from secondshift.records.evaluations import Evaluation, KeptBy, Problem
from secondshift.records.protection import guarded
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Trial
from secondshift.runtime.artefacts import Artefact, Unfit, taken
from secondshift.runtime.cleanenv import clean_environment
from secondshift.runtime.executors import confinement
from secondshift.runtime.executors.attempt_files import read_object, tail
from secondshift.runtime.measuring import MOST_BYTES, end_all, printed
from secondshift.runtime.protectedfiles import protected_files
from secondshift.runtime.secrecy import revealed
from secondshift.runtime.tokens import token_of

TIMEOUT_S = 600.0  # of one evaluation
SAID = 600  # letters of its last words that are kept
REAP_S = 5.0  # for a killed one to be gone
CommandFor = Callable[[Trial, Path], tuple[str, ...]]
Digest = Callable[[], str]


@dataclass(kw_only=True, slots=True)
class _Running:
    trial: Trial
    process: subprocess.Popen[bytes]
    folder: Path
    artefact: Artefact
    began: float
    token: str  # marks all that it starts


@dataclass(kw_only=True, slots=True)
class Referee:
    """Judges one artefact at a time. What it was at when its engine died is judged again by the next."""

    private: Path
    place: Path  # where the study file lies
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # variables of the study file that are never recorded
    running: _Running | None = None
    stamps: tuple = ()  # of the protected files when they were last read
    digest: str = field(default="", repr=False)

    def work(self, state: State, command_for: CommandFor, digest: Digest) -> list[facts.Payload]:
        """Go on: take what has ended, begin what waits. `digest` reads the protected files and hashes them."""
        if state.study is None:
            return []
        if self.running is not None:
            done = self._look(state, self.running)
            return [facts.TrialEvaluated(evaluation=done)] if done else []
        trial = next(iter(state.to_evaluate()), None)
        if trial is None:
            return []
        try:
            self._begin(state, state.study, trial, command_for, digest)
        except Unfit as why:
            return [facts.TrialEvaluated(evaluation=self._without(state, trial, why.problem, str(why)))]
        except OSError as why:
            if why.errno in (errno.ENOSPC, errno.EDQUOT):
                raise  # the engine waits for space
            return [facts.TrialEvaluated(evaluation=self._without(state, trial, "void: cannot run", str(why)))]
        return []

    def close(self) -> None:
        """End the evaluation that runs, if any."""
        if self.running is not None:
            _end(self.running)
            self.running = None

    def _begin(self, state: State, study: Study, trial: Trial, command_for: CommandFor, digest: Digest) -> None:
        self._check_evaluator(study, digest)
        folder = self.private / "evaluations" / trial.id
        token = token_of("judge", folder)
        end_all(token)  # what outlived an engine that died while it judged this very trial
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        saved = state.checkpoints.get(trial.id, ())
        artefact = taken(self.private, trial, saved, study, folder / "artefact")
        command = list(command_for(trial, artefact.folder))
        if confinement.available():
            command = confinement.confined(command, [str(folder)], with_parent=True)
        variables = clean_environment(revealed(dict(study.launch.env), dict(self.secrets)))
        variables |= {"TMPDIR": str(folder / "tmp"), "CUDA_VISIBLE_DEVICES": "", "SECONDSHIFT_TOKEN": token}
        with open(folder / "output.log", "wb") as output:
            process = subprocess.Popen(
                command, cwd=(self.place / study.folder).resolve(), env=variables, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.running = _Running(
            trial=trial, process=process, folder=folder, artefact=artefact, began=time.monotonic(), token=token
        )

    def _check_evaluator(self, study: Study, digest: Digest) -> None:
        """Raise Unfit unless the evaluator and the protected files are those of the study as it was recorded."""
        patterns = guarded(study.read_only, study.evaluate, study.folder)
        stats = [(str(path), os.stat(path)) for path in protected_files(self.place, patterns)]
        stamps = tuple((path, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for path, s in stats)
        if stamps != self.stamps or not self.digest:
            self.stamps, self.digest = stamps, digest()
        if self.digest != study.evaluator_hash:
            why = "the evaluator or a protected file is not what it was when this revision of the study began"
            raise Unfit("void: evaluator changed", why)

    def _look(self, state: State, running: _Running) -> Evaluation | None:
        """What came of the evaluation that runs; None while it does."""
        late = time.monotonic() - running.began > TIMEOUT_S
        ended = os.waitid(os.P_PID, running.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if not ended and not late and (running.folder / "output.log").stat().st_size <= MOST_BYTES:
            return None
        code = _end(running)
        self.running = None
        code = code if ended else None
        found = self._judged(state, running, code, late)
        shutil.rmtree(running.folder / "artefact", ignore_errors=True)
        return found

    def _judged(self, state: State, running: _Running, code: int | None, late: bool) -> Evaluation:
        log = running.folder / "output.log"
        value, problem = math.nan, ""
        if late and code is None:
            problem: Problem = "timeout"
        elif code == confinement.NOT_CONFINED:
            problem = "void: cannot run"
        elif code != 0:
            problem = "crash"
        else:
            value, problem = _metric(log, state)
        said = tail(str(log), SAID)
        return Evaluation(
            trial=running.trial.id, value=value, reported=_reported(state, running.trial), problem=problem,
            detail=said if problem else "", said="" if problem else said, artefact=running.artefact.digest, evaluator=self.digest,
            confined=bool(kept_by := self._kept_by(running.trial)), kept_by=kept_by, elapsed_s=time.monotonic() - running.began,
        )  # fmt: skip

    def _without(self, state: State, trial: Trial, problem: Problem, detail: str) -> Evaluation:
        return Evaluation(
            trial=trial.id, problem=problem, detail=detail[:300], reported=_reported(state, trial), evaluator=self.digest,
            confined=bool(kept_by := self._kept_by(trial)), kept_by=kept_by,
        )  # fmt: skip

    def _kept_by(self, trial: Trial) -> KeptBy:
        """What kept every attempt of a trial where it could write nothing but its own."""
        files = (self.private / "attempts" / f"{trial.id}.a{n}" / "order.json" for n in range(1, trial.attempts + 1))
        orders = [order for order in (read_object(str(file)) for file in files) if order]  # one that found no device has none
        if orders and all(order.get("sandbox") for order in orders):
            return "bubblewrap"
        return "landlock" if orders and all(order.get("sandbox") or order.get("writable") for order in orders) else ""


def _end(running: _Running) -> int:
    """End an evaluation and all that it started; its exit code. It is reaped last: until then its group's number is its own."""
    try:
        os.killpg(running.process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it left nothing
    end_all(running.token)
    try:
        return running.process.wait(REAP_S)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL  # it is stuck in the kernel; it is nobody's any more


def _metric(log: Path, state: State) -> tuple[float, Problem]:
    """The last value of the objective that the evaluator printed, read as what a trial prints is."""
    assert state.study is not None, "work() says so"
    metrics = state.study.metrics
    value = printed(log, metrics.pattern, metrics.step).get(state.study.objective.metric)
    if value is None:
        return math.nan, "no metric"
    return value, "" if math.isfinite(value) else "not finite"


def _reported(state: State, trial: Trial) -> float:
    value = trial.objective(state.study.objective) if state.study is not None else None
    return math.nan if value is None else value
