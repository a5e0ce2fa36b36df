"""Trying a command: read as a night reads it, interrupted and resumed, and gone without a trace afterwards."""

import json
import os
import shlex
import subprocess
import sys
import time
from array import array
from pathlib import Path

import pytest

from secondshift.doctor import bench_for
from secondshift.errors import DeviceBusy
from secondshift.records.orders import Batch, Chunk
from secondshift.records.proofs import Probe
from secondshift.records.studies import Launch, MetricsFrom, Objective, Study
from secondshift.runtime import hosts
from secondshift.runtime.acting import Hands
from secondshift.runtime.devices import DevicePool
from secondshift.runtime.interrupting import NOT_RESUMED, Course, Plan, interrupted
from secondshift.runtime.proberuns import Job, View
from secondshift.runtime.probestreams import Said, printed_words, stands_in
from secondshift.runtime.probing import Bench
from secondshift.runtime.scratching import scratch
from secondshift.runtime.workfolders import changed, footprint
from secondshift.tracking import wire

SCRIPT = """\
import json, os, random, signal, sys, time
seed, folder, pause_s, steps = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), 30
if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
random.seed(seed)
path, state = os.path.join(folder, "state.json"), {"step": 0, "w": random.random()}
if os.path.exists(path):
    state = json.load(open(path))
while state["step"] < steps:
    state["w"] *= 0.9
    print(f"step={state['step']} val_loss={state['w']}", flush=True)
    state["step"] += 1
    if "--save" in sys.argv:
        json.dump(state, open(path + ".tmp", "w"))
        os.replace(path + ".tmp", path)
    time.sleep(pause_s)
if "--save-last" in sys.argv:
    json.dump(state, open(path, "w"))
"""
COOPERATIVE = """\
import json, time
import secondshift
run = secondshift.init()
found, w = run.restore(), 1.0 + run.seed
if found:
    w = json.loads((found.path / "w.json").read_text())
for step in range(found.step if found else 0, run.horizon):
    w *= 0.9
    run.log(step, val_loss=w)
    time.sleep(0.01)
    if run.checkpoint_due(step):
        with run.checkpoint(step + 1) as folder:
            (folder / "w.json").write_text(json.dumps(w))
    if run.stopping:
        break
run.close()
"""


@pytest.fixture(autouse=True)
def own_devices(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path_factory.mktemp("devices")))


def bench(
    folder: Path, *, script: str = SCRIPT, options: str = "--save", pause_s: float = 0.01, tier: str = "resumable",
    grace_s: float = 10.0,
) -> Bench:  # fmt: skip
    (folder / "train.py").write_text(script)
    own = f"{shlex.quote(sys.executable)} train.py"
    study = Study(
        name="tried", folder=".", objective=Objective(metric="val_loss"), horizon_steps=30, tier=tier,  # type: ignore[arg-type]  # one of the tiers
        command=own if script == COOPERATIVE else f"{own} {{seed}} {{checkpoint_dir}} {pause_s} {options}",
        launch=Launch(slots=2, grace_s=grace_s),
    )  # fmt: skip
    return bench_for(study, Hands(folder=folder / ".secondshift" / "doctor" / "now", place=folder))


def to_its_end(view: View) -> str:
    return ""


def job(**given: object) -> Job:
    return Job(**{"name": "first", "seed": 0, "trial": "first", "leave": to_its_end, **given})  # type: ignore[arg-type]  # a test's own words


def course(last: int = 29, took_s: float = 0.5) -> Course:
    return Course(first=0, last=last, whole=True, took_s=took_s, cap_s=20.0)


def alive(folder: Path) -> list[int]:
    """Processes that were started below a bench's folder and live."""
    children = [json.loads(path.read_text()) for path in folder.glob("attempts/*/child.json")]
    return [c["pid"] for c in children if hosts.alive(c["pid"], c["start_ticks"], c["boot_id"])]


def test_a_run_is_read_to_its_end_as_a_night_reads_it(tmp_path: Path) -> None:
    tried = bench(tmp_path).try_all([job(look_everywhere=True, footprint=True)])[0]
    probe = tried.probe
    assert (probe.ended, probe.code, probe.curves["val_loss"].steps) == (True, 0, tuple(range(30)))
    assert probe.seen == {"stdout": {"val_loss": 30}} and probe.saved == ("state.json",)
    assert probe.wrote == () and 0 < probe.first_point_s < probe.took_s and "step=29" in probe.words


def test_a_run_that_fails_has_the_code_and_the_words_of_its_failure(tmp_path: Path) -> None:
    probe = bench(tmp_path, script="import sys\nsys.exit('no data here')").try_all([job()])[0].probe
    assert (probe.ended, probe.code) == (True, 1) and "no data here" in probe.words
    (tmp_path / "2").mkdir()
    broken = bench(tmp_path / "2", script="import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)").try_all([job()])[0]
    assert (broken.probe.ended, broken.probe.code) == (True, 139)


def test_a_run_is_ended_where_its_job_says_and_kept_that_far(tmp_path: Path) -> None:
    tried = bench(tmp_path).try_all([job(leave=lambda view: "kill" if view.reached >= 10 else "", until=10)])[0]
    assert not tried.probe.ended and tried.probe.code is None and tried.exit.cause == "kill"
    assert tried.probe.curves["val_loss"].steps == tuple(range(11))


def test_runs_go_side_by_side_and_come_back_in_their_order(tmp_path: Path) -> None:
    ended: list[str] = []
    names = ["a", "b", "c"]
    jobs = [job(name=name, trial=name, seed=seed) for seed, name in enumerate(names)]
    found = bench(tmp_path).try_all(jobs, done=lambda probe: ended.append(probe.name))
    assert [tried.probe.name for tried in found] == names == sorted(ended)
    assert len({tried.probe.curves["val_loss"].values for tried in found}) == 3


def test_whatever_goes_wrong_nothing_that_was_started_lives_on(tmp_path: Path) -> None:
    tested = bench(tmp_path, pause_s=2.0)

    def leave(view: View) -> str:
        if view.reached >= 0:
            raise KeyboardInterrupt
        return ""

    with pytest.raises(KeyboardInterrupt):
        tested.try_all([job(leave=leave), job(name="other", trial="other")])
    assert len(list(tested.folder.glob("attempts/*/child.json"))) == 2 and alive(tested.folder) == []


def test_a_run_whose_doctor_dies_is_ended_by_its_grant(tmp_path: Path) -> None:
    bench(tmp_path).try_all([job()])
    order = json.loads((tmp_path / ".secondshift/doctor/now/attempts/first.a1/order.json").read_text())
    assert order["grant_s"] <= 30 and order["checkpoints"].endswith("doctor/now/trials/first/checkpoints")


def test_devices_that_others_hold_are_waited_for_and_then_named(tmp_path: Path) -> None:
    tested = bench(tmp_path)
    holding = DevicePool(tested.executor.devices()).acquire(tested.executor.devices(), holder={"pid": os.getpid()})
    with holding, pytest.raises(DeviceBusy, match="cpu-0"):
        tested.try_all([job()], wait_s=0.2)


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_an_interrupted_run_goes_on_from_what_it_had_saved(how: str, tmp_path: Path) -> None:
    tested = bench(tmp_path)
    plan = Plan(how=how, seed=3)  # type: ignore[arg-type]  # kill or pause
    found = interrupted(tested, course(), [plan], lambda probe: None)[0]
    cut, later = found.cut.curves["val_loss"].steps, found.later.curves["val_loss"].steps
    assert not found.cut.ended and 14 <= cut[-1] < 29 and found.cut.seed == found.later.seed == 3
    assert 0 < later[0] <= cut[-1] + 1 and later[-1] == 29 and found.left and found.how == how
    values = {**dict(zip(cut, found.cut.curves["val_loss"].values, strict=True))}
    for step, value in zip(later, found.later.curves["val_loss"].values, strict=True):
        assert value == pytest.approx(values.get(step, value))


def test_copies_of_the_checkpoint_go_on_with_other_seeds(tmp_path: Path) -> None:
    tested = bench(tmp_path)
    found = interrupted(tested, course(), [Plan(how="kill", seed=0)], lambda probe: None)[0]
    starts = {probe.curves["val_loss"].steps[0] for probe in (found.later, *found.reseeded)}
    assert len(found.reseeded) == 2 and len(starts) == 1 and 0 not in starts


def test_a_cooperative_run_is_cut_behind_a_whole_checkpoint_and_says_its_step(tmp_path: Path) -> None:
    tested = bench(tmp_path, script=COOPERATIVE, tier="cooperative")
    plans = [Plan(how="kill", seed=0), Plan(how="pause", seed=1)]
    killed, paused = interrupted(tested, course(), plans, lambda probe: None)
    for found in (killed, paused):
        assert found.cut.uses_sdk and found.checkpoint_step == found.later.curves["val_loss"].steps[0]
        assert all(other.curves["val_loss"].steps[0] == found.checkpoint_step for other in found.reseeded)
    assert paused.left and paused.checkpoint_step == paused.cut.curves["val_loss"].steps[-1] + 1


def test_a_run_that_is_over_in_a_blink_is_stepped_through_and_caught_all_the_same(tmp_path: Path) -> None:
    tested = bench(tmp_path, pause_s=0.0005)
    found = interrupted(tested, course(took_s=0.1), [Plan(how="kill", seed=0)], lambda probe: None)[0]
    assert not found.cut.ended and found.later.curves["val_loss"].steps[0] > 0


def test_a_run_that_saves_nothing_is_not_resumed(tmp_path: Path) -> None:
    runs: list[Probe] = []
    found = interrupted(bench(tmp_path, options=""), course(), [Plan(how="kill", seed=0)], runs.append)[0]
    assert (
        len(runs) == 1
        and found.cut.ended
        and found.cut.saved == ()
        and found.later.name == NOT_RESUMED
        and found.reseeded == ()
    )


def test_a_run_that_saves_at_its_very_end_only_cannot_be_resumed(tmp_path: Path) -> None:
    tested = bench(tmp_path, options="--save-last", pause_s=0.002)
    found = interrupted(tested, course(took_s=0.1), [Plan(how="kill", seed=0)], lambda probe: None)[0]
    assert found.cut.saved == ("state.json",) and found.later.name == NOT_RESUMED and found.reseeded == ()


def test_a_run_that_ignores_the_polite_pause_has_not_left(tmp_path: Path) -> None:
    tested = bench(tmp_path, options="--save --stubborn", pause_s=0.1, grace_s=0.2)
    found = interrupted(tested, course(took_s=3.0), [Plan(how="pause", seed=0)], lambda probe: None)[0]
    assert not found.left and found.later.curves["val_loss"].steps[-1] == 29


def test_changed_files_are_named_but_for_environments_caches_and_our_own(tmp_path: Path) -> None:
    for name in ("kept.txt", ".git/index", "venv/lib.py", "env2/pyvenv.cfg", "env2/x.py", "a/__pycache__/m.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    before = footprint(tmp_path)
    assert set(before) == {"kept.txt"}
    (tmp_path / "a" / "model.bin").write_text("1")
    (tmp_path / ".git" / "index").write_text("changed")
    assert changed(before, footprint(tmp_path)) == ("a/model.bin",)
    assert changed(footprint(tmp_path), footprint(tmp_path)) == ()
    os.utime(tmp_path / "kept.txt", ns=(1, 1))
    assert changed(before, footprint(tmp_path)) == ("a/model.bin", "kept.txt")


def test_files_that_a_run_wrote_beside_itself_are_looked_at_for_metrics(tmp_path: Path) -> None:
    script = "open('loss.csv', 'w').write('step,val_loss\\n0,1.5\\n1,1.25\\n')"
    probe = bench(tmp_path, script=script).try_all([job(look_everywhere=True, footprint=True)])[0].probe
    assert probe.wrote == ("loss.csv",) and probe.seen == {"csv: loss.csv": {"val_loss": 2}}
    assert not probe.curves


def test_a_value_counts_as_echoed_only_if_the_other_run_did_not_print_it(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("Namespace(lr=0.25, name='adam') epoch 7 of 10.\n")
    words = printed_words(tmp_path / "out")
    assert stands_in(0.25, words, frozenset()) and stands_in("adam", words, frozenset())
    assert stands_in(10, words, frozenset()) and not stands_in(7, words, frozenset({"7"}))
    assert not stands_in(0.5, words, frozenset()) and printed_words(tmp_path / "none") == frozenset()


def said(gaps: list[tuple[int, float, bool]]) -> Said:
    """What a cooperative run said: steps, the seconds they took, and whether the objective came with them."""
    found, at = Said(objective="val_loss"), 0.0
    for step, took, judged in gaps:
        at += took
        steps, times = array("q", [step]), array("d", [at])
        metric = "val_loss" if judged else "train_loss"
        batches = [
            Batch(trial="t", attempt="a", metric=name, steps=steps, values=times) for name in (metric, wire.WALL)
        ]
        found.take([Chunk(attempt="a", fragment="f", start=0, end=1, batches=tuple(batches))], at)
    return found


def test_an_evaluation_takes_what_steps_with_the_objective_take_longer() -> None:
    found = said([(step, 0.35 if step % 5 == 4 else 0.1, step % 5 == 4) for step in range(30)])
    assert found.eval_s() == pytest.approx(0.25)
    assert said([(step, 0.1, True) for step in range(30)]).eval_s() is None


def test_the_folder_of_the_runs_is_gone_afterwards_and_so_is_what_a_killed_doctor_left(tmp_path: Path) -> None:
    orphan = tmp_path / ".secondshift" / "doctor" / "old"
    orphan.mkdir(parents=True)
    (orphan / "owner.json").write_text(json.dumps([999_999_999, 1, hosts.boot_id()]))
    with scratch(tmp_path) as folder:
        assert folder.is_dir() and not orphan.exists()
    assert (tmp_path / ".secondshift").is_dir() and not (tmp_path / ".secondshift" / "doctor").exists()
    with scratch(tmp_path, keep=True) as folder:
        pass
    assert folder.is_dir()


def test_a_doctor_that_is_told_to_end_ends_what_it_started(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "secondshift.toml").write_text(
        f"command = '{shlex.quote(sys.executable)} train.py {{seed}} ckpt 0.2'\ntier = 'opaque'\n"
        "[objective]\nmetric = 'val_loss'\n[horizon]\nsteps = 30\n"
    )
    doctor = subprocess.Popen(
        [sys.executable, "-m", "secondshift", "doctor"], cwd=tmp_path, stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    room, until = tmp_path / ".secondshift" / "doctor", time.monotonic() + 30
    while not (found := list(room.glob("*/attempts/*/child.json"))) and time.monotonic() < until:
        time.sleep(0.02)
    child = json.loads(found[0].read_text())
    doctor.terminate()
    assert doctor.wait(timeout=30) == 130
    assert not hosts.alive(child["pid"], child["start_ticks"], child["boot_id"]) and not room.exists()


def test_metrics_are_read_where_the_study_says(tmp_path: Path) -> None:
    tested = bench(tmp_path, script="print('val_loss: 3 // at 7')")
    study = Study(
        name="x", folder=".", objective=Objective(metric="val_loss"), horizon_steps=9, tier="opaque",
        command=tested.study.command,
        metrics=MetricsFrom(pattern=r"(?P<name>\w+): (?P<value>\d+) // at (?P<step>\d+)"),
    )  # fmt: skip
    probe = bench_for(study, Hands(folder=tmp_path / "private", place=tmp_path)).try_all([job()])[0].probe
    assert (probe.curves["val_loss"].steps, probe.curves["val_loss"].values) == ((7,), (3.0,))
