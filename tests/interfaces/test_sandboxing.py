"""The sandbox in words: `doctor --sandbox`, the line of `status`, and what a brief says of code that ran without one."""

import json

import pytest

from secondshift.interfaces.brief.ideas import ideas, unproven_ideas
from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.cli import sandboxing, status
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.records.evaluations import Evaluation, KeptBy
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.trials import Trial
from secondshift.runtime.sandbox.confining import Means
from secondshift.runtime.sandbox.probes import TRIES, Tried


def state(kept_by: KeptBy, **changed: str) -> State:
    idea = Idea(id="e1", text="wider", author="kim", **{"state": "exploring", "change": "abc", "candidate": "c2", **changed})  # type: ignore[arg-type]  # texts all
    trial = Trial(id="t2", candidate="c2", seed=1)
    return State(ideas={"e1": idea}, trials={"t2": trial}, evaluations={"t2": Evaluation(trial="t2", value=0.5, kept_by=kept_by)})


def test_a_brief_says_of_code_that_ran_without_a_sandbox_what_was_not_limited() -> None:
    assert not list(unproven_ideas(Trace(), state("bubblewrap")))
    assert not list(unproven_ideas(Trace(), state("")))
    said = list(unproven_ideas(Trace(), state("landlock")))
    assert [one.key for one in said] == ["unproven.no_sandbox"]
    assert "1 trial of e1 ran without a sandbox" in tell(said[0], "en")
    assert "샌드박스 없이" in tell(said[0], "ko")
    assert not list(unproven_ideas(Trace(), state("landlock", change=""))), "parameters are no code"


def test_status_says_it_while_code_ideas_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "means", lambda: Means(landlock=True, why_not="bubblewrap is not installed"))
    assert [tell(one, "en") for one in status.unboxed(state(""))] == [
        say("sandbox.status", "en", why_not="bubblewrap is not installed")
    ]
    assert not status.unboxed(state("", state="refuted"))
    assert not status.unboxed(state("", change=""))
    monkeypatch.setattr(status, "means", lambda: Means(bwrap="/usr/bin/bwrap"))
    assert not status.unboxed(state(""))


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_doctor_says_each_claim_on_a_line_and_its_exit_code_says_whether_one_is_broken(
    lang: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Tried(claim=claim, found="holds") for claim in TRIES]

    def prove(json: bool = False) -> int:
        def all_of(told, by=None):  # type: ignore[no-untyped-def]  # stands in for tried_all
            for one in found:
                told(one)
            return found

        monkeypatch.setattr(sandboxing, "tried_all", all_of)
        return sandboxing.prove(lang, json=json)

    assert prove() == 0
    shown = capsys.readouterr().out
    assert all(say(f"sandbox.{claim}", lang)[:20] in shown for claim in TRIES)
    found[0] = Tried(claim=found[0].claim, found="not enforced")
    assert prove() == 0, "what nothing enforces here is said, and breaks no promise"
    capsys.readouterr()
    found[3] = Tried(claim=found[3].claim, found="broken", detail="process 7")
    assert prove(json=True) == 1
    rows = json.loads(capsys.readouterr().out)["claims"]
    assert rows[3] == {"claim": found[3].claim, "found": "broken", "detail": "process 7"}


def test_a_brief_tells_of_canaries_in_one_line_and_not_among_ideas() -> None:
    kinds = {"no-op": "refuted", "constant": "refuted", "metric": "refused"}
    flown = {f"e{n}": Idea(id=f"e{n}", text="c", author="canary", canary=k, state=s) for n, (k, s) in enumerate(kinds.items(), 2)}  # type: ignore[arg-type]  # kinds and states
    said = list(ideas(Trace(), State(ideas=flown)))
    assert [one.key for one in said] == ["ideas.canaries_failed"]
    assert "3 canaries" in tell(said[0], "en") and "카나리아 3개" in tell(said[0], "ko")
    flown["e2"] = Idea(id="e2", text="c", author="canary", canary="no-op", state="held up")
    said = [one for one in ideas(Trace(), State(ideas=flown)) if one.key.startswith("ideas.canaries")]
    assert "e2 no-op" in tell(said[0], "en") and said[0].key == "ideas.canaries_stray"
