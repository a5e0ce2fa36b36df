"""A scripted agent (SIMULATED: no model) plays a good one, a lazy one and many bad ones over real training, one night.

The long one, 24 turns on digits to a verdict, is `python soak/agents.py`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from agent_nights import agent_study, fingerprint, left_running, suggest
from nights import TOML, work

from secondshift.policies.evidence.pairing import pairs_of
from secondshift.records.agent_calls import AgentCall
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.runtime.executors import confinement

pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(600),
    pytest.mark.skipif(not confinement.available(), reason="this kernel cannot confine a process"),
]  # fmt: skip
TIMEOUT_S = 10.0  # on a busy machine even a lazy one needs seconds
# What each call of each agent comes to.
PLAYED = {
    "looper": ["timed out", "timed out"],  # first, because it takes longest
    "daemon": ["changed"],
    "injects": ["changed"],
    "lazy": ["no change", "no change"],
    "cheat": ["refused", "changed"],
    "asks": ["asked", "asked"],
    "spam": ["spammed", "spammed"],
    "mends": ["crashed", "changed"],
    "spies": ["crashed", "crashed"],
    "breaks": ["changed", "changed"],
}


@dataclass(frozen=True, kw_only=True)
class Night:
    """A night that is over."""

    state: State
    private: Path
    before: dict[str, str]
    after: dict[str, str]
    running: list[str]

    def idea(self, role: str) -> Idea:
        return next(idea for idea in self.state.ideas.values() if idea.text.startswith(f"[{role}]"))

    def calls(self, role: str) -> list[AgentCall]:
        return [call for call in self.state.calls.values() if call.idea == self.idea(role).id]

    def told(self, call: AgentCall) -> str:
        return (self.private / "agents" / call.id / "brief.md").read_text()

    def said(self, call: AgentCall) -> str:
        return (self.private / "agents" / call.id / "output.log").read_text(errors="replace")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder, outside = tmp_path_factory.mktemp("agents"), tmp_path_factory.mktemp("outside")
    (outside / "mine.txt").write_text("a file of somebody")
    os.environ |= {"AGENT_KEY": "sk-given-to-the-agent-0123456789", "OTHER_KEY": "sk-not-given-0123456789abcdef"}
    study = agent_study(
        folder / "study", places=(folder / "study", outside, folder / "study/.secondshift", Path.home()), parallel=3,
        toml=TOML.replace("slots = 3", "slots = 1"), timeout=TIMEOUT_S, output_cap_mb=1, env=["AGENT_KEY"],
        subscription=None, price_per_call_usd=1.0, money_usd=20.5,
    )  # fmt: skip
    (study.parent / "program.md").write_text("Leave the number of steps alone.\n")
    suggest(study, *PLAYED)
    before = fingerprint(study.parent, outside)
    state = work(study, pairs=1, most_s=420.0)
    yield Night(state=state, private=study.parent / ".secondshift", before=before,
                after=fingerprint(study.parent, outside), running=left_running(folder.parent))  # fmt: skip
    for name in ("AGENT_KEY", "OTHER_KEY"):
        del os.environ[name]


@pytest.mark.parametrize("role", PLAYED)
def test_each_call_ends_as_what_it_was(night: Night, role: str) -> None:
    calls = night.calls(role)
    assert [call.ending for call in calls] == PLAYED[role], [call.detail for call in calls]
    assert [bool(call.repairs) for call in calls] == [False, True][: len(calls)]
    assert all(call.usd == 1.0 and not call.assumed for call in calls)


def test_what_was_reserved_and_settled_never_passed_the_cap(night: Night) -> None:
    calls = sum(map(len, PLAYED.values()))
    assert night.state.spend.agents_usd == len(night.state.calls) == calls <= 20.5
    assert night.state.spend.reserved_usd == 0.0 and not night.state.calling and not night.state.charges


def test_nothing_outside_the_workspaces_was_changed_and_nobody_is_left(night: Night) -> None:
    assert night.after == night.before
    assert night.running == []
    assert not list((night.private / "agents").glob("*/tree")), "workspaces are gone"


def test_an_idea_that_no_call_could_change_has_an_answer_that_says_why(night: Night) -> None:
    for role, words in {"lazy": "left every file as it was", "looper": "longer than 10 s", "asks": "May I? [y/n]",
                        "spam": "more than 1 MB", "spies": "exit 1: "}.items():  # fmt: skip
        idea = night.idea(role)
        assert idea.state == "undecided" and words in idea.answer and not idea.candidate


def test_honest_changes_are_judged_by_what_they_leave_and_cheats_gain_nothing(night: Night) -> None:
    for role in ("mends", "daemon", "breaks"):
        assert min(pairs_of(night.state, night.idea(role)).differences()) > 0.0
    for role in ("cheat", "injects"):
        assert set(pairs_of(night.state, night.idea(role)).differences()) == {0.0}


def test_the_second_call_is_told_the_error_of_the_first_and_no_other(night: Night) -> None:
    first, second = night.calls("mends")
    assert "I could not find the file" in night.told(second) and "What went wrong" not in night.told(first)
    assert "Leave the number of steps alone." in night.told(first)


def test_a_change_that_crashed_in_training_is_mended_once_and_judged_as_another_comparison(night: Night) -> None:
    idea, (first, second) = night.idea("breaks"), night.calls("breaks")
    assert second.repairs == first.id and idea.change == second.change != first.change
    ran = [one for one in night.state.candidates.values() if one.idea == idea.id]
    assert [one.code for one in ran] == [first.change, second.change] and idea.candidate == ran[1].id
    others = [one.rank for one in night.state.ideas.values() if one.id != idea.id]
    assert idea.rank > 0 and idea.rank not in others and night.state.comparisons == 1 + sum(map(bool, others)) + 1


def test_an_agent_sees_the_variables_that_the_study_names_and_neither_ledger_nor_secrets(night: Night) -> None:
    said = night.said(night.calls("spies")[0])
    assert "SIMULATED" in said and "AGENT_KEY" in said and "OTHER_KEY" not in said
    assert said.splitlines()[2] == "[]"
    everything = b"".join(path.read_bytes() for path in night.private.rglob("*") if path.is_file())
    assert b"sk-given-to-the-agent" not in everything and b"sk-not-given" not in everything


def test_a_night_ends_by_itself_when_no_money_is_left_for_a_call(tmp_path: Path) -> None:
    study = agent_study(tmp_path / "study", subscription=None, turns=None, price_per_call_usd=1.0, money_usd=1.5)
    suggest(study, "lazy")
    state = work(study, pairs=99, most_s=60.0)
    assert [call.ending for call in state.calls.values()] == ["no change"]
    assert state.ideas["e1"].state == "open" and state.shift is None and state.spend.agents_usd == 1.0
