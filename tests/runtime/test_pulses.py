"""A silence of a running script is seen within a few of its longest gaps, read to the last, and told once."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.ledger.fold import fold
from secondshift.policies.captain.ladder import rung
from secondshift.policies.captain.observing import decide
from secondshift.records import events as facts
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Attempt, Trial
from secondshift.runtime.executors.simulated import SimulatedExecutor
from secondshift.runtime.pulses import GAPS, LEAST_S, Pulses

STUDY = Study(name="s", command="x", folder=".", objective=Objective(metric="loss"), horizon_steps=900)


class Script(SimulatedExecutor):
    """Says only how much was written."""

    def __init__(self) -> None:
        self.size = 0

    def written(self, attempt: str) -> Mapping[str, int]:
        return {"1-a.frag": self.size}


class Night:
    """One script that logs at given times, and an engine that reads it only every `pace_s` unless it is told to hurry."""

    def __init__(self, *, pace_s: float) -> None:
        trial = Trial(id="t1", candidate="c1", seed=0, status="running")
        attempt = Attempt(id="t1.a1", trial="t1", number=1, status="running", started_at=1.0)
        self.state = State(
            study=STUDY, shift=Shift(id="s1", started_at=0.0, slots=1), trials={"t1": trial}, attempts={"t1.a1": attempt}
        )
        self.script, self.pulses, self.pace_s, self.seq = Script(), Pulses(), pace_s, 0
        self.unread: list[float] = []
        self.told: list[tuple[float, facts.AttemptQuiet]] = []

    def record(self, fact: facts.Payload, at: float) -> None:
        self.seq += 1
        kind = facts.KIND_OF[type(fact)]
        self.state = fold(self.state, [facts.Event(seq=self.seq, at=at, token=1, kind=kind, payload=fact)])

    def log(self, at: float) -> None:
        self.script.size += 1
        self.unread.append(at)

    def tick(self, now: float) -> None:
        for fact in self.pulses.listen(self.state, self.script, now):
            self.told.append((now, fact))
            self.record(fact, now)
        due = now - self.pulses.collected.get("t1.a1", -1e9) >= self.pace_s
        if due and self.unread:
            self.pulses.collected["t1.a1"] = now
            times, self.unread = self.unread, []
            gap = max((b - a for a, b in itertools.pairwise(times)), default=0.0)
            self.record(facts.MetricsLogged(
                attempt="t1.a1", trial="t1", fragment="1-a.frag", start=0, end=self.script.size, points=len(times), crc=0,
                first_s=times[0], last_s=times[-1], gap_s=gap,
            ), now)  # fmt: skip

    def run(self, logs: Sequence[float], until: float) -> None:
        pending = list(logs)
        for turn in range(10, int(until * 10)):
            while pending and pending[0] <= turn / 10:
                self.log(pending.pop(0))
            self.tick(turn / 10)


def every(step_s: float, until: float) -> list[float]:
    return [1.0 + turn * step_s for turn in range(1, int((until - 1.0) / step_s))]


def test_a_silence_is_told_within_five_longest_gaps_though_points_are_read_seldom() -> None:
    night = Night(pace_s=10.0)
    logs = every(0.5, 43.0)
    night.run(logs, 60.0)
    assert len(night.told) == 1
    assert GAPS * 0.5 < night.told[0][0] - logs[-1] <= 5.0 * 0.5


def test_a_healthy_script_is_never_told_of_however_seldom_it_is_read() -> None:
    night = Night(pace_s=10.0)
    night.run(every(0.3, 200.0), 199.0)
    assert night.told == []


def test_what_is_seen_is_noted_and_nothing_is_done_about_it() -> None:
    night = Night(pace_s=1.0)
    night.run(every(0.1, 20.0), 22.0)
    seen = [one for decision in decide(replace(night.state, now_s=22.0)) for one in decision.findings]
    assert [(one.symptom, one.lasted, rung(one)) for one in seen] == [("silence", 0, "note")]
    assert 1.0 < seen[0].evidence["silent_s"] < 4.0 and 0.09 < seen[0].evidence["longest_normal_gap_s"] < 0.11


def test_what_is_believed_later_is_a_finding_of_its_own() -> None:
    night = Night(pace_s=1.0)
    night.run(every(0.1, 20.0), 22.0)
    later = [one for decision in decide(replace(night.state, now_s=60.0)) for one in decision.findings]
    assert [(one.lasted > 0, rung(one)) for one in later] == [(False, "note"), (True, "ask")]


def test_points_end_a_silence_and_the_next_one_must_be_longer() -> None:
    night = Night(pace_s=0.5)
    first, second = every(0.1, 10.0), [at + 12.0 for at in every(0.1, 10.0)]
    night.run([*first, *second], 24.0)
    assert len(night.told) == 1 and night.state.attempts["t1.a1"].quiet_since == 0.0
    assert night.state.attempts["t1.a1"].beat_gap_s >= second[0] - first[-1] - 0.01


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.05, 30.0), min_size=1, max_size=30))
def test_false_notes_are_few_because_each_silence_that_ended_is_normal_from_then_on(gaps: list[float]) -> None:
    logs, at = every(0.2, 5.0), 5.0
    for gap in gaps:
        at += gap
        logs.append(at)
    night = Night(pace_s=2.0)
    night.run(logs, at + 0.1)
    allowed = [fact.allowed_s for _, fact in night.told]
    assert all(b >= GAPS * a * 0.9 for a, b in itertools.pairwise(allowed))
    assert len(allowed) <= 4  # from LEAST_S, times GAPS each, up to the longest gap
    assert min(allowed, default=LEAST_S) >= LEAST_S
