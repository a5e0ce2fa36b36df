"""The doctor is right about scripts whose faults are known; the whole battery runs in benchmarks/doctor.py."""

import ast
import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from doctoring import battery
from doctoring.battery import Case

ROOT = Path(__file__).resolve().parents[2]
CASES = {case.name: case for case in battery.CASES}
EIGHT = ("forget", "schedule", "seed", "param", "elsewhere", "training", "ignored", "shared")
# Each of the eight that test_doctor.py does not plant, and three healthy ones: what CI has time for.
IN_TEST_DOCTOR = {"seed": "seed_ignored", "param": "param_absent", "shared": "shared_file"}
ASKED = (
    "forget-config", "schedule-loop", "elsewhere-loop", "training-sdk", "ignored-config",
    "unseeded-shuffle", "progress-bar", "well-sdk",
)  # fmt: skip


def test_each_of_the_eight_faults_is_planted_in_three_styles() -> None:
    styles = {fault: {case.style for case in battery.FAULTS if case.name.startswith(f"{fault}-")} for fault in EIGHT}
    assert len(battery.FAULTS) == 24
    assert all(len(found) == 3 for found in styles.values()), styles


def test_each_of_the_eight_is_found_by_a_whole_run_of_the_doctor_in_ci() -> None:
    asked = {name.partition("-")[0] for name in ASKED if CASES[name].fault}
    planted = (ROOT / "tests" / "test_doctor.py").read_text("utf-8")
    assert asked | IN_TEST_DOCTOR.keys() == set(EIGHT)
    assert all(f'"{code}"' in planted for code in IN_TEST_DOCTOR.values())


def test_a_study_has_a_name_of_its_own() -> None:
    assert len(CASES) == len(battery.CASES)
    assert len(battery.HEALTHY) >= 12


@pytest.mark.parametrize("name", CASES)
def test_a_study_can_be_read_and_its_edits_fit_its_script(name: str) -> None:
    ast.parse(battery.script_text(CASES[name]))
    study = tomllib.loads(battery.study_text(CASES[name]))
    assert {"command", "objective", "horizon", "search"} <= study.keys()
    assert all("default" in axis for axis in study["search"].values())


@pytest.mark.parametrize("name", [case.name for case in battery.CASES if case.renames])
def test_a_script_with_other_names_runs_as_before(name: str, tmp_path: Path) -> None:
    study = tomllib.loads(battery.lay_out(CASES[name], tmp_path).read_text("utf-8"))
    params = {"lr": 0.01, "width": 24, "horizon": 2, "seed": 0, "out": "out", "checkpoint_dir": "saved"}
    command = study["command"].format(**params).split()
    done = subprocess.run(
        [sys.executable, *command[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [case.name for case in battery.FAULTS])
def test_no_faulty_script_gives_itself_away(name: str) -> None:
    text = battery.script_text(CASES[name]).lower()
    assert not [word for word in ("faulty", "planted", "forget", "broken", "todo") if word in text]


def test_an_edit_that_does_not_fit_is_an_error_that_names_it() -> None:
    case = Case(name="odd", base=battery.CHARGPT, edits=(("no such text", ""),))
    with pytest.raises(ValueError, match=r"odd: the text 'no such text' stands 0 times"):
        battery.script_text(case)


def answer(*findings: tuple[str, str], tier: str = "resumable") -> dict[str, object]:
    return {"tier": tier, "findings": [{"code": code, "level": level} for code, level in findings]}


def test_a_fault_counts_only_if_it_is_said_as_a_fault_and_nothing_else_is() -> None:
    case = CASES["seed-loop"]
    assert battery.judged(case, answer(("seed_ignored", "fault"))).right
    assert not battery.judged(case, answer(("seed_ignored", "note"))).right
    assert not battery.judged(case, answer(("seed_ignored", "fault"), ("shared_file", "fault"))).right
    assert battery.judged(case, answer(("shared_file", "fault"))).wrong == (
        "seed_ignored not said", "shared_file said in error",
    )  # fmt: skip


def test_a_tier_proved_in_spite_of_a_broken_resume_is_wrong() -> None:
    case = CASES["forget-loop"]
    assert battery.judged(case, answer(("resume_forgets_optimiser", "fault"), tier="opaque")).right
    assert not battery.judged(case, answer(("resume_forgets_optimiser", "fault"))).right


def test_a_healthy_script_has_no_fault_and_its_tier() -> None:
    case = CASES["well-regress"]
    assert battery.judged(case, answer(("seed_unsure", "note"))).right
    assert not battery.judged(case, answer(tier="opaque")).right
    assert not battery.judged(case, answer(("resume_differs", "fault"))).caught


def values(text: str) -> dict[str, str]:
    """What a script of the loop style printed, by step; of one printed twice, the last."""
    lines = [line.split() for line in text.splitlines() if line.startswith("step=")]
    return {line[0]: line[2] for line in lines}


@pytest.mark.parametrize("name", ["well-chargpt", "well-regress"])
def test_the_healthy_twins_go_on_after_a_kill_as_if_nothing_had_been(name: str, tmp_path: Path) -> None:
    battery.lay_out(CASES[name], tmp_path)
    script = Path(CASES[name].base.script).name
    command = [sys.executable, script, "--steps", "24", "--ckpt-dir"]
    options = {"cwd": tmp_path, "env": {**os.environ, "OMP_NUM_THREADS": "1"}, "text": True}
    whole = subprocess.run([*command, "whole"], **options, capture_output=True, check=True, timeout=60).stdout
    with subprocess.Popen([*command, "cut"], **options, stdout=subprocess.PIPE) as killed:
        for line in killed.stdout:
            if line.startswith("step=13 "):
                killed.kill()
                break
    later = subprocess.run([*command, "cut"], **options, capture_output=True, check=True, timeout=60).stdout
    expected, found = values(whole), values(later)
    assert 0 < len(found) < len(expected)
    assert found == {step: expected[step] for step in found}

# Its shuffle is drawn anew in every process, so the judge, which compares such curves, is wrong about it by chance: 1 of 23
# examinations on 2026-11-26. It is examined twice at most.
NEVER_THE_SAME = {"unseeded-shuffle"}


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ASKED)
def test_the_doctor_is_right_about(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    battery.lay_out(CASES[name], folder)
    env = os.environ | {
        "SECONDSHIFT_HOST_DIR": str(tmp_path / "host"), "PYTHONPATH": str(ROOT / "src"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }  # fmt: skip
    began = time.monotonic()
    for _ in range(2 if name in NEVER_THE_SAME else 1):
        done = subprocess.run(
            [sys.executable, "-m", "secondshift", "doctor", "--json", "--seeds", "3"],
            cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=110,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stdout + done.stderr
        judged = battery.judged(CASES[name], json.loads(done.stdout))
        if judged.right:
            break
    assert judged.right, f"{judged.wrong} after {time.monotonic() - began:.0f} s:\n{done.stdout}"
    assert done.returncode == (1 if judged.found else 0)
