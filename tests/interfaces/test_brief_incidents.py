"""The brief of a night in which something went wrong: the captain's log, what it asks, what is handed over, who was helped."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.brief.write import page, write_brief
from secondshift.interfaces.messages.catalogue import sentences, tell
from secondshift.interfaces.readmodel.objectives import ranked
from secondshift.ledger.fold import fold
from secondshift.ledger.opening import open_ledger
from secondshift.records.events import TrialHelped
from secondshift.records.incidents import Act
from secondshift.records.nights import Brief
from secondshift.records.states import State
from secondshift.records.trials import Exit
from secondshift.runtime.executors.simulated import Mishap
from secondshift.runtime.spool import put_request
from simulated_nights import falling, until
from tests.interfaces.bad_nights import STEPS, asks, bad_night, for_good, left, shard
from tests.interfaces.nights import Night, eventful


def lines(brief: Brief, section: str, lang: str = "en") -> list[str]:
    (found,) = [one for one in brief.sections if one.key == f"section.{section}"]
    return [tell(statement, lang) for statement in found.statements]


def briefed(place: Path) -> Brief:
    ledger = open_ledger(place / ".secondshift", readonly=True)
    try:
        return page(ledger, fold(State(), ledger.read()), "s1").brief
    finally:
        ledger.close()


@pytest.fixture(scope="module")
def asking(tmp_path_factory) -> Path:
    """The shift is over, t1 was helped twice in vain, and what to do is asked."""
    place = tmp_path_factory.mktemp("asking")
    night = bad_night(place, for_good)
    until(night, lambda: asks(night))
    put_request(night.folder, "stop", {}, "kim")
    left(until(night, lambda: night.engine.state.shift is None))
    return place


@pytest.fixture(scope="module")
def mended(tmp_path_factory) -> Path:
    """A bad shard of t1 was skipped; t2 needed no help and is worse by its seed."""
    place = tmp_path_factory.mktemp("mended")
    night = bad_night(place, shard)
    left(until(night, lambda: night.engine.state.shift is None))
    return place


def test_an_incident_is_one_line_that_says_what_was_done_and_how_it_ended(mended) -> None:
    (line,) = lines(briefed(mended), "incidents")
    assert "i1 (t1): bad data since step 49" in line and "skip the suspicious steps (worked)" in line
    assert line.endswith("It ended: the remedy worked.")


def test_what_is_asked_stands_under_needs_you_with_its_default_deadline_and_suggestion(asking) -> None:
    needs = lines(briefed(asking), "needs_you")
    (asked,) = [line for line in needs if "i1 (t1) asks" in line]
    for part in ("Tried:", "Suggested:", "secondshift answer i1", "Without an answer by", "pause until a person decides"):
        assert part in asked
    assert lines(briefed(asking), "incidents")[0].endswith("Still open: asks you.")


def test_the_handover_says_what_is_open_what_was_tried_and_where_to_look_and_is_a_file(asking, tmp_path) -> None:
    handed = lines(briefed(asking), "handover")
    assert "i1 (t1) is open" in handed[0] and "(did not help)" in handed[0]
    assert "Look first at the data that was read at those steps" in handed[0]
    assert any("1 trial is assisted (t1)" in line for line in handed)
    ledger = open_ledger(asking / ".secondshift", readonly=True)
    files = write_brief(tmp_path, ledger, fold(State(), ledger.read()), "s1")
    ledger.close()
    assert files[-2:] == ("handover.md", "handover.ko.md")
    note = (tmp_path / "handover.md").read_text("utf-8")
    assert note.startswith("# Handover of night, shift s1") and "Look first at" in note and "## Needs you" in note
    assert "먼저 볼 것" in (tmp_path / "handover.ko.md").read_text("utf-8")


def test_a_night_with_nothing_open_hands_over_that_nothing_is(tmp_path) -> None:
    night = eventful()
    state = night.state
    kept = replace(state, incidents={})
    brief = compose(kept, night.events, state.study.objective, "s1", written_at=0.0)
    assert lines(brief, "handover") == []
    write_brief(tmp_path, night.record(), state, "s1")
    assert "Nothing is handed over" in (tmp_path / "handover.md").read_text("utf-8")


def test_a_trial_that_fails_by_its_own_error_is_handed_over_with_where_to_look(tmp_path) -> None:
    mishaps = {"t1": [Mishap(kind="fail", at_step=100, attempt=0)]}
    night = bad_night(tmp_path, lambda order: {"loss": falling(1, STEPS)}, mishaps=mishaps)
    left(until(night, lambda: night.engine.state.shift is None))
    brief = briefed(tmp_path)
    assert lines(brief, "incidents")[0].endswith("It ended: not tried again.")
    (handed,) = lines(brief, "handover")
    assert "was not tried again" in handed and "Look first at the last lines of its output" in handed


def test_an_assisted_trial_is_never_the_best_and_its_result_is_marked(mended) -> None:
    brief = briefed(mended)
    found = lines(brief, "found")
    (best,) = [line for line in found if line.startswith("Best complete trial")]
    assert "t2," in best
    assert any(line.startswith("Assisted: 1 trial that was helped on the way came to the end") and "t1 (" in line for line in found)
    others = [line for line in found if "t1" in line and not line.startswith("Assisted")]
    only = "The defaults came to the end only with help or from the checkpoint of another (t1),"
    assert others == [f"{only} so the best is compared with nothing."]


def test_where_only_assisted_trials_came_to_the_end_nothing_is_compared() -> None:
    night = Night().open()
    attempt = night.start(night.queue({}))
    act = Act(remedy="roll_back_skip", reason="bad data", by="captain", skip=((1, 2),))
    night.add(TrialHelped(trial="t1", incident="i1", act=act, decision="d1"))
    night.log(attempt, [2.0] * 9)
    night.end(attempt, Exit(cause="self", code=0))
    night.close()
    state = night.state
    assert state.trials["t1"].status == "complete" and ranked(state.study.objective, list(state.trials.values())) == []
    brief = compose(state, night.events, state.study.objective, "s1", written_at=0.0)
    assert "without help" in lines(brief, "found")[1] and "Assisted: 1 trial" in lines(brief, "found")[2]
    assert any("every trial that came to the end was helped" in line for line in lines(brief, "unproven"))


def test_in_korean_the_captains_lines_quote_no_policy(asking, mended) -> None:
    for place in (asking, mended):
        brief = briefed(place)
        for section in ("needs_you", "incidents", "handover"):
            for line in lines(brief, section, "ko"):
                rest = re.sub(r"`[^`]*`|\b(i1|t1|t2|loss|leave|pause|stop)\b|roll_back\w*", "", line)
                assert not re.search(r"[A-Za-z]{3,}", rest), line


def test_every_cause_says_where_to_look_first() -> None:
    for lang in ("en", "ko"):
        words = {key for key in sentences(lang) if key.startswith("word.cause_")}
        missing = [key for key in words if key.replace("cause_", "look_", 1) not in sentences(lang)]
        assert not missing, (lang, missing)
