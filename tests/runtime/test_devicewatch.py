"""A study that waits for devices says so and for whom, once, and says when it is over."""

from collections.abc import Mapping
from dataclasses import replace

from secondshift.ledger.fold import fold
from secondshift.records import events as facts
from secondshift.records.nights import Shift
from secondshift.records.states import State
from secondshift.records.trials import Attempt
from secondshift.runtime.devicewatch import LONGEST_S, PATIENCE_S, STAYS_S, DeviceWatch

OTHERS = {"cpu-0": "t3.a1 of the study in /home/minji/digits"}


class Host:
    """An executor as far as a watch asks: which devices are free, and which others hold."""

    def __init__(self, free: tuple[str, ...] = (), held: Mapping[str, str] = OTHERS) -> None:
        self.free, self.by = free, held

    def devices(self) -> tuple[str, ...]:
        return self.free

    def held(self) -> Mapping[str, str]:
        return self.by


def look(watch: DeviceWatch, state: State, host: Host, at: float) -> tuple[State, list[facts.Payload]]:
    """One look, its facts folded in."""
    made = list(watch.check(state, host, boot_s=at, now_s=at))  # type: ignore[arg-type]  # asks two things only
    events = [
        facts.Event(seq=state.last_seq + n + 1, at=at, token=1, kind=facts.KIND_OF[type(p)], payload=p)
        for n, p in enumerate(made)
    ]
    return fold(state, events), made


def on_shift(slots: int = 2) -> State:
    return State(shift=Shift(id="s1", started_at=0.0, slots=slots))


def test_a_shortage_is_told_with_its_holder_after_a_while_and_only_once() -> None:
    watch, state, host = DeviceWatch(), on_shift(), Host()
    told = []
    for second in range(60):
        state, made = look(watch, state, host, float(second))
        told += [(second, fact) for fact in made]
    [(second, fact)] = told
    assert second >= PATIENCE_S and isinstance(fact, facts.IncidentOpened)
    assert "t3.a1 of the study in /home/minji/digits" in fact.incident.finding and "cpu-0" in fact.incident.finding


def test_it_is_closed_when_a_device_is_free_or_the_shift_ends() -> None:
    for later in (Host(free=("cpu-0",), held={}), None):
        watch, state = DeviceWatch(), on_shift()
        state, _ = look(watch, state, Host(), 0.0)
        state, opened = look(watch, state, Host(), PATIENCE_S)
        assert len(opened) == 1
        if later is None:
            state = fold(state, [])
            state = State(shift=state.shift, ending="stopped", incidents=state.incidents, last_seq=state.last_seq)
        state, closed = look(watch, state, later or Host(), PATIENCE_S + 1)
        assert [type(fact) for fact in closed] == [facts.IncidentClosed] and not state.incidents


def test_a_free_device_or_one_held_by_nobody_else_is_no_shortage() -> None:
    for host in (Host(free=("cpu-1",)), Host(held={})):
        watch, state = DeviceWatch(), on_shift()
        assert not any(look(watch, state, host, float(at))[1] for at in range(100))


def test_two_studies_that_take_turns_do_not_fill_the_ledger() -> None:
    watch, state, opened = DeviceWatch(), on_shift(), 0
    for at in range(8 * 3600):
        turn = Host() if at % 60 < 55 else Host(free=("cpu-0",), held={})
        state, made = look(watch, state, turn, float(at))
        opened += sum(isinstance(fact, facts.IncidentOpened) for fact in made)
    assert 1 <= opened <= 8 and LONGEST_S > 55


class Seeing(Host):
    """A host that also sees what befalls its devices."""

    def __init__(self) -> None:
        super().__init__(free=("GPU-1",), held={})
        self.seen: dict[str, str] = {}

    def troubles(self) -> Mapping[str, str]:
        return self.seen


def test_a_person_who_wants_the_machine_back_is_heard_at_once_and_the_end_of_it_too() -> None:
    watch, state, host = DeviceWatch(), on_shift(), Seeing()
    host.seen, host.free, host.by = {"yield:host": "minji asked for it"}, (), {"GPU-1": "minji asked for it"}
    state, made = look(watch, state, host, 0.0)
    assert [i.subject for i in state.incidents.values()] == ["yield:host"]
    for second in range(1, 60):
        state, made = look(watch, state, host, float(second))
        assert not made, "that no device is free was said already"
    host.seen = {}
    state, made = look(watch, state, host, 61.0)
    assert [type(fact) for fact in made] == [facts.IncidentClosed] and not state.incidents


def test_a_stranger_counts_only_where_a_trial_of_ours_runs_and_if_he_stays() -> None:
    watch, host = DeviceWatch(), Seeing()
    attempt = Attempt(id="t1.a1", trial="t1", number=1, devices=("GPU-1.2",))
    state = State(shift=Shift(id="s1", started_at=0.0, slots=2), attempts={"t1.a1": attempt})
    host.seen = {"yield:GPU-1": "process 7", "yield:GPU-2": "process 8", "memory:GPU-3": "8 GiB are gone"}
    state, _ = look(watch, state, host, 0.0)
    assert [i.subject for i in state.incidents.values()] == ["memory:GPU-3"]
    state, _ = look(watch, state, host, STAYS_S)
    assert [i.subject for i in state.incidents.values()] == ["memory:GPU-3", "yield:GPU-1"]
    assert sorted(state.incidents) == ["i1", "i2"]
    state, _ = look(watch, replace(state, attempts={}), host, STAYS_S + 1)
    assert len(state.incidents) == 2, "the trial has left; the stranger has not"
    host.seen = {}
    state, _ = look(watch, state, host, STAYS_S + 2)
    assert not state.incidents
