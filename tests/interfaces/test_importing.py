"""`secondshift import`, as a person uses it: on an empty study, beside a working engine, twice, and killed in the middle."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from interfaces.nights import Night, complete
from secondshift import shifts
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.environments import elsewhere
from secondshift.ledger.fold import fold
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.summaries import summarise
from secondshift.records.events import RunImported, ShiftStarted
from secondshift.records.fingerprints import comparable
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.replay import replay
from secondshift.runtime import imports
from secondshift.runtime.opening import open_night

FIXTURES = Path(__file__).resolve().parents[1] / "runtime" / "pastruns" / "fixtures"
SRC = str(Path(__file__).resolve().parents[2] / "src")
STUDY = """command = "python train.py --lr {lr} --width {width} --seed {seed}"
[objective]
metric = "val_loss"
[horizon]
steps = 20
[search]
lr = { low = 1e-3, high = 1e-1, log = true }
width = [16, 32, 64]
[budget]
trials = 3
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "secondshift.toml").write_text(STUDY)
    (tmp_path / "train.py").write_text("print('val_loss=1')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECONDSHIFT_LANG", "en")
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "host"))
    return tmp_path


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., SimpleNamespace]:
    def run(*arguments: str) -> SimpleNamespace:
        code = called(arguments)
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


def state_of(study: Path) -> State:
    with closing(open_ledger(study / ".secondshift", readonly=True)) as ledger:
        assert replay(ledger).holds
        return fold(State(), ledger.read())


def taken(study: Path) -> Mapping[str, int]:
    """How often each run was recorded."""
    with closing(sqlite3.connect(study / ".secondshift" / "ledger.db")) as db:
        query = "select json_extract(payload, '$.run'), count(*) from events where kind = 'run.imported' group by 1"
        return dict(db.execute(query).fetchall())


@pytest.mark.parametrize("source", ["mlruns", "mlflow.db", "wandb", "tensorboard"])
def test_runs_of_every_tracker_become_finished_trials_with_their_curves(
    source: str, study: Path, say: Callable
) -> None:
    said = say("import", str(FIXTURES / source), "--json")
    runs = {run["name"]: run for run in json.loads(said.out)["runs"]}
    assert said.code == 0 and [runs[f"run-{n}"]["seed"] for n in range(3)] == [1, 2, 3]
    assert [runs[f"run-{n}"]["status"] for n in range(4)] == ["complete"] * 3 + ["stopped"]
    assert runs["run-4"]["problem"] == "outside" and "lr = 5" in runs["run-4"]["text"]
    state = state_of(study)
    assert not state.trials and len(state.imported) == sum(run["fate"] == "imported" for run in runs.values())
    with closing(open_ledger(study / ".secondshift", readonly=True)) as ledger:
        curve = ledger.series(runs["run-1"]["trial"], "val_loss")
    assert len(curve) == 20 and curve.values[-1] == pytest.approx(0.01 + 0.002 + 0.05, abs=1e-6)


def test_every_run_that_was_found_has_its_line_and_nothing_is_dropped_in_silence(study: Path, say: Callable) -> None:
    said = say("import", str(FIXTURES / "mlflow.db"))
    lines = said.out.splitlines()
    names = ("run-0", "run-1", "run-2", "run-3", "run-4", "killed (", "going on (")
    assert sum(name in line for name in names for line in lines) == 7
    assert any("going on" in line and "has not finished" in line for line in lines)
    assert "lr was read from optimizer.lr." in lines
    assert "7 runs found: 5 imported, 0 here already, 2 not used, 0 waiting." in lines


def test_a_dry_run_records_nothing(study: Path, say: Callable) -> None:
    said = say("import", str(FIXTURES / "mlflow.db"), "--dry-run")
    assert said.code == 0 and "5 would be imported" in said.out and not (study / ".secondshift").exists()


def test_importing_twice_gives_each_run_once(study: Path, say: Callable) -> None:
    say("import", str(FIXTURES / "mlflow.db"))
    again = say("import", str(FIXTURES / "mlflow.db"))
    assert "0 imported, 5 here already" in again.out and set(taken(study).values()) == {1}


def test_imported_trials_are_marked_wherever_one_is_shown(study: Path, say: Callable) -> None:
    say("import", str(FIXTURES / "mlflow.db"))
    shown = say("show", "p1").out
    assert (
        "imported from  mlflow, run run-0" in shown and "not known: compare it" in shown and "comment=by hand" in shown
    )
    assert json.loads(say("show", "p1", "--json").out)["imported"]["environment"] == "unknown"
    assert "Where it ran is not known" in say("why", "p1").out
    assert json.loads(say("status", "--json").out)["imported"] == 5
    assert "was imported" in say("stop", "p1").err


def test_a_call_that_cannot_be_followed_says_what_to_do(study: Path, say: Callable) -> None:
    for call, word in (
        ((), "No path was given"),
        (("nowhere",), "There is no nowhere"),
        ((str(FIXTURES / "wandb"), "--map", "lr"), "expected theirs=ours"),
        ((str(FIXTURES / "wandb"), "--map", "a=b"), "no parameter of this study. It has: lr, width"),
        ((str(FIXTURES / "wandb"), "--from", "mlflow"), "No runs of mlflow were found"),
    ):
        said = say("import", *call)
        assert said.code == 2 and word in said.err and said.out == "", call


def test_runs_of_which_none_can_be_used_are_exit_code_1_and_a_hint(study: Path, say: Callable) -> None:
    (study / "a.csv").write_text("step,validation_loss\n" + "\n".join(f"{s},0.5" for s in range(20)))
    said = say("import", "a.csv")
    assert said.code == 1 and "Nearest: validation_loss" in said.out
    (study / "lr=0.01,width=32,seed=4.csv").write_text((study / "a.csv").read_text())
    said = say("import", "lr=0.01,width=32,seed=4.csv", "--metric", "validation_loss=val_loss")
    assert said.code == 0 and "p1: lr=0.01,width=32,seed=4" in said.out and "complete" in said.out


def test_a_copy_of_a_run_is_no_second_repeat(study: Path, say: Callable) -> None:
    shutil.copytree(FIXTURES / "multirun", study / "tb" / "one")
    shutil.copytree(FIXTURES / "multirun", study / "tb" / "two")
    assert "the very same as that of tb/one/" in say("import", "tb", "--map", "optimizer.lr=lr").out
    assert len(state_of(study).imported) == 2


def test_beside_an_engine_that_lives_the_runs_wait_and_the_engine_takes_them_in(
    study: Path, say: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking = shifts.take_imports
    with open_night(study / "secondshift.toml") as night:
        engine = shifts.Engine(
            ledger=night.ledger, state=night.state, executor=night.executor, clock=night.clock, hands=night.hands
        )
        engine.record(night.opening)

        def tick(_: float) -> None:
            engine.take_in()  # as the engine on shift would meanwhile

        monkeypatch.setattr(shifts, "take_imports", lambda file: pytest.fail("two would have written one ledger"))
        monkeypatch.setattr("secondshift.interfaces.cli.importing.time.sleep", tick)
        assert "5 imported" in say("import", str(FIXTURES / "mlflow.db")).out
    monkeypatch.setattr(shifts, "take_imports", taking)
    assert set(taken(study).values()) == {1}


def test_with_a_shift_that_broke_off_the_runs_wait_for_the_next_run(study: Path, say: Callable) -> None:
    with open_night(study / "secondshift.toml") as night:
        night.ledger.append(
            [*night.opening, ShiftStarted(shift=Shift(id="s1", started_at=1.0))], at=1.0, token=night.state.token
        )
    said = say("import", str(FIXTURES / "mlflow.db"))
    assert "5 waiting" in said.out and "next `secondshift run`" in said.out and said.code == 0
    assert len(imports.pending(study / ".secondshift")) == 5 and not taken(study)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["preparing", "recording"])
def test_after_a_kill_in_the_middle_running_it_again_gives_each_run_exactly_once(stage: str, study: Path) -> None:
    places = [(run, step) for run in range(130) for step in range(20)]
    rows = [f"{run},{0.001 * (run % 90 + 1):.4f},32,{run},{step},{1 / (step + run + 1)}" for run, step in places]
    (study / "all.csv").write_text("run,lr,width,seed,step,val_loss\n" + "\n".join(rows) + "\n")
    call = [sys.executable, "-m", "secondshift", "import", "all.csv", "--json"]
    environment = {**os.environ, "PYTHONPATH": SRC}
    process = subprocess.Popen(call, cwd=study, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if (len(imports.pending(study / ".secondshift")) >= 5) if stage == "preparing" else _recorded(study):
                break
            time.sleep(0.001)
        assert process.poll() is None, "it was done before it could be killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    assert imports.pending(study / ".secondshift")
    done = subprocess.run(call, cwd=study, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["runs"]) == 130
    counts = taken(study)
    assert len(counts) == 130 and set(counts.values()) == {1} and not imports.pending(study / ".secondshift")
    assert len(state_of(study).imported) == 130


def _recorded(study: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{study}/.secondshift/ledger.db?mode=ro", uri=True, timeout=1.0)) as db:
            return db.execute("select count(*) from events where kind = 'run.imported'").fetchone()[0] > 0
    except sqlite3.Error:
        return False


def past(number: int, value: float, **changes) -> RunImported:
    metrics = {"val_loss": summarise(range(9), [value] * 9)}
    base = RunImported(
        trial=f"p{number}", source="wandb", run=f"r{number}", name=f"r{number}", digest=str(number), revision=1,
        status="complete", reason="x", seed=number, seed_known=True, params={"lr": 0.01, "width": 32}, metrics=metrics,
    )  # fmt: skip
    return replace(base, **changes)


def found(night: Night, lang: str = "en") -> list[str]:
    brief = compose(night.state, night.events, night.study.objective, "s1", written_at=night.at)
    assert all(s.facts for part in brief.sections for s in part.statements)
    return [tell(s, lang) for part in brief.sections if part.key == "section.found" for s in part.statements]


def test_the_brief_has_a_noise_floor_from_imported_repeats_on_the_first_night_and_says_so() -> None:
    night = Night().open()
    night.add(
        past(1, 0.30), past(2, 0.32), past(3, 0.34), past(4, 0.9, others={"batch": 8}), past(5, 0.1, status="stopped")
    )
    complete(night, {}, [0.40] * 9)
    complete(night, {"lr": 0.01}, [0.39] * 9)
    lines = found(night.close())
    [floor] = [line for line in lines if "Noise floor" in line]
    assert floor.startswith("Noise floor from imported runs, whose environment is not known")
    assert "3 runs of 1 setting: p1, p2, p3" in floor
    assert "0.02 apart" in floor and any("warning and no measurement" in line for line in lines)
    assert not [line for line in lines if "is not known: no candidate" in line]
    assert any("5 imported runs from wandb (p1, p2, p3, p4, p5): 4 complete, 1 stopped" in line for line in lines)
    assert any("Best imported run: p1" in line and "cannot be compared" in line for line in lines)
    assert any(line.startswith("Best complete trial: t2") for line in lines)
    assert any("가져온 실행의 잡음 수준" in line for line in found(night, "ko"))


def test_imported_repeats_need_known_and_different_seeds_and_all_else_alike() -> None:
    night = Night().open()
    night.add(past(1, 0.3, seed_known=False), past(2, 0.4, seed_known=False), past(3, 0.5), past(4, 0.6, seed=3))
    night.add(past(5, 0.7, source="csv", seed=9), past(6, 0.8, revision=2, seed=10))
    complete(night, {}, [0.40] * 9)
    assert not [line for line in found(night.close()) if "Noise floor" in line]


def test_own_repeats_measure_the_noise_and_imported_ones_stand_beside_them_unmixed() -> None:
    night = Night().open()
    night.add(past(1, 0.2), past(2, 0.8))
    complete(night, {}, [0.40] * 9)
    first = complete(night, {"lr": 0.01}, [0.30] * 9)
    complete(night, {"lr": 0.01}, [0.302] * 9, seed=1, candidate=night.state.trials[first].candidate)
    lines = [line for line in found(night.close()) if "Noise floor" in line]
    assert len(lines) == 2 and "0.4243 apart" in lines[0] and "0.001414 apart" in lines[1]
    assert not [line for line in found(night) if "within" in line or "warning" in line]


def test_an_imported_run_is_comparable_with_none_of_the_studys_own_trials() -> None:
    night = Night().open()
    night.add(past(1, 0.2), past(2, 0.3), past(3, 0.3, source="csv"))
    complete(night, {}, [0.40] * 9)
    state = night.state
    own, one, two, other = state.trials["t1"], *(state.imported[f"p{n}"].trial for n in (1, 2, 3))
    assert comparable(one, two, state.fingerprints) and not comparable(one, other, state.fingerprints)
    assert not comparable(own, one, state.fingerprints) and not comparable(one, own, state.fingerprints)
    assert "not known, imported from wandb" in elsewhere(state, one, own)
