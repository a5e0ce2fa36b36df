"""What is given to the evaluator: a copy of plain files that the trial left, as it left them."""

import json
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Checkpoint, Trial
from secondshift.runtime.artefacts import Unfit, taken
from secondshift.tracking import checkpoints

STUDY = Study(name="s", command="c", folder=".", objective=Objective(metric="loss", at="best"), horizon_steps=10)
TRIAL = Trial(id="t1", candidate="c2", seed=5, attempts=2, status="complete")


def out(private: Path, **files: str) -> Path:
    folder = private / "attempts/t1.a2/out"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def saved(private: Path, step: int, text: str = "weights", *, seed: int = 5, trial: str = "t1") -> Checkpoint:
    root = private / "trials" / trial / "checkpoints"
    folder = checkpoints.begin(root, step, f"{trial}.a1")
    (folder / "w").write_text(text)
    digest, size = checkpoints.seal(folder, step=step, attempt=f"{trial}.a1", trial=trial, seed=seed)
    checkpoints.install(folder, root, step)
    return Checkpoint(trial=trial, step=step, folder="", bytes=size, digest=digest)


def take(private: Path, *known: Checkpoint):
    return taken(private, TRIAL, known, STUDY, private / "copy")


def test_the_newest_checkpoint_comes_before_what_was_put_out(tmp_path: Path) -> None:
    out(tmp_path, model="put out")
    assert (take(tmp_path).folder / "model").read_text() == "put out"
    known = [saved(tmp_path, 5, "half"), saved(tmp_path, 10, "whole")]
    copy = take(tmp_path, *known).folder
    assert sorted(path.name for path in copy.iterdir()) == ["w"] and (copy / "w").read_text() == "whole"


def test_the_same_bytes_have_the_same_digest_whichever_trial_left_them(tmp_path: Path) -> None:
    one = taken(tmp_path, TRIAL, [saved(tmp_path, 10)], STUDY, tmp_path / "one")
    other = Trial(id="t2", candidate="c1", seed=6)
    two = taken(tmp_path, other, [saved(tmp_path, 10, seed=6, trial="t2")], STUDY, tmp_path / "two")
    assert one.digest == two.digest
    assert taken(tmp_path, TRIAL, [saved(tmp_path, 10, "others")], STUDY, tmp_path / "one").digest != one.digest


def test_of_a_trial_that_was_ended_at_its_best_the_checkpoint_of_its_best_is_taken(tmp_path: Path) -> None:
    known = [replace(saved(tmp_path, step, f"of {step}"), objective=value) for step, value in ((3, 2.0), (5, 1.0), (9, 4.0))]
    for early, text in (("stopped", "of 5"), ("", "of 9"), ("undone", "of 9")):
        copy = taken(tmp_path, replace(TRIAL, early=early), known, STUDY, tmp_path / "copy").folder
        assert (copy / "w").read_text() == text
    (tmp_path / "trials/t1/checkpoints/step-5/w").write_text("altered")
    with pytest.raises(Unfit) as caught:
        taken(tmp_path, replace(TRIAL, early="stopped"), known, STUDY, tmp_path / "copy")
    assert caught.value.problem == "altered", "no other one is taken in its place"


def refused(private: Path, *known: Checkpoint) -> str:
    with pytest.raises(Unfit) as caught:
        take(private, *known)
    return caught.value.problem


def test_nothing_left_is_said_so(tmp_path: Path) -> None:
    assert refused(tmp_path) == "no artefact"
    out(tmp_path)
    assert refused(tmp_path) == "no artefact"


def test_links_of_every_kind_are_no_artefact_and_a_file_moved_into_place_is(tmp_path: Path) -> None:
    elsewhere = tmp_path / "better"
    elsewhere.write_text("better")
    folder = out(tmp_path)
    for make in (os.symlink, os.link):
        make(elsewhere, folder / "model")
        assert refused(tmp_path) == "link"
        (folder / "model").unlink()
    os.symlink(tmp_path, folder / "models")
    assert refused(tmp_path) == "link"
    (folder / "models").unlink()
    folder.rename(tmp_path / "real")
    os.symlink(tmp_path / "real", folder)
    (tmp_path / "real" / "model").write_text("x")
    assert refused(tmp_path) == "link"
    folder.unlink()
    (out(tmp_path) / "draft").write_text("x")
    os.replace(folder / "draft", folder / "model")
    assert (take(tmp_path).folder / "model").read_text() == "x"


def test_a_linked_checkpoint_is_no_artefact(tmp_path: Path) -> None:
    better = saved(tmp_path, 10, "better", trial="t9")
    root = tmp_path / "trials/t1/checkpoints"
    root.mkdir(parents=True)
    os.symlink(tmp_path / "trials/t9/checkpoints/step-10", root / "step-10")
    assert refused(tmp_path, better) == "link"


def test_more_steps_than_the_horizon_or_another_seed_are_seen(tmp_path: Path) -> None:
    assert refused(tmp_path, saved(tmp_path, 11)) == "past the horizon"
    other = tmp_path / "other"
    assert refused(other, saved(other, 10, seed=6)) == "another seed"


def test_what_was_altered_after_it_was_saved_is_seen(tmp_path: Path) -> None:
    known = saved(tmp_path, 10)
    file = tmp_path / "trials/t1/checkpoints/step-10/w"
    file.write_text("WEIGHTS")
    assert refused(tmp_path, known) == "altered"
    manifest = file.with_name("manifest.json")
    listed = json.loads(manifest.read_text())
    listed["files"][0]["sha256"] = sha256(b"WEIGHTS").hexdigest()
    manifest.write_text(json.dumps(listed))
    assert refused(tmp_path, known) == "altered", "whole by itself, but not what was recorded"
    assert take(tmp_path).digest, "nothing was recorded of it: then it is what it says"
