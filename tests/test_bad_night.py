"""A scripted bad night: the real engine and a real SQLite ledger on a simulated clock, five troubles, and one page at most."""

import re
from datetime import date, time

import numpy as np

import simulated_nights
from secondshift.interfaces.brief.write import write_brief
from secondshift.ledger.opening import open_ledger
from secondshift.records import calls
from secondshift.records import events as facts
from secondshift.records.studies import Budget, Launch, Oncall, Person, Policy, Quiet, Rota
from secondshift.replay import replay
from secondshift.runtime.executors.simulated import Mishap
from simulated_nights import Night, acknowledging, raised, study

STEPS, ONSET = 1200, 500
MINA = Person(name="mina", quiet=Quiet(begins=time(7), ends=time(17)), channels=("file:/nowhere",))  # the night is at 8:00 UTC
ROTA = Rota(people={"mina": MINA}, order=("mina",), starts=date(2027, 1, 11), zone="UTC")
MAY = ("retry_infrastructure", "roll_back", "roll_back_skip", "roll_back_lower_rate", "restart")


def troubled(order) -> dict[str, np.ndarray]:
    """t1 meets a bad shard, which skipping mends; t5 has wrong labels for good."""
    return raised(order, steps=STEPS, onset=ONSET, trials=("t1", "t5"), skipped=order.trial == "t1")


def test_five_troubles_of_one_night_are_met_with_at_most_one_page_and_a_note_that_a_colleague_can_act_on(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(simulated_nights, "curve", troubled)
    (tmp_path / "spool/tmp").mkdir(parents=True)
    question = study(
        horizon_steps=STEPS, budget=Budget(trials=5), policy=Policy(searcher="random", scheduler="fifo", max_failure_rate=1.0),
        may=MAY, launch=Launch(slots=5, checkpoint_every_s=60), oncall=Oncall(rota=ROTA, sleep_worth=0.05),
    )  # fmt: skip
    mishaps = {
        "t2": [Mishap(kind="hang", at_step=300)],
        "t3": [Mishap(kind="crash", at_step=400)],
        "t4": [Mishap(kind="fail", at_step=200, attempt=0)],
    }
    ledger = open_ledger(tmp_path)
    night = Night(tmp_path, question, ledger=ledger, mishaps=mishaps, slots=5)
    acknowledging(night)
    state = night.run()

    opened = [fact.incident for fact in night.payloads(facts.IncidentOpened) if fact.incident.cause]
    assert sorted(one.subject for one in opened) == ["t1", "t2", "t3", "t4", "t5"], "one incident for one trouble"
    assert {name: state.trials[name].status for name in ("t1", "t2", "t3", "t4", "t5")} == {
        "t1": "complete", "t2": "complete", "t3": "complete", "t4": "failed", "t5": "complete",
    }  # fmt: skip
    weighed = night.payloads(calls.PageWeighed)
    pages = [fact.page for fact in weighed if fact.page.verdict == "page"]
    assert [page.incident for page in pages] == [one.id for one in opened if one.subject == "t5"]
    assert replay(ledger).holds

    files = write_brief(tmp_path, ledger, state, "s1")
    korean = next((tmp_path / name).read_text("utf-8") for name in files if name.endswith(".ko.md"))
    english = [line for line in korean.splitlines() if re.search(r"(?:[A-Za-z]{2,} ){3}", line)]
    assert english == [], "what was recorded in English is said in Korean"
    note = next((tmp_path / name).read_text("utf-8") for name in files if name.endswith("handover.md"))
    asked = next(one for one in opened if one.subject == "t5")
    line = next(line for line in note.splitlines() if f"{asked.id} (t5)" in line)
    assert "in doubt" in line and "Look first at" in line and "Tried: " in line, line
    ledger.close()
