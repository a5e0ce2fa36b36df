"""Which trials may be compared: algebra over fingerprints."""

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.records.fingerprints import (
    comparable,
    difference,
    differences,
    digest_of,
    groups,
    that_matter,
)
from secondshift.records.trials import Trial

NAMES = ("python", "library.numpy", "data.train.bin", "host", "colocated", "platform", "code", "commit")
MARKS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("1", "2")))
ALGEBRA = settings(derandomize=True, deadline=None, max_examples=200)


def ran(name: str, *places: dict[str, str]) -> Trial:
    return Trial(id=name, candidate="c1", seed=0, fingerprints=tuple(digest_of(p) for p in places))


def known(*places: dict[str, str]) -> dict[str, dict[str, str]]:
    return {digest_of(p): p for p in places}


@ALGEBRA
@given(MARKS, MARKS)
def test_a_difference_is_symmetric_and_empty_exactly_for_equal_marks(one: dict[str, str], other: dict[str, str]) -> None:
    one, other = that_matter(one), that_matter(other)
    there, back = difference(one, other, timing=True), difference(other, one, timing=True)
    assert there == {k: (b, a) for k, (a, b) in back.items()}
    assert (not there) == (one == other) == (digest_of(one) == digest_of(other))
    assert difference(one, other).keys() <= there.keys()


@ALGEBRA
@given(st.lists(MARKS.map(that_matter), min_size=1, max_size=6), st.booleans())
def test_groups_split_the_trials_and_hold_just_those_that_may_be_compared(places: list[dict[str, str]], timing: bool) -> None:
    trials = [ran(f"t{n}", place) for n, place in enumerate(places)]
    split = groups(trials, known(*places), timing=timing)
    assert sorted(t.id for group in split for t in group) == [t.id for t in trials]
    for one in split:
        for other in split:
            for a, b in ((a, b) for a in one for b in other):
                assert comparable(a, b, known(*places), timing=timing) == (one is other)


@ALGEBRA
@given(MARKS)
def test_what_matters_matters_once(marks: dict[str, str]) -> None:
    assert that_matter(that_matter(marks)) == that_matter(marks)
    assert not that_matter(marks).keys() & {"platform", "code", "commit"}


def test_shared_devices_and_other_hosts_part_timings_but_not_results() -> None:
    alone, shared = {"python": "3.12", "host": "a"}, {"python": "3.12", "host": "a", "colocated": "2"}
    trials = [ran("t1", alone), ran("t2", shared)]
    assert len(groups(trials, known(alone, shared))) == 1
    assert len(groups(trials, known(alone, shared), timing=True)) == 2


def test_a_trial_that_was_resumed_elsewhere_differs_from_both_places() -> None:
    old, new = {"python": "3.11"}, {"python": "3.12"}
    moved, stayed = ran("t1", old, new), ran("t2", old)
    assert differences(moved, stayed, known(old, new)) == {"python": ("3.12", "3.11")}
    assert [len(group) for group in groups([moved, stayed, ran("t3", new)], known(old, new))] == [1, 1, 1]


def test_a_trial_whose_environment_nobody_saw_is_taken_for_alike() -> None:
    assert comparable(ran("t1"), ran("t2", {"python": "3"}), known({"python": "3"}))
