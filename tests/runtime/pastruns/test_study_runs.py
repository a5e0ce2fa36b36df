"""Another study's trials, read from its ledger as it lies there."""

from contextlib import closing
from pathlib import Path

import pytest

from interfaces.nights import eventful
from secondshift import config
from secondshift.config.fitting import Names, fit
from secondshift.errors import SecondshiftError
from secondshift.ledger.leases import Holder
from secondshift.ledger.opening import open_ledger
from secondshift.records.pastruns import PastRun
from secondshift.runtime.pastruns.finding import find_runs

STUDY = """command = "python train.py --lr {lr} --width {width} --seed {seed}"
[objective]
metric = "val_loss"
[horizon]
steps = 9
[search]
lr = { low = 1e-5, high = 1e-1, log = true }
width = { low = 16, high = 128 }
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("old", "new"):
        (tmp_path / name / ".secondshift").mkdir(parents=True)
        (tmp_path / name / "secondshift.toml").write_text(STUDY)
        (tmp_path / name / "train.py").write_text("print('val_loss=1')\n")
        with closing(open_ledger(tmp_path / name / ".secondshift")) as ledger:
            eventful().record(ledger)
    return tmp_path / "new"


def found(home: Path, path: Path) -> dict[str, PastRun]:
    return {run.run: run for run in find_runs([path], "auto", home)}


@pytest.mark.parametrize("way", ["", "secondshift.toml", ".secondshift", ".secondshift/ledger.db"])
def test_the_trials_of_a_study_are_found_whichever_way_it_is_named(home: Path, way: str) -> None:
    runs = found(home, home.parent / "old" / way)
    assert {"../old#t1", "../old#t2", "../old#t3"} <= set(runs)
    best = runs["../old#t2"]
    assert (best.source, best.status, dict(best.params)) == ("secondshift", "finished", {"lr": 0.01, "width": 64})
    assert best.columns["val_loss"][1].tolist() == [2.2, 1.2, 0.8, 0.6, 0.45, 0.35, 0.30, 0.28, 0.27]
    assert dict(runs["../old#t1"].params) == {"lr": 0.001, "width": 32}  # its study's defaults
    assert runs["../old#t4"].status == "unknown"  # paused; how far it came says the rest


def test_they_fit_into_a_study_of_the_same_space(home: Path) -> None:
    study = config.load_study(home / "secondshift.toml")
    fitted = {name: fit(study, run, Names()) for name, run in found(home, home.parent / "old").items()}
    best, paused = fitted["../old#t2"].fact, fitted["../old#t4"].fact
    assert best is not None and best.status == "complete" and best.seed_known
    assert paused is not None and paused.status == "stopped"


def test_nothing_is_written_there_and_who_holds_it_keeps_it(home: Path) -> None:
    old = home.parent / "old"
    with closing(open_ledger(old / ".secondshift")) as engine:
        lease = engine.take_lease(Holder(host="here", pid=1), how_dead=lambda _: True)
        before = [event.seq for event in engine.read()]
        assert found(home, old)
        assert [event.seq for event in engine.read()] == before
        held = engine.lease()
        assert held is not None and held.token == lease.token


def test_the_study_itself_and_what_is_none_are_refused_with_a_sentence(home: Path) -> None:
    with pytest.raises(SecondshiftError, match="is this study itself"):
        list(find_runs([home], "secondshift", home))
    with pytest.raises(SecondshiftError, match=r"no study that has run. Expected a folder with .secondshift/ledger.db"):
        list(find_runs([home.parent], "secondshift", home))
