"""Calls of a scripted agent (SIMULATED: no model): one outlives its engine, and one that nobody watches over is lost, in full."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agent_nights import SCRIPT, left_running

from repositories import git, repository
from secondshift.config import calling
from secondshift.ledger import codec
from secondshift.records import events as facts
from secondshift.records.agent_calls import AgentCall
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.studies import Agent, Objective, Study
from secondshift.runtime import changes, repositories, trying
from secondshift.runtime.agents import calling as calls
from secondshift.runtime.agents import running, trees
from secondshift.runtime.agents.calling import Caller, at_work
from secondshift.runtime.executors.processes import carriers
from secondshift.runtime.repositories import TryLater
from secondshift.runtime.tokens import token_of
from secondshift.runtime.workspaces import Ground

LONG_S = 60.0
CALLERS: list[Caller] = []  # of the test that runs
AGENT = Agent(
    command=(sys.executable, "-I", "-S", str(SCRIPT), "{brief_file}"), turns=9, price_usd=2.0, money_usd=9.0,
    readable=(str(SCRIPT),), grace_s=0.5, output_cap_mb=1.0,
)  # fmt: skip
TRAIN = "rate = 0.01\nfor step in range(30):\n    print(f'step={step} loss={rate}')\n"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield repository(tmp_path / "study", {"train.py": TRAIN, "data/valid.csv": "1,2\n"})
    while CALLERS:
        CALLERS.pop().close()
    assert left_running(tmp_path.parent) == []


def ordered(role: str, *, agent: Agent = AGENT, usd: float = 2.0, timeout_s: float = 30.0) -> State:
    study = Study(
        name="s", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=30, agent=agent,
        evaluate=("python", "eval.py", "{artefact}"), read_only=("data/**",),
    )  # fmt: skip
    call = AgentCall(id="call-1", idea="e1", reserved_usd=usd, timeout_s=timeout_s)
    idea = Idea(id="e1", text=f"[{role}] SIMULATED idea", author="kim")
    return State(study=study, token=1, ideas={"e1": idea}, calls={"call-1": call}, calling={"call-1": True})


def engine(place: Path) -> Caller:
    CALLERS.append(Caller(private=place / ".secondshift", place=place, command=calling))
    return CALLERS[-1]


def until(act: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG_S
    while not act():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def ended(caller: Caller, state: State) -> AgentCall:
    """Go on until the call has ended."""
    found: list[facts.Payload] = []
    until(lambda: found.extend(caller.work(state)) or found)
    for process in caller.processes.values():
        process.wait(LONG_S)  # it has nothing left to do
    assert isinstance(found[0], facts.AgentEnded)
    return found[0].call


def begun(caller: Caller, state: State) -> Path:
    """Go on until the agent itself runs; the folder of the call."""
    home = caller.home("call-1")
    until(lambda: caller.work(state) or (home / "output.log").exists())
    until(lambda: b"SIMULATED" in (home / "output.log").read_bytes())
    return home


def test_what_a_call_left_is_kept_as_the_change_it_is_and_the_study_is_as_it_was(place: Path) -> None:
    (place / "train.py").write_text(TRAIN + "# not committed\n")
    git(place, "status", "--porcelain")  # it may write the index anew
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and ".secondshift" not in path.parts}
    call = ended(engine(place), ordered("good"))
    assert (call.ending, call.usd, call.assumed) == ("changed", 2.0, False)
    patch = changes.read(place / ".secondshift", call.change).decode()
    assert "-rate = 0.01\n+rate = 0.1\n" in patch and patch.count("\n+") == 2
    after = {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and ".secondshift" not in path.parts}
    assert after == before
    left = {path.name for path in (place / ".secondshift/agents/call-1").iterdir()}
    assert not left & {"tree", "tmp", "index"} and {"brief.md", "output.log", "result.json"} <= left


def test_what_a_call_left_is_looked_at_by_its_own_process_and_by_no_tick(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caller, state = engine(place), ordered("good")
    call = ended(caller, state)
    came = replace(state, ideas={"e1": replace(state.ideas["e1"], change=call.change)})
    in_a_tick = trying.newcomers(came, caller.private, place, set(), {})
    monkeypatch.setattr(repositories, "git", lambda *_, **__: pytest.fail("a tick asked git"))
    assert trying.newcomers(came, caller.private, place, set(), {}, caller.looks) == in_a_tick != []
    assert caller.looks == {}, "it was used"


@pytest.mark.parametrize(("edit", "seen"), [
    ({}, True), ({"data/valid.csv": "3,4\n"}, True), ({"train.py": "rate = 7\n"}, False),
])  # fmt: skip
def test_a_look_is_at_the_study_as_it_is_by_then(place: Path, tmp_path: Path, edit: dict[str, str], seen: bool) -> None:
    study = ordered("good").study
    assert study is not None
    ground, home = Ground(private=place / ".secondshift", place=place, study=study), tmp_path / "call"
    home.mkdir()
    tree = trees.made(ground, "", home)
    (tree.top / "train.py").write_text(TRAIN.replace("0.01", "0.5"))
    left = trees.left(ground, tree)
    for name, text in edit.items():
        (place / name).write_text(text)
    digest = changes.keep(ground.private, left.patch)
    came = State(study=study, token=1, ideas={"e1": Idea(id="e1", text="t", author="kim", change=digest)})
    [in_a_tick, *_] = trying.newcomers(came, ground.private, place, set(), {})
    looked = running._looked(ground, tree, left, digest, "")
    assert looked == (codec.encode(in_a_tick)[1] if seen else ""), in_a_tick


def test_a_fault_of_ours_in_a_look_costs_the_call_nothing(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = ordered("good").study
    assert study is not None
    ground, home = Ground(private=place / ".secondshift", place=place, study=study), tmp_path / "call"
    home.mkdir()

    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(running, "described", broken)
    tree = trees.made(ground, "", home)
    assert running._looked(ground, tree, trees.Left(commit=tree.commit), "c", "") == ""


def test_where_a_pipe_may_not_be_large_no_tick_waits_for_a_process_that_is_busy_with_what_may_come(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, state, told = engine(place), ordered("good"), list[bytes]()
    (place / ".secondshift/agents").mkdir(parents=True)

    def refused(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(calls, "_told", lambda _, said: told.append(said))
    for _ in range(2):
        process = caller._waiting(caller._coming(state))
        process.kill()
        process.communicate(timeout=LONG_S)
        monkeypatch.setattr(calls.fcntl, "fcntl", refused)
    assert json.loads(told[0])["on"] == "" and told[1] == b"{}\n"


def test_a_look_that_cannot_be_read_is_made_in_a_tick(place: Path) -> None:
    caller = engine(place)
    caller._noted(AgentCall(id="call-1", idea="e1", change="c"), '{"examination": 3}')
    assert caller.looks == {}


def test_a_call_outlives_its_engine_and_the_next_one_takes_in_how_it_ended(place: Path) -> None:
    first, state = engine(place), ordered("looper", timeout_s=4.0)
    home = begun(first, state)
    second = engine(place)
    assert second.work(state) == [] and not second.processes, "it is at work already: no second one is started"
    call = ended(second, state)
    assert (call.ending, call.assumed) == ("timed out", False) and call.detail == "it took longer than 4 s"
    first.processes["call-1"].wait(LONG_S)
    assert not at_work(home)


def test_the_process_for_the_next_call_waits_with_all_it_needs_and_leaves_with_its_engine(place: Path) -> None:
    caller, state = engine(place), ordered("good")
    ended(caller, state)
    until(lambda: caller.work(state) and caller.spare)
    spare, laid_out = caller.spare, place / ".secondshift/agents/ahead/tree/train.py"
    assert spare is not None and spare.poll() is None
    until(laid_out.exists)
    again = replace(state, calls={"call-2": replace(state.calls["call-1"], id="call-2")}, calling={"call-2": True})
    assert ended(caller, again).ending == "changed"
    assert spare.wait(LONG_S) == 0 and (place / ".secondshift/agents/call-2/running.log").exists(), "it did the second call"
    until(lambda: caller.work(again) and caller.spare)
    last = caller.spare
    assert last is not None and last.stdin is not None
    last.stdin.close()  # as when the engine is killed
    assert last.wait(LONG_S) == 0 and not laid_out.exists()
    caller.spare = None


def test_a_tick_takes_in_one_call_at_most_because_it_looks_at_what_it_left(place: Path) -> None:
    caller, one = engine(place), ordered("good")
    names = [f"call-{number}" for number in (1, 2, 3)]
    state = replace(one, calls={n: replace(one.calls["call-1"], id=n) for n in names}, calling=dict.fromkeys(names, True))
    for name in names:
        caller.home(name).mkdir(parents=True)
        (caller.home(name) / "result.json").write_text('{"ending": "no change", "elapsed_s": 1.0}')
    taken = [fact.call.id for fact in caller.work(state) if isinstance(fact, facts.AgentEnded)]
    assert taken == ["call-1"]
    later = caller.work(replace(state, calling={"call-2": True, "call-3": True}))
    assert [fact.call.id for fact in later if isinstance(fact, facts.AgentEnded)] == ["call-2"]


def test_one_that_nobody_watches_over_any_more_is_settled_in_full_as_assumed_and_leaves_nobody(place: Path) -> None:
    first, state = engine(place), ordered("looper", usd=1.25)
    home = begun(first, state)
    os.kill(first.processes["call-1"].pid, signal.SIGKILL)
    first.processes["call-1"].wait(LONG_S)
    call = ended(engine(place), state)
    assert (call.ending, call.usd, call.assumed) == ("lost", 1.25, True)
    assert not carriers({token_of("agent", home)}) and not (home / "tree").exists()


def test_a_claimed_call_is_never_begun_twice(place: Path) -> None:
    home = place / ".secondshift/agents/call-1"
    home.mkdir(parents=True)
    (home / "claim.json").write_text("{}")
    caller = engine(place)
    assert ended(caller, ordered("good")).ending == "lost" and not caller.starts


def test_the_end_of_a_shift_ends_a_call_and_one_that_never_began_costs_nothing(place: Path) -> None:
    caller, state = engine(place), ordered("looper")
    begun(caller, state)
    call = ended(caller, replace(state, ending="over"))
    assert (call.ending, call.usd, call.assumed) == ("cancelled", 2.0, False)
    later = replace(state, calls={"call-2": replace(state.calls["call-1"], id="call-2")}, calling={"call-2": True}, ending="over")
    assert (ended(caller, later).ending, ended(caller, later).usd) == ("cancelled", 0.0)


def test_a_git_that_is_killed_around_a_call_is_asked_again_although_it_left_its_lock(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = ordered("good").study
    assert study is not None
    ground, home, asked = Ground(private=place / ".secondshift", place=place, study=study), tmp_path / "call", list[str]()
    home.mkdir()
    (home / trees.LOCK).touch()
    tree = trees.made(ground, "", home)
    (tree.top / "train.py").write_text("rate = 2\n")

    def killed_once(*arguments: str, **named: Any) -> bytes:
        asked.append(arguments[0])
        if asked.count("write-tree") == 1 and arguments[0] == "write-tree":
            (home / f"{trees.AFTER}.lock").touch()
            raise TryLater("git was killed")
        return repositories.git(*arguments, **named)

    monkeypatch.setattr(trees, "git", killed_once)
    assert b"+rate = 2" in running.insisted(lambda: trees.left(ground, tree)).patch and asked.count("write-tree") == 2
    with pytest.raises(TryLater):
        running.insisted(lambda: (_ for _ in ()).throw(TryLater("it is killed always")))


def test_a_call_that_is_recorded_as_never_begun_is_not_begun_by_a_late_process_of_a_dead_engine(place: Path) -> None:
    state, late = ordered("good"), engine(place)
    ending = replace(state, ending="over")
    over = ended(engine(place), ending)
    assert (over.ending, over.usd) == ("cancelled", 0.0)
    assert ended(engine(place), ending) == ended(engine(place), state) == over, "an engine that died before it recorded that"
    late._start(state, state.calls["call-1"], late.home("call-1"))
    assert late.processes["call-1"].wait(LONG_S) == running.CLAIMED and not (late.home("call-1") / "output.log").exists()


@pytest.mark.parametrize(("role", "ending", "said"), [
    ("wonders", "asked", "Which of the two rates do you mean?"),
    ("litters", "spammed", "3000 files differ"),
    ("stubborn", "refused", "data/valid.csv, which is protected"),
    ("overspends", "over budget", "3.5 USD"),
    ("commits", "changed", ""),
    ("boasts", "no change", ""),  # a sum without end is none: it would be the last call of the study
])  # fmt: skip
def test_each_end_is_told_apart(place: Path, role: str, ending: str, said: str) -> None:
    call = ended(engine(place), ordered(role))
    assert call.ending == ending and said in call.detail, call
    assert call.usd == (3.5 if ending == "over budget" else 2.0)


def test_neither_a_link_nor_a_pipe_in_the_place_of_its_notes_reaches_whoever_reads_them(place: Path) -> None:
    secret = place / "secret.txt"
    secret.write_text("hush-hush-0123456789")
    call = ended(engine(place), ordered("lurks", agent=replace(AGENT, command=(*AGENT.command, str(secret)))))
    assert call.ending == "no change" and "hush-hush" not in call.detail, call


def test_a_study_without_git_says_so_and_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / ".secondshift").mkdir()
    call = ended(engine(tmp_path), ordered("good"))
    assert (call.ending, call.usd) == ("unusable", 0.0) and "git repository" in call.detail


def test_configuration_of_the_agents_own_repository_runs_nothing_of_ours(place: Path, tmp_path: Path) -> None:
    ground = Ground(private=place / ".secondshift", place=place, study=ordered("good").study)  # type: ignore[arg-type]  # there is one
    home = tmp_path / "home"
    home.mkdir()
    tree, trap = trees.made(ground, "", home), tmp_path / "sprung"
    (tree.top / ".git/config").write_text(f'[core]\n\tfsmonitor = touch {trap}\n[filter "x"]\n\tclean = touch {trap}; cat\n')
    (tree.top / ".git/hooks").mkdir()
    (tree.top / ".git/hooks/post-index-change").write_text(f"#!/bin/sh\ntouch {trap}\n")
    (tree.top / ".git/hooks/post-index-change").chmod(0o755)
    (tree.top / ".gitattributes").write_text("* filter=x\n")
    (tree.top / "train.py").write_text("rate = 5\n")
    (tree.top / ".git/index").write_bytes(b"nonsense")
    os.mkfifo(tree.top / "pipe")
    left = trees.left(ground, tree)
    assert b"+rate = 5" in left.patch and not trap.exists()


def test_an_edit_in_the_very_second_in_which_the_workspace_was_made_is_seen_although_the_file_is_as_long_as_before(
    place: Path, tmp_path: Path
) -> None:
    ground = Ground(private=place / ".secondshift", place=place, study=ordered("good").study)  # type: ignore[arg-type]  # there is one
    home = tmp_path / "home"
    home.mkdir()
    time.sleep(1.0 - time.time() % 1.0)  # git keeps whole seconds
    tree = trees.made(ground, "", home)
    (tree.top / "train.py").write_text(TRAIN.replace("0.01", "0.14"))
    time.sleep(1.0 - time.time() % 1.0)
    assert b"+rate = 0.14" in trees.left(ground, tree).patch


def test_the_order_that_holds_secrets_is_in_no_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_KEY", "hush-hush-0123456789")
    call = ended(engine(place), ordered("spies", agent=replace(AGENT, env=("AGENT_KEY", "NOT_SET"))))
    assert "AGENT_KEY" in call.detail
    files = [path for path in (place / ".secondshift").rglob("*") if path.is_file()]
    assert files and not any(b"hush-hush" in path.read_bytes() for path in files)
    assert json.loads((place / ".secondshift/agents/call-1/result.json").read_bytes())["ending"] == "crashed"
