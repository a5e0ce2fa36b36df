"""Clocks: the host's never goes back, and the simulated one moves only when it is told to."""

import time

import pytest

from secondshift.runtime.clocks import HostClock, SimulatedClock


def test_the_host_clock_measures_durations_that_no_jump_of_the_wall_clock_changes() -> None:
    clock = HostClock()
    before = clock.boot()
    clock.sleep(0.02)
    assert 0.02 <= clock.boot() - before < 5
    assert clock.boot() > 0
    assert clock.wall() == pytest.approx(time.time(), abs=5)


def test_the_host_clock_does_not_sleep_for_less_than_nothing() -> None:
    begun = time.monotonic()
    HostClock().sleep(-5)
    assert time.monotonic() - begun < 1


def test_a_simulated_clock_stands_still_until_someone_sleeps_on_it() -> None:
    clock = SimulatedClock(1000.0)
    assert (clock.wall(), clock.boot()) == (1000.0, 1000.0)
    clock.sleep(3600)
    clock.sleep(-1)
    assert (clock.wall(), clock.boot()) == (4600.0, 4600.0)


def test_a_jump_of_the_simulated_wall_clock_leaves_durations_alone() -> None:
    clock = SimulatedClock(1000.0)
    clock.jump(-500)
    assert (clock.wall(), clock.boot()) == (500.0, 1000.0)
