"""The detectors of running trials: rows from what was recorded, however it was cut, and a rebuilt follower that says the same."""

from array import array
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.captain.watchkeeping import Watchkeeper
from secondshift.records import events as facts
from secondshift.records.incidents import Care
from secondshift.records.orders import Batch
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study

STUDY = Study(name="s", command="x", folder=".", objective=Objective(metric="val_loss"), horizon_steps=1000)


def logged(
    start: int, steps: list[int], *, attempt: str = "t1.a1", **metrics: list[float]
) -> tuple[facts.Event, list[Batch]]:
    """A fact with its points, as one reading brings them."""
    batches = [
        Batch(trial="t1", attempt=attempt, metric=name.replace("sys_", "sys/"), steps=array("q", steps[-len(values):]),
              values=array("d", values))
        for name, values in metrics.items()
    ]  # fmt: skip
    points = sum(len(batch.steps) for batch in batches)
    fact = facts.MetricsLogged(
        attempt=attempt, trial="t1", fragment="f", start=start, end=start + 1, points=points, crc=0
    )
    return facts.Event(seq=start + 1, at=0.0, token=1, kind="metrics.logged", payload=fact), batches


def findings(keeper: Watchkeeper) -> list[tuple]:
    state = State(study=STUDY, open={"t1": True}, care={"t1": Care(count=1)})
    found = keeper.looks(state).get("t1")
    return [(one.symptom, one.step, one.since, one.lasted) for one in found.findings] if found else []


def leak(keeper: Watchkeeper, cuts: list[int], *, sampled: bool) -> None:
    """A run of 400 steps that leaks from step 200 on, in readings that end at `cuts`."""
    bounds = [0, *sorted(set(cuts)), 400]
    for number, (first, end) in enumerate(pairwise(bounds)):
        steps = list(range(first, end))
        if not steps:
            continue
        memory = [50.0 + max(0, step - 200) * 0.5 for step in steps]
        more = {"sys_step_s": [0.01]} if sampled else {}
        event, batches = logged(number, steps, loss=[1.0 + 0.01 * (step % 7) for step in steps], rss_mb=memory, **more)
        keeper.take(STUDY, [event], batches)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.lists(st.integers(1, 399), max_size=12))
def test_the_cuts_of_the_readings_change_nothing(cuts):
    whole, cut = Watchkeeper(), Watchkeeper()
    leak(whole, [], sampled=False)
    leak(cut, cuts, sampled=False)
    assert findings(whole) == findings(cut) != []


def test_samples_beside_the_points_do_not_look_like_a_restart():
    plain, sampled = Watchkeeper(), Watchkeeper()
    leak(plain, list(range(20, 400, 20)), sampled=False)
    leak(sampled, list(range(20, 400, 20)), sampled=True)
    assert any(one[0] == "memory_leak" for one in findings(sampled))
    leaks = [[one for one in findings(keeper) if one[0] == "memory_leak"] for keeper in (plain, sampled)]
    assert leaks[0] == leaks[1]


def test_the_limit_that_a_supervisor_tells_makes_the_time_to_it_known():
    keeper = Watchkeeper()
    event, batches = logged(0, [0], sys_memory_limit_mb=[168.0])
    keeper.take(STUDY, [event], batches)
    leak(keeper, [], sampled=False)
    look = keeper.looks(State(study=STUDY, open={"t1": True}))["t1"]
    assert all("steps_to_limit" in one.evidence for one in look.findings if one.symptom == "memory_leak")


def test_a_follower_that_is_built_anew_offers_what_may_not_have_been_recorded():
    first, second = Watchkeeper(), Watchkeeper()
    leak(first, [], sampled=False)
    event, _ = logged(7, [400], loss=[1.0])
    assert second.unknown([event]) == ["t1"] and not first.unknown([event])
    steps = list(range(400))
    earlier, points = logged(0, steps, loss=[1.0 + 0.01 * (s % 7) for s in steps],
                             rss_mb=[50.0 + max(0, s - 200) * 0.5 for s in steps])  # fmt: skip
    second.catch_up(STUDY, [earlier], points, "t1")
    assert findings(first) == findings(second)


def test_a_disk_that_fills_is_seen_in_the_samples_of_the_supervisor():
    keeper = Watchkeeper()
    for number in range(40):
        steps = list(range(number * 10, number * 10 + 10))
        event, batches = logged(number, steps, loss=[1.0 + 0.01 * (s % 7) for s in steps],
                                sys_disk_free_mb=[8000.0 - 200.0 * number])  # fmt: skip
        keeper.take(STUDY, [event], batches)
    assert any(one[0] == "disk_filling" for one in findings(keeper))


def test_skipped_steps_and_the_entropy_of_labels_are_known_by_the_names_a_script_logs():
    keeper = Watchkeeper()
    steps = list(range(100))
    loss = [1.0 + 0.01 * (step % 7) for step in steps]
    skipped = [float(step in (1, 2) or step >= 60) for step in steps]
    entropy = [2.0 + 0.1 * (step % 5) if step < 80 else 0.01 for step in steps]
    event, batches = logged(0, steps, loss=loss, found_inf=skipped, label_entropy=entropy)
    keeper.take(STUDY, [event], batches)
    found = findings(keeper)
    assert ("overflow_skipping", 75, 60, 16) in found and ("one_class", 91, 80, 12) in found


def falling(first: int, end: int) -> dict[str, list[float]]:
    """A loss that falls to a tenth within 150 steps, and gradients that fall with it."""
    steps = range(first, end)
    loss = [0.2 + 2.0 * 0.985**step + 0.01 * (step % 7) for step in steps]
    return {"loss": loss, "grad_norm": [4.0 * value for value in loss]}


def test_a_trial_that_starts_again_from_its_first_step_is_no_rise_of_the_loss():
    """An opaque script has no other way on: its first losses must not be held against the last ones of the attempt before."""
    keeper = Watchkeeper()
    event, batches = logged(0, list(range(300)), **falling(0, 300))
    keeper.take(STUDY, [event], batches)
    assert findings(keeper) == []
    event, batches = logged(1, list(range(300)), attempt="t1.a2", **falling(0, 300))
    keeper.take(STUDY, [event], batches)
    assert findings(keeper) == []


def test_what_goes_wrong_after_a_trial_started_again_is_still_seen():
    keeper = Watchkeeper()
    for number, attempt in enumerate(("t1.a1", "t1.a2")):
        curves = falling(0, 300)
        if number:
            curves["loss"][250:] = [5.0 + 0.01 * (step % 7) for step in range(50)]
        event, batches = logged(number, list(range(300)), attempt=attempt, **curves)
        keeper.take(STUDY, [event], batches)
    assert ("spike", 250) in {(symptom, since) for symptom, _, since, _ in findings(keeper)}


def test_a_trial_that_resumes_from_a_checkpoint_is_held_to_what_it_had_learned():
    keeper = Watchkeeper()
    event, batches = logged(0, list(range(300)), **falling(0, 300))
    keeper.take(STUDY, [event], batches)
    event, batches = logged(1, list(range(280, 380)), attempt="t1.a2", loss=[2.2 + 0.01 * (step % 7) for step in range(100)])
    keeper.take(STUDY, [event], batches)
    assert any(symptom == "step_up" for symptom, *_ in findings(keeper))
