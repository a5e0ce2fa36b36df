"""Calls that are ordered and have not ended: starts the process that watches over each, and takes in how it ended."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from secondshift.errors import LedgerDamaged
from secondshift.ledger import codec
from secondshift.records import events as facts
from secondshift.records.agent_calls import AgentCall, CallEnding
from secondshift.records.examinations import Likeness
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.runtime.agents import orders, trees
from secondshift.runtime.agents.counting import counted
from secondshift.runtime.agents.telling import told
from secondshift.runtime.cleanenv import KEPT
from secondshift.runtime.executors.attempt_files import claim_once, read_object, tail
from secondshift.runtime.measuring import end_all
from secondshift.runtime.secrecy import revealed
from secondshift.runtime.tokens import token_of

LEAVE_S = 2.0  # for a process that has nothing left to do
AGAIN_S = 2.0  # between two starts of the process for one call
MOST_ENDED = 1  # calls that are taken in at one tick, which also looks at what it left; the others wait for the next
AHEAD_S = 0.5  # after a call began: so long it needs the machine more than the process for the next one does
MOST_STARTS = 3  # that came to nothing; then the call ends without having begun
PIPE_BYTES = 1 << 20  # of what a process may be told while it has no time to listen: no tick waits for that
DETAIL = 2400  # letters of why it came to nothing
ENDINGS = get_args(CallEnding)


@dataclass(kw_only=True, slots=True)
class Caller:
    """Calls the agent as it is recorded.

    What it has started is lost in a crash, on purpose: results are files, and one lock keeps it at one process for a call.
    """

    private: Path  # the study's `.secondshift`
    place: Path  # where the study file lies
    command: Callable[[Study, Path, str], tuple[str, ...]]  # the words of a call in its folder, with the text of its brief
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)  # by call
    spare: "subprocess.Popen[bytes] | None" = None  # has loaded what it needs, and waits for the order of the next call
    starts: Counter[str] = field(default_factory=Counter)
    started_at: dict[str, float] = field(default_factory=dict)  # monotonic seconds
    looks: dict[tuple[str, str, str], Likeness] = field(default_factory=dict)  # see `trying`

    def work(self, state: State) -> list[facts.Payload]:
        """Take in what has ended, end what the shift cannot wait for, begin what is ordered. Raises OSError on a full disk."""
        looks = (self._look(state, state.calls[name]) for name in state.calling)
        found = list(islice((call for call in looks if call is not None), MOST_ENDED))
        if self.spare is None and time.monotonic() - max(self.started_at.values(), default=0.0) > AHEAD_S:
            self.spare = self._waiting(self._coming(state))
        return [facts.AgentEnded(call=call) for call in found]

    def home(self, call: str) -> Path:
        """The folder of a call."""
        return self.private / "agents" / call

    def alive(self, name: str) -> bool:
        """Say whether the process for a call lives."""
        self.processes = {call: process for call, process in self.processes.items() if process.poll() is None}
        return name in self.processes

    def close(self) -> None:
        """Wait for processes that have nothing left to do."""
        waiting = [self.spare] if self.spare is not None else []
        self.spare = None
        for process in waiting:
            _given(process, b"")
        for process in (*waiting, *self.processes.values()):
            try:
                process.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                continue  # it is at work, and goes on without us

    def _look(self, state: State, call: AgentCall) -> AgentCall | None:
        """How a call ended; None while it goes on."""
        home = self.home(call.id)
        busy = self.alive(call.id) or at_work(home)  # first: one that ends between the two looks has its result
        found = _read(home)
        if found is not None:
            if not busy:
                trees.cleared(home)  # it was killed before it could do that
            over = _ended(call, found)
            self._noted(over, str(found.get("looked", "")))
            return over
        if busy:
            if state.ending:
                _cancel(home, now=state.hurry)
        elif (home / "claim.json").exists():
            return _never(call, home) or _lost(call, home)
        elif state.ending:
            return _voided(call, home, "cancelled", "the shift ended before it began")
        elif self.starts[call.id] >= MOST_STARTS:
            why = f"the process that watches over it died again and again: {_words(home)}"
            return _voided(call, home, "unusable", why)
        elif time.monotonic() - self.started_at.get(call.id, -1e9) > AGAIN_S:
            self._start(state, call, home)
        return None

    def _noted(self, call: AgentCall, looked: str) -> None:
        """Keep what the call's process found of its change; where it found nothing, the change is looked at in a tick."""
        with suppress(LedgerDamaged):
            fact = codec.decode("change.examined", facts.VERSION, looked)
            if isinstance(fact, facts.ChangeExamined):
                self.looks[call.idea, call.change, call.baseline] = fact.examination.likeness

    def _start(self, state: State, call: AgentCall, home: Path) -> None:
        """Start the process, in a session of its own: it goes on when the engine dies."""
        study = state.study
        assert study is not None, "there is no call without a study"
        home.mkdir(parents=True, exist_ok=True)
        self.starts[call.id] += 1
        self.started_at[call.id] = time.monotonic()
        brief, agent = told(state, call, self.private, self.place), study.agent
        command, seen = self.command(study, home, brief), agent.readable
        if agent.model.provider:
            command = orders.words(study, home, most_usd=call.reserved_usd, timeout_s=call.timeout_s)
            seen = (*seen, *orders.seen(agent.model))
        order = {
            **self._on(study, call.baseline), "home": str(home), "lease": state.token, "look": bool(call.idea),
            "brief": brief, "token": token_of("agent", home),
            "command": command, "counted": bool(agent.model.provider), "timeout_s": call.timeout_s, "grace_s": agent.grace_s,
            "output_cap_bytes": int(agent.output_cap_mb * 1e6), "memory_mb": agent.memory_mb, "hosts": agent.hosts,
            "readable": [os.path.expanduser(path) for path in seen], "reserved_usd": call.reserved_usd,
            "writable": [os.path.expanduser(path) for path in agent.writable], "env": environment(study),
        }  # fmt: skip
        self.processes[call.id] = self._ready()
        _given(self.processes[call.id], json.dumps(order).encode())  # where it died at once it is started again

    def _on(self, study: Study, baseline: str) -> dict[str, Any]:
        """What a workspace is made of."""
        opened = codec.encode(facts.StudyOpened(study=study))[1]
        return {"private": str(self.private), "place": str(self.place), "study": opened, "on": baseline}

    def _ready(self) -> "subprocess.Popen[bytes]":
        """A process that waits for an order: the one that was made ahead, if it still lives."""
        spare, self.spare = self.spare, None
        return spare if spare is not None and spare.poll() is None else self._waiting({})

    def _coming(self, state: State) -> dict[str, Any]:
        """What the next call is likely to work on: the same as the newest one."""
        newest = [state.calls[name] for name in state.calling][-1:]
        return self._on(state.study, newest[0].baseline) if state.study is not None and newest else {}

    def _waiting(self, coming: dict[str, Any]) -> "subprocess.Popen[bytes]":
        """Start a process that loads what it needs, lays out the files of a call that may come, and waits. It ends when we do."""
        with open(self.private / "agents" / "waiting.log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "secondshift.runtime.agents.running"], stdin=subprocess.PIPE, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip
        _told(process, json.dumps(coming if _roomy(process) else {}).encode() + b"\n")
        return process


def _given(process: "subprocess.Popen[bytes]", order: bytes) -> None:
    """Give a waiting process its order; with an empty one it leaves."""
    _told(process, order)
    with suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()


def _roomy(process: "subprocess.Popen[bytes]") -> bool:
    """Make its pipe hold all that it may be told; False where this machine grants no more: then it is to listen at once."""
    try:
        return process.stdin is not None and fcntl.fcntl(process.stdin.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES) >= PIPE_BYTES
    except (OSError, AttributeError):  # an unprivileged user who has too many pipes; a system that is not Linux
        return False


def _told(process: "subprocess.Popen[bytes]", said: bytes) -> None:
    with suppress(OSError):  # it is dead
        if process.stdin is not None:
            process.stdin.write(said)
            process.stdin.flush()


def _words(home: Path) -> str:
    """The last words of a process that died: over its call, or before it had its order."""
    return tail(str(home / "running.log"), 300) or tail(str(home.parent / "waiting.log"), 300)


def environment(study: Study) -> dict[str, str]:
    """The variables of an agent: what a program needs to run at all, those of the study, and those that [agent] env names.

    What looks like a secret in [launch] env is for the training, and stays out; all of it does where a model is asked, so that
    nothing that was meant for the training decides what our program is made of.
    """
    base = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("LC_")}
    named = {name: os.environ[name] for name in study.agent.env if name in os.environ}
    fixed = {"PYTHONDONTWRITEBYTECODE": "1", "GIT_TERMINAL_PROMPT": "0", "NO_COLOR": "1"}
    training = {} if study.agent.model.provider else revealed(dict(study.launch.env), {})
    return {**base, **training, **named, **fixed}


def at_work(home: Path) -> bool:
    """Say whether a process watches over the call: one of ours, or one that an engine before us started."""
    try:
        lock = os.open(home / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(lock)


def _read(home: Path) -> dict[str, Any] | None:  # Any: JSON as `running` wrote it
    try:
        return json.loads((home / "result.json").read_bytes())
    except OSError:
        return None
    except ValueError:
        return {"ending": "unusable", "detail": "its result cannot be read"}


def _ended(call: AgentCall, found: dict[str, Any]) -> AgentCall:
    """How a call ended by what its process wrote down."""
    ending = found.get("ending") if found.get("ending") in ENDINGS else "unusable"
    usd, assumed = _settled(call, found)
    return replace(
        call, ending=ending, usd=usd, assumed=assumed, **counted(found.get("tokens", {})), change=found.get("change", ""),
        detail=str(found.get("detail", ""))[:DETAIL], elapsed_s=found.get("elapsed_s", 0.0),
        overhead_s=found.get("overhead_s", 0.0), output_bytes=found.get("output_bytes", 0),
        unenforced=tuple(found.get("unenforced", ())),
    )  # fmt: skip


def _settled(call: AgentCall, found: dict[str, Any]) -> tuple[float, bool]:
    """What a call is settled at, and whether that is assumed.

    A command's word can only raise what was set aside. Where our own program counted every request, it is what they cost; where
    that was ended in the middle of one, all that was set aside.
    """
    if found.get("elapsed_s", 0.0) <= 0.0 or not call.reserved_usd:
        return 0.0, False
    reported = float(found.get("usd", 0.0))
    if found.get("counted") == "whole":
        return reported, False
    return max(call.reserved_usd, reported), found.get("counted") == "broken off"
def _voided(call: AgentCall, home: Path, ending: CallEnding, why: str) -> AgentCall | None:
    """End a call that never began, and claim it ourselves: a process of an engine that died may only now be about to.

    None where that one was faster: it is at work.
    """
    home.mkdir(parents=True, exist_ok=True)
    claim_once(str(home), {"never": ending, "why": why})
    return _never(call, home)


def _never(call: AgentCall, home: Path) -> AgentCall | None:
    """How a call ended that an engine claimed so that it never begins; None for one that a process claimed."""
    claim = read_object(str(home / "claim.json"))
    return replace(call, ending=claim["never"], detail=claim.get("why", "")) if claim.get("never") in ENDINGS else None


def _lost(call: AgentCall, home: Path) -> AgentCall:
    """Nobody saw how it ended: what it may have cost is assumed in full, and what it left running is ended."""
    end_all(token_of("agent", home))
    trees.cleared(home)
    why = "whoever watched over it was killed; it is settled at all that was set aside"
    return replace(call, ending="lost", usd=call.reserved_usd, assumed=True, detail=why)


def _cancel(home: Path, *, now: bool) -> None:
    for name in ("now", "cancel") if now else ("cancel",):
        (home / name).touch()
