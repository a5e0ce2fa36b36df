"""The demo runs for real, and a training script that is broken makes it fail."""

import json
import re
from pathlib import Path

import pytest

from secondshift.errors import SecondshiftError
from secondshift.interfaces.demo import night
from secondshift.interfaces.demo.night import demo

SOURCE = str(Path(night.__file__).parents[3])


@pytest.fixture(autouse=True)
def own_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices of this test's own, and our source for the processes it starts."""
    monkeypatch.setenv("PYTHONPATH", SOURCE)
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "devices"))


@pytest.mark.slow
@pytest.mark.timeout(300)  # a real night, a study of ideas and a drill
def test_a_short_demo_does_all_its_drills_and_passes_its_own_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(night, "DEVICE_S", 12.0)
    monkeypatch.setattr(night, "KILL_AFTER", 3)
    code = demo(seed=3, folder=tmp_path / "a demo", json=True)
    out, story = capsys.readouterr()
    found = json.loads(out)
    assert code == 0 and found["ok"] and found["problems"] == [], story
    assert set(found["drills"]) == {"worker killed", "worker resumed", "crash in halving", "engine killed", "captain"}
    assert [half["key"] for half in found["halves"]] == ["random", "halving"]
    assert all(half["device_s"] < 12.0 + 4.0 and half["value"] for half in found["halves"])
    assert all(Path(file).exists() for file in found["briefs"]) and len(found["briefs"]) == 16
    real = [line for line in story.splitlines() if line.startswith("REAL ")][1:]
    assert len(real) > 20 and all(re.match(r"REAL +pid [1-9]\d* +(event [1-9]\d*|doctor) +\S", line) for line in real)
    assert "the tier cooperative is proved" in story and "interrupted and resumed" in story
    for key in ("random", "halving"):
        brief = (tmp_path / "a demo" / key / ".secondshift" / "briefs" / "s1.md").read_text("utf-8")
        assert "`secondshift doctor`" not in brief, "its tier was proved before it began"
    assert "# Brief of digits-halving" in story and "Failed, and why" in story


def test_a_broken_training_script_makes_the_demo_fail_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(night, "DEVICE_S", 30.0)
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no digits in this house')\n")
    assert demo(seed=0, folder=tmp_path / "demo", script=broken) == 1
    told = capsys.readouterr().out
    assert "The demo failed" in told and "no digits in this house" in told


def test_a_folder_with_something_in_it_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(SecondshiftError, match="not empty"):
        demo(folder=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]
