"""The audit of a night with an agent that was killed: ideas, calls, money, files and what `clean` leaves."""

import hashlib
import re
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from secondshift.policies.models.handing import MOST_LOST, MOST_TRIES
from secondshift.records import events as facts
from secondshift.records.agent_calls import AgentCall
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.replay import Report, replay
from secondshift.runtime import changes
from secondshift.runtime.repositories import STORE, ChangeUnusable

from .agent_stage import AgentStage
from .storm import changed

DRAFT = re.compile(r"\.\d+\.tmp$|/tmp_obj_|\.lock$|/index-\w+$|/canary-\w+\.patch$|/spool/tmp/.|/briefs/\.")
ENDS = ("held up", "refuted", "undecided", "refused")


@dataclass(kw_only=True)
class Findings:
    """What was found; each list holds sentences, and an empty one is what we want."""

    lost_ideas: list[str] = field(default_factory=list)
    lost_changes: list[str] = field(default_factory=list)
    called_wrongly: list[str] = field(default_factory=list)
    begun_twice: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    settled_wrongly: list[str] = field(default_factory=list)
    overspent: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    ledger: list[str] = field(default_factory=list)


def fingerprint(stage: AgentStage) -> dict[str, str]:
    """Digest every file of the study and beside it, but for what secondshift keeps for itself, and the study file."""
    found = {}
    for folder in (stage.study, stage.outside):
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            if path.is_file() and inside.parts[0] != ".secondshift" and path != stage.file:
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def audit(stage: AgentStage, before: Mapping[str, str], watched: Mapping[str, float], samples: list[tuple[int, str]]) -> Findings:
    """Compare what is recorded with what the agents noted themselves. watched: calls whose watcher was killed by us."""
    found = Findings(orphans=[f"{one.kind} {one.pid}" for one in stage.orphans()])
    state, noted = stage.look(), witnessed(stage)
    _ideas(found, stage, state)
    _calls(found, state, noted, watched, stage.private)
    ledger = stage.ledger()
    try:
        events = list(ledger.read())
        _money(found, events)
        found.ledger = [*_ledger(stage, events, replay(ledger)), *changed(stage, samples)]
    finally:
        ledger.close()
    after = fingerprint(stage)
    found.files = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    return found


def witnessed(stage: AgentStage) -> Counter[str]:
    """How often each call's agent began, by its own word."""
    try:
        lines = (stage.witness / "agents.txt").read_text().splitlines()
    except FileNotFoundError:
        return Counter()
    return Counter(line.split()[0] for line in lines if line.split()[1:2] == ["begins"])


def _ideas(found: Findings, stage: AgentStage, state: State) -> None:
    """Every idea that was brought is there, and has its end or a change that is on its way to one."""
    ideas = [idea for idea in state.ideas.values() if not idea.canary]
    texts = {idea.text for idea in ideas}
    if len(texts) != stage.brought:
        found.lost_ideas.append(f"{stage.brought} ideas were brought, and {len(texts)} are recorded")
    for idea in ideas:
        if idea.state not in ENDS and not idea.change:
            found.lost_ideas.append(f"{idea.id} is {idea.state} and has no change")
    for idea in ideas:
        left = [call.change for call in state.calls.values() if call.idea == idea.id and call.ending == "changed"]
        if left and idea.change not in left:
            found.lost_changes.append(f"{idea.id} has the change {idea.change!r}, its calls left {left}")
        found.lost_changes += [why for digest in left if (why := _unreadable(stage.private, idea, digest))]


def _unreadable(private: Path, idea: Idea, digest: str) -> str:
    try:
        return "" if changes.read(private, digest) else f"{idea.id}: {digest} is empty"
    except ChangeUnusable as problem:
        return f"{idea.id}: {problem}"


def _calls(found: Findings, state: State, noted: Counter[str], watched: Mapping[str, float], private: Path) -> None:
    found.unsettled = [f"{call.id} has no ending" for call in state.calls.values() if call.open()]
    found.begun_twice = [f"the agent of {name} began {count} times" for name, count in noted.items() if count > 1]
    by_idea: dict[str, list[AgentCall]] = {}
    for call in state.calls.values():
        by_idea.setdefault(call.idea, []).append(call)
        lost = call.ending == "lost"
        if lost != call.assumed or (lost and call.usd != call.reserved_usd):
            found.settled_wrongly.append(f"{call.id} {call.ending}: {call.usd} USD, assumed {call.assumed}")
        if call.id in noted and call.usd != call.reserved_usd:
            found.settled_wrongly.append(f"{call.id} began and is settled at {call.usd} USD ({call.ending})")
        if call.id in watched and not lost and not (private / "agents" / call.id / "result.json").exists():
            found.settled_wrongly.append(f"the watcher of {call.id} was killed, and it is {call.ending}")
    found.begun_twice += [f"{name} began and is not recorded" for name in noted if name not in state.calls]
    for idea, calls in by_idea.items():
        tries, lost = sum(call.counts() for call in calls), sum(call.ending == "lost" for call in calls)
        if tries > MOST_TRIES or lost > MOST_LOST:
            found.called_wrongly.append(f"{idea}: {tries} tries, {lost} lost")
        for earlier, later in pairwise(calls):
            if earlier.ending == "changed" and later.repairs != earlier.id:
                found.called_wrongly.append(f"{idea}: {later.id} although {earlier.id} brought a change")


def _money(found: Findings, events: list[facts.Event]) -> None:
    """Reserved and settled after every fact, against the cap as it stood then; one call of an idea at a time."""
    cap, settled, going = 0.0, 0.0, dict[str, AgentCall]()
    for event in events:
        fact = event.payload
        if isinstance(fact, facts.StudyOpened | facts.StudyAmended):
            cap = fact.study.agent.money_usd or 0.0
        elif isinstance(fact, facts.AgentOrdered):
            if any(call.idea == fact.call.idea for call in going.values()):
                found.called_wrongly.append(f"{fact.call.id}: {fact.call.idea} had a call already")
            going[fact.call.id] = fact.call
        elif isinstance(fact, facts.AgentEnded):
            if going.pop(fact.call.id, None) is None:
                found.settled_wrongly.append(f"{fact.call.id} ended twice")
            settled += fact.call.usd
        total = settled + sum(call.reserved_usd for call in going.values())
        if total > cap + 1e-9:
            found.overspent.append(f"fact {event.seq}: {total} USD of {cap}")


def _ledger(stage: AgentStage, events: list[facts.Event], report: Report) -> list[str]:
    wrong = []
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        wrong.append("a fact is missing")
    if (tokens := [event.token for event in events]) != sorted(tokens):
        wrong.append("a fact carries a lower token than one before it")
    reserved = {e.payload.charge for e in events if isinstance(e.payload, facts.ChargeReserved)}
    settled = Counter(e.payload.charge for e in events if isinstance(e.payload, facts.ChargeSettled))
    wrong += [f"{charge} is not settled" for charge in reserved - set(settled)]
    wrong += [f"{charge} is settled {count} times" for charge, count in settled.items() if count > 1]
    with closing(sqlite3.connect(f"file:{stage.private / 'ledger.db'}?mode=ro", uri=True)) as connection:
        (answer,) = connection.execute("pragma integrity_check").fetchone()
    if answer != "ok":
        wrong.append(f"integrity_check: {answer}")
    if not report.holds:
        wrong.append(f"replay: {report.first_difference or report.tampering}")
    return wrong


def strays(stage: AgentStage) -> list[str]:
    """What is left after `clean` that nothing needs: workspaces, trees, branches, drafts."""
    private, state = stage.private, stage.look()
    store = private / STORE
    left = [str(path) for name in ("tree", "tmp", "index", "index.lock") for path in (private / "agents").glob(f"*/{name}")]
    trees = {path.name.removesuffix(".ready") for path in (private / "worktrees").glob("*")}
    left += [f"the tree of {name}" for name in trees if name not in state.open]
    noted = [Path((note / "gitdir").read_text().strip()).parent for note in (store / "worktrees").glob("*")]
    left += [f"git's note of {tree}" for tree in noted if tree.name not in state.open or not tree.exists()]
    listed = ["git", "for-each-ref", "--format=%(refname)"]
    refs = subprocess.run(listed, cwd=store, capture_output=True, text=True, timeout=30, check=True).stdout.split()
    known = {f"refs/candidates/{name}{end}" for name in state.candidates for end in ("", ".base")}
    left += [ref for ref in refs if ref not in known]
    left += [str(path) for path in private.rglob("*") if _draft(path)]
    left += [str(path) for pattern in ("checks/*", "evaluations/*/artefact") for path in private.glob(pattern)]
    return left


def _draft(path: Path) -> bool:
    return bool(DRAFT.search(str(path))) and path.name != "keeper.lock"
