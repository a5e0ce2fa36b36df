"""Drills: what a fault does to the training, how rows are judged, and one real drill with real processes."""

import json
import math

import numpy as np
import pytest

from secondshift.interfaces.cli import main
from secondshift.interfaces.drills.judging import Row
from secondshift.interfaces.drills.kinds import KINDS
from secondshift.interfaces.drills.train_drill import HORIZON, SHARD, Fault, Job, onset_of
from secondshift.interfaces.messages.catalogue import sentences
from secondshift.policies.captain.remedies import DEFAULTS, LADDERS, REMEDIES


def trained(kind: str, case: int = 1, skip: range = range(0)) -> float:
    """Train without a pause; what it came to on held-out data."""
    job, fault = Job(case=case, seed=0), Fault(kind, case)
    with np.errstate(all="ignore"):
        for step in range(HORIZON):
            if step not in skip:
                x, y, _ = fault.data(step, *job.batch(step, 0))
                job.train(x, y, fault.rate(step, job.rate(step)))
        return job.evaluate()


@pytest.mark.parametrize("kind", ["nan_batch", "bad_shard", "wrong_labels", "lr_hundredfold", "lr_schedule_bug", "dead_loader"])
def test_a_fault_of_data_or_rate_harms_the_run(kind):
    assert not trained(kind) <= 1.1 * trained("none")


def test_skipping_the_bad_steps_is_enough():
    onset = onset_of(1)
    assert trained("bad_shard", skip=range(onset, onset + SHARD)) <= 1.1 * trained("none")
    assert trained("nan_batch", skip=range(onset, onset + 1)) <= 1.1 * trained("none")


def test_every_kind_has_a_sentence_in_both_languages():
    for lang in ("en", "ko"):
        said = sentences(lang)
        assert all(said[f"drill_kind.{kind}"] for kind in (*KINDS, "captain_killed"))
        assert all(f"word.ends_{kind.ends.replace(' ', '_')}" in said for kind in KINDS.values())


def test_every_ladder_and_default_names_remedies_that_there_are():
    assert all(name in REMEDIES for ladder in LADDERS.values() for name in ladder)
    assert all(name in REMEDIES for name in DEFAULTS.values())


def row(kind: str, **changes) -> Row:
    return Row(**{"kind": KINDS[kind], "case": 1, "trial": "t1", "status": "complete", "ratio": 1.0, **changes})


def test_rows_are_judged_by_what_their_kind_should_come_to():
    assert row("bad_shard").mended and not row("bad_shard", ratio=1.2).mended and not row("bad_shard", asked=1).mended
    assert row("bad_shard", ratio=2.0).silent and not row("bad_shard", ratio=2.0, asked=1).silent
    assert not row("wrong_labels").as_it_should and row("wrong_labels", asked=1).as_it_should
    assert row("oom", status="failed", ratio=math.inf, outcomes=["not tried again: ..."]).as_it_should


def test_an_unknown_drill_is_told_with_the_nearest_one(capsys):
    assert main.called(["drill", "bad_shart"]) == 2
    assert "Did you mean bad_shard?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--lang", "fr"], "No catalogue speaks 'fr'"), (["--case", "-1"], "--case was -1. Expected 0 or more"),
     (["--keep", "kept"], "a study is in it already"), (["--keep", "file/x"], "cannot be made: Not a directory")],
)  # fmt: skip
def test_a_drill_that_cannot_be_done_is_a_mistake_and_no_fault_of_ours(capsys, tmp_path, monkeypatch, more, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept/study").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    assert main.called(["drill", "nan_batch", *more]) == 2
    assert said in capsys.readouterr().err


def test_the_kinds_are_listed_in_the_language_of_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("SECONDSHIFT_LANG", "ko")
    assert main.called(["drill"]) == 0
    assert sentences("ko")["drill_kind.nan_batch"] in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_real_drill_is_found_mended_and_ends_as_good_as_its_twin(capsys, tmp_path):
    code = main.called(["drill", "weights_damaged", "--json", "--keep", str(tmp_path / "kept")])
    said = json.loads(capsys.readouterr().out)
    assert code == 0 and said["ok"], said
    (found,) = said["rows"]
    assert found["remedies"][0][1] == "worked" and found["ratio_to_twin"] <= 1.1 and found["found_after_steps"] < 200
    assert (tmp_path / "kept/study/.secondshift/briefs/s1.html").exists()
