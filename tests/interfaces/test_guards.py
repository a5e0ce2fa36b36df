"""Guards in the windows: what broke one is never the best, and the brief, `status` and `show` say so with value and distance."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.brief.figures import figures
from secondshift.interfaces.brief.trace import trace
from secondshift.interfaces.cli.grids import trials_grid
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.glance import glance
from secondshift.interfaces.readmodel.guards import lines, rows
from secondshift.interfaces.readmodel.overview import Holder, overview
from secondshift.interfaces.readmodel.trials import leader
from secondshift.ledger.opening import open_ledger
from secondshift.policies.schedulers import guarding
from secondshift.records.decisions import stop
from secondshift.records.events import AttemptAsked
from secondshift.records.nights import Brief
from secondshift.records.trials import Exit
from tests.interfaces.nights import OBJECTIVE, STUDY, Night

GUARDED = replace(STUDY, objective=replace(OBJECTIVE, guards=("peak_mem_gb <= 22",)))


def ran(night: Night, params: dict, loss: float, *mem: float, how: Exit | None = None) -> str:
    """A trial with this result and memory, complete unless `how` says otherwise."""
    trial = night.queue(params)
    attempt = night.start(trial)
    night.log(attempt, [2.0, 1.0, 0.8, 0.7, 0.65, 0.64, 0.63, 0.62, loss] if how is None else [2.0, loss])
    if mem:
        night.log(attempt, list(mem), metric="peak_mem_gb")
    night.end(attempt, how or Exit(code=0, elapsed_s=30.0), early=how is not None)
    return trial


def mixed() -> Night:
    """t1 the defaults, t2 the best within the guard, t3 and t4 better but over it, t5 over it and worse, t6 without a figure."""
    night = Night(study=GUARDED).open()
    ran(night, {}, 0.40, 10.0)
    ran(night, {"lr": 0.01}, 0.30, 12.0, 21.5, 3.0)
    ran(night, {"lr": 0.02}, 0.20, 12.0, 23.5, 12.0)
    ran(night, {"lr": 0.03}, 0.25, 30.0)
    ran(night, {"lr": 0.04}, 0.50, 40.0)
    ran(night, {"lr": 0.05}, 0.45)
    return night


def found(night: Night) -> Brief:
    return compose(night.state, night.events, GUARDED.objective, "s1", written_at=night.at)


def said(brief: Brief, section: str, lang: str = "en") -> list[str]:
    return [tell(s, lang) for one in brief.sections if one.key == f"section.{section}" for s in one.statements]


def test_the_best_keeps_the_guard_and_the_brief_says_which_did_better_and_by_how_much_they_broke_it() -> None:
    brief = found(mixed().close())
    told = said(brief, "found")
    assert any(line.startswith("Best complete trial: t2") for line in told)
    assert (
        "2 trials did better than t2 but broke peak_mem_gb <= 22: t3 (val_loss 0.2; peak_mem_gb 23.5, +1.5), "
        "t4 (val_loss 0.25; peak_mem_gb 30, +8). No such trial counts as a result." in told
    )
    assert any("1 trial broke peak_mem_gb <= 22 and is never the best: t5 (val_loss 0.5; peak_mem_gb 40, +18)" in x for x in told)
    assert any("GUARD NOT CHECKED in 1 of 6 complete trials (t6)" in line for line in told)
    assert any("가드를 어긴 실험 2개" in line for line in said(brief, "found", "ko"))


def test_each_sentence_about_a_guard_stands_on_the_fact_in_which_the_worst_value_was_logged() -> None:
    night = mixed().close()
    worst = {e.seq for e in night.events if e.kind == "metrics.logged" and "peak_mem_gb" in e.payload.metrics}  # type: ignore[union-attr]
    (better,) = [s for one in found(night).sections for s in one.statements if s.key == "guards.better"]
    assert len(worst & set(better.facts)) == 2


def test_without_a_guard_the_same_night_has_another_best_and_says_nothing_of_guards() -> None:
    night = mixed().close()
    brief = compose(replace(night.state, study=STUDY), night.events, STUDY.objective, "s1", written_at=night.at)
    assert any(line.startswith("Best complete trial: t3") for line in said(brief, "found"))
    assert not [s for one in brief.sections for s in one.statements if s.key.startswith("guards.")]


def test_where_all_break_it_none_is_called_the_best() -> None:
    night = Night(study=GUARDED).open()
    ran(night, {}, 0.40, 25.0)
    ran(night, {"lr": 0.02}, 0.20, 23.0)
    brief = found(night.close())
    told = said(brief, "found")
    assert any("Every trial that came to its end breaks a guard (2 trials)" in line for line in told)
    assert not any("Best complete trial" in line or "No trial has reached" in line for line in told)
    assert any("The defaults break peak_mem_gb <= 22 themselves (t1: 25, 3 too high)" in line for line in told)
    assert any("within the guards" in line for line in said(brief, "unproven"))
    assert not any("finite value" in line for line in said(brief, "unproven"))


def test_defaults_that_break_a_guard_are_compared_with_all_the_same() -> None:
    night = Night(study=GUARDED).open()
    ran(night, {}, 0.40, 25.0)
    ran(night, {"lr": 0.02}, 0.30, 20.0)
    told = said(found(night.close()), "found")
    assert any("The defaults (t1, 1 seed) reached val_loss 0.4; the difference is 0.1" in line for line in told)
    assert not any("No trial with the default parameters" in line for line in told)


def test_defaults_that_lead_only_within_the_guards_are_not_said_to_be_unbeaten() -> None:
    night = Night(study=GUARDED).open()
    ran(night, {}, 0.40, 20.0)
    ran(night, {"lr": 0.02}, 0.30, 25.0)
    told = said(found(night.close()), "found")
    assert any("no other complete trial that keeps the guards beat them" in line for line in told)


def test_a_misspelt_metric_is_said_to_be_unchecked_and_bars_nothing() -> None:
    night = Night(study=replace(STUDY, objective=replace(OBJECTIVE, guards=("peak_memory <= 22",)))).open()
    ran(night, {}, 0.40, 25.0)
    brief = compose(night.state, night.events, night.study.objective, "s1", written_at=night.at)
    told = said(brief, "found")
    assert any("GUARD NOT CHECKED: peak_memory was never logged by a complete trial (1 of 1)" in line for line in told)
    assert any(line.startswith("Best complete trial: t1") for line in told)


def test_an_unfinished_trial_that_breaks_a_guard_is_not_called_ahead() -> None:
    night = Night(study=GUARDED).open()
    ran(night, {"lr": 0.02}, 0.20, 25.0, how=Exit(code=0, cause="pause"))
    ran(night, {"lr": 0.03}, 0.30, 15.0, how=Exit(code=0, cause="pause"))
    told = said(found(night), "found")
    assert any("Best so far of the unfinished ones: t2" in line for line in told)
    assert any("1 trial broke peak_mem_gb <= 22" in line for line in told)


def test_what_was_stopped_for_a_guard_is_not_said_to_have_been_behind_others_and_might_not_have_won_anyway() -> None:
    night = Night(study=GUARDED).open()
    ran(night, {}, 0.40, 10.0)
    for lr in (0.02, 0.03):
        attempt = night.start(night.queue({"lr": lr}))
        night.log(attempt, [2.0, 1.0])
        night.log(attempt, [30.0], metric="peak_mem_gb")
        trial = attempt.partition(".")[0]
        d = night.decide(stop(trial, reason=f"{trial} is stopped: its peak_mem_gb ...", by=guarding.NAME, source="captain"))
        night.add(AttemptAsked(attempt=attempt, mode="stop", decision=d))
        night.end(attempt, Exit(signal=15, cause="stop", elapsed_s=8.0), cost=8.5)
    brief = found(night.close())
    assert said(brief, "failed") == [
        "2 trials were stopped because they broke a guard (t2, t3); which, and by how much, is said above."
    ]
    assert not any("left unfinished" in line for line in said(brief, "unproven"))


def test_plots_mark_the_best_that_keeps_the_guard() -> None:
    night = mixed().close()
    traced = trace(night.events, "s1", GUARDED.objective)
    drawn = figures(traced, night.state, GUARDED.objective, lambda trial, metric: ([0, 1], [1.0, 0.5]))
    assert [curve.trial for curve in drawn.curves if curve.best] == ["t2"]
    assert min(value for _, value in drawn.best) == 0.30
    assert drawn.panels[0].best == (0.01, 0.30) and len(drawn.panels[0].points) == 6


def test_the_glance_and_the_trial_that_others_are_compared_with_keep_the_guard() -> None:
    state = mixed().state
    best = leader(state)
    assert best is not None and best.id == "t2"
    shown = glance(state, Holder(life="left"), now=0.0)
    assert any(line.key == "glance.best" and line.values["trial"] == "t2" for line in shown.lines)


def test_status_says_what_broke_a_guard_and_marks_it_in_the_table() -> None:
    night = mixed()
    attempt = night.start(night.queue({"lr": 0.06}))
    night.log(attempt, [2.0])
    night.log(attempt, [33.0], metric="peak_mem_gb")
    state = night.state
    told = [tell(line, "en") for line in lines(state)]
    assert any("did better than t2 but broke peak_mem_gb <= 22" in line for line in told)
    assert any("t7 (val_loss 2; peak_mem_gb 33, +11)" in line for line in told)
    doc = overview(state, Holder(life="alive"), requests=0, now=night.at)
    console = Console(width=100, record=True, file=StringIO())
    console.print(trials_grid(doc, {}, None, "en", 100))
    text = console.export_text()
    assert "t7!" in text and "! breaks a guard: never the best" in text


def test_a_trial_s_document_says_of_each_guard_whether_it_is_kept_broken_or_not_checked() -> None:
    state = mixed().state
    told = {name: rows(state, state.trials[name])[0] for name in ("t2", "t3", "t6")}
    assert [told[name]["standing"] for name in ("t2", "t3", "t6")] == ["ok", "broken", "unknown"]
    assert (told["t3"]["worst"], told["t3"]["over"]) == (23.5, 1.5) and told["t6"]["worst"] is None
    json.dumps(told, allow_nan=False)


def test_show_says_it_in_words(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "secondshift.toml").write_text(
        'command = "python train.py"\n[objective]\nmetric = "val_loss"\nguards = ["peak_mem_gb <= 22"]\n[horizon]\nsteps = 9\n'
    )
    (tmp_path / ".secondshift").mkdir()
    ledger = open_ledger(tmp_path / ".secondshift")
    mixed().close().record(ledger)
    ledger.close()
    for trial, words in (("t3", "broken by 1.5: the worst was 23.5"), ("t2", "kept; the worst was 21.5"), ("t6", "not checked")):
        assert called(["show", trial, "--study", str(tmp_path)]) == 0
        said = capsys.readouterr().out
        assert "guard peak_mem_gb <= 22" in said and words in said
    assert called(["status", "--study", str(tmp_path)]) == 0
    assert "did better than t2 but broke peak_mem_gb" in " ".join(capsys.readouterr().out.split())
