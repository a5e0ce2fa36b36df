"""Looking at what calls of a search for programs left, before anything is trained with it: does it apply, may it, is it new,
does it pass the quick check of the study. One at a time; the check is a process of its own, which the loop does not wait for."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from secondshift.records import events as facts
from secondshift.records.agent_calls import AgentCall
from secondshift.records.examinations import Examination, Fault, Likeness
from secondshift.records.likeness import twin
from secondshift.records.states import State
from secondshift.runtime import trying, workspaces
from secondshift.runtime.cleanenv import clean_environment
from secondshift.runtime.describing import described
from secondshift.runtime.executors import confinement
from secondshift.runtime.executors.attempt_files import tail
from secondshift.runtime.measuring import MOST_BYTES, end_all
from secondshift.runtime.repositories import TryLater
from secondshift.runtime.secrecy import revealed
from secondshift.runtime.tokens import token_of
from secondshift.runtime.workspaces import Change, ChangeRefused, Ground

LEAVE_S = 10.0  # for a process that was killed
SAID = 600  # letters of a failed check that are kept
Words = Callable[[tuple[str, ...]], tuple[str, ...]]


@dataclass(kw_only=True, slots=True)
class _Check:
    """The quick check of one change, while it runs."""

    code: str
    like: Likeness
    process: "subprocess.Popen[bytes]"
    folder: Path
    began: float
    token: str


@dataclass(kw_only=True, slots=True)
class Examiner:
    """Looks at one change at a time. What it was at when its engine died is looked at again by the next."""

    private: Path
    place: Path  # where the study file lies
    words: Words  # a command as it is to be run here
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    checking: _Check | None = None

    def work(self, state: State, late: dict[str, int]) -> list[facts.Payload]:
        """Go on: take what has ended, begin what waits. `late`: how often git gave no answer, by call."""
        if self.checking is not None:
            done = self._look(state, self.checking)
            return [facts.ChangeExamined(examination=done)] if done is not None else []
        call = next(iter(state.to_examine()), None)
        if call is None or state.study is None:
            return []
        began = time.monotonic()
        found = self._examined(state, call, late)
        if found is None:
            return []
        noted = Examination(code=state.code_of(call), fault=found[0], detail=found[1], likeness=found[2],
                            elapsed_s=time.monotonic() - began)  # fmt: skip
        return [facts.ChangeExamined(examination=noted)]

    def close(self) -> None:
        """End the check that runs, if any."""
        if self.checking is not None:
            self._end(self.checking)
            self.checking = None

    def _examined(self, state: State, call: AgentCall, late: dict[str, int]) -> tuple[Fault, str, Likeness] | None:
        """What is wrong with a change, why, and what it makes of the study; None while its check runs, or git did not answer."""
        ground = trying.ground_of(state, self.private, self.place)
        on = call.task.parent if state.candidates[call.task.parent].code else ""
        try:
            base, commit = workspaces.examined(ground, Change(digest=call.change, on=on))
            like = described(self.private, ground.command_folder(), commit, "" if on else base.commit)
            same = _same(state, like)
            if same:
                return "the same", same, like
            if not state.study or not state.study.agent.check:
                return "", "", like
            self._begin(state, call, ground, commit, base.top, like)
            return None
        except (*trying.REFUSALS, TryLater) as problem:
            why = trying.final(problem, call.id, late)
            fault: Fault = "refused" if isinstance(why, ChangeRefused) else "unusable"
            return None if why is None else (fault, str(why), Likeness())

    def _begin(self, state: State, call: AgentCall, ground: Ground, commit: str, top: Path, like: Likeness) -> None:
        """Lay the change out in a tree of its own and start the check in it."""
        assert state.study is not None, "work() says so"
        folder = self.private / "checks" / call.change
        token = token_of("check", folder)
        end_all(token)  # what outlived an engine that died over this very check
        tree = folder / "tree"
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        workspaces.laid_out(ground, tree, commit, top)
        command = list(self.words(state.study.agent.check))
        if confinement.available():
            command = confinement.confined(command, [str(folder)], with_parent=True)
        variables = clean_environment(revealed(dict(state.study.launch.env), dict(self.secrets)))
        variables |= {"TMPDIR": str(folder / "tmp"), "CUDA_VISIBLE_DEVICES": "", "SECONDSHIFT_TOKEN": token}
        inside = tree / ground.command_folder().relative_to(top)
        with open(folder / "output.log", "wb") as output:
            process = subprocess.Popen(
                command, cwd=inside, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        code = state.code_of(call)
        self.checking = _Check(code=code, like=like, process=process, folder=folder, began=time.monotonic(), token=token)

    def _look(self, state: State, check: _Check) -> Examination | None:
        """What came of the check that runs; None while it does."""
        limit = state.study.agent.check_timeout_s if state.study is not None else 0.0
        elapsed, log = time.monotonic() - check.began, check.folder / "output.log"
        ended = os.waitid(os.P_PID, check.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        wrote = log.stat().st_size
        if not ended and elapsed <= limit and wrote <= MOST_BYTES:
            return None
        said = tail(str(log), SAID)
        code = self._end(check)
        self.checking = None
        fault: Fault = "" if ended and code == 0 else "check failed" if ended else "check timed out"
        cut = f"it took longer than {limit:g} s" if wrote <= MOST_BYTES else f"it wrote {wrote} bytes"
        why = f"exit code {code}" if ended else cut
        detail = f"{why}: {said}" if fault else ""
        return Examination(code=check.code, fault=fault, detail=detail, likeness=check.like, elapsed_s=elapsed)

    def _end(self, check: _Check) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(check.process.pid, signal.SIGKILL)
        end_all(check.token)
        try:
            code = check.process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:  # the kernel holds it; it ends as soon as that lets go
            code = -signal.SIGKILL
        shutil.rmtree(check.folder, ignore_errors=True)
        return code


def _same(state: State, like: Likeness) -> str:
    """Say that a change leaves a program that is there already, and which; "" where it is new."""
    if not like.digest:
        return "it leaves the study's own program: only comments, layout or names of variables differ"
    known = {code: one.likeness for code, one in state.examinations.items() if one.usable()}
    older = twin(like, known)
    named = next((c.id for c in state.candidates.values() if c.code == older), "one that waits to be tried") if older else ""
    return f"it leaves the same program as {named}" if older else ""
