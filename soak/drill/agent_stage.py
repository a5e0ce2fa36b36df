"""A study whose agent is scripted (SIMULATED) over real digits training, with everything that belongs to it found and named."""

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from secondshift.ledger.fold import fold
from secondshift.ledger.stores import Ledger
from secondshift.records.states import State
from secondshift.runtime.executors.processes import start_ticks
from secondshift.runtime.spool import put_request

from .stage import HERE, Plan, Process, Stage

AGENT = HERE / "paced_agent.py"
PRICE, FIRST_CAP, MORE = 0.5, 10.0, 10.0  # USD: of a call, of the study at first, and by how much it is raised when it is used up
ROLES = {"change": 10, "commits": 2, "mends": 2, "cheat": 1, "lazy": 1, "comment": 1}
KINDS = {  # what a process of the study is, by what stands in its command line; the first that fits
    "watcher": "secondshift.runtime.agents.running", "agent": AGENT.name, "supervisor": "/supervis", "judge": "eval.py",
    "training": "train.py", "engine": "secondshift engine", "keeper": "secondshift run",
}  # fmt: skip
GIT = ("-c", "user.name=kim", "-c", "user.email=kim@example.org")


@dataclass(frozen=True, kw_only=True)
class AgentPlan(Plan):
    """The study file of a night with an agent."""

    train: str
    evaluator: str
    head: str

    def capped(self, usd: float, witness: Path, places: list[Path]) -> str:
        """The study file with so much money for calls."""
        command = [sys.executable, "-I", "-S", str(AGENT), "{brief_file}", str(witness / "agents.txt"), *map(str, places)]
        agent = {"command": command, "price_per_call_usd": PRICE, "turns": 100_000, "money_usd": usd, "timeout": 30, "parallel": 3,
                 "readable": [str(AGENT)], "writable": [str(witness)]}  # fmt: skip
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in agent.items())
        return f"{self.head}\n[policy]\n{self.policy}\n[agent]\n{lines}"


class AgentStage(Stage):
    """The stage, its money, and the ideas that were brought so far."""

    def __init__(self, plan: AgentPlan, seed: int) -> None:
        super().__init__(plan)
        self.rng = random.Random(seed)
        self.night_plan = plan
        self.outside = self.root / "outside"
        self.outside.mkdir()
        (self.outside / "mine.txt").write_text("a file of somebody")
        self.cap = FIRST_CAP
        self.brought = 0
        self.known = State()
        self.reading: Ledger | None = None
        self._furnish()

    def _furnish(self) -> None:
        data, target = map(np.asarray, load_digits(return_X_y=True))
        (self.study / "data").mkdir()
        order = np.random.default_rng(0).permutation(len(target))
        for name, rows in (("train", order[:1200]), ("valid", order[1200:])):
            np.save(self.study / "data" / f"{name}_x.npy", data[rows] / 16.0)
            np.save(self.study / "data" / f"{name}_y.npy", target[rows])
        self.write_cap()
        files = {"train.py": self.night_plan.train, "eval.py": self.night_plan.evaluator,
                 ".gitignore": "secondshift.toml\n.secondshift\n"}  # fmt: skip
        for name, text in files.items():
            (self.study / name).write_text(text)
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "the study"]):
            subprocess.run(["git", *GIT, *arguments], cwd=self.study, check=True, timeout=30)

    def write_cap(self) -> None:
        """Write the study file with the money there is now."""
        draft = self.root / "study.toml"
        draft.write_text(self.night_plan.capped(self.cap, self.witness, [self.study, self.outside, self.private, Path.home()]))
        os.replace(draft, self.file)

    def look(self) -> State:
        """What is recorded now; only what is new is read."""
        if self.reading is None and (self.private / "ledger.db").exists():
            self.reading = self.ledger()
        if self.reading is not None:
            self.known = fold(self.known, list(self.reading.read(self.known.last_seq)))
        return self.known

    def supply(self, waiting: int) -> None:
        """Bring ideas until so many wait for the agent, and money when it is used up."""
        state = self.look()
        words = [idea for idea in state.ideas.values() if idea.state == "open" and not idea.ready() and not idea.canary]
        coming = self.brought - sum(not idea.canary for idea in state.ideas.values())
        for _ in range(max(0, waiting - len(words) - coming)):
            self.brought += 1
            role = self.rng.choices(list(ROLES), list(ROLES.values()))[0]
            text = f"[{role} {0.01 + self.brought / 1000:.3f} {self.rng.uniform(0.2, 1.6):.2f}] SIMULATED idea {self.brought}"
            put_request(self.private, "idea", {"text": text, "author": "kim"}, "kim")
        used = state.spend.agents_usd + state.spend.reserved_usd
        if words and not state.calling and self.cap - used < PRICE:
            self.cap += MORE
            self.write_cap()

    def everything(self) -> list[Process]:
        """All processes that belong to the study: by our mark, or by what their command line names of it."""
        mark, ours, found = f"SOAK_MARK={self.mark}".encode(), os.fsencode(self.root), []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ")
                belongs = ours in words or mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if belongs and words and (ticks := start_ticks(int(name))):
                found.append(Process(kind_of(words.decode("utf-8", "replace")), int(name), ticks))
        return found

    def orphans(self, patience_s: float = 8.0) -> list[Process]:
        """What is alive although everything is over; given a moment to leave."""
        self.until(lambda: not self.everything(), patience_s)
        return self.everything()


def kind_of(words: str) -> str:
    """What a process is."""
    if words.startswith("git ") or "/git " in words[:60]:
        return "git"
    return next((kind for kind, sign in KINDS.items() if sign in words), "other")
