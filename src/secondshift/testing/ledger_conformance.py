"""What every ledger must do: tests that a store of your own inherits and passes.

class TestMyStore(LedgerConformance):
    def make(self, folder):
        return MyStore(folder / "facts")

    def reopen(self, ledger, folder):      # leave out for a store that is gone with its process
        ledger.close()
        return MyStore(folder / "facts")
"""

import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from secondshift.errors import LeaseHeld, LeaseLost
from secondshift.ledger.batches import crc
from secondshift.ledger.leases import Holder, Lease
from secondshift.ledger.stores import Ledger
from secondshift.records.decisions import stop
from secondshift.records.events import (
    DecisionMade,
    IncidentClosed,
    MemoRemembered,
    MetricsLogged,
    Payload,
    PointsDropped,
    TickDecided,
    TrialClosed,
)
from secondshift.records.orders import Batch
from secondshift.records.trials import Summary

HERE = Holder(host="here", pid=11, start_ticks=5, boot_id="b1")
THERE = Holder(host="there", pid=22, start_ticks=6, boot_id="b2")


def alive(_: Lease) -> bool:
    """Say that no holder is provably dead."""
    return False


def dead(_: Lease) -> bool:
    """Say that every holder is provably dead."""
    return True


def closed(trial: str, reason: str = "enough") -> Payload:
    """Make a small fact about a trial."""
    return TrialClosed(trial=trial, status="stopped", reason=reason, decision="d1")


def logged(trial: str, points: int, *, attempt: int = 1, start: int = 0) -> Payload:
    """Make the fact that comes with points."""
    return MetricsLogged(
        attempt=f"{trial}.a{attempt}",
        trial=trial,
        fragment="main.frag",
        start=start,
        end=start + 10,
        points=points,
        crc=0,
    )


def batch(
    trial: str, steps: Sequence[int], values: Sequence[float], *, metric: str = "loss", attempt: int = 1
) -> Batch:
    """Make points of one metric."""
    return Batch(
        trial=trial, attempt=f"{trial}.a{attempt}", metric=metric, steps=array("q", steps), values=array("d", values)
    )


class LedgerConformance:
    """Inherit, say how to make a ledger, and run pytest."""

    def make(self, folder: Path) -> Ledger:
        """Return a new, empty ledger; `folder` is an empty folder it may use."""
        raise NotImplementedError("Return a new, empty ledger of your store from make(self, folder).")

    def reopen(self, ledger: Ledger, folder: Path) -> Ledger | None:
        """Close a ledger and open it again; None for a store that does not outlive its process."""
        return None

    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[Ledger]:
        """Yield a new ledger, and close it in the end."""
        made = self.make(tmp_path)
        yield made
        made.close()

    @pytest.fixture
    def token(self, ledger: Ledger) -> int:
        """Take the lease of the ledger."""
        return ledger.take_lease(HERE, how_dead=alive).token

    # -- facts

    def test_a_new_ledger_holds_nothing(self, ledger: Ledger) -> None:
        assert ledger.last_seq() == 0
        assert list(ledger.read()) == []
        assert ledger.lease() is None
        assert ledger.metrics("t1") == []
        assert len(ledger.series("t1", "loss")) == 0

    def test_facts_are_numbered_from_one_without_gaps(self, ledger: Ledger, token: int) -> None:
        first = ledger.append([closed("t1"), closed("t2")], at=1.0, token=token)
        second = ledger.append([closed("t3")], at=2.0, token=token)
        assert [event.seq for event in first + second] == [1, 2, 3]
        assert ledger.last_seq() == 3

    def test_what_is_read_is_what_append_returned(self, ledger: Ledger, token: int) -> None:
        written = ledger.append([closed("t1"), logged("t1", 0)], at=12.5, token=token)
        assert list(ledger.read()) == written
        assert written[0].at == 12.5
        assert written[0].token == token
        assert written[0].kind == "trial.closed"

    def test_reading_begins_after_and_ends_with_the_given_numbers(self, ledger: Ledger, token: int) -> None:
        ledger.append([closed(f"t{i}") for i in range(1, 8)], at=0.0, token=token)
        assert [event.seq for event in ledger.read(2, until=5)] == [3, 4, 5]
        assert [event.seq for event in ledger.read(5)] == [6, 7]
        assert list(ledger.read(7)) == []
        assert [event.seq for event in ledger.read(0, until=99)] == [1, 2, 3, 4, 5, 6, 7]

    def test_reading_more_than_a_page_misses_nothing(self, ledger: Ledger, token: int) -> None:
        ledger.append([closed(f"t{i % 3}") for i in range(4500)], at=0.0, token=token)
        assert [event.seq for event in ledger.read()] == list(range(1, 4501))
        assert [event.seq for event in ledger.read(subject="t1")] == list(range(2, 4501, 3))

    def test_facts_appended_while_reading_are_left_for_the_next_reading(self, ledger: Ledger, token: int) -> None:
        ledger.append([closed("t1"), closed("t2")], at=0.0, token=token)
        reading = ledger.read()
        next(reading)
        ledger.append([closed("t3")], at=0.0, token=token)
        assert [event.seq for event in reading] == [2]

    def test_reading_by_kind_and_by_subject_leaves_the_rest_out(self, ledger: Ledger, token: int) -> None:
        ledger.append([closed("t1"), logged("t1", 0), logged("t2", 0), closed("t2")], at=0.0, token=token)
        assert [event.seq for event in ledger.read(kinds=["trial.closed"])] == [1, 4]
        assert [event.seq for event in ledger.read(subject="t2")] == [3, 4]
        assert [event.seq for event in ledger.read(kinds=["metrics.logged"], subject="t2")] == [3]
        assert list(ledger.read(kinds=[])) == []

    def test_asking_for_a_kind_that_does_not_exist_says_which_exist(self, ledger: Ledger) -> None:
        with pytest.raises(ValueError, match=r"trial\.clozed.*trial\.closed"):
            list(ledger.read(kinds=["trial.clozed"]))

    def test_nan_and_infinities_in_a_fact_survive(self, ledger: Ledger, token: int) -> None:
        summary = Summary(
            points=3, non_finite=3, first_step=0, last_step=2, last=math.nan, low=math.inf, high=-math.inf
        )
        fact = MetricsLogged(
            attempt="t1.a1", trial="t1", fragment="f", start=0, end=1, points=3, crc=0, metrics={"NaN": summary}
        )
        ledger.append([fact], at=0.0, token=token)
        found = next(ledger.read()).payload
        assert isinstance(found, MetricsLogged)
        assert math.isnan(found.metrics["NaN"].last)
        assert (found.metrics["NaN"].low, found.metrics["NaN"].high) == (math.inf, -math.inf)

    def test_text_that_reads_like_a_number_stays_text(self, ledger: Ledger, token: int) -> None:
        for text in ("NaN", "=NaN", "Infinity", "-Infinity", "null", "1", "true", '한국어 \u0000 "quoted"', "\u2028"):
            ledger.append([IncidentClosed(incident="i1", outcome=text)], at=0.0, token=token)
            newest = list(ledger.read())[-1].payload
            assert newest == IncidentClosed(incident="i1", outcome=text)

    def test_text_that_no_database_takes_is_kept_as_far_as_it_can_be(self, ledger: Ledger, token: int) -> None:
        ledger.append(
            [PointsDropped(attempt="t1.a1", trial="t1", points=1, reason="torn \udcff name")], at=0.0, token=token
        )
        found = next(ledger.read()).payload
        assert isinstance(found, PointsDropped)
        assert found.reason.startswith("torn ") and found.reason.endswith(" name")

    def test_appending_nothing_changes_nothing(self, ledger: Ledger, token: int) -> None:
        assert ledger.append([], at=0.0, token=token) == []
        assert ledger.last_seq() == 0

    def test_something_that_is_no_fact_is_refused_and_nothing_recorded(self, ledger: Ledger, token: int) -> None:
        with pytest.raises(TypeError):
            ledger.append([closed("t1"), "not a fact"], at=0.0, token=token)
        assert ledger.last_seq() == 0

    # -- digests

    def test_the_digest_depends_on_every_fact_and_their_order(self, tmp_path: Path) -> None:
        digests = set()
        nights = (["t1", "t2"], ["t2", "t1"], ["t1", "t3"], ["t1"], [])
        for number, trials in enumerate(nights):
            folder = tmp_path / f"night{number}"
            folder.mkdir()
            ledger = self.make(folder)
            token = ledger.take_lease(HERE, how_dead=alive).token
            ledger.append([closed(trial) for trial in trials], at=0.0, token=token)
            digests.add(ledger.digest())
            ledger.close()
        assert len(digests) == len(nights)

    def test_the_digest_is_the_same_whenever_it_is_asked_for(self, ledger: Ledger, token: int, tmp_path: Path) -> None:
        for number in range(1, 4):
            before = ledger.digest()
            tick = TickDecided(tick=number, now_s=1.0, stage="decide", policy="p", digest=before)
            ledger.append([tick, MemoRemembered(policy="p", memo=f"{number}")], at=0.0, token=token)
        asked_often = ledger.digest()
        again = self.reopen(ledger, tmp_path)
        if again is not None:
            assert again.digest() == asked_often
            again.close()

    # -- points

    def test_a_curve_has_one_value_per_step_the_last_written(self, ledger: Ledger, token: int) -> None:
        ledger.append([logged("t1", 4)], at=0.0, token=token, batches=[batch("t1", [0, 1, 2, 3], [0.0, 0.1, 0.2, 0.3])])
        ledger.append(
            [logged("t1", 2, attempt=2)], at=1.0, token=token, batches=[batch("t1", [2, 1], [7.2, 7.1], attempt=2)]
        )
        curve = ledger.series("t1", "loss")
        assert curve.steps.tolist() == [0, 1, 2, 3]
        assert curve.values.tolist() == [0.0, 7.1, 7.2, 0.3]
        assert curve.attempts.tolist() == [1, 2, 2, 1]
        assert (curve.steps.dtype, curve.values.dtype) == (np.dtype(np.int64), np.dtype(np.float64))

    def test_a_raw_curve_has_every_point_in_the_order_of_writing(self, ledger: Ledger, token: int) -> None:
        ledger.append([logged("t1", 3)], at=0.0, token=token, batches=[batch("t1", [5, 3, 5], [1.0, 2.0, 3.0])])
        assert ledger.series("t1", "loss").values.tolist() == [2.0, 3.0]
        raw = ledger.series("t1", "loss", raw=True)
        assert (raw.steps.tolist(), raw.values.tolist()) == ([5, 3, 5], [1.0, 2.0, 3.0])

    def test_nan_and_infinities_in_a_curve_survive(self, ledger: Ledger, token: int) -> None:
        values = [math.nan, math.inf, -math.inf, -0.0, 5e-324] * 20
        ledger.append([logged("t1", 100)], at=0.0, token=token, batches=[batch("t1", range(100), values)])
        found = ledger.series("t1", "loss").values
        assert found.tobytes() == np.array(values).tobytes()

    def test_curves_of_different_trials_and_metrics_do_not_mix(self, ledger: Ledger, token: int) -> None:
        points = [batch("t1", [0], [1.0]), batch("t1", [0], [2.0], metric="acc"), batch("t11", [0], [3.0])]
        ledger.append([logged("t1", 2), logged("t11", 1)], at=0.0, token=token, batches=points)
        assert ledger.metrics("t1") == ["acc", "loss"]
        assert ledger.metrics("t11") == ["loss"]
        assert ledger.series("t1", "loss").values.tolist() == [1.0]
        assert ledger.series("t1", "acc").values.tolist() == [2.0]
        assert len(ledger.series("t11", "acc")) == 0

    def test_a_curve_read_before_shows_new_points_when_read_again(self, ledger: Ledger, token: int) -> None:
        for step in range(5):
            ledger.append([logged("t1", 1)], at=0.0, token=token, batches=[batch("t1", [step], [float(step)])])
            assert ledger.series("t1", "loss").values.tolist() == [float(i) for i in range(step + 1)]
            assert len(ledger.series("t1", "loss", points=4)) == min(step + 1, 4)

    def test_thinning_keeps_spikes_holes_and_the_promised_size(self, ledger: Ledger, token: int) -> None:
        values = np.sin(np.arange(30_000) / 500)
        values[12_345], values[20_001], values[7_777] = 99.0, -99.0, math.nan
        points = [batch("t1", range(i, i + 500), values[i : i + 500].tolist()) for i in range(0, 30_000, 500)]
        ledger.append([logged("t1", 30_000)], at=0.0, token=token, batches=points)
        thin = ledger.series("t1", "loss", points=300)
        assert 100 <= len(thin) <= 300
        assert bool(np.all(np.diff(thin.steps) > 0))
        assert {99.0, -99.0} <= set(thin.values.tolist())
        assert thin.steps[np.isnan(thin.values)].tolist() == [7_777]
        assert len(ledger.series("t1", "loss", points=40_000)) == 30_000

    def test_points_without_a_fact_are_refused(self, ledger: Ledger, token: int) -> None:
        with pytest.raises(ValueError, match="without a fact"):
            ledger.append([], at=0.0, token=token, batches=[batch("t1", [0], [1.0])])
        assert ledger.metrics("t1") == []

    def test_a_crooked_batch_is_refused_together_with_its_facts(self, ledger: Ledger, token: int) -> None:
        good, crooked = batch("t1", [0], [1.0]), batch("t1", [1, 2], [1.0])
        with pytest.raises(ValueError, match="2 steps and 1 values"):
            ledger.append([logged("t1", 3)], at=0.0, token=token, batches=[good, crooked])
        assert ledger.last_seq() == 0
        assert ledger.metrics("t1") == []

    def test_thinning_to_almost_nothing_or_thinning_raw_points_is_refused(self, ledger: Ledger) -> None:
        with pytest.raises(ValueError, match="at least 4"):
            ledger.series("t1", "loss", points=3)
        with pytest.raises(ValueError, match="raw"):
            ledger.series("t1", "loss", points=10, raw=True)

    def test_all_points_can_be_checked_against_the_facts_they_came_with(self, ledger: Ledger, token: int) -> None:
        chunks = [
            [batch("t1", [3, 1, 2], [1.0, math.inf, -2.0]), batch("t2", [], []), batch("t2", [0], [math.nan])],
            [batch("t1", range(100), [i / 7 for i in range(100)], metric="torn \udcff", attempt=2)],
        ]
        for number, chunk in enumerate(chunks):
            ledger.append([logged("t1", 4)], at=float(number), token=token, batches=chunk)
        found = list(ledger.batches())
        assert [(b.trial, b.attempt, len(b.steps)) for b in found] == [
            ("t1", "t1.a1", 3),
            ("t2", "t2.a1", 1),
            ("t1", "t1.a2", 100),
        ]
        assert [crc(found[:2]), crc(found[2:])] == [crc(chunk) for chunk in chunks]

    # -- the lease

    def test_nothing_is_recorded_without_the_lease(self, ledger: Ledger) -> None:
        with pytest.raises(LeaseLost):
            ledger.append([closed("t1")], at=0.0, token=1)
        assert ledger.last_seq() == 0

    def test_a_living_holder_keeps_the_lease(self, ledger: Ledger, token: int) -> None:
        with pytest.raises(LeaseHeld, match="here:11"):
            ledger.take_lease(THERE, how_dead=alive)
        ledger.append([closed("t1")], at=0.0, token=token)

    def test_a_dead_holder_is_followed_at_once(self, ledger: Ledger, token: int) -> None:
        lease = ledger.take_lease(THERE, how_dead=dead)
        assert (lease.how, lease.token > token, lease.holder) == ("dead", True, THERE)

    def test_a_holder_that_stood_still_is_followed(self, ledger: Ledger, token: int) -> None:
        assert ledger.take_lease(THERE, how_dead=alive, stale=ledger.lease()).how == "expired"

    def test_a_holder_that_has_beaten_since_is_not_followed(self, ledger: Ledger, token: int) -> None:
        stale = ledger.lease()
        ledger.beat(token)
        with pytest.raises(LeaseHeld):
            ledger.take_lease(THERE, how_dead=alive, stale=stale)

    def test_recording_facts_is_a_beat(self, ledger: Ledger, token: int) -> None:
        stale = ledger.lease()
        ledger.append([closed("t1")], at=0.0, token=token)
        with pytest.raises(LeaseHeld):
            ledger.take_lease(THERE, how_dead=alive, stale=stale)

    def test_a_released_lease_is_free_and_its_token_void(self, ledger: Ledger, token: int) -> None:
        ledger.release(token)
        with pytest.raises(LeaseLost):
            ledger.append([closed("t1")], at=0.0, token=token)
        lease = ledger.take_lease(THERE, how_dead=alive)
        assert (lease.how, lease.token) == ("released", token + 1)

    def test_an_expired_holder_can_neither_write_nor_beat_nor_release(self, ledger: Ledger, token: int) -> None:
        newer = ledger.take_lease(THERE, how_dead=dead)
        points = [batch("t1", [0], [1.0])]
        with pytest.raises(LeaseLost):
            ledger.append([logged("t1", 1)], at=0.0, token=token, batches=points)
        with pytest.raises(LeaseLost):
            ledger.beat(token)
        ledger.release(token)
        ledger.append([closed("t1")], at=0.0, token=newer.token)
        assert ledger.last_seq() == 1
        assert ledger.metrics("t1") == []

    def test_a_decision_is_found_under_the_trial_it_is_about(self, ledger: Ledger, token: int) -> None:
        from_policy = DecisionMade(decision=stop("t7", reason="it got worse", by="halving"))
        ledger.append([from_policy], at=0.0, token=token)
        assert [event.payload for event in ledger.read(subject="t7")] == [from_policy]

    # -- after closing

    def test_everything_is_there_after_closing_and_opening_again(
        self, ledger: Ledger, token: int, tmp_path: Path
    ) -> None:
        written = ledger.append(
            [logged("t1", 2), closed("t1")], at=3.0, token=token, batches=[batch("t1", [0, 1], [1.0, 2.0])]
        )
        again = self.reopen(ledger, tmp_path)
        if again is None:
            return
        assert list(again.read()) == written
        assert again.series("t1", "loss").values.tolist() == [1.0, 2.0]
        lease = again.lease()
        assert lease is not None and (lease.token, lease.holder, lease.released) == (token, HERE, False)
        again.append([closed("t2")], at=4.0, token=token)
        assert again.last_seq() == 3
        again.close()
