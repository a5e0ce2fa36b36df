"""What the brief says of a script that was not proved, and of what the doctor found wrong with it."""

import re
from pathlib import Path

import pytest

import secondshift.policies.proofs
from secondshift.interfaces.brief.standing import not_proved
from secondshift.interfaces.brief.trace import Trace
from secondshift.interfaces.messages.catalogue import sentences, tell
from secondshift.interfaces.readmodel.overview import tier_line
from secondshift.records.events import AttemptOrdered, CheckpointSaved, Event
from secondshift.records.states import State
from secondshift.records.studies import Objective, ProofState, Study
from secondshift.records.trials import OWN, Checkpoint

STUDY = Study(
    name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=9, offered="resumable", tier="opaque"
)  # fmt: skip


def said(night: Trace | None = None, **fields) -> list[str]:
    state = State(study=Study(**{name: getattr(STUDY, name) for name in STUDY.__slots__} | fields))
    found = list(not_proved(night or Trace(study=7), state))
    assert all(statement.facts for statement in found), "each sentence rests on a fact"
    return [tell(statement, lang) for statement in found for lang in ("en", "ko")][::2]


@pytest.mark.parametrize("proof", ["missing", "stale", "failed", "trusted"])
def test_a_tier_that_is_not_proved_is_said_with_the_command_that_changes_it(proof: ProofState) -> None:
    [sentence] = said(proof=proof)
    assert "`secondshift doctor`" in sentence
    line = tier_line(Study(**{name: getattr(STUDY, name) for name in STUDY.__slots__} | {"proof": proof}))
    assert line is not None and all("`secondshift doctor`" in tell(line, lang) for lang in ("en", "ko"))


@pytest.mark.parametrize("proof", ["", "proved", "not needed"])
def test_nothing_is_said_where_there_is_nothing_to_say(proof: ProofState) -> None:
    assert said(proof=proof, tier="resumable") == [] and tier_line(STUDY) is None


def test_what_the_doctor_found_wrong_is_said_of_each_thing() -> None:
    first, second, other = said(proof="proved", faults=("seed_ignored", "metric_absent", "made_up", "made_up_too"))
    assert "same curve with every seed" in first and "loss can be read" in second
    assert "made_up, made_up_too" in other


def test_whatever_the_judge_may_find_wrong_has_words_of_its_own_in_a_brief() -> None:
    room = Path(secondshift.policies.proofs.__file__).parent
    text = "\n".join(file.read_text("utf-8") for file in room.glob("*.py"))
    codes = re.findall(r'code="(\w+)",\s*level="(?:fault"|note",\s*breaks=)', text)
    assert len(codes) > 10, "the search for findings found hardly any; it is broken"
    assert not [code for code in codes if f"unproven.fault_{code}" not in sentences("en")]
    assert {"unproven.fault_resume_forgets_optimiser", "unproven.fault_resume_differs"} <= set(sentences("en"))


def test_the_steps_of_checkpoints_that_the_script_keeps_are_called_an_estimate() -> None:
    kept = Checkpoint(trial="t1", step=4, folder="f", digest=f"{OWN}1", attempt="t1.a1")
    again = AttemptOrdered(
        attempt="t1.a2", trial="t1", number=2, token=1, devices=(), from_step=4, until_step=9, grant_s=1.0, decision="d"
    )
    events = [
        Event(seq=5, at=1.0, token=1, kind="checkpoint.saved", payload=CheckpointSaved(checkpoint=kept)),
        Event(seq=6, at=1.0, token=1, kind="attempt.ordered", payload=again),
    ]
    night = Trace(study=1, told={event.kind: [event] for event in events})
    [sentence] = said(night, proof="proved", tier="resumable")
    assert "1 attempt resumed from the script's own checkpoints" in sentence and "estimate" in sentence
