"""A page says what, since when, by which numbers, what was tried, what happens by itself and when, and one thing to do."""

import json
from dataclasses import replace
from datetime import time
from pathlib import Path

import pytest

from interfaces.nights import OBJECTIVE, STUDY, T0, Night, eventful
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.wake import SHORT, write_page
from secondshift.records.events import DutyCovered, PageSent, PageWeighed
from secondshift.records.incidents import Act, Finding, Incident, Question
from secondshift.records.nights import Shift
from secondshift.records.pages import Page
from secondshift.records.states import State
from secondshift.records.studies import Cover, Oncall, Person, Quiet, Rota
from secondshift.records.trials import Trial
from secondshift.runtime.notify.channels import send

PAGE = Page(
    id="g1", incident="i3", person="mina", verdict="page", because="dear", waiting=48.0, waking=20.0, biggest="idle", at=T0,
    awake_at=T0 + 9 * 3600, channels=("mailto:mina@lab.org",), paged=48.0, paged_to="mina",
)  # fmt: skip
ACT = Act(remedy="roll_back", reason="r", by="captain", at=T0 - 60, outcome="failed")
INCIDENT = Incident(
    id="i3", subject="t7", finding="The loss left its level.", evidence=("val_loss 4.1 against 0.27 before",), since=1200,
    opened_at=T0 - 300, acts=(ACT,),
    questions=(Question(asked_at=T0, deadline_at=T0 + 1800, suggested="roll_back_lower_rate", default="pause"),),
)  # fmt: skip


def scene(lang: str = "en", **changes) -> State:
    mina = Person(name="mina", zone="Asia/Seoul", quiet=Quiet(begins=time(23), ends=time(7)), lang=lang)
    oncall = Oncall(rota=Rota(people={"mina": mina}, order=("mina",), zone="Asia/Seoul"))
    incidents = {"i3": replace(INCIDENT, **changes)}
    return State(study=replace(STUDY, oncall=oncall), incidents=incidents, shift=Shift(id="s1", started_at=T0))


def test_a_page_holds_everything_that_somebody_half_asleep_needs() -> None:
    text = write_page(scene(), PAGE).text
    lines = text.splitlines()
    assert lines[0].startswith("[digits] t7: The loss left its level. Suggested: go back to before the first sign and go on")
    assert lines[2] == "What: t7: The loss left its level."
    assert lines[3] == "Since: step 1,200, seen at 24 Nov 06:55:00."  # on the person's clock
    assert lines[4] == "Evidence: val_loss 4.1 against 0.27 before"
    assert lines[5] == "Tried: go back to before the first sign, at 24 Nov 06:59:00: did not help."
    assert lines[6] == "Without an answer: pause until a person decides, at 24 Nov 07:30:00."
    assert lines[7].endswith("Say: secondshift answer i3 roll_back_lower_rate")
    assert "about 48 device-hours (devices idle or working for nothing)" in lines[8] and "counts for 20" in lines[8]
    assert lines[9] == "That is about $86.40 at the study's price."


def test_a_page_is_in_the_persons_language() -> None:
    text = write_page(scene("ko"), PAGE).text
    assert "답이 없으면: 사람이 결정할 때까지 멈춰 두기, 시각 11월 24일 07:30:00" in text and "해 본 것: 첫 징후 전으로" in text


@pytest.mark.parametrize("finding", ["x" * 900, "two\nlines \x1b[31mred", "제" * 300])
def test_the_short_form_is_one_line_for_a_phone_whatever_was_found(finding: str) -> None:
    letter = write_page(scene(finding=finding), PAGE)
    assert len(letter.subject) <= SHORT and letter.subject.isprintable() and "\x1b" not in letter.text
    assert letter.subject.startswith("[digits] t7: ")


def test_what_the_captain_believes_and_the_numbers_are_in_the_persons_language() -> None:
    found = Finding(
        symptom="step_up", stream="val_loss", step=1260, since=1200, lasted=60, confidence=0.93,
        evidence={"before": 0.27, "level": 4.1},
    )  # fmt: skip
    believed = {"cause": "bad_data", "findings": (found,)}
    english = write_page(scene(**believed), PAGE).text
    assert "since step 1,200" in english and "before 0.27" in english
    korean = write_page(scene("ko", **believed), PAGE).text
    assert "이전 값 0.27" in korean and "The loss left" not in korean


def test_a_held_trial_stays_as_it_is_without_an_answer() -> None:
    question = replace(INCIDENT.questions[0], answer="pause", answered_by="default")
    state = scene(questions=(question,), acts=())
    state = replace(state, trials={"t7": Trial(id="t7", candidate="c1", seed=0, status="paused", held="i3")})
    assert "the trial stays paused" in write_page(state, PAGE).text and "secondshift answer i3" in write_page(state, PAGE).text


def test_a_drill_says_that_it_is_one() -> None:
    assert "DRILL" in write_page(scene(drill=True), PAGE).subject
    assert "DRILL" in write_page(scene("ko", drill=True), PAGE).subject


def test_a_page_about_something_that_nobody_asked_says_what_to_look_at() -> None:
    text = write_page(scene(questions=(), acts=(), evidence=()), replace(PAGE, because="awake")).text
    assert "nothing happens by itself" in text and "secondshift show i3" in text and "you are awake by the rota" in text


def test_every_try_of_a_page_has_one_id_and_two_pages_have_two() -> None:
    assert write_page(scene(), PAGE).id == write_page(scene("ko"), PAGE).id != write_page(scene(), replace(PAGE, id="g2")).id


@pytest.mark.parametrize(("lang", "said"), [("en", "on box, in /home/kim/digits"), ("ko", "box, /home/kim/digits")])
def test_a_page_says_on_which_machine_and_where_its_command_is_to_be_typed(lang: str, said: str) -> None:
    letter = write_page(scene(lang), PAGE, host="box", folder="/home/kim/digits")
    assert said in letter.text.splitlines()[-1] and json.loads(letter.document)["folder"] == "/home/kim/digits"


def test_a_page_goes_through_the_channels_as_text(tmp_path: Path) -> None:
    letter = write_page(scene(), PAGE)
    assert send(f"file:{tmp_path}/pages", letter, {}).sent
    assert (tmp_path / "pages" / "digits-page-g1.txt").read_text("utf-8") == letter.text
    assert send(f"file:{tmp_path}/last.json", letter, {}).sent
    assert json.loads((tmp_path / "last.json").read_text("utf-8"))["waiting_device_hours"] == 48.0


def brief_of(*payloads, lang: str = "en") -> list[str]:
    night = Night().open()
    night.add(*payloads)
    made = compose(night.state, night.events, OBJECTIVE, "s1", written_at=night.at)
    recorded = {event.seq for event in night.events}
    section = next(part for part in made.sections if part.key == "section.sleep")
    assert all(s.facts and set(s.facts) <= recorded for s in section.statements)
    return [tell(statement, lang) for statement in section.statements]


def weighed(page: Page) -> PageWeighed:
    return PageWeighed(page=page, decision="d1")


def outcome(page: Page, channel: str, how: str, detail: str = "answered 200") -> PageSent:
    return PageSent(page=page.id, incident=page.incident, person=page.person, channel=channel, outcome=how, detail=detail)


WAITED = replace(PAGE, id="g2", incident="i4", verdict="wait", because="sleep", waiting=3.0)
NOTHING = replace(PAGE, id="g3", incident="i5", verdict="leave", because="nothing", waiting=0.0, biggest="nothing")


def test_the_brief_says_that_nobody_was_told_of_anything() -> None:
    assert brief_of() == ["Nobody was told of anything during the shift, and no incident asked for it."]
    made = compose(eventful().state, eventful().events, OBJECTIVE, "s1", written_at=T0)
    assert [s.key for part in made.sections if part.key == "section.sleep" for s in part.statements] == ["sleep.none"]


def test_the_brief_counts_pages_and_says_of_each_what_was_weighed() -> None:
    said = brief_of(
        weighed(PAGE), outcome(PAGE, "mailto:mina@lab.org", "failed", "no"), outcome(PAGE, "env:PHONE", "sent"),
        weighed(WAITED), weighed(NOTHING),
    )  # fmt: skip
    assert said[0] == "1 page sent, 1 to somebody asleep; 2 incidents waited for a person and woke nobody."
    assert "mina was to be woken for i3, and env:PHONE took the page" in said[1] and "about 48 device-hours" in said[1]
    assert said[2].startswith("i4 was left until") and "waiting costs about 3 device-hours" in said[2]
    assert said[3] == "i5 was left to this page: nothing is lost while it waits for mina."


def test_the_brief_owns_up_to_pages_that_reached_nobody() -> None:
    said = brief_of(weighed(PAGE), outcome(PAGE, "env:PHONE", "failed", "not set"))
    assert said[0].startswith("0 pages sent") and "no channel took the page about i3 for mina. The last answer: not set" in said[1]
    assert "decided and not sent" in brief_of(weighed(PAGE))[1]
    assert "no channel is set for mina" in brief_of(weighed(replace(PAGE, verdict="leave", because="no channel")))[1]


def test_an_incident_that_waited_first_and_was_paged_later_counts_as_paged() -> None:
    later = replace(PAGE, id="g9", incident="i4", because="awake", waking=0.0)
    said = brief_of(weighed(WAITED), weighed(later), outcome(later, "env:PHONE", "sent"))
    assert said[0] == "1 page sent, 0 to somebody asleep; 0 incidents waited for a person and woke nobody."
    assert "mina, who was awake by the rota" in said[1] and len(said) == 2


def test_a_reminder_says_that_it_is_one_and_counts_as_a_page() -> None:
    again = replace(PAGE, id="g4", reminder=True, reminders=1)
    assert "nobody has answered about i3 yet" in write_page(scene(), again).text
    assert "아직 아무도 답하지 않았습니다" in write_page(scene("ko"), again).text
    assert "Sent again" not in write_page(scene(), PAGE).text
    said = brief_of(weighed(PAGE), outcome(PAGE, "env:PHONE", "sent"), weighed(again), outcome(again, "env:PHONE", "sent"))
    assert said[0].startswith("2 pages sent, 2 to somebody asleep")
    assert "nobody had answered about i3, and env:PHONE took another page, for mina" in said[2]


def test_the_brief_tells_who_took_over_in_both_languages() -> None:
    cover = Cover(begins=T0, ends=T0 + 3600, who="jonas", why="hand-over", asked_by="mina", note="look at i3")
    assert "as mina asked. Note: look at i3" in brief_of(DutyCovered(cover=cover, decision="d1"))[0]
    assert "남긴 말: look at i3" in brief_of(DutyCovered(cover=cover, decision="d1"), weighed(NOTHING), lang="ko")[0]
