"""The brief says what happened, all of it traced, and nothing else."""

import itertools
import json
import re
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interfaces.nights import HOSTILE, OBJECTIVE, STUDY, T0, Night, complete, eventful
from secondshift.errors import SecondshiftError
from secondshift.interfaces.brief.citations import carried, cited, ranges
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.brief.write import newest_shift, page, write_brief
from secondshift.interfaces.messages.catalogue import tell
from secondshift.records.evaluations import Evaluation
from secondshift.records.events import ChargeSettled, IncidentOpened, ShiftEnded, ShiftStarted, TrialEvaluated
from secondshift.records.incidents import Incident
from secondshift.records.nights import Brief, Section, Shift, Statement
from secondshift.records.studies import Budget, Policy
from secondshift.records.trials import Exit

SEOUL = timezone(timedelta(hours=9))


def composed(night: Night, shift: str = "s1") -> Brief:
    return compose(night.state, night.events, night.study.objective, shift, written_at=night.at)


def said(brief: Brief, section: str, lang: str = "en") -> list[str]:
    return [tell(s, lang) for part in brief.sections if part.key == f"section.{section}" for s in part.statements]


def keys(brief: Brief) -> list[str]:
    return [s.key for part in brief.sections for s in part.statements]


def test_every_statement_of_an_eventful_night_rests_on_facts_that_exist() -> None:
    night = eventful()
    brief = composed(night)
    recorded = {e.seq for e in night.events}
    assert all(s.facts for part in brief.sections for s in part.statements), "a statement without facts"
    assert set(cited(brief)) <= recorded


def test_the_best_is_named_with_its_seed_count_and_is_not_called_a_verdict() -> None:
    found = said(composed(eventful()), "found")
    assert any(
        line.startswith("Best complete trial: t2, val_loss 0.27 after 9 steps, seed 0; parameters: lr=0.01, width=64")
        for line in found
    )
    assert any("One seed proves nothing: this is not a verdict" in line for line in found)
    assert any("The defaults (t1, 1 seed) reached val_loss 0.4; the difference is 0.13" in line for line in found)


def test_the_value_of_the_best_stands_in_the_facts_it_cites() -> None:
    night = eventful()
    best = next(s for part in composed(night).sections for s in part.statements if s.key == "found.best")
    payloads = [str(e.payload) for e in night.events if e.seq in best.facts]
    assert any("0.27" in p for p in payloads) and any("'width': 64" in p for p in payloads)


def test_money_and_device_time_are_the_sum_of_the_charges_cited() -> None:
    night = eventful()
    statement = next(s for part in composed(night).sections for s in part.statements if s.key == "spent.device_now")
    charges = [
        e.payload.device_s for e in night.events if e.seq in statement.facts and isinstance(e.payload, ChargeSettled)
    ]
    assert statement.values["used_s"] == pytest.approx(sum(charges)) and len(charges) == statement.values["n"]


def test_a_failure_is_told_with_the_scripts_last_words() -> None:
    failed = said(composed(eventful()), "failed")
    assert any("1 trial failed (t3)" in line and "ValueError" in line for line in failed)
    assert any("1 trial was stopped (t6): kim asked for it" in line for line in failed)


def test_kills_resumes_takeovers_lost_points_and_clock_jumps_are_all_told() -> None:
    got = set(keys(composed(eventful())))
    assert {"incidents.closed", "incidents.killed", "incidents.resumed", "incidents.engine_dead", "incidents.dropped",
            "incidents.clock_back"} <= got  # fmt: skip


def test_a_night_with_nothing_says_so() -> None:
    brief = composed(Night().open().close("nothing was left to try"))
    assert {
        "night.nothing_ran",
        "needs.nothing",
        "found.none_complete",
        "failed.none",
        "incidents.none",
        "unproven.nothing",
    } <= set(keys(brief))
    assert "Nothing. No question waits for you." in said(brief, "needs_you")


def test_a_shift_that_is_not_recorded_is_not_made_up() -> None:
    assert keys(composed(Night().open().close(), "s9"))[0] == "night.unknown"
    with pytest.raises(SecondshiftError, match=r"No shift s9 .* newest is s1"):
        page(Night().open().close().record(), Night().open().close().state, "s9")
    with pytest.raises(SecondshiftError, match="No shift is recorded"):
        newest_shift(Night().record())


def test_a_shift_that_goes_on_is_told_as_going_on() -> None:
    night = Night().open()
    complete(night, {}, [1.0, 0.9])
    assert "night.going_on" in keys(composed(night)) and "night.over" not in keys(composed(night))


def test_at_most_three_things_need_a_person_each_with_a_default() -> None:
    night = Night().open()
    for number in range(1, 6):
        night.add(IncidentOpened(incident=Incident(id=f"i{number}", subject="shift", finding=f"finding {number}")))
    lines = said(composed(night.close()), "needs_you")
    assert len(lines) == 4 and lines[3].startswith("2 more things")
    assert all("Without an answer" in line for line in lines[:3])


def test_incidents_closed_as_they_are_noted_need_nobody() -> None:
    night = Night().open()
    night.add(
        IncidentOpened(incident=Incident(id="i1", subject="shift", finding="edited", action="went on", closed="noted"))
    )
    brief = composed(night.close())
    assert "needs.nothing" in keys(brief) and "incidents.closed" in keys(brief)


def test_more_spent_than_the_cap_is_shown() -> None:
    night = Night(study=replace(STUDY, budget=Budget(device_s=20.0))).open()
    complete(night, {}, [1.0] * 9)
    brief = composed(night.close())
    assert "The cap on device time was passed by 10 s." in said(brief, "spent")


def test_an_attempt_that_cost_more_than_was_set_aside_is_shown() -> None:
    night = Night().open()
    attempt = night.start(night.queue({}), grant=10.0)
    night.log(attempt, [1.0])
    night.end(attempt, Exit(signal=15, cause="grant", elapsed_s=12.5), cost=12.5)
    assert "1 attempt used 2.5 s more than was set aside for it: the time it takes to stop a process." in said(
        composed(night.close()), "spent"
    )


def test_a_gain_below_the_minimum_effect_is_called_useless() -> None:
    night = Night().open()
    complete(night, {}, [0.400] * 9)
    complete(night, {"lr": 0.01}, [0.399] * 9)
    assert "found.too_small" in keys(composed(night.close()))


def test_seeds_of_one_candidate_are_counted_together() -> None:
    night = Night().open()
    complete(night, {"lr": 0.01}, [0.30] * 9, seed=0)
    complete(night, {"lr": 0.01}, [0.34] * 9, seed=1, candidate="c1")
    lines = said(composed(night.close()), "found")
    assert any("ran with 2 seeds: mean 0.32, from 0.3 to 0.34" in line and "not a verdict" in line for line in lines)


def test_a_metric_to_be_raised_is_compared_the_right_way_round() -> None:
    night = Night(study=replace(STUDY, objective=replace(OBJECTIVE, goal="max"))).open()
    complete(night, {}, [0.4] * 9)
    complete(night, {"lr": 0.01}, [0.6] * 9)
    assert any(line.startswith("Best complete trial: t2") for line in said(composed(night.close()), "found"))


def test_a_trial_without_a_finite_objective_is_never_the_best() -> None:
    night = Night().open()
    complete(night, {}, [0.4] * 9)
    complete(night, {"lr": 0.01}, [float("nan")] * 9)
    brief = composed(night.close())
    assert any(line.startswith("Best complete trial: t1") for line in said(brief, "found"))
    assert any("t2" in line and "without a finite" in line for line in said(brief, "found"))


def test_of_a_search_for_programs_the_evaluators_word_is_told_and_no_boast() -> None:
    searching = {"evaluate": ("python", "check.py", "{artefact}"), "policy": Policy(searcher="programs")}
    night = Night(study=replace(STUDY, **searching)).open()  # type: ignore[arg-type]  # fields of a study
    for boast in (0.4, 0.001, 0.002, 0.3):
        complete(night, {"lr": 0.01}, [boast] * 9)
    night.add(TrialEvaluated(evaluation=Evaluation(trial="t1", value=0.4)))
    night.add(TrialEvaluated(evaluation=Evaluation(trial="t2", problem="crash", detail="no packing")))
    night.add(TrialEvaluated(evaluation=Evaluation(trial="t4", value=0.25)))
    brief = composed(night.close())
    best = next(s for part in brief.sections for s in part.statements if s.key == "found.best")
    assert tell(best).startswith("Best complete trial: t4, val_loss 0.25") and {e.seq for e in night.events} >= set(best.facts)
    assert any(e.seq in best.facts and isinstance(e.payload, TrialEvaluated) for e in night.events)
    assert any("2 trials ended without a finite val_loss: t2, t3" in line for line in said(brief, "found"))
    assert "0.001" not in " ".join(said(brief, "found"))


def test_a_night_of_nan_alone_does_not_say_that_nothing_was_trained_to_the_end() -> None:
    night = Night().open()
    complete(night, {}, [float("nan")] * 9)
    got = keys(composed(night.close()))
    assert "found.no_value" in got and "unproven.no_value" in got
    assert not {"found.none_complete", "unproven.nothing"} & set(got)


def test_a_night_in_which_everything_failed_needs_somebody() -> None:
    night = Night().open()
    for lr in (0.1, 0.2):
        night.end(night.start(night.queue({"lr": lr})), Exit(code=1, elapsed_s=1.0, message="no module named x"))
    brief = composed(night.close())
    assert "needs.all_failed" in keys(brief) and "needs.nothing" not in keys(brief)
    assert "2 of 2 trials" in said(brief, "needs_you")[0]


def test_a_budget_too_small_for_another_start_is_not_called_going_on() -> None:
    night = Night(study=replace(STUDY, budget=Budget(device_s=30.5))).open()
    complete(night, {}, [0.4] * 9)  # costs 30 s; half a second starts nothing
    night.queue({"lr": 0.01})
    got = keys(composed(night.close()))
    assert "needs.budget" in got and "needs.go_on" not in got


def test_defaults_that_lead_are_not_said_to_be_better_than_themselves() -> None:
    night = Night().open()
    complete(night, {}, [0.1] * 9)
    complete(night, {"lr": 0.01}, [0.4] * 9)
    got = keys(composed(night.close()))
    assert "found.defaults_lead" in got and "unproven.not_a_verdict" not in got


def test_an_older_shift_is_told_as_it_was_then() -> None:
    night = Night().open()
    complete(night, {}, [0.5] * 9)
    night.close()
    before = composed(night)
    night.add(ShiftStarted(shift=Shift(id="s2", started_at=night.at)))
    complete(night, {"lr": 0.01}, [0.1] * 9)
    night.add(ShiftEnded(shift="s2", reason="done"))
    ledger = night.record()
    assert page(ledger, night.state, "s1").brief.sections == before.sections
    assert "found.best" in keys(page(ledger, night.state, "s2").brief)


class Page(HTMLParser):
    """What a browser would make of a page: tags, ids, link targets, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [v for k, v in attrs if k == "id" and v]
        self.targets += [v for k, v in attrs if k == "href" and v]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_loads_nothing_and_every_link_leads_to_a_fact_within_it(lang: str) -> None:
    night = eventful()
    html = page(night.record(), night.state, "s1").html(lang, SEOUL)
    seen = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(seen.tags)
    assert not [k for k, v in seen.attributes if k.startswith("on") or (k == "src")]
    assert seen.targets and all(t.startswith("#e") and t[1:] in seen.ids for t in seen.targets)
    assert len(seen.ids) == len(set(seen.ids))
    assert not re.search(r"url\((?!#)|@import|https?://", html)
    assert f'lang="{lang}"' in html and "prefers-color-scheme" in html and "@media print" in html


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_what_a_run_printed_is_shown_and_never_obeyed(lang: str) -> None:
    night = eventful()
    made = page(night.record(), night.state, "s1")
    html, markdown = made.html(lang), made.markdown(lang)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html and "<script" not in html
    assert "\x1b" not in html + markdown and "\u202e" not in html + markdown
    assert "<script>" not in markdown.replace(r"\<script\>", "") and r"\[click\]" in markdown
    assert "alert(1)" in HOSTILE


def test_plots_carry_a_title_and_a_description() -> None:
    night = eventful()
    html = page(night.record(), night.state, "s1").html("en")
    assert html.count('role="img"') == 5
    for name in ("best", "curves", "night"):
        assert re.search(rf'<title id="plot-{name}-title">[^<]+</title><desc id="plot-{name}-desc">[^<]+</desc>', html)


def test_an_empty_night_still_makes_a_page() -> None:
    night = Night().open().close()
    html = page(night.record(), night.state, "s1").html("ko")
    assert "<svg" not in html and "시작하지 않았습니다" in html


def test_files_are_written_whole_in_both_languages(tmp_path: Path) -> None:
    night = eventful()
    files = write_brief(tmp_path, night.record(), night.state, "s1")
    pages = tuple(f"briefs/s1{m}.{k}" for m in ("", ".ko") for k in ("md", "html", "json"))
    assert files == (*pages, "handover.md", "handover.ko.md")
    assert sorted(p.name for p in (tmp_path / "briefs").iterdir()) == sorted(Path(f).name for f in pages)
    for lang, name in (("en", "s1.json"), ("ko", "s1.ko.json")):
        doc = json.loads((tmp_path / "briefs" / name).read_text("utf-8"))
        assert doc["lang"] == lang and doc["shift"] == "s1"
        assert all(s["facts"] for part in doc["sections"] for s in part["statements"])


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    night = eventful()
    ledger = night.record()
    files = write_brief(tmp_path, ledger, night.state, "s1")
    before = [(tmp_path / f).read_bytes() for f in files]
    write_brief(tmp_path, ledger, night.state, "s1")
    assert [(tmp_path / f).read_bytes() for f in files] == before


def test_times_are_the_readers() -> None:
    night = eventful()
    made = page(night.record(), night.state, "s1")
    assert "from 24 Nov 07:00:00" in made.markdown("en", SEOUL) and T0
    assert "from 23 Nov 22:00:00" in made.markdown("en", UTC)


def test_a_page_carries_some_facts_of_every_statement_when_they_are_too_many() -> None:
    many = tuple(range(1, 5000))
    brief = Brief(study="x", shift="s1", written_at=0.0, sections=(
        Section(key="section.spent", statements=(Statement(key="spent.trials_now", facts=many),)),
        Section(key="section.found", statements=(Statement(key="found.best", facts=(9001,)),)),
    ))  # fmt: skip
    kept = carried(brief, most=100)
    assert len(kept) == 100 and 9001 in kept and 1 in kept


@settings(derandomize=True, deadline=None)
@given(st.sets(st.integers(1, 400)))
def test_ranges_name_each_fact_once(facts: set[int]) -> None:
    runs = ranges(facts)
    assert [seq for a, b in runs for seq in range(a, b + 1)] == sorted(facts)
    assert all(b + 1 < c for (_, b), (c, _) in itertools.pairwise(runs))


def test_a_night_of_a_hundred_incidents_stays_a_page_and_loses_none_that_is_open() -> None:
    from secondshift.interfaces.brief.troubles import MOST_INCIDENTS

    night = Night().open()
    for number in range(1, 101):
        closed = "" if number == 3 else "the trial was started again"
        night.add(IncidentOpened(incident=Incident(id=f"i{number}", subject="t1", finding=f"finding {number}", closed=closed)))
    told = [one for section in composed(night.close()).sections for one in section.statements if one.key.startswith("incidents.")]
    lines = [one for one in told if one.key in ("incidents.closed", "incidents.open")]
    assert len(lines) == MOST_INCIDENTS and any(one.values["incident"] == "i3" for one in lines)
    (more,) = [one for one in told if one.key == "incidents.more"]
    assert more.values["n"] == 100 - MOST_INCIDENTS and len(more.facts) == 100 - MOST_INCIDENTS
