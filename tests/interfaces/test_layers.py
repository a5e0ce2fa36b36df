"""The structure view: what a model is made of and how its layers do, in words and for programs."""

import json
from pathlib import Path

import pytest

from interfaces.nights import Night
from interfaces.test_cli import entered, written
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.readmodel.layers import structure
from secondshift.records import events as facts
from secondshift.records.trials import Layer, Summary, Trial

LAYERS = (
    Layer(name="fc1", kind="Linear", parameters=1088, shapes={"weight": (32, 33), "bias": (32,)}),
    Layer(name="act.2", kind="PReLU", parameters=1, shapes={"weight": ()}),
)
STATISTICS = {"layer/fc1/dead": 0.25, "layer/fc1/grad_norm": 1.5, "layer/out/update_ratio": 0.001, "layer/x/other": 1.0}


def trial() -> Trial:
    summaries = {name: Summary(points=1, last=value, last_step=40, low=value, low_step=40, high=value, high_step=40)
                 for name, value in STATISTICS.items()}  # fmt: skip
    return Trial(id="t1", candidate="c1", seed=0, metrics=summaries)


def test_each_layer_has_a_row_in_the_order_of_the_model_with_its_newest_statistics() -> None:
    said = facts.ModelDescribed(trial="t1", attempt="t1.a1", layers=LAYERS)
    told = facts.Event(seq=1, at=0.0, token=1, kind="model.described", payload=said)
    first, second, third = structure(trial(), [told])
    assert (first["name"], first["parameters"], first["shapes"]["weight"]) == ("fc1", 1088, [32, 33])
    assert first["statistics"] == {"dead": {"last": 0.25, "step": 40}, "grad_norm": {"last": 1.5, "step": 40}}
    assert second["statistics"] == {} and third["name"] == "out" and third["parameters"] is None
    assert [row["name"] for row in structure(trial(), [])] == ["fc1", "out"]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose t1 described its model and logged statistics of it; t2 did neither."""
    night = Night().open()
    for described in (True, False):
        attempt = night.start(night.queue({}))
        if described:
            night.add(facts.ModelDescribed(trial="t1", attempt=attempt, layers=LAYERS))
            night.log(attempt, [0.0, 0.25], metric="layer/fc1/dead")
        night.log(attempt, [2.0, 1.0])
    written(tmp_path, night)
    monkeypatch.setenv("SECONDSHIFT_LANG", "en")
    return entered(tmp_path, monkeypatch)


def shown(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert called(["show", *more]) == 0
    return capsys.readouterr().out


def test_show_has_a_view_of_the_layers_and_keeps_them_out_of_the_metrics(study: Path, capsys) -> None:
    view = shown(capsys, "t1", "--layers")
    assert "2 layers with 1,089 parameters" in view and "Linear" in view and "weight 32×33 bias 32" in view and "0.25" in view
    assert "층 2개" in shown(capsys, "t1", "--layers", "--lang", "ko")
    plain = shown(capsys, "t1")
    assert "show t1 --layers" in plain and "layer/fc1/dead" not in plain and "val_loss" in plain
    assert json.loads(shown(capsys, "t1", "--json"))["layers"][0]["name"] == "fc1"
    assert "has told nothing of its model" in shown(capsys, "t2", "--layers") and "--layers" not in shown(capsys, "t2")
