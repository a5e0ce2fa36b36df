from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.errors import LeaseLost
from secondshift.ledger.leases import Holder, Lease, LeaseWatch, read_fence, write_fence
from secondshift.ledger.sqlite import SqliteLedger
from secondshift.records.events import TrialClosed

HOLDER = Holder(host="h", pid=1)
OTHER = Holder(host="h", pid=2)


def lease(beat: int, token: int = 1) -> Lease:
    return Lease(token=token, holder=HOLDER, beat=beat)


def test_a_beat_that_stands_still_is_called_so_after_the_time_and_not_before() -> None:
    watch = LeaseWatch(standstill_s=15.0)
    seen = [watch.observe(lease(3), 100.0 + second) for second in range(17)]
    assert seen == [False] * 15 + [True, True]


def test_each_beat_and_each_new_holder_starts_the_time_anew() -> None:
    watch = LeaseWatch(standstill_s=3.0)
    assert not any(watch.observe(lease(second // 2), float(second)) for second in range(40))
    assert not any(watch.observe(lease(0, token=second), float(second)) for second in range(40))


def test_a_watcher_that_slept_together_with_the_holder_takes_nothing_over_on_waking() -> None:
    watch = LeaseWatch(standstill_s=15.0)
    watch.observe(lease(3), 0.0)
    assert not watch.observe(lease(3), 30_000.0)
    assert watch.still_s == 5.0


def test_a_clock_that_runs_backwards_counts_for_nothing() -> None:
    watch = LeaseWatch(standstill_s=1.0)
    assert not any(watch.observe(lease(3), -float(second)) for second in range(20))


def test_nobody_and_a_released_lease_are_never_called_stale() -> None:
    watch = LeaseWatch(standstill_s=1.0)
    released = Lease(token=1, holder=HOLDER, released=True)
    assert not any(watch.observe(released if second % 2 else None, float(second)) for second in range(20))


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 10)), max_size=60))
def test_stale_means_the_time_has_passed_since_the_last_beat(looks) -> None:
    watch, now, beat, since = LeaseWatch(standstill_s=12.0), 0.0, 0, 0.0
    watch.observe(lease(0), now)
    for beats, gap in looks:
        now += gap
        if beats:
            beat, since = beat + 1, now
        if watch.observe(lease(beat), now):
            assert now - since >= 12.0 - 1e-6


def test_the_fence_never_falls(tmp_path: Path) -> None:
    assert read_fence(tmp_path) == 0
    for token in (3, 2, 7, 5):
        write_fence(tmp_path, token)
    assert read_fence(tmp_path) == 7
    (tmp_path / "fence").write_text("rubbish")
    assert read_fence(tmp_path) == 0


def test_taking_the_lease_raises_the_fence_before_the_taker_can_act(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    assert ledger.take_lease(HOLDER, how_dead=lambda _: False).token == read_fence(tmp_path) == 1
    assert ledger.take_lease(OTHER, how_dead=lambda _: True).token == read_fence(tmp_path) == 2
    ledger.close()


def test_a_taker_that_was_overtaken_before_it_raised_the_fence_is_told_and_does_not_lower_it(tmp_path: Path) -> None:
    slow, fast = SqliteLedger(tmp_path), SqliteLedger(tmp_path)
    between: list[Lease] = []

    def overtaken(_: Lease) -> bool:
        return True

    class Slow(SqliteLedger):
        def _transaction(self):
            # The second transaction of take_lease is the one in which the fence is raised.
            if not between and (held := self.lease()) is not None and held.holder == HOLDER:
                between.append(fast.take_lease(OTHER, how_dead=overtaken))
            return super()._transaction()

    slow.close()
    slow = Slow(tmp_path)
    with pytest.raises(LeaseLost):
        slow.take_lease(HOLDER, how_dead=overtaken)
    assert between[0].token == read_fence(tmp_path) == 2
    slow.close()
    fast.close()


def test_a_ledger_begun_anew_in_an_old_folder_counts_tokens_on(tmp_path: Path) -> None:
    write_fence(tmp_path, 41)
    ledger = SqliteLedger(tmp_path)
    assert ledger.take_lease(HOLDER, how_dead=lambda _: False).token == 42
    ledger.close()


def test_an_engine_that_was_stopped_past_its_lease_cannot_write_through_its_old_connection(tmp_path: Path) -> None:
    stopped, challenger = SqliteLedger(tmp_path), SqliteLedger(tmp_path)
    old = stopped.take_lease(HOLDER, how_dead=lambda _: False)
    fact = TrialClosed(trial="t1", status="stopped", reason="x", decision="d1")
    stopped.append([fact], at=0.0, token=old.token)
    new = challenger.take_lease(OTHER, how_dead=lambda _: False, stale=challenger.lease())
    with pytest.raises(LeaseLost, match="h:2"):
        stopped.append([fact], at=0.0, token=old.token)
    challenger.append([fact], at=0.0, token=new.token)
    assert [event.token for event in challenger.read()] == [old.token, new.token]
    stopped.close()
    challenger.close()
