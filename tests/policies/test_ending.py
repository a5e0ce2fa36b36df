"""Where a run stands when it ends, and which rises are left to go away by themselves."""

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.captain import foreign
from secondshift.policies.captain.ladder import rung
from secondshift.policies.captain.symptoms.ending import BINS, Ending
from secondshift.policies.captain.symptoms.evaluation import Evaluation
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.following import Row, follow, start
from secondshift.policies.captain.watchkeeping import Watchkeeper
from secondshift.records import events as facts
from secondshift.records.incidents import Care
from secondshift.records.orders import Batch
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study


def curve(count: int, *rises: tuple[int, int, float], noise: float = 0.02) -> list[float]:
    """A falling curve with small even noise, and rises of so many points from a step on."""
    values, state = [], 7
    for step in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        more = sum(height for begin, lasts, height in rises if begin <= step < begin + lasts)
        values.append(0.5 + 2.0 * 0.95**step + more + noise * (state / 2**30 - 1.0))
    return values


def rows_of(values: list[float]) -> list[Row]:
    return [{"step": float(step), "loss": value, "grad_norm": 1.0 + 0.1 * (step % 3)} for step, value in enumerate(values)]


def ending_of(values: list[float], sign: float = 1.0, announced: tuple[int, ...] = ()) -> list[Finding]:
    state, _ = follow(start(goal="min" if sign > 0 else "max"), rows_of([sign * one for one in values]), announced=announced)
    return state.finish()


def test_a_run_that_ends_above_its_best_is_asked_about_when_it_ends_and_not_before() -> None:
    values = curve(100, (92, 8, 1.0))
    assert [one for one in follow(start(), rows_of(values))[1] if rung(one) != "note"] == []
    (found,) = ending_of(values)
    assert (found.symptom, found.step, rung(found)) == ("slow_divergence", 99, "ask")
    assert 92 <= found.since <= 95 and found.evidence["level"] > found.evidence["limit"] > found.evidence["best"]


def test_a_run_that_came_back_before_it_ended_is_not_asked_about() -> None:
    assert ending_of(curve(100)) == []
    assert ending_of(curve(100, (40, 20, 1.0))) == []
    assert ending_of(curve(2000, (1970, 3, 1.0))) == []


def test_a_last_rise_no_longer_than_twice_one_that_went_away_is_left() -> None:
    assert ending_of(curve(200, (60, 12, 1.0), (185, 15, 1.0))) == []
    assert len(ending_of(curve(200, (60, 12, 1.0), (160, 40, 1.0)))) == 1


def test_a_short_dip_below_the_limit_does_not_end_a_rise() -> None:
    dipped = curve(120, (60, 20, 1.0), (85, 35, 1.0))
    (found,) = ending_of(dipped)
    assert found.since < 65 and found.evidence["longest_before"] == 0.0


def test_the_best_before_an_announced_change_says_nothing_of_the_end() -> None:
    values = curve(200, (120, 80, 1.0))
    assert len(ending_of(values)) == 1
    assert ending_of(values, announced=(120,)) == []


def test_a_run_of_few_points_or_one_that_ended_in_nan_is_not_judged() -> None:
    assert ending_of(curve(20, (15, 5, 9.0))) == []
    assert [one.symptom for one in follow(start(), rows_of([*curve(60), float("nan")]))[0].finish()] == []


@settings(deadline=None, max_examples=30, derandomize=True)
@given(power=st.integers(-20, 20), begin=st.integers(30, 150), lasts=st.integers(1, 150))
def test_scale_and_direction_do_not_matter_at_the_end_either(power: int, begin: int, lasts: int) -> None:
    values = curve(160, (begin, lasts, 1.0))
    told = [(one.since, one.lasted, one.confidence) for one in ending_of(values)]
    assert told == [(one.since, one.lasted, one.confidence) for one in ending_of([value * 2.0**power for value in values])]
    assert told == [(one.since, one.lasted, one.confidence) for one in ending_of(values, sign=-1.0)]


def chances(count: int, state: int) -> list[float]:
    """Numbers from -1 to 1 that look drawn."""
    drawn = []
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        drawn.append(state / 2**30 - 1.0)
    return drawn


def test_a_rise_that_is_wild_for_most_of_a_run_is_asked_about_by_the_mean_of_a_longer_stretch() -> None:
    drawn, values = chances(100, 3), curve(100)
    for step in range(20, 100):
        values[step] += 4.0 * (1.0 + drawn[step]) * (1.0 if step % 3 else 0.2)
    state, _ = follow(start(), rows_of(values))
    (found,) = state.finish()
    assert rung(found) == "ask" and found.lasted >= 60 and not state.ending.near.stands()


def test_a_rise_below_the_limit_of_single_points_is_asked_about_where_all_that_was_gained_is_lost_again() -> None:
    drawn = chances(160, 5)
    learned = [-0.06 - 0.2 * min(1.0, step / 60) + 0.12 * drawn[step] for step in range(160)]  # a share, turned round
    state, _ = follow(start(), rows_of([value + (0.2 if step >= 112 else 0.0) for step, value in enumerate(learned)]))
    (found,) = state.finish()
    assert rung(found) == "ask" and found.since >= 112 and not state.ending.near.stands()
    assert ending_of(learned) == ending_of([value + (0.06 if step >= 112 else 0.0) for step, value in enumerate(learned)]) == []


def test_a_run_that_ends_while_it_is_coming_back_is_left_unless_it_stands_far_above() -> None:
    def back(height: float) -> list[float]:
        return [one + (height * 0.97 ** (step - 50) if step >= 50 else 0.0) for step, one in enumerate(curve(100, noise=0.1))]

    state, _ = follow(start(), rows_of(back(2.0)))
    assert state.finish() == [] and state.ending.wide.stands()
    assert [rung(one) for one in ending_of(back(9.0))] == ["ask"]


def test_a_run_that_blew_up_in_its_first_points_and_ends_far_above_its_start_is_asked_about_however_wild() -> None:
    drawn = chances(100, 9)
    lost = [2.3 if step < 8 else 2.3 + 1e9 * 0.9**step * (1.1 + drawn[step]) for step in range(100)]
    (found,) = ending_of(lost)
    assert rung(found) == "ask" and found.since <= 40 and found.evidence["level"] > 1e3
    mended = [value if step < 60 else 2.0 + 0.1 * drawn[step] for step, value in enumerate(lost)]
    assert ending_of(mended) == []


def test_the_first_points_after_an_announced_change_are_no_measure_of_the_end() -> None:
    drawn = chances(400, 9)
    values = [1e-4 if 200 <= step < 206 else 0.01 * (1.2 + drawn[step]) for step in range(400)]
    assert ending_of(values, announced=(200,)) == []


def test_the_memory_of_the_whole_curve_is_of_constant_size() -> None:
    ending = Ending()
    for step, value in enumerate(curve(9000)):
        ending.push(step, value)
        assert len(ending.bins) < BINS and len(ending.recent) <= 5 and len(ending.four) < 4 and len(ending.fours) <= 8


def test_a_rise_like_one_that_went_away_is_noted_and_one_of_twice_its_length_asks() -> None:
    first = (300, 80, 1.0)
    again = follow(start(), rows_of(curve(900, first, (600, 140, 1.0))))[1]
    assert any(one.symptom == "step_up" and one.lasted >= 128 and one.since >= 590 for one in again)
    assert {rung(one) for one in again} == {"note"}
    longer = follow(start(), rows_of(curve(900, first, (600, 300, 1.0))))[1]
    assert next((one.symptom, one.lasted) for one in longer if rung(one) == "ask") == ("step_up", 256)
    alone = follow(start(), rows_of(curve(900, (600, 140, 1.0))))[1]
    assert [(one.symptom, one.lasted) for one in alone if rung(one) == "ask"] == [("step_up", 128)]


def test_a_rise_that_is_coming_back_is_given_time() -> None:
    values = curve(600)
    for step in range(300, 600):
        values[step] += 1.2 * 0.97 ** (step - 300)
    found = follow(start(), rows_of(values))[1]
    assert ("step_up", 32, "note") in [(one.symptom, one.lasted, rung(one)) for one in found]
    assert {rung(one) for one in found} == {"note"} and any(one.lasted >= 64 and one.confidence >= 0.8 for one in found)


def shifts(evaluations: list[float], trains: list[float], raised: list[bool]) -> list[str]:
    memory = Evaluation()
    found = [
        one
        for step, (value, train, up) in enumerate(zip(evaluations, trains, raised, strict=True))
        for one in memory.push(step, value, train=train, train_noise=0.01, train_raised=up)
        if one.symptom == "evaluation_shift"
    ]
    return [rung(one) for one in found]


FALLING = [2.0 - 0.05 * step for step in range(20)]


def test_a_shift_of_evaluation_asks_only_where_it_does_not_come_back() -> None:
    began = [step == 12 for step in range(20)]
    back = [*FALLING[:12], *[1.6 + 1.5 * 0.8**step for step in range(8)]]
    stays = [*FALLING[:12], *[2.5] * 8]
    for up in (began, [False] * 20):  # training rose with it and came back, or for too few points to be told
        told = shifts(back, FALLING, up)
        assert told != [] and set(told) == {"note"}
        assert "ask" in shifts(stays, FALLING, up)


def test_a_slow_rise_of_evaluation_while_training_improves_is_noted_even_above_its_start() -> None:
    evaluations = [*FALLING[:10], *[1.5 + 0.6 * 1.8**step for step in range(10)]]
    told = shifts(evaluations, FALLING, [False] * 20)
    assert told != [] and set(told) == {"note"}
    assert "ask" in shifts(evaluations, [*FALLING[:10], *[FALLING[9]] * 10], [False] * 20)


def test_a_foreign_run_that_is_over_is_told_of() -> None:
    state, _ = foreign.see(foreign.watched(), rows_of(curve(100, (92, 8, 1.0))))
    (told,) = foreign.finish(state)
    assert (told.action, told.stream, told.evidence["ended"]) == ("ask", "loss", 1.0)


def test_a_trial_is_judged_once_when_the_last_step_of_its_horizon_was_logged() -> None:
    study = Study(name="s", command="x", folder=".", objective=Objective(metric="val_loss"), horizon_steps=100)
    keeper, values = Watchkeeper(), curve(101, (92, 9, 1.0))
    told = []
    for number, (first, end) in enumerate([(0, 99), (99, 100), (100, 101)]):
        steps = array("q", range(first, end))
        batch = Batch(trial="t1", attempt="t1.a1", metric="loss", steps=steps, values=array("d", values[first:end]))
        fact = facts.MetricsLogged(attempt="t1.a1", trial="t1", fragment="f", start=number, end=number + 1,
                                   points=len(steps), crc=0)  # fmt: skip
        keeper.take(study, [facts.Event(seq=number + 1, at=0.0, token=1, kind="metrics.logged", payload=fact)], [batch])
        look = keeper.looks(State(study=study, open={"t1": True}, care={"t1": Care(count=1)})).get("t1")
        told.append([one.symptom for one in look.findings if one.evidence.get("ended")] if look else [])
        keeper.told()
    assert told == [[], ["slow_divergence"], []]
