"""Runs that grow while they are watched: what is new is told once, and what stands still is silent, never finished."""

import os
import time
from pathlib import Path

import pytest

from runtime.watched.test_ends import exited, history, printed, wandb_file
from secondshift.watching.live import Live
from secondshift.watching.sightings import Asked, Sighting
from watching.test_once import csv, curve


class Evening:
    """A live watch over a folder, with a clock of its own."""

    def __init__(self, folder: Path, asked: Asked | None = None) -> None:
        self.live, self.now = Live([folder], asked or Asked()), 1000.0
        self.found: list[Sighting] = []

    def wait(self, seconds: float, every: float = 1.0) -> list[Sighting]:
        """Look again and again for so long; give what was found meanwhile."""
        found, until = [], self.now + seconds
        while self.now < until:
            self.now += every
            found += self.live.tick(self.now)
        self.found += found
        return found

    def state(self, run: str) -> str:
        return next(seen.state for seen in self.live.seen() if seen.run == run)


def write(path: Path, values: list[float], begin: int = 0, *, header: bool = False) -> None:
    with path.open("a") as file:
        file.write("step,loss\n" if header else "")
        file.writelines(f"{begin + index},{value}\n" for index, value in enumerate(values))


def old(path: Path) -> None:
    """Make a file one that nobody wrote to lately."""
    os.utime(path, (time.time() - 10_000, time.time() - 10_000))


def test_what_comes_while_it_is_watched_is_told_when_it_comes_and_once(tmp_path: Path) -> None:
    path, values = tmp_path / "run.csv", curve(300, nan_from=200)
    write(path, values[:190], header=True)
    evening = Evening(tmp_path)
    assert evening.wait(1) == []
    write(path, values[190:201], 190)
    assert [(s.symptom, s.step, s.lasted) for s in evening.wait(1)] == [("non_finite", 200, 1)]
    assert evening.wait(3) == []
    write(path, values[201:], 201)
    assert [s.lasted for s in evening.wait(1)] == [2, 4, 8, 16, 32, 64]


def test_a_file_that_is_begun_anew_is_a_new_run_and_no_rise(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    write(path, curve(200), header=True)
    evening = Evening(tmp_path)
    evening.wait(2)
    path.unlink()
    write(path, curve(100, seed=1), header=True)
    assert evening.wait(2) == []


def test_a_run_that_stops_growing_is_silent_and_never_finished(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    write(path, [1.0], header=True)
    evening = Evening(tmp_path)
    for step in range(1, 8):
        evening.wait(5)
        write(path, [1.0 / step], step)
    assert evening.wait(19) == [] and evening.state("run.csv") == "growing"
    [told] = evening.wait(100)
    assert (told.symptom, told.diagnosis, told.action, told.step) == ("silence", "silent", "ask", 7)
    assert 20 <= told.evidence["silent_s"] <= 23 and evening.state("run.csv") == "silent"
    write(path, [0.1], 8)
    evening.wait(1)
    assert evening.state("run.csv") == "growing"
    [again] = evening.wait(60)  # the silence is no measure of what is normal
    assert again.symptom == "silence"


def test_a_run_that_was_over_before_anybody_looked_is_no_finding(tmp_path: Path) -> None:
    write(tmp_path / "over.csv", curve(100), header=True)
    old(tmp_path / "over.csv")
    evening = Evening(tmp_path)
    assert evening.wait(5000, every=50) == [] and evening.state("over.csv") == "still"


@pytest.mark.parametrize(("quiet_s", "least", "most"), [(0.0, 590, 640), (60.0, 55, 70)], ids=["unknown rhythm", "as asked"])
def test_until_its_rhythm_is_known_a_run_has_ten_minutes_or_what_was_asked(tmp_path, quiet_s: float, least, most) -> None:
    write(tmp_path / "run.csv", curve(50), header=True)  # just now
    evening = Evening(tmp_path, Asked(quiet_s=quiet_s))
    assert evening.wait(least) == []
    assert [one.symptom for one in evening.wait(most - least)] == ["silence"]


def test_runs_that_begin_later_and_files_that_go_away_are_taken_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", curve(50), header=True)
    evening = Evening(tmp_path)
    evening.wait(1)
    write(tmp_path / "b.csv", curve(50, nan_from=40), header=True)
    assert {s.run for s in evening.wait(10)} == {"b.csv"} and evening.state("b.csv") == "growing"
    (tmp_path / "a.csv").unlink()
    assert evening.wait(5) == [] and len(evening.live.seen()) == 2


def test_a_table_of_many_runs_grows_run_by_run(tmp_path: Path) -> None:
    path = csv(tmp_path / "all.csv", run=["x"] * 60 + ["y"] * 60, step=[*range(60)] * 2, loss=curve(60) * 2)
    evening = Evening(tmp_path)
    evening.wait(1)
    with path.open("a") as file:
        file.write("y,60,nan\nz,0,1.0\n")
    assert [(s.run, s.step) for s in evening.wait(1)] == [("all.csv#y", 60)]
    assert {seen.run for seen in evening.live.seen()} == {"all.csv#x", "all.csv#y", "all.csv#z"}


def test_a_command_may_make_the_folder_later(tmp_path: Path) -> None:
    live = Live([tmp_path / "runs"], Asked(), missing_ok=True)
    assert live.tick(0.0) == []
    (tmp_path / "runs").mkdir()
    write(tmp_path / "runs" / "run.csv", curve(50, nan_from=30), header=True)
    assert [s.step for s in live.tick(10.0)][:1] == [30]


def test_a_run_whose_tracker_wrote_its_end_is_over_and_never_silent_until_it_is_resumed(tmp_path: Path) -> None:
    path = wandb_file(tmp_path)
    evening = Evening(tmp_path)
    evening.wait(5)
    with path.open("ab") as file:
        file.write(printed("RuntimeError: CUDA out of memory\nTraceback (most recent call last)\n") + exited(1))
    [told] = evening.wait(5)
    assert (told.symptom, told.diagnosis, evening.state("run-abc.wandb")) == ("crash", "oom", "ended")
    assert evening.wait(3000, every=50.0) == []
    with path.open("ab") as file:
        file.write(history(3, loss=1.0) + history(4, loss=1.0))
    evening.wait(5)
    assert evening.state("run-abc.wandb") == "growing"


def test_a_run_whose_tracker_wrote_no_end_is_silent(tmp_path: Path) -> None:
    wandb_file(tmp_path)
    evening = Evening(tmp_path)
    assert [told.symptom for told in evening.wait(3000, every=50.0)] == ["silence"]
    assert evening.state("run-abc.wandb") == "silent"
