"""Kills everything that works for a coding agent (SIMULATED: scripted) over real digits training, and audits what is left.

    python soak/agent_kills.py [--quick] [--json] [--seed N] [--kills 200] [--record]

Killed by SIGKILL: keeper, engine, the watchers of calls, the agents, git, the evaluator, supervisors and trainings, at random
moments and at chosen writes (before one, with half of it, with all of it but not in place, after it); and `secondshift clean`.
Needs scikit-learn for its digits, in the environment that runs it.
"""

import argparse
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT / "tests" / "dishonest")]

from agents import EVAL, TOML, TRAIN  # noqa: E402  # pyright: ignore[reportMissingImports]
from drill.agent_audit import Findings, audit, fingerprint, strays, witnessed  # noqa: E402
from drill.agent_stage import AgentPlan, AgentStage  # noqa: E402
from drill.points import INJECTED, PAIR, RENAME  # noqa: E402
from drill.stage import Process  # noqa: E402
from drill.table import Row, at_least, last_line, machine, markdown, none_of, put_into, show  # noqa: E402

from secondshift.runtime.spool import put_request  # noqa: E402

WEIGHTS = {"keeper": 1, "engine": 3, "watcher": 8, "agent": 6, "git": 8, "judge": 4, "supervisor": 3, "training": 3}
MERCY = 0.7  # share of the strikes that leave keeper and engine alone where nothing else is at work
POINTS: dict[str, tuple[str, ...]] = {
    "call waiting": ("before",), "call order": PAIR, "call lock": PAIR, "call claim": RENAME, "call workspace": ("before",),
    "call brief": RENAME, "call output": ("before",), "call change": RENAME, "call cleared": PAIR, "call result": RENAME,
    "tree ready": RENAME, "tree cleared": PAIR, "ledger append": RENAME,
}  # fmt: skip
POINT_S = 25.0  # for somebody to come by an armed point
WAITING = 6  # ideas that wait for the agent


@dataclass(kw_only=True)
class Storm:
    """What was done so far."""

    stage: AgentStage
    kills: int
    deadline: float
    rng: random.Random
    done: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    watched: dict[str, float] = field(default_factory=dict)  # calls whose watcher was killed while it was at work
    samples: list[tuple[int, str]] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    night: "subprocess.Popen[bytes] | None" = None

    def total(self) -> int:
        """Processes killed."""
        return self.done.total() + self.hits.total()

    def late(self) -> bool:
        """Say whether it has to come to its end."""
        return time.monotonic() > self.deadline

    def tend(self) -> None:
        """Start the night again whenever it is over, bring ideas, and remember the newest facts: they were acknowledged."""
        if self.night is None or self.night.poll() is not None:
            if self.night is not None:
                self.codes[self.night.returncode] += 1
                if self.night.returncode == 2:
                    raise RuntimeError(f"the night is refused: {self.stage.log.read_text()[-600:]}")
            self.night = self.stage.run()
        self.stage.supply(WAITING)
        if self.stage.reading is not None and self.rng.random() < 0.2:
            self.samples += [(e.seq, repr(e)) for e in self.stage.reading.read(max(0, self.stage.known.last_seq - 1))]

    def at_random(self) -> None:
        """Kill one process of a kind drawn by weight, among those that live."""
        found: dict[str, list[Process]] = {}
        for process in self.stage.everything():
            found.setdefault(process.kind, []).append(process)
        kinds = [kind for kind in WEIGHTS if kind in found]
        if not kinds or (not set(kinds) - {"keeper", "engine"} and self.rng.random() < MERCY):
            return
        kind = self.rng.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]
        victim = self.rng.choice(sorted(found[kind], key=lambda one: one.pid))
        if victim.send(signal.SIGKILL):
            self.done[kind] += 1
            if kind == "watcher":
                self.watched |= {name: time.time() for name in claimed_by(self.stage, victim.pid)}

    def at_point(self, point: str, phase: str) -> None:
        """Arm a write and wait until somebody died there."""
        path = self.stage.root / "armed" / f"{point}@{phase}"
        path.touch()
        until = time.monotonic() + POINT_S
        while path.exists() and time.monotonic() < until and not self.late():
            self.tend()
            time.sleep(0.05)
        if path.exists():
            path.unlink(missing_ok=True)
            self.missed.append(f"{point} {phase}")
        else:
            self.hits[point] += 1

    def wait(self, seconds: float) -> None:
        """Let it work."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()
            time.sleep(0.05)


def claimed_by(stage: AgentStage, pid: int) -> list[str]:
    """Calls that a watcher had claimed and not finished when it was killed."""
    homes = (path.parent for path in (stage.private / "agents").glob("*/claim.json") if f'"pid": {pid},' in path.read_text())
    return [home.name for home in homes if not (home / "result.json").exists()]


def blow(storm: Storm, *, quick: bool) -> None:
    """Kill, by turns at a chosen write and at random moments, until enough were killed."""
    chosen = [(point, phase) for point, phases in POINTS.items() for phase in phases]
    storm.rng.shuffle(chosen)
    if quick:
        chosen = chosen[:6]
    between = max(1, round((storm.kills - len(chosen)) / len(chosen)))
    storm.wait(4.0)
    while (storm.total() < storm.kills or chosen) and not storm.late():
        if chosen:
            storm.at_point(*chosen.pop())
        for _ in range(between):
            storm.wait(storm.rng.uniform(0.15, 1.3))
            if storm.total() < storm.kills or chosen:
                storm.at_random()
        if not chosen and storm.missed:  # whoever was to come by was killed elsewhere
            chosen, storm.missed = [(name.rsplit(" ", 1)[0], name.rsplit(" ", 1)[1]) for name in storm.missed[:9]], []


def calmed(storm: Storm, patience_s: float) -> bool:
    """Let every idea get its answer from the agent, then stop the night; say whether it came to that."""
    stage, until = storm.stage, time.monotonic() + patience_s

    def thinking() -> bool:
        state = stage.look()
        here = len([idea for idea in state.ideas.values() if not idea.canary]) == stage.brought
        words = any(idea.state == "open" and not idea.ready() and not idea.canary for idea in state.ideas.values())
        return not here or words or bool(state.calling)

    while thinking() and time.monotonic() < until:
        if storm.night is None or storm.night.poll() is not None:
            storm.night = stage.run()
        stage.supply(0)
        time.sleep(0.1)
    answered = not thinking()
    put_request(stage.private, "stop", {}, "soak")
    while stage.look().shift is not None and time.monotonic() < until + 60.0:
        if storm.night is None or storm.night.poll() is not None:
            storm.night = stage.run("--resume")
        time.sleep(0.1)
    if storm.night is not None:
        stage.wait(storm.night, 30.0)
    return answered and stage.look().shift is None


def cleaned(storm: Storm, *, quick: bool) -> tuple[list[str], str]:
    """Kill `clean` at random moments, then let it come to its end, once more when drafts are a minute old; what is left."""
    stage = storm.stage
    for _ in range(2 if quick else 6):
        process = stage.start("clean")
        time.sleep(storm.rng.uniform(0.2, 1.4))
        if process.poll() is None:
            process.kill()
            storm.done["clean"] += 1
        process.wait(10.0)
    said = stage.call("clean", timeout=120.0)[1]
    if not quick:
        time.sleep(61.0)
        said += stage.call("clean", timeout=120.0)[1]
    left = strays(stage)
    young = (".tmp", ".lock", "/index-")  # a quick run has no minute to wait
    return ([path for path in left if not any(sign in path for sign in young)] if quick else left), said


def rows_of(storm: Storm, found: Findings, left: list[str], over: bool) -> list[Row]:
    """The table."""
    state = storm.stage.look()
    calls = Counter(call.ending or "open" for call in state.calls.values())
    ends = Counter(idea.state for idea in state.ideas.values() if not idea.canary)
    killed = ", ".join(f"{n} {kind}" for kind, n in storm.done.most_common())
    points = ", ".join(f"{n} {kind}" for kind, n in storm.hits.most_common())
    return [
        at_least("SIGKILLs", storm.total(), storm.kills, "kills", f"at random: {killed}; at chosen writes: {points}"),
        none_of("chosen writes that nobody came by", storm.missed, "writes"),
        at_least("calls", len(state.calls), 1, "calls", ", ".join(f"{n} {end}" for end, n in calls.most_common())
                 + f"; {witnessed(storm.stage).total()} agents began by their own word"),
        at_least("calls whose watcher was killed at random", len(storm.watched), 1, "calls"),
        none_of("ideas without an end or a change on its way", found.lost_ideas, "ideas"),
        none_of("changes that calls left and that are gone", found.lost_changes, "changes"),
        none_of("ideas called for against the rule", found.called_wrongly, "ideas"),
        none_of("calls begun twice, or unknown to the ledger", found.begun_twice, "calls"),
        none_of("calls unsettled", found.unsettled, "calls"),
        none_of("calls settled otherwise than they must be", found.settled_wrongly, "calls"),
        none_of("facts after which money passed the cap", found.overspent, "facts"),
        none_of("files changed outside of workspaces", found.files, "files"),
        none_of("orphan processes", found.orphans, "processes"),
        none_of("ledger: gaps, damage, charges, decisions that replay otherwise", found.ledger, "findings"),
        none_of("left after `secondshift clean`", left, "strays"),
        Row(name="every idea had its answer from the agent, and the night ended", ours=float(over), target="1", holds=over,
            note="ideas: " + ", ".join(f"{n} {end}" for end, n in ends.most_common())
            + f"; {len(state.trials)} trials; exit codes of the command: {dict(storm.codes)}; the cap was raised to "
            f"{storm.stage.cap:g} USD"),
    ]  # fmt: skip


def played(asked: argparse.Namespace) -> tuple[list[Row], str]:
    """Play and audit; the rows, and the folder that was kept because something is wrong in it."""
    plan = AgentPlan(name="agent-kills", seed=asked.seed, head=TOML.replace("[agent]\n", ""), train=TRAIN, evaluator=EVAL)
    stage = AgentStage(plan, asked.seed)
    armed = stage.root / "armed"
    armed.mkdir()
    stage.extra |= {"PYTHONPATH": str(INJECTED), "SOAK_ARMED": str(armed)}
    before = fingerprint(stage)
    patience_s = 45.0 if asked.quick else 1500.0
    storm = Storm(stage=stage, kills=asked.kills, deadline=time.monotonic() + patience_s, rng=random.Random(asked.seed))
    try:
        blow(storm, quick=asked.quick)
        over = calmed(storm, 60.0 if asked.quick else 240.0)
        found = audit(stage, before, storm.watched, storm.samples)
        left, said = cleaned(storm, quick=asked.quick)
        print(said)
        rows = rows_of(storm, found, left, over)
    except BaseException:
        stage.close(keep=True)
        print(f"It could not be played to its end; its folder is {stage.root}", file=sys.stderr)
        raise
    wounded = not all(row.holds for row in rows)
    stage.close(keep=wounded)
    return rows, str(stage.root) if wounded else ""


def record(rows: list[Row], asked: argparse.Namespace, took_s: float) -> None:
    """Put the table into docs/agents.md."""
    asking = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asking, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    heading = (
        f"`python soak/agent_kills.py --seed {asked.seed}`: {took_s:.0f} s on {machine()}; "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit}. SIMULATED: the agent is "
        "`soak/drill/paced_agent.py`, no model.",
    )
    put_into(ROOT / "docs" / "agents.md", markdown(rows, heading, section="agent kills", title="200 kills"))


def main() -> int:
    """Play and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="some kills, in about a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000, help="the same draws again")
    parser.add_argument("--kills", type=int, default=0, help="left out: 200, or 12 if quick")
    parser.add_argument("--record", action="store_true", help="put the table into docs/agents.md")
    asked = parser.parse_args()
    asked.kills = asked.kills or (12 if asked.quick else 200)
    print(f"seed {asked.seed}", flush=True)
    began = time.monotonic()
    rows, kept = played(asked)
    print(show(rows))
    print(f"SIMULATED: scripted agents, no model. {time.monotonic() - began:.0f} s" + (f"; kept {kept}" if kept else ""))
    if asked.record:
        record(rows, asked, time.monotonic() - began)
    if asked.json:
        print(last_line(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
