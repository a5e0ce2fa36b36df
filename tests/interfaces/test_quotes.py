"""`run --quote`: what a night may cost, in words and in JSON, without beginning one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from secondshift.interfaces.cli.main import called
from secondshift.interfaces.cli.narration import Narrator
from secondshift.records.events import Event, ShiftStarted
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Agent, Objective, Study

STUDY = """
command = "python train.py --lr {lr} --seed {seed}"
[objective]
metric = "loss"
[horizon]
steps = 4
[search]
lr = { low = 1e-3, high = 1.0, log = true, default = 0.1 }
[evaluate]
command = ["python", "eval.py", "{artefact}"]
[agent]
command = ["my-agent", "{brief_file}"]
price_per_call_usd = 0.5
money_usd = 15
[budget]
device_hours = 40
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("train.py", "eval.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "secondshift.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANG", raising=False)
    yield tmp_path


def test_it_says_calls_and_devices_and_counts_what_waits_in_the_inbox(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called(["idea", "try label smoothing"])
    capsys.readouterr()
    assert called(["run", "--quote"]) == 0
    said = capsys.readouterr().out
    assert "At most $15.00 is set aside for agents' calls: 30 calls at $0.50." in said
    assert "1 idea in words waits for the agent: 1 to 2 calls." in said and "40 h at most" in said
    assert not (study / ".secondshift" / "ledger.db").exists(), "nothing was begun"
    called(["run", "--quote", "--for", "2h", "--slots", "3", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["quote"]["device_s"] == 3 * 7200.0 and found["quote"]["calls"]["waiting"] == 1


def test_it_speaks_korean(study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SECONDSHIFT_LANG", "ko")
    called(["run", "--quote"])
    assert "에이전트 호출에 떼어 두는 금액: 많아야 $15.00" in capsys.readouterr().out


def test_a_shift_says_what_it_may_cost_when_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    shift = Shift(id="s1", started_at=0.0, deadline_at=7200.0, slots=2)
    agent = Agent(command=("a", "{brief_file}"), turns=24)
    plain = Study(name="s", command="t", folder=".", objective=Objective(metric="loss"), horizon_steps=4, agent=agent)
    Narrator("en")(
        State(study=plain, shift=shift, now_s=7000.0),  # of another moment: what counts is when it began
        [Event(seq=3, at=0.0, token=1, kind="shift.started", payload=ShiftStarted(shift=shift))],
    )
    said = capsys.readouterr().out
    assert "24 turns of a subscription at most" in said and "Device time: 4 h at most" in said
