"""Symptoms are causal and of constant size: any cuts, any scale and either direction give the same findings."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.captain.crashes import classify
from secondshift.policies.captain.diagnosis import diagnose
from secondshift.policies.captain.ladder import rung
from secondshift.policies.captain.symptoms.beats import crash_loop, silence
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.following import Row, follow, start
from secondshift.policies.captain.symptoms.numbers import Numbers
from secondshift.records.crashsigns import signs_in

RATE = 3e-4


def curve(seed: int, count: int = 600) -> list[float]:
    """A falling noisy curve from a fixed small generator."""
    state, values = seed * 2 + 1, []
    for step in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(0.3 + 2.0 * math.exp(-step / 120) + 0.05 * (state / 2**31 - 0.5))
    return values


def rows_of(values: list[float]) -> list[Row]:
    return [
        {"step": float(step), "loss": value, "grad_norm": 1.0 + 0.1 * abs(value), "lr": RATE, "step_time": 0.1 + value * 1e-3,
         "data_time": 0.01 + value * 1e-4, "rss_mb": 200.0, "distinct": 32.0,
         "label_entropy": abs(value) % 2.3, "skipped": float(value > 6.0), "gpu_mb": 900.0 + abs(value), "disk_free_mb": 9e4,
         "val_loss": value if step % 25 == 24 else None}
        for step, value in enumerate(values)
    ]  # fmt: skip


changes = st.lists(
    st.tuples(st.integers(0, 599), st.sampled_from([math.nan, math.inf, 50.0, 5.0, -1.0, 0.0])), max_size=12
)


def changed(seed: int, where: list[tuple[int, float]], step_up: int) -> list[float]:
    values = [value + (2.0 if step >= step_up else 0.0) for step, value in enumerate(curve(seed))]
    for at, value in where:
        values[at] = value
    return values


@given(
    seed=st.integers(0, 50), where=changes, step_up=st.integers(50, 900), cuts=st.lists(st.integers(0, 600), max_size=6)
)
@settings(max_examples=40, deadline=None)
def test_rows_in_any_cuts_give_the_same_findings_and_the_same_state(
    seed: int, where: list[tuple[int, float]], step_up: int, cuts: list[int]
) -> None:
    rows = rows_of(changed(seed, where, step_up))
    whole, expected = follow(start(), rows, announced=[300])
    state, found = start(), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(rows)], strict=True):
        state, part = follow(state, rows[begin:end], announced=[300])
        found += part
    assert repr(found) == repr(expected)  # as text, because NaN is not equal to itself
    assert repr(state) == repr(whole)


@given(seed=st.integers(0, 50), where=changes, step_up=st.integers(50, 900), sign=st.sampled_from([1.0, -1.0]))
@settings(max_examples=60, deadline=None)
def test_the_batch_form_of_a_metric_equals_the_one_by_one_form(
    seed: int, where: list[tuple[int, float]], step_up: int, sign: float
) -> None:
    values = [value * sign for value in changed(seed, where, step_up)]
    single, batch = Numbers(sign=sign), Numbers(sign=sign)
    expected = [one for step, value in enumerate(values) for one in single.push(step, value)]
    found = batch.push_many(range(len(values)), values)
    assert repr(found) == repr(expected)
    assert repr(batch) == repr(single)


@given(seed=st.integers(0, 50), power=st.integers(-20, 20), step_up=st.integers(50, 500))
@settings(max_examples=40, deadline=None)
def test_scale_and_direction_of_a_metric_do_not_matter(seed: int, power: int, step_up: int) -> None:
    values = changed(seed, [(450, 9.0)], step_up)
    plain = Numbers().push_many(range(len(values)), values)
    scaled = Numbers().push_many(range(len(values)), [value * 2.0**power for value in values])
    turned = Numbers(sign=-1.0).push_many(range(len(values)), [-value for value in values])
    told = [(one.symptom, one.step, one.since, one.confidence) for one in plain]
    assert told == [(one.symptom, one.step, one.since, one.confidence) for one in scaled]
    assert told == [(one.symptom, one.step, one.since, one.confidence) for one in turned]


def test_following_leaves_the_state_it_was_given_as_it_was() -> None:
    state = start()
    before = repr(state)
    follow(state, rows_of(curve(1)))
    assert repr(state) == before


def test_a_healthy_curve_has_no_findings() -> None:
    assert follow(start(), rows_of(curve(3)))[1] == []


def test_a_nan_is_found_at_its_first_point_and_stops_the_run() -> None:
    found = follow(start(), rows_of(changed(1, [(300, math.nan)], 999)))[1]
    assert (found[0].symptom, found[0].step, rung(found[0])) == ("non_finite", 300, "stop")


def test_a_step_up_is_still_suspicious_when_it_has_lasted_long() -> None:
    found = follow(start(), rows_of(changed(1, [], 300)))[1]
    last = [one for one in found if one.symptom == "step_up"][-1]
    assert last.lasted >= 128 and last.evidence["before"] < 1.0
    assert 292 < last.since <= 300  # at most a block before: a roll-back goes to before the first suspicious step
    assert rung(last) == "ask"


def test_an_announced_change_is_absorbed() -> None:
    rows = rows_of(changed(1, [], 300))
    assert [one.symptom for one in follow(start(), rows, announced=[300])[1]] == []


def test_a_jump_of_the_learning_rate_explains_a_rise() -> None:
    rows = [dict(row) for row in rows_of(changed(1, [], 300))]
    for row in rows[299:]:
        row["lr"] = 100 * RATE
    diagnosis = diagnose(follow(start(), rows)[1])
    assert diagnosis is not None and diagnosis.cause == "learning_rate_too_high"


def test_silence_is_measured_against_the_longest_normal_gap() -> None:
    assert silence(now_s=100.0, last_beat_s=0.0, longest_gap_s=30.0, step=5) == []
    assert [one.symptom for one in silence(now_s=130.0, last_beat_s=0.0, longest_gap_s=30.0, step=5)] == ["silence"]


def test_three_starts_without_progress_are_a_crash_loop() -> None:
    assert crash_loop([10, 20, 30]) == []
    assert [one.symptom for one in crash_loop([10, 10, 10])] == ["crash_loop"]


def test_persistence_carries_a_finding_up_the_ladder() -> None:
    finding = Finding(
        symptom="step_up", stream="loss", step=9, since=1, lasted=16, confidence=0.95, evidence={"level": 2.0}
    )
    assert rung(finding) == "note"
    assert rung(replace(finding, lasted=64)) == "ask"


CAUGHT = ["ERROR:root:Unable to import wandb.", "Traceback (most recent call last):", '  File "a.py", line 1, in <module>',
          "    import wandb", "ModuleNotFoundError: No module named 'wandb'"]  # fmt: skip


@pytest.mark.parametrize(
    ("tail", "name", "again"),
    [
        (["final score: 0.1"], "benign_only", False),
        (["Traceback (most recent call last):", "torch.OutOfMemoryError: CUDA out of memory."], "oom", True),
        (["Traceback (most recent call last):", "ImportError: cannot import name 'x'"], "launch_config_error", True),
        (["ChildFailedError:", "exitcode  : -6 (pid: 4)"], "sigabrt", False),
        (["step: 10", "Traceback (most recent call last):", "ConnectionError: reset"], "network", False),
    ],
)
def test_a_crash_is_classed_by_its_root_and_not_by_a_caught_import(tail: list[str], name: str, again: bool) -> None:
    crash = classify(CAUGHT, tail)
    assert (crash.name, crash.deterministic) == (name, again)


def test_a_root_that_stands_far_from_the_end_is_known_by_the_signs_of_the_whole_log() -> None:
    log = ["I0101 10:00:00 start", *["step: 1"] * 5, "torch.OutOfMemoryError: CUDA out of memory.", *["other rank"] * 80]
    tail = ["ChildFailedError:", "exitcode  : 1 (pid: 4)"]
    assert classify(CAUGHT, tail).name == "launch_config_error"
    crash = classify(CAUGHT, tail, signs=signs_in(log))
    assert (crash.name, crash.deterministic, crash.role) == ("oom", True, "cascade")
    watchdog = signs_in([*log, "Watchdog caught collective operation timeout"])
    assert classify(CAUGHT, tail, signs=watchdog).name == "nccl_watchdog_after_cuda_error"


def test_a_process_that_lived_for_long_did_not_fail_at_its_launch() -> None:
    tail = ["Traceback (most recent call last):", "ChildFailedError:", "  time      : 2025-03-16_10:53:54"]
    assert classify(["I0316 10:53:30.1 1 a.py:1] start"], tail).name == "launch_config_error"
    assert classify(["I0316 10:35:19.1 1 a.py:1] start"], tail).name == "script_error"


def test_an_empty_loss_where_every_row_of_training_had_one_is_a_nan() -> None:
    rows = [dict(row) for row in rows_of(curve(1))]
    rows[300] |= {"loss": None, "grad_norm": None}
    assert [(one.symptom, one.step) for one in follow(start(), rows)[1]] == [("non_finite", 300)]
    sparse: list[Row] = [row | {"loss": row["loss"] if number % 5 == 0 else None} for number, row in enumerate(rows)]
    assert "non_finite" not in [one.symptom for one in follow(start(), sparse)[1]]


def test_returns_that_stand_still_or_fall_for_good_never_ask() -> None:
    still: list[Row] = [{"step": float(step), "loss": -100.0 + (step > 400 and step % 3)} for step in range(900)]
    falling: list[Row] = [{"step": float(step), "loss": 50.0 * (step < 500) + step % 7} for step in range(900)]
    for rows in (still, falling):
        found = follow(start(goal="max"), rows)[1]
        assert found != [] and {rung(one) for one in found} == {"note"}


def test_a_rise_that_fills_a_third_of_a_short_run_asks() -> None:
    rows: list[Row] = [{"step": float(step), "loss": value + (2.0 if step >= 60 else 0.0)}
                       for step, value in enumerate(curve(2, 130))]  # fmt: skip
    found = follow(start(), rows)[1]
    assert [(one.symptom, one.step, one.lasted) for one in found if rung(one) == "ask"] == [("step_up", 127, 64)]
    assert ("step_up", 32, "note") in [(one.symptom, one.lasted, rung(one)) for one in found]


def test_a_run_that_hardly_moves_has_not_learned_though_it_still_moves() -> None:
    noise = [0.002 * (value - 0.3 - 2.0 * math.exp(-step / 120)) / 0.05 for step, value in enumerate(curve(3, 400))]
    flat = [2.50 - 4e-5 * step + at for step, at in enumerate(noise)]  # 0.6 % in 400 steps, many times its noise
    learns = [2.50 - 4e-4 * step + at for step, at in enumerate(noise)]
    told = [
        [one.step for one in follow(start(), [{"step": step, "loss": value} for step, value in enumerate(values)])[1]
         if one.symptom == "not_learning"]
        for values in (flat, learns)
    ]  # fmt: skip
    assert told == [[383], []]


def test_one_high_point_is_told_alone_only_where_it_is_far_above_the_limit() -> None:
    numbers = Numbers()
    values = curve(4, 200)
    for step, value in enumerate(values):
        numbers.push(step, value)
    level, limit = numbers.level.level, numbers.level.limit
    near, far = level + 2.0 * (limit - level), level + 3.0 * (limit - level)
    assert numbers.copy().push(200, near) == []
    assert [one.symptom for one in numbers.copy().push(200, far)] == ["spike"]
    twice = numbers.copy()
    assert [len(twice.push(step, near)) for step in (200, 201)] == [0, 1]


def test_a_run_that_blew_up_at_its_start_and_moves_a_little_is_noted_and_one_that_stands_is_asked_about() -> None:
    noise = [0.002 * (value - 0.3 - 2.0 * math.exp(-step / 120)) / 0.05 for step, value in enumerate(curve(3, 400))]
    told = []
    for slope in (4e-5, 0.0):
        values = [2.50 + 1.0 * (4 <= step < 20) - slope * step + at for step, at in enumerate(noise)]
        found = follow(start(), [{"step": step, "loss": value} for step, value in enumerate(values)])[1]
        told.append([(one.step, rung(one)) for one in found if one.symptom == "not_learning"][-1])
    assert told == [(383, "note"), (383, "ask")]
