"""The in-memory twin and the SQLite ledger are the same ledger, whatever is done to them in whatever order."""

import tempfile
from array import array
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.errors import SecondshiftError
from secondshift.ledger.leases import Holder
from secondshift.ledger.memory import MemoryLedger
from secondshift.ledger.sqlite import SqliteLedger
from secondshift.ledger.stores import Ledger
from secondshift.records.orders import Batch
from tests.ledger.payloads import PAYLOADS

HOLDERS = [Holder(host="a", pid=1), Holder(host="b", pid=2, start_ticks=3, boot_id="x")]
NAMES = st.sampled_from(["t1", "t2", "t1.a1", "", "손실"])
POINTS = st.lists(st.tuples(st.integers(-5, 20), st.floats()), max_size=40)
BATCHES = st.builds(
    lambda trial, number, metric, points: Batch(
        trial=trial, attempt=f"{trial}.a{number}", metric=metric,
        steps=array("q", [s for s, _ in points]), values=array("d", [v for _, v in points]),
    ),
    NAMES, st.integers(1, 3), st.sampled_from(["loss", "acc", "\ud800"]), POINTS,
)  # fmt: skip
FACTS = st.sampled_from(sorted(PAYLOADS)).flatmap(PAYLOADS.__getitem__)
TOKENS = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("append"), st.lists(FACTS, max_size=3), TOKENS, st.lists(BATCHES, max_size=3)),
    st.tuples(st.just("take"), st.sampled_from(HOLDERS), st.sampled_from(["alive", "dead", "stale"])),
    st.tuples(st.just("beat"), TOKENS),
    st.tuples(st.just("release"), TOKENS),
    st.tuples(st.just("read"), st.integers(-2, 9), st.none() | st.integers(-2, 9), st.none() | NAMES),
    st.tuples(st.just("kinds"), st.lists(st.sampled_from([*PAYLOADS, "nonsense"]), max_size=3)),
    st.tuples(st.just("series"), NAMES, st.sampled_from([None, 3, 4, 9]), st.booleans()),
    st.tuples(st.just("digest")),
    st.tuples(st.just("reopen")),
)


def done(ledger: Ledger, step: tuple) -> str:
    """Do one step and say all that came of it."""
    try:
        match step:
            case ("append", facts, token, batches):
                return repr(ledger.append(facts, at=float(token), token=token, batches=batches))
            case ("take", holder, "stale"):
                return repr(ledger.take_lease(holder, how_dead=lambda _: False, stale=ledger.lease()))
            case ("take", holder, life):
                return repr(ledger.take_lease(holder, how_dead=lambda _: life == "dead"))
            case ("beat", token):
                return repr(ledger.beat(token))
            case ("release", token):
                return repr(ledger.release(token))
            case ("read", after, until, subject):
                return repr(list(ledger.read(after, until=until, subject=subject)))
            case ("kinds", kinds):
                return repr(list(ledger.read(kinds=kinds)))
            case ("series", trial, points, raw):
                return seen(ledger, trial, points, raw)
            case _:
                return ledger.digest()
    except (SecondshiftError, ValueError) as error:
        return type(error).__name__


def seen(ledger: Ledger, trial: str, points: int | None, raw: bool) -> str:
    curves = [ledger.series(trial, name, points=points, raw=raw) for name in ("loss", "acc", "\ud800")]
    told = [
        (c.steps.tolist(), c.values.tobytes(), c.attempts.tolist(), str(c.steps.dtype), str(c.attempts.dtype))
        for c in curves
    ]
    return repr((ledger.metrics(trial), told))


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(STEPS, max_size=14))
def test_the_same_steps_lead_to_the_same_answers(steps: list[tuple]) -> None:
    steps = [("take", HOLDERS[0], "dead"), *steps]
    with tempfile.TemporaryDirectory() as folder:
        memory, sqlite = MemoryLedger(), SqliteLedger(Path(folder))
        for step in steps:
            if step[0] == "reopen":
                sqlite.close()
                sqlite = SqliteLedger(Path(folder))
                continue
            assert done(sqlite, step) == done(memory, step), step
        assert without_beats(sqlite) == without_beats(memory)
        for trial in ("t1", "t2", "", "손실"):
            assert seen(sqlite, trial, None, True) == seen(memory, trial, None, True)
        assert repr(list(sqlite.batches())) == repr(list(memory.batches()))
        assert sqlite.digest() == memory.digest()
        sqlite.close()


def without_beats(ledger: Ledger) -> tuple:
    lease = ledger.lease()
    return (
        repr(list(ledger.read())),
        ledger.last_seq(),
        lease and (lease.token, lease.holder, lease.released, lease.how),
    )
