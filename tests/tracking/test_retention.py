"""Which checkpoints stay: bounded in number, the newest always, and something not much older for every age."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.tracking.retention import FACTOR, giving_up, kept

STEPS = st.sets(st.integers(0, 10_000), max_size=40)
GAPS = st.lists(st.integers(1, 30), min_size=1, max_size=150)


@settings(deadline=None, derandomize=True)
@given(STEPS, st.integers(0, 5), st.integers(0, 8))
def test_the_number_is_bounded_and_the_newest_are_always_kept(steps, newest, older):
    chosen = kept(steps, newest, older)
    assert chosen <= steps and len(chosen) == min(len(steps), max(1, newest) + older)
    assert set(sorted(steps)[-max(1, newest) :]) <= chosen


@settings(deadline=None, derandomize=True)
@given(STEPS, st.integers(0, 5))
def test_all_but_the_newest_are_given_up_one_after_the_other(steps, newest):
    gone = list(giving_up(steps, newest))
    assert len(gone) == len(set(gone)) == max(0, len(steps) - max(1, newest))
    assert steps - set(gone) == set(sorted(steps)[-max(1, newest) :])


@settings(deadline=None, derandomize=True)
@given(GAPS, st.integers(1, 4), st.integers(1, 8))
def test_for_every_age_a_kept_one_at_most_twice_as_old_exists_unless_nothing_was_saved_between(gaps, newest, older):
    saved: list[int] = []
    held: set[int] = set()
    for gap in gaps:
        saved.append((saved[-1] if saved else 0) + gap)
        held = kept({*held, saved[-1]}, newest, older)
        top, span = saved[-1], sorted(held, reverse=True)[newest - 1 :]
        for younger, elder in pairwise(span):
            near = [step for step in saved if elder < step < younger]
            assert not near or top - elder <= FACTOR * (top - younger), (gaps, span)


def test_with_equal_distances_so_many_reach_so_far_back():
    for older, reach in ((2, 3), (4, 8), (6, 18), (8, 37)):
        held: set[int] = set()
        for save in range(2000):
            held = kept({*held, save}, 2, older)
            assert save - min(held) >= min(save, reach), (older, save, sorted(held))
