"""One look at foreign runs: what is told, of which run and column, and what a gap in a table means."""

import json
import math
import os
import random
import signal
from pathlib import Path

import pytest

from runtime.watched.test_ends import HEAD, TRACEBACK, exited, printed, wandb_file
from runtime.watched.test_reading import event
from secondshift.errors import SecondshiftError
from secondshift.watching import once
from secondshift.watching.once import look
from secondshift.watching.sightings import Asked, Report, RunSeen


def curve(points: int, *, seed: int = 0, nan_from: int = -1, up_at: int = -1) -> list[float]:
    rng = random.Random(seed)
    values = [2 * math.exp(-step / 150) + 0.5 + 0.02 * rng.gauss(0, 1) for step in range(points)]
    values = [value + (3.0 if 0 <= up_at <= step else 0.0) for step, value in enumerate(values)]
    return [math.nan if 0 <= nan_from <= step else value for step, value in enumerate(values)]


def csv(path: Path, **columns: list) -> Path:
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    path.write_text(",".join(names) + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def seen(report: Report, run: str) -> RunSeen:
    return next(one for one in report.runs if one.run == run)


def symptoms(one: RunSeen) -> set[str]:
    return {sighting.symptom for sighting in one.sightings}


def test_a_nan_is_told_at_its_first_point_with_the_names_of_run_and_column(tmp_path: Path) -> None:
    csv(tmp_path / "a.csv", step=list(range(300)), loss=curve(300))
    (tmp_path / "b.jsonl").write_text(
        "".join(json.dumps({"step": s, "train": {"loss": v}}) + "\n" for s, v in enumerate(curve(300, nan_from=200)))
    )
    report = look([tmp_path], Asked())
    assert seen(report, "a.csv").sightings == []
    first = seen(report, "b.jsonl").sightings[0]
    assert (first.place, first.step, first.symptom, first.diagnosis, first.action) == (
        "b.jsonl:train/loss", 200, "non_finite", "bad_numbers", "stop",
    )  # fmt: skip
    assert first.confidence > 0.9 and first.evidence["points_in_a_row"] == 1.0


def test_tensorboard_runs_are_judged_like_tables(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    values = curve(300, nan_from=123)
    (folder / "events.out.tfevents.1.host").write_bytes(b"".join(event(s, "train/loss", v) for s, v in enumerate(values)))
    [one] = look([tmp_path], Asked()).runs
    assert (one.run, one.sightings[0].place, one.sightings[0].step) == ("run", "run:train/loss", 123)


def test_a_step_at_which_a_tracker_logged_something_else_is_no_nan(tmp_path: Path) -> None:
    scalars = [event(2 * s, "loss", v) for s, v in enumerate(curve(100))] + [event(s, "lr", 0.1) for s in range(100, 200)]
    (tmp_path / "events.out.tfevents.1").write_bytes(b"".join(scalars))
    [one] = look([tmp_path], Asked()).runs
    assert symptoms(one) == set()


def test_a_table_of_many_runs_is_many_streams(tmp_path: Path) -> None:
    bad, good = curve(200, nan_from=150), curve(200, seed=1)
    csv(tmp_path / "all.csv", run_id=["x"] * 200 + ["y"] * 200, step=[*range(200)] * 2, loss=bad + good)
    report = look([tmp_path], Asked())
    assert {one.run: symptoms(one) for one in report.runs} == {"all.csv#x": {"non_finite"}, "all.csv#y": set()}


def test_an_announced_change_is_absorbed_and_the_same_change_unannounced_is_told(tmp_path: Path) -> None:
    steps, values = list(range(400)), curve(400, up_at=300)
    csv(tmp_path / "plain.csv", step=steps, loss=values)
    csv(tmp_path / "told.csv", step=steps, loss=values, event=["announce curriculum" if s == 300 else "" for s in steps])
    report = look([tmp_path], Asked())
    assert "step_up" in symptoms(seen(report, "plain.csv"))
    assert symptoms(seen(report, "told.csv")) == set()


def test_a_resumed_run_goes_back_and_is_followed_on(tmp_path: Path) -> None:
    values = curve(300, nan_from=250)
    steps = [*range(200), *range(150, 300)]
    csv(tmp_path / "run.csv", step=steps, loss=[values[step] for step in steps])
    [one] = look([tmp_path], Asked()).runs
    assert [(s.symptom, s.step) for s in one.sightings][:1] == [("non_finite", 250)]


@pytest.mark.parametrize("first", [0, 10])
def test_a_run_that_was_started_again_from_nothing_is_not_held_to_where_it_stood(tmp_path: Path, first: int) -> None:
    steps = [first + step for step in [*range(300), *range(300)]]
    csv(tmp_path / "a.csv", step=steps, loss=curve(300) + curve(300, seed=1, nan_from=200))
    found = seen(look([tmp_path], Asked()), "a.csv").sightings
    assert {one.symptom for one in found} == {"non_finite"} and found[0].since == first + 200


def test_steps_that_are_counted_anew_in_each_epoch_are_no_new_run(tmp_path: Path) -> None:
    """The loss goes on where it stood; what is learned of it must not be forgotten at each epoch."""
    csv(tmp_path / "a.csv", step=[*range(150), *range(150), *range(150)], loss=curve(450, up_at=303))
    assert "step_up" in symptoms(seen(look([tmp_path], Asked()), "a.csv"))


def test_rising_metrics_are_taken_for_rising_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    rewards = [10 - 5 * value - (8.0 if step >= 300 else 0.0) for step, value in enumerate(curve(400))]
    csv(tmp_path / "run.csv", step=list(range(400)), episode_reward=rewards)
    [up] = look([tmp_path], Asked()).runs
    [down] = look([tmp_path], Asked(goal="min")).runs
    fell = {one.guessed.goal: any(s.symptom == "step_up" and s.since >= 290 for s in one.sightings) for one in (up, down)}
    assert fell == {"max": True, "min": False}


def test_a_column_that_nobody_could_guess_is_named_by_hand(tmp_path: Path) -> None:
    csv(tmp_path / "run.csv", tick=list(range(300)), energy=curve(300, nan_from=200))
    with pytest.raises(SecondshiftError, match=r"columns: tick, energy.*--map loss=COLUMN"):
        look([tmp_path], Asked())
    [one] = look([tmp_path], Asked(told={"loss": "energy", "step": "tick"})).runs
    assert one.sightings[0].step == 200
    with pytest.raises(SecondshiftError, match=r"--map loss=enrgy: no run .* has such a column|columns: tick, energy"):
        look([tmp_path], Asked(told={"loss": "enrgy"}))


def test_an_empty_cell_is_nan_where_the_loss_always_stood_and_nothing_where_it_is_an_evaluation(tmp_path: Path) -> None:
    values, steps = curve(300), list(range(300))
    rates = [0.01] * 300
    csv(tmp_path / "gone.csv", step=steps, loss=[v if s < 200 else "" for s, v in enumerate(values)], lr=rates)
    csv(tmp_path / "alone.csv", step=steps, loss=[v if s < 200 else "" for s, v in enumerate(values)])
    evaluations = [s for s in steps for _ in range(1 + (s % 20 == 19))]
    is_evaluation = [before == after for before, after in zip([-1, *evaluations], evaluations, strict=False)]
    csv(
        tmp_path / "lightning.csv", step=evaluations, epoch=[s // 20 for s in evaluations],
        train_loss=["" if e else values[s] for s, e in zip(evaluations, is_evaluation, strict=True)],
        val_loss=[values[s] + 0.1 if e else "" for s, e in zip(evaluations, is_evaluation, strict=True)],
        time=evaluations,
    )  # fmt: skip
    rates_apart = [s for s in steps for _ in range(1 + (s >= 30 and s % 10 == 0))]
    is_rate = [before == after for before, after in zip([-1, *rates_apart], rates_apart, strict=False)]
    csv(
        tmp_path / "rates.csv", step=rates_apart, lr=[0.1 if r else "" for r in is_rate],
        loss=["" if r else values[s] for s, r in zip(rates_apart, is_rate, strict=True)],
    )  # fmt: skip
    report = look([tmp_path], Asked())
    assert seen(report, "gone.csv").sightings[0].step == 200 and symptoms(seen(report, "gone.csv")) == {"non_finite"}
    assert seen(report, "alone.csv").sightings[0].step == 200
    assert symptoms(seen(report, "lightning.csv")) == symptoms(seen(report, "rates.csv")) == set()


def test_nan_between_evaluations_is_no_evaluation(tmp_path: Path) -> None:
    values, steps = curve(300), list(range(300))
    for name, is_one in (("sparse", lambda step: step % 10 == 9), ("broken", lambda step: step < 250)):
        evaluations = [value + 0.1 if is_one(step) else "nan" for step, value in enumerate(values)]
        csv(tmp_path / f"{name}.csv", step=steps, loss=values, val_loss=evaluations)
    report = look([tmp_path], Asked())
    assert symptoms(seen(report, "sparse.csv")) == set()
    bad = [(s.column, s.step) for s in seen(report, "broken.csv").sightings if s.symptom == "non_finite"]
    assert bad == [("val_loss", 250)]


def test_several_rows_of_one_epoch_are_counted_and_epochs_are_kept(tmp_path: Path) -> None:
    values = curve(200, nan_from=150)
    csv(tmp_path / "batches.csv", epoch=[s // 50 for s in range(200)], loss=values)
    csv(tmp_path / "epochs.csv", epoch=list(range(200)), loss=values)
    csv(tmp_path / "parts.csv", epoch=[s / 50 for s in range(200)], loss=values)
    report = look([tmp_path], Asked())
    assert [seen(report, f"{name}.csv").sightings[0].step for name in ("batches", "epochs", "parts")] == [150, 150, 150]


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    for run in range(70):
        csv(tmp_path / f"{run:02}.csv", step=list(range(120)), loss=curve(120, seed=run, nan_from=100 if run % 7 == 0 else -1))
    one, two = look([tmp_path], Asked(), cores=1), look([tmp_path], Asked(), cores=2)
    assert [seen.sightings for seen in one.runs] == [seen.sightings for seen in two.runs]
    assert sum(bool(seen.sightings) for seen in two.runs) == 10


def test_workers_end_though_the_process_that_forks_them_holds_signals_back(tmp_path: Path) -> None:
    for run in range(70):
        csv(tmp_path / f"{run:02}.csv", step=list(range(20)), loss=curve(20, seed=run))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        assert len(look([tmp_path], Asked(), cores=2).runs) == 70
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_worker_that_is_killed_is_an_error_with_a_sentence_and_not_a_hang(tmp_path: Path, monkeypatch) -> None:
    for run in range(70):
        csv(tmp_path / f"{run:02}.csv", step=list(range(20)), loss=curve(20, seed=run))
    monkeypatch.setattr(once, "_run", killed)
    with pytest.raises(SecondshiftError, match="ended from outside"):
        look([tmp_path], Asked(), cores=2)


def killed(index: int) -> list:
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def test_tables_of_something_else_are_named_and_left_alone(tmp_path: Path) -> None:
    csv(tmp_path / "run.csv", step=list(range(50)), loss=curve(50))
    csv(tmp_path / "people.csv", age=[1, 2], height=[3, 4])
    (tmp_path / "numbers.csv").write_text("1,2\n3,4\n")
    (tmp_path / "empty.csv").write_text("")
    report = look([tmp_path], Asked())
    assert [one.run for one in report.runs] == ["run.csv"]
    assert report.skipped["people.csv"] == "columns: age, height" and "names no columns" in report.skipped["numbers.csv"]
    assert report.skipped["empty.csv"] == "empty"
    with pytest.raises(SecondshiftError, match="Nothing to watch was found"):
        (tmp_path / "none").mkdir()
        look([tmp_path / "none"], Asked())


def test_skipped_steps_and_one_class_are_told_with_the_names_of_their_columns(tmp_path: Path) -> None:
    entropy = [2.0 + 0.1 * (step % 5) if step < 250 else 0.0 for step in range(300)]
    total = [min(step, 2) + max(0, step - 200) for step in range(300)]  # two while the loss scale was searched
    csv(tmp_path / "a.csv", step=list(range(300)), loss=curve(300), overflow_count=total, labels_entropy=entropy)
    found = {(one.place, one.symptom, one.since) for one in seen(look([tmp_path], Asked()), "a.csv").sightings}
    assert found == {("a.csv:overflow_count", "overflow_skipping", 201), ("a.csv:labels_entropy", "one_class", 250)}


def test_a_run_whose_tracker_says_that_it_failed_is_told_with_its_cause(tmp_path: Path) -> None:
    wandb_file(tmp_path, printed(TRACEBACK), exited(1))
    [one] = look([tmp_path], Asked()).runs
    [told] = one.sightings
    assert (told.place, told.symptom, told.diagnosis, told.action) == ("run-abc.wandb:output", "crash", "oom", "ask")
    assert told.evidence["status"] == "failed" and told.evidence["exit_code"] == 1.0 and told.step == 2


@pytest.mark.parametrize(("code", "told"), [(0, []), (255, [("ended_by_signal", "note")]), (7, [("script_error", "ask")])])
def test_an_end_from_outside_is_noted_and_a_good_one_is_nothing(code: int, told: list, tmp_path: Path) -> None:
    wandb_file(tmp_path, exited(code))
    [one] = look([tmp_path], Asked()).runs
    assert [(sighting.diagnosis, sighting.action) for sighting in one.sightings] == told


def test_a_run_that_failed_before_its_first_number_is_told(tmp_path: Path) -> None:
    (tmp_path / "run-abc.wandb").write_bytes(HEAD + printed("ModuleNotFoundError: No module named 'x'\nTraceback\n") + exited(1))
    [one] = look([tmp_path], Asked()).runs
    assert [sighting.diagnosis for sighting in one.sightings] == ["launch_config_error"]


def test_a_failure_of_which_nothing_was_printed_has_no_known_cause(tmp_path: Path) -> None:
    run = tmp_path / "0" / "r1"
    (run / "metrics").mkdir(parents=True)
    (run / "metrics" / "loss").write_text("".join(f"{step} {1.0 / (1 + step)} {step}\n" for step in range(50)))
    (run / "meta.yaml").write_text("run_id: r1\nstatus: 4\nlifecycle_stage: active\n")
    [one] = look([tmp_path], Asked()).runs
    [told] = one.sightings
    assert (told.symptom, told.action, told.evidence["status"], "exit_code" in told.evidence) == ("crash", "ask", "failed", False)
