"""Past runs are taken in exactly once, whatever is asked twice, in halves, or cut short."""

from array import array
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.config.fitting import Names, fit
from secondshift.ledger.fold import fold
from secondshift.ledger.leases import Holder
from secondshift.ledger.memory import MemoryLedger
from secondshift.records.events import StudyOpened
from secondshift.records.pastruns import PastRun
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.replay import replay
from secondshift.runtime import imports
from simulated_nights import Night, study

STUDY = study()


class Desk:
    """A study with a ledger, and the one process that writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = MemoryLedger()
        self.token = self.ledger.take_lease(Holder(host="h", pid=1), how_dead=lambda lease: True).token
        self.state = fold(State(), self.ledger.append([StudyOpened(study=STUDY)], at=1.0, token=self.token))

    def put(self, *runs: PastRun, given: Study = STUDY) -> None:
        for run in runs:
            made = fit(given, run, Names())
            assert made.fact is not None, made.problem
            imports.prepare(self.folder, given, made.fact, made.columns)

    def take(self, *, dies_before_discarding: bool = False) -> None:
        while True:
            taken = imports.take(self.state, self.folder)
            if taken.out:
                self.state = fold(
                    self.state, self.ledger.append(taken.out, at=2.0, token=self.token, batches=taken.batches)
                )
            if dies_before_discarding or not taken.files:
                return
            imports.discard(taken.files)

    def runs(self) -> dict[str, tuple]:
        """What stands in the study: by run, what does not depend on the order in which they came."""
        return {
            i.run: (
                i.digest,
                i.trial.status,
                i.trial.params,
                i.trial.seed,
                tuple(self.ledger.series(i.trial.id, "loss").values),
            )
            for i in self.state.imported.values()
        }


def past(number: int, *, steps: int = 27, lr: float = 0.01) -> PastRun:
    columns = {"loss": (array("q", range(steps)), array("d", [1.0 / (s + 1 + number) for s in range(steps)]))}
    return PastRun(
        source="mlflow",
        run=f"r{number}",
        name=f"r{number}",
        status="finished",
        params={"lr": lr, "seed": number},
        columns=columns,
    )


numbers = st.lists(st.integers(0, 5), max_size=8)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(numbers, numbers, st.booleans())
def test_importing_twice_or_in_halves_is_importing_once(
    tmp_path_factory, first: list[int], second: list[int], dies: bool
) -> None:
    one, two = Desk(tmp_path_factory.mktemp("one")), Desk(tmp_path_factory.mktemp("two"))
    one.put(*(past(n) for n in first))
    one.take(dies_before_discarding=dies)
    one.put(*(past(n) for n in (*second, *first)))
    one.take()
    two.put(*(past(n) for n in {*first, *second}))
    two.take()
    assert one.runs() == two.runs() and len(one.runs()) == len({*first, *second})
    assert one.state.imports == len({*first, *second}) == sum(e.kind == "run.imported" for e in one.ledger.read())
    assert replay(one.ledger).holds and not imports.pending(one.folder)


def test_a_run_that_went_on_since_takes_the_place_of_what_was_imported_of_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.put(past(1, steps=9))
    desk.take()
    assert desk.state.imported["p1"].trial.status == "stopped"
    desk.put(past(1))
    desk.take()
    assert list(desk.state.imported) == ["p2"] and desk.state.imported["p2"].trial.status == "complete"
    assert len(desk.ledger.series("p1", "loss")) == 9 and len(desk.ledger.series("p2", "loss")) == 27


def test_a_damaged_file_and_one_for_another_question_are_put_aside_with_a_sentence(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.put(past(1))
    desk.put(past(2), given=replace(STUDY, horizon_steps=20))
    [first] = [f for f in imports.pending(tmp_path) if f.name.startswith(_digest(past(1)))]
    first.write_bytes(first.read_bytes()[:-1])
    files = imports.pending(tmp_path)
    desk.take()
    assert not desk.state.imported and not imports.pending(tmp_path)
    assert sorted("cannot be read" in imports.refusal(f) for f in files) == [False, True]
    assert any("horizon or search space was changed" in imports.refusal(f) for f in files)


def _digest(run: PastRun) -> str:
    fact = fit(STUDY, run, Names()).fact
    assert fact is not None
    return fact.digest


def test_no_budget_no_count_and_no_decision_of_a_night_changes_by_imported_runs(tmp_path: Path) -> None:
    plain, with_past = Night(tmp_path / "a", study()), Night(tmp_path / "b", study())
    for number in range(20):
        made = fit(STUDY, past(number), Names())
        assert made.fact is not None
        imports.prepare(with_past.engine.hands.folder, STUDY, made.fact, made.columns)
    decisions = []
    for night in (plain, with_past):
        night.run()
        decisions.append([
            (e.payload.decision.verb, e.payload.decision.subject, e.payload.decision.params, e.payload.decision.reason)
            for e in night.ledger.read(kinds=("decision.made",))
        ])  # fmt: skip
    state = with_past.engine.state
    assert decisions[0] == decisions[1] and len(state.imported) == 20
    assert (
        len(state.trials) == 12
        and state.statuses == plain.engine.state.statuses
        and state.spend == plain.engine.state.spend
    )
    assert replay(with_past.ledger).holds


def test_points_of_an_imported_run_that_were_changed_are_found_by_replay(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.put(past(1))
    desk.take()
    assert replay(desk.ledger).holds
    row = desk.ledger._order[0]
    desk.ledger._order[0] = replace(row, metric="other")
    assert "are not those that were logged" in replay(desk.ledger).tampering[0]
