"""The search on real processes is counted by what the scripts wrote, and compared with exact expectations."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]

from real import nights, pool, scores, studies, train, witness  # noqa: E402  # the folder comes first

from secondshift.config.loading import load_study  # noqa: E402

LOSSES = np.array([0.1, 0.2, 0.4, 0.7, 1.1, 1.6])


@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_what_the_best_of_some_trainings_is_expected_to_be_is_the_mean_over_all_choices(count: int) -> None:
    known = pool.Pool(loss=LOSSES, test=LOSSES[::-1].copy())
    chosen = list(itertools.combinations(range(len(LOSSES)), count))
    assert known.expected(count) == pytest.approx(np.mean([LOSSES[min(places)] for places in chosen]))
    assert known.expected(count, test=True) == pytest.approx(np.mean([LOSSES[::-1][min(places)] for places in chosen]))


def test_as_many_trainings_are_needed_as_are_expected_to_come_so_far_and_never_more_than_there_are() -> None:
    path = pool.Pool(loss=LOSSES, test=LOSSES).path()
    assert [pool.needed(path, value) for value in path] == pytest.approx([1, 2, 3, 4, 5, 6])
    assert pool.needed(path, (path[1] + path[2]) / 2) == pytest.approx(2.5)
    assert pool.needed(path, 5.0) == 1.0
    assert pool.needed(path, 0.05) == 6.0


def test_the_mean_of_nights_is_compared_with_a_mean_so_that_random_search_itself_compresses_nothing() -> None:
    path = pool.Pool(loss=LOSSES, test=LOSSES).path()
    found = scores.compression([0.05, 2 * path[2] - 0.05], 1.5, path)
    assert found.mean == pytest.approx(2.0) and found.low < found.mean < found.high
    assert found.each[0] == pytest.approx(4.0) and found.below == 1
    assert scores.alone([1.0, 4.0])[0] == pytest.approx(2.0) and scores.alone([1.0, 4.0])[1] < 1.0
    by_means, by_each = scores.of_random_search(pool.read(), 5)
    assert by_means == pytest.approx(1.0, abs=0.1) and by_each > 1.3, "that is why nights are not averaged one by one"


def line(**row: object) -> str:
    return json.dumps({"params": {"lr": 0.1}, "seed": 1, **row}) + "\n"


def test_every_line_of_every_process_counts_in_the_order_of_time_and_a_torn_one_does_not(tmp_path: Path) -> None:
    first = [line(began=0.5, **{"from": 0})] + [
        line(epoch=epoch, loss=loss, test=2 * loss, took_s=0.01, at=at) for epoch, loss, at in ((0, 0.9, 1.0), (1, 0.5, 4.0))
    ]
    again = line(epoch=1, loss=0.6, test=0.1, took_s=0.01, at=3.0)
    (tmp_path / "1.log").write_text("".join(first) + '{"epoch": 2, "lo')
    (tmp_path / "2.log").write_text(line(began=2.0, **{"from": 1}) + again)
    seen = witness.read(tmp_path)
    assert list(seen.loss) == [0.9, 0.6, 0.5] and seen.repeated() == 1 and seen.began == (0.5, 2.0)
    assert seen.best() == (0.5, 1.0) and seen.cut(2).best() == (0.6, 0.1) and len(seen.cut(1).began) == 1
    assert nights.count_epochs(tmp_path) == 3


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    rows = [line(epoch=epoch, loss=loss, test=0.3, took_s=0.01, at=epoch) for epoch, loss in enumerate((float("nan"), 0.8))]
    (tmp_path / "1.log").write_text("".join(rows))
    assert witness.read(tmp_path).best() == (0.8, 0.3)
    assert witness.read(tmp_path).cut(1).best()[0] == float("inf")


def test_a_training_that_was_saved_and_loaded_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    data = studies.digits()
    assert {name: len(rows) for name, rows in data.items() if name.endswith("x")} == {"x": 900, "val_x": 450, "test_x": 447}
    params = {**train.DEFAULTS, "width": 16}
    unbroken = pool.curve(data, params, seed=3, epochs=3)
    halves = [train.Job(data, **params, seed=3) for _ in range(2)]
    halves[0].train_epoch(0)
    halves[0].save(tmp_path)
    halves[1].load(tmp_path)
    halves[1].train_epoch(1)
    assert halves[1].loss("val") == unbroken[1, 0] != unbroken[0, 0]
    assert unbroken[2, 0] < unbroken[0, 0] < 2.5


def test_the_script_witnesses_each_epoch_outside_of_any_study_too(tmp_path: Path) -> None:
    file = studies.make(tmp_path / "study", studies.study_text(searcher="random", scheduler="fifo", seed=1))
    (tmp_path / "logs").mkdir()
    env = {**os.environ, train.WITNESS: str(tmp_path / "logs"), train.NOISE: "1", "PYTHONPATH": str(nights.SOURCE)}
    subprocess.run([sys.executable, "train.py"], cwd=file.parent, env=env, check=True, timeout=60)
    seen = witness.read(tmp_path / "logs")
    assert seen.epoch == tuple(range(train.HORIZON)) and set(seen.key) == {witness.key(train.DEFAULTS, 0)}


def test_the_pool_is_drawn_from_the_space_of_the_study_and_the_file_of_it_is_whole(tmp_path: Path) -> None:
    space = load_study(studies.make(tmp_path / "study", studies.study_text(searcher="random", scheduler="fifo", seed=1))).space
    assert set(pool.drawn(space, 0)) == set(train.DEFAULTS) and pool.drawn(space, 0) != pool.drawn(space, 1)
    known = pool.read()
    assert len(known.loss) >= 200 and list(known.loss) == sorted(known.loss) and known.loss[0] > 0


def test_noise_says_nothing_of_parameters_but_is_the_same_again() -> None:
    losses = [train.noise({"lr": n}, 1, epoch) for n in range(200) for epoch in range(2)]
    assert train.noise({"lr": 7}, 1, 0) == losses[14] and abs(np.mean(losses) - 1.0) < 0.02 and 0.08 < np.std(losses) < 0.12


def test_what_a_brief_says_of_ideas_is_read_from_the_brief(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    brief = {"sections": [
        {"key": "section.ideas", "statements": [{"key": nights.HELD_UP, "text": "HELD UP: e1"}, {"key": "ideas.no", "text": "b"}]},
        {"key": "section.spent", "statements": [{"key": "spent.none", "text": "c"}]},
    ]}  # fmt: skip
    monkeypatch.setattr(nights, "asked", lambda file, *words: json.dumps(brief))
    assert nights.told_of_ideas(tmp_path) == nights.Told(lines=("HELD UP: e1", "b"), held_up=1)
    catalogue = ROOT / "src" / "secondshift" / "interfaces" / "messages" / "en.toml"
    assert f'{nights.HELD_UP.removeprefix("ideas.")} = "HELD UP: ' in catalogue.read_text("utf-8"), "the key has another name now"
