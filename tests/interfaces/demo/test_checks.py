"""The demo believes nothing: what is not settled, left behind, or missing in a curve makes it fail."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.nights import Night, complete
from secondshift.interfaces.demo.checks import agree, examine, named, processes_of, result, trains
from secondshift.interfaces.demo.stories import Story
from secondshift.interfaces.demo.studies import Half, lay_out
from secondshift.ledger.opening import open_ledger
from secondshift.records.events import ChargeSettled
from secondshift.records.trials import Exit

CURVE = [2.3, 1.5, 1.1, 0.8, 0.6, 0.5, 0.44, 0.41, 0.40]
LINE = re.compile(r"^(REAL      pid \d+ +event \d+ +\S.*|DRILL     \S.*)$")


def half_in(folder: Path, key: str = "random") -> Half:
    half = Half(key=key, title=key, file=folder / key / "secondshift.toml")
    half.private.mkdir(parents=True)
    return half


def told(night: Night, half: Half, *, crashes: int = 0) -> tuple[Story, list[str], list[str]]:
    """Follow a night from its ledger; return the story, its lines, and what the checks complain about."""
    lines: list[str] = []
    story = Story(metric="val_loss", say=lines.append)
    ledger = open_ledger(half.private)
    night.record(ledger)
    story.follow(ledger)
    found = list(examine(half, story, ledger, crashes=crashes))
    ledger.close()
    return story, lines + [f.line for f in found if f.fine], [f.line for f in found if not f.fine]


def test_a_clean_night_passes_and_every_line_names_a_process_and_a_fact(tmp_path: Path) -> None:
    night = Night().open()
    complete(night, {"lr": 0.01}, CURVE)
    story, lines, wrong = told(night.close(), half_in(tmp_path))
    assert wrong == []
    assert lines and all(LINE.match(line) for line in lines)
    assert any("pid 1001 " in line and "t1 is complete" in line and "0.4000" in line for line in lines)
    assert story.engine == 4242


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda night: night.start(night.queue({"lr": 0.02})), "not settled"),
        (lambda night: night.add(ChargeSettled(charge="t1.a1", trial="t1", device_s=1.0)), "not exactly once: t1.a1"),
    ],
)
def test_what_is_open_or_charged_twice_is_a_problem(tmp_path: Path, spoil, said: str) -> None:
    night = Night().open()
    complete(night, {"lr": 0.01}, CURVE)
    spoil(night)
    _, _, wrong = told(night.close(), half_in(tmp_path))
    assert any(said in line for line in wrong)


def test_a_gap_in_a_curve_is_a_problem(tmp_path: Path) -> None:
    night = Night().open()
    complete(night, {"lr": 0.01}, CURVE)
    attempt = night.start(night.queue({"lr": 0.02}))
    night.log(attempt, CURVE[:3])
    night.log(attempt, CURVE[4:], first=4)
    night.end(attempt, Exit(code=0, elapsed_s=30.0))
    _, _, wrong = told(night.close(), half_in(tmp_path))
    assert wrong == ["random: curves with gaps: t2 (8 points up to step 8)"]


def test_only_the_drilled_crash_is_forgiven(tmp_path: Path) -> None:
    for number, (message, crashes, fine) in enumerate(
        [("this is a drill", 1, True), ("this is a drill", 0, False), ("ValueError: broken", 1, False)]
    ):
        night = Night().open()
        complete(night, {"lr": 0.01}, CURVE)
        attempt = night.start(night.queue({"lr": 0.02}))
        night.log(attempt, CURVE[:1])
        night.end(attempt, Exit(code=1, elapsed_s=1.0, message=message))
        _, _, wrong = told(night.close(), half_in(tmp_path / str(number)), crashes=crashes)
        assert (wrong == []) is fine
        assert fine or "failed" in wrong[0]


def test_a_night_without_a_full_result_is_a_problem(tmp_path: Path) -> None:
    _, _, wrong = told(Night().open().close(), half_in(tmp_path))
    assert any("no trial ran to its end" in line for line in wrong)


def test_a_process_left_behind_is_found_and_told_apart(tmp_path: Path) -> None:
    half = half_in(tmp_path)
    assert processes_of(half.private) == []
    folder = half.private / "attempts" / "t1.a1"
    environment = {**os.environ, "SECONDSHIFT_ATTEMPT": str(folder)}
    process = subprocess.Popen([sys.executable, "-c", "input()"], env=environment, stdin=subprocess.PIPE)
    try:
        assert processes_of(half.private) == processes_of(tmp_path) == [process.pid]
        assert processes_of(tmp_path / "other") == []
        assert trains(process.pid, half.private, "t1.a1")
        assert not trains(process.pid, half.private, "t1.a11") and not trains(process.pid, half.private, "t1.a")
        night = Night().open()
        complete(night, {"lr": 0.01}, CURVE)
        _, _, wrong = told(night.close(), half)
        assert wrong == [f"random: processes are left behind: {process.pid}"]
    finally:
        process.communicate(b"\n", timeout=10)
    assert not trains(process.pid, half.private, "t1.a1")


@pytest.mark.parametrize(("other", "fine"), [(CURVE, True), ([*CURVE[:-1], CURVE[-1] + 1e-16 * 4], False)])
def test_the_same_trial_must_come_out_the_same_in_both_searches(
    tmp_path: Path, other: list[float], fine: bool
) -> None:
    halves = [half_in(tmp_path, key) for key in ("random", "halving")]
    stories = []
    for half, curve in zip(halves, (CURVE, other), strict=True):
        night = Night().open()
        complete(night, {"lr": 0.01}, curve)
        stories.append(told(night.close(), half)[0])
    finding = agree(halves, stories)
    assert finding is not None and finding.fine is fine
    assert agree(halves, [stories[0], Story(metric="val_loss", say=print)]) is None


def test_the_result_is_the_best_of_those_that_ran_to_the_end(tmp_path: Path) -> None:
    night = Night().open()
    complete(night, {"lr": 0.01}, CURVE)
    complete(night, {"lr": 0.02}, [*CURVE[:-1], float("nan")])
    attempt = night.start(night.queue({"lr": 0.03}), until=3)
    night.log(attempt, [0.3, 0.2, 0.1])
    night.save(attempt, 3)
    night.end(attempt, Exit(code=0, cause="pause", elapsed_s=3.0), early=True)
    half = half_in(tmp_path)
    story, _, _ = told(night.close(), half)
    found = result(half, story)
    assert (found.best, found.value, found.complete, found.trials, found.steps) == ("t1", 0.40, 2, 3, 21)
    assert named(story.state.trials["t1"]).startswith("t1")


def test_the_two_studies_differ_in_their_scheduler_alone(tmp_path: Path) -> None:
    first, second = lay_out(tmp_path / "{odd} 'place'", seed=5, device_s=36.0, slots=2, crash_in="halving", crash_at=1)
    texts = [half.file.read_text().replace(f"digits-{half.key}", "") for half in (first, second)]
    texts = [text.replace(str(half.file.parent), "") for half, text in zip((first, second), texts, strict=True)]
    assert texts[0].replace('"fifo"', '"halving"') == texts[1]
    assert not (first.file.parent / "drill").exists() and (second.file.parent / "drill").read_text() == "1\n"
