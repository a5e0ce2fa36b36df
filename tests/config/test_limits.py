"""[objective] guards and also: what is refused, with which words, and what an edit of them is."""

from dataclasses import replace
from pathlib import Path

import pytest

from secondshift import config
from secondshift.config.mistakes import Mistake
from secondshift.records.studies import Aim, Objective, Study

FILE = 'command = "python train.py"\n[objective]\nmetric = "loss"\n{more}\n[horizon]\nsteps = 9\n'


def checked(folder: Path, more: str) -> tuple[Study | None, list[Mistake]]:
    (folder / "secondshift.toml").write_text(FILE.format(more=more))
    return config.check_study(folder / "secondshift.toml", environment={})


def read(folder: Path, more: str) -> Objective:
    study, mistakes = checked(folder, more)
    assert study is not None, mistakes
    return study.objective


def test_guards_are_read_with_their_spaces_put_right_and_each_once(tmp_path: Path) -> None:
    found = read(tmp_path, 'guards = [" peak_mem_gb  <=  22", "val/top 1 acc > .5", "sys/gpu_mb<22000", "peak_mem_gb <= 22"]')
    assert found.guards == ("peak_mem_gb <= 22", "val/top 1 acc > .5", "sys/gpu_mb<22000")


@pytest.mark.parametrize(("text", "advice"), [
    ("mem <= 22GB", "Write the number without a unit"), ("22 >= mem", "Write the metric first"),
    ("0 <= mem <= 3", "Write each limit as a guard of its own"), ("mem == 3", "write <= or >="), ("mem", ""),
])  # fmt: skip
def test_what_is_no_guard_is_refused_with_what_was_given_what_is_expected_and_what_to_do(
    tmp_path: Path, text: str, advice: str
) -> None:
    study, mistakes = checked(tmp_path, f'guards = ["a <= 1", "{text}"]')
    assert study is None
    (said,) = map(str, mistakes)
    assert "line 4" in said and f'`objective.guards[1]`: got "{text}"' in said
    assert 'expected a metric, one of <=, <, >=, >, and a number, such as "peak_mem_gb <= 22"' in said and advice in said


def test_a_limit_that_every_run_breaks_at_its_beginning_is_refused(tmp_path: Path) -> None:
    _, (mistake,) = checked(tmp_path, 'guards = ["loss <= 0.5"]')
    assert "The worst value of a run counts" in str(mistake)
    assert read(tmp_path, 'guards = ["loss >= 0.1"]').guards  # too good to be true is a limit that makes sense
    _, (mistake,) = checked(tmp_path, 'goal = "max"\nguards = ["loss >= 0.1"]')
    assert "training begins there" in str(mistake)


def test_a_guard_on_a_hidden_metric_is_refused(tmp_path: Path) -> None:
    _, (mistake,) = checked(tmp_path, 'guards = ["_loss_raw <= 0.5"]')
    assert "are not" in str(mistake)


def test_a_second_objective_is_a_metric_and_its_goal(tmp_path: Path) -> None:
    assert read(tmp_path, "").also is None
    assert read(tmp_path, 'also = { metric = "latency_ms" }').also == Aim(metric="latency_ms", goal="min")
    assert read(tmp_path, '[objective.also]\nmetric = "acc"\ngoal = "max"').also == Aim(metric="acc", goal="max")
    _, mistakes = checked(tmp_path, 'also = { metric = "loss" }')
    assert "another metric" in str(mistakes[0])
    _, mistakes = checked(tmp_path, 'also = { metric = "sys/gpu_mb", weight = 2 }')
    assert len(mistakes) == 2 and "one of metric, goal" in str(mistakes[1])


def test_an_edit_of_guards_or_of_the_second_objective_is_no_new_revision(tmp_path: Path) -> None:
    old, _ = checked(tmp_path, 'guards = ["a <= 1"]')
    assert old is not None
    stricter = replace(old, objective=replace(old.objective, guards=("a <= 0.5",)))
    assert config.diff_studies(old, stricter) == (("objective.guards",), False)
    double = replace(old, objective=replace(old.objective, also=Aim(metric="b")))
    assert config.diff_studies(old, double) == (("objective.also",), False)
    other = replace(old, objective=replace(old.objective, guards=(), goal="max"))
    assert config.diff_studies(old, other) == (("objective",), True)
