"""An examination from beginning to end: which runs are tried, what they prove, and what is kept of that."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from secondshift import config
from secondshift.doctor import examine
from secondshift.errors import ConfigInvalid, SecondshiftError
from secondshift.runtime.prooffiles import read_proof

SCRIPT = """\
import argparse, json, os, random, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--ckpt-dir", default="")
given = parser.parse_args()
random.seed(given.seed)
state = {"epoch": 0, "w": random.gauss(0, 1), "m": 0.0, "rng": None}
path = os.path.join(given.ckpt_dir, "state.json")
if given.ckpt_dir and os.path.exists(path):
    state = json.load(open(path))
    version, words, gauss = state["rng"]
    random.setstate((version, tuple(words), gauss))
while state["epoch"] < 40:
    state["m"] = 0.9 * state["m"] + state["w"] - 1.0 + random.gauss(0, 0.3)
    state["w"] -= given.lr * 0.1 * state["m"]
    print(f"epoch={state['epoch']} val_loss={(state['w'] - 1.0) ** 2 + 0.1}", flush=True)
    state["epoch"] += 1
    time.sleep(0.008)
    if given.ckpt_dir:
        state["rng"] = random.getstate()
        json.dump(state, open(path + ".tmp", "w"))
        os.replace(path + ".tmp", path)
"""
STUDY = """\
command = "{python} train.py --lr {{lr}} --seed {{seed}}"
[objective]
metric = "val_loss"
[horizon]
steps = 40
[search]
lr = {{ low = 0.01, high = 1.0, log = true, default = 0.1 }}
[launch]
slots = 2
"""
RESUME = '[resume]\nflag = "--ckpt-dir {checkpoint_dir}"\n'


@pytest.fixture(autouse=True)
def own_devices(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path_factory.mktemp("devices")))


def written(folder: Path, *, script: str = SCRIPT, more: str = RESUME) -> Path:
    (folder / "train.py").write_text(script)
    file = folder / "secondshift.toml"
    file.write_text(STUDY.format(python=shlex.quote(sys.executable)) + more)
    return file


def codes(found: object) -> set[str]:
    return {finding.code for finding in found.proof.findings}  # type: ignore[attr-defined]  # an Examined


def test_a_healthy_script_is_proved_and_the_proof_is_kept_for_the_night(tmp_path: Path) -> None:
    file = written(tmp_path)
    told: list[tuple[str, Mapping[str, object]]] = []
    found = examine(file, tell=lambda key, values: told.append((key, values)))
    assert (found.proof.named, found.proof.tier, found.proof.faults()) == ("resumable", "resumable", ())
    assert {"metric_found", "seed_matters", "repeats_exactly", "param_arrives", "resume_exact"} <= codes(found)
    names = [probe.name for probe in (*found.examination.runs, *found.examination.varied)]
    assert names == ["first", "again", "seed 1", "seed 2", "lr = 0.01"]
    assert [r.how for r in found.examination.resumptions] == ["kill", "pause", "kill"]
    assert found.examination.steps == 40 and found.proof.noise_seeds == 3 and found.examination.slots == 2
    kept = read_proof(file, config.load_study(file))
    assert kept is not None and kept.standing == "fresh" and kept.proof == found.proof
    assert [path.name for path in (tmp_path / ".secondshift").iterdir()] == ["proof.json"]
    keys = [key for key, _ in told]
    assert keys[0] == "doctor.doing_first" and "doctor.estimate" in keys
    parts = {key: keys.count(key) for key in keys if key.startswith("doctor.did_")}
    assert parts == {
        "doctor.did_first": 1, "doctor.did_again": 1, "doctor.did_seed": 2, "doctor.did_changed": 1, "doctor.did_cut": 3,
        "doctor.did_resumed": 3, "doctor.did_reseeded": 6,
    }  # fmt: skip


def test_a_script_that_fails_is_run_once_and_no_more(tmp_path: Path) -> None:
    found = examine(written(tmp_path, script="raise SystemExit('no data')"))
    assert codes(found) == {"command_fails", "metric_absent"} and len(found.examination.runs) == 1
    assert not found.proof.usable and found.examination.varied == () and found.examination.resumptions == ()


def test_a_metric_that_is_not_there_ends_it_with_the_nearest_ones(tmp_path: Path) -> None:
    found = examine(written(tmp_path, script=SCRIPT.replace("val_loss=", "valid_loss=")))
    absent = next(finding for finding in found.proof.findings if finding.code == "metric_absent")
    assert "valid_loss" in absent.values["nearest"] and len(found.examination.runs) == 1


def test_faults_of_every_kind_are_found_at_once(tmp_path: Path) -> None:
    script = SCRIPT.replace("random.seed(given.seed)", "random.seed(1)").replace("given.lr * 0.1", "0.01")
    script = script.replace('state["m"] = 0.9', 'open("model.bin", "w").write("m")\n    state["m"] = 0.9')
    found = examine(written(tmp_path, script=script))
    assert {"seed_ignored", "param_absent", "shared_file"} <= codes(found)


def test_a_parameter_that_shows_only_at_the_other_end_of_its_axis_is_found_there(tmp_path: Path) -> None:
    script = SCRIPT.replace("given.lr * 0.1", "max(given.lr, 0.1) * 0.1")  # the lower end does nothing
    found = examine(written(tmp_path, script=script, more=""))
    assert [probe.params["lr"] for probe in found.examination.varied] == [0.01, 1.0]
    assert "param_arrives" in codes(found) and not found.proof.faults()
    nothing = examine(written(tmp_path, script=SCRIPT.replace("given.lr * 0.1", "0.01"), more=""))
    assert len(nothing.examination.varied) == 2 and [f.code for f in nothing.proof.faults()] == ["param_absent"]


def test_an_opaque_script_is_not_interrupted(tmp_path: Path) -> None:
    file = written(tmp_path, more="")
    file.write_text('tier = "opaque"\n' + file.read_text())
    found = examine(file)
    assert found.examination.resumptions == () and found.proof.tier == "opaque" and found.proof.faults() == ()


def test_files_of_the_same_seed_are_no_fault_but_those_of_other_trials_are(tmp_path: Path) -> None:
    saving = 'open(f"model-{given.seed}-{given.lr}.bin", "w").write("m")'  # all the time: two runs overlap on a busy machine too
    own = SCRIPT.replace("time.sleep(0.008)", f"{saving}; time.sleep(0.03)")
    assert "shared_file" not in codes(examine(written(tmp_path, script=own)))
    by_seed = SCRIPT + 'open(f"model-{given.seed}.bin", "w").write("m")\n'
    found = examine(written(tmp_path, script=by_seed))
    shared = next(finding for finding in found.proof.findings if finding.code == "shared_file")
    assert shared.values["path"] == "model-0.bin"


def test_a_long_script_is_compared_as_far_as_it_comes_in_time(tmp_path: Path) -> None:
    script = SCRIPT.replace('state["epoch"] < 40', 'state["epoch"] < 4000').replace("sleep(0.008)", "sleep(0.02)")
    found = examine(written(tmp_path, script=script), run_s=0.8)
    first, *others = found.examination.runs
    last = first.curves["val_loss"].steps[-1]
    assert not first.ended and found.examination.steps == last + 1 < 60
    assert {probe.curves["val_loss"].steps[-1] for probe in (*others, *found.examination.varied)} == {last}
    assert found.proof.tier == "resumable" and "horizon_differs" not in codes(found)


def test_what_does_not_fit_into_the_time_given_is_left_out_and_not_proved(tmp_path: Path) -> None:
    script = SCRIPT.replace('state["epoch"] < 40', 'state["epoch"] < 4000').replace("sleep(0.008)", "sleep(0.02)")
    found = examine(written(tmp_path, script=script), run_s=1.5, longest_s=9.0)
    assert found.examination.hurried and not found.examination.resumptions
    assert found.proof.usable and found.proof.tier == "opaque" and "resume_untried" in codes(found)
    assert found.proof.noise and found.proof_file, "what was proved in time is kept"
    brief = examine(written(tmp_path, script=script), seeds=12, longest_s=1.5)  # more seeds than fit
    assert brief.untried == ("lr",) and not brief.examination.varied


def test_nothing_is_kept_of_a_script_that_changed_meanwhile(tmp_path: Path) -> None:
    file = written(tmp_path)
    told: list[str] = []

    def tell(key: str, values: Mapping[str, object]) -> None:
        told.append(key)
        if key == "doctor.doing_first":
            (tmp_path / "train.py").write_text(SCRIPT + "print('done')\n")

    assert examine(file, tell=tell, seeds=2).proof_file is None
    assert "doctor.changed_meanwhile" in told and not (tmp_path / ".secondshift" / "proof.json").exists()


def test_mistakes_of_the_study_are_all_named_before_anything_runs(tmp_path: Path) -> None:
    file = written(tmp_path, script="open('ran', 'w')")
    file.write_text(file.read_text().replace("steps = 40", "steps = 0").replace("slots = 2", "slotz = 2"))
    with pytest.raises(ConfigInvalid, match=r"(?s)2 mistakes.*steps.*slotz"):
        examine(file)
    assert not (tmp_path / "ran").exists()


def test_less_than_two_seeds_or_no_time_is_a_mistake(tmp_path: Path) -> None:
    file = written(tmp_path)
    for given in ({"seeds": 1}, {"run_s": 0.0}):
        with pytest.raises(SecondshiftError, match="at least 2 seeds"):
            examine(file, **given)  # type: ignore[arg-type]  # each takes its own
