"""Fitting past runs into a study: nothing is guessed, and what cannot be used says why."""

import math
from array import array
from dataclasses import replace

import pytest

from secondshift.config.fitting import Fitted, Names, fit
from secondshift.records.pastruns import PastRun
from secondshift.records.studies import Objective, Parameter, Space, Study, Value

STUDY = Study(
    name="s", command="x", folder=".", objective=Objective(metric="val_loss"), horizon_steps=10,
    space=Space(parameters=(
        Parameter(name="lr", kind="float", low=0.001, high=0.1, log=True),
        Parameter(name="width", kind="int", low=16, high=128),
        Parameter(name="act", kind="categorical", choices=("relu", True, 3)),
    )),
)  # fmt: skip
PARAMS: dict[str, Value] = {"lr": "0.01", "width": "64", "act": "relu", "seed": "7"}


def run(
    params: dict[str, Value] | None = None, *, steps=range(10), values=None, metric="val_loss", **changes
) -> PastRun:
    points = (array("q", steps), array("d", values or [1.0 / (s + 1) for s in steps]))
    base = PastRun(source="mlflow", run="r", name="r", status="finished", params=PARAMS if params is None else params)
    return replace(base, **{"columns": {metric: points}, **changes})


def fitted(found: PastRun, study: Study = STUDY, **names) -> Fitted:
    return fit(study, found, Names(**names))


def test_names_match_as_they_are_then_by_their_last_part() -> None:
    exact = fitted(run({**PARAMS, "old.lr": "0.05"})).fact
    assert exact is not None and (exact.seed, exact.seed_known) == (7, True)
    assert exact.params == {"lr": 0.01, "width": 64, "act": "relu"}
    nested = fitted(
        run({"optimizer.lr": 0.02, "model/width": "32.0", "model.act": "true", "seed": 1}, metric="valid/val_loss")
    )
    assert nested.fact is not None and nested.fact.params == {"lr": 0.02, "width": 32, "act": True}
    assert nested.matched["lr"] == "optimizer.lr" and nested.matched["val_loss"] == "valid/val_loss"
    assert list(nested.columns) == ["val_loss"]


def test_an_ambiguous_name_is_said_and_never_guessed() -> None:
    found = run({"a.lr": 0.01, "b.lr": 0.02, "width": 32, "act": 3})
    assert (fitted(found).problem, fitted(found).values["theirs"]) == ("ambiguous", "a.lr, b.lr")
    said = fitted(found, params={"b.lr": "lr"}).fact
    assert said is not None and said.params["lr"] == 0.02


def test_a_metric_of_another_name_is_taken_only_when_a_person_says_so() -> None:
    found = run(metric="validation_loss")
    assert (fitted(found).problem, fitted(found).values["near"]) == ("no_objective", "validation_loss")
    assert list(fitted(found, metrics={"validation_loss": "val_loss"}).columns) == ["val_loss"]


@pytest.mark.parametrize(
    ("found", "problem", "word"),
    [
        (run({**PARAMS, "lr": "5.0"}), "outside", "lr = 5.0 is outside"),
        (run({k: v for k, v in PARAMS.items() if k != "width"}), "outside", "width is missing"),
        (run({**PARAMS, "lr": "fast"}), "outside", "'fast'"),
        (run(values=[1.0] * 9 + [math.nan]), "non_finite", "val_loss"),
        (run(status="running"), "running", ""),
        (run(status="deleted"), "deleted", ""),
        (run(columns={}), "no_points", ""),
    ],
    ids=["outside", "missing", "no number", "NaN", "running", "deleted", "empty"],
)
def test_a_run_that_cannot_be_used_says_why(found: PastRun, problem: str, word: str) -> None:
    made = fitted(found)
    assert made.fact is None and made.problem == problem and word in " ".join(map(str, made.values.values()))


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (range(10), "complete"),
        (range(1, 11), "complete"),
        (range(0, 10, 4), "complete"),
        (range(5), "stopped"),
        (range(9), "stopped"),
    ],
)
def test_a_run_is_complete_only_if_its_next_point_would_lie_past_the_horizon(steps: range, status: str) -> None:
    fact = fitted(run(steps=steps)).fact
    assert fact is not None and fact.status == status and f"step {steps[-1]}; the horizon is 10 steps" in fact.reason


def test_a_run_past_the_horizon_counts_up_to_it_unless_its_schedule_is_tied_to_its_length() -> None:
    longer = run(steps=range(30))
    made = fitted(longer)
    assert made.fact is not None and made.fact.metrics["val_loss"].last_step == 9 and made.cut == 20
    from_one = fitted(run(steps=range(1, 31)))
    assert from_one.fact is not None and from_one.fact.metrics["val_loss"].last_step == 10
    assert fitted(longer, replace(STUDY, schedule="tied")).problem == "longer"


def test_what_the_tracker_calls_failed_or_killed_is_never_complete() -> None:
    failed, killed = fitted(run(status="failed")).fact, fitted(run(steps=range(4), status="killed")).fact
    assert failed is not None and failed.status == "failed" and "says that it failed" in failed.reason
    assert killed is not None and killed.status == "stopped" and "killed" in killed.reason


def test_a_seed_is_known_only_if_the_run_says_a_whole_number() -> None:
    unknown = fitted(run({**PARAMS, "seed": "random"})).fact
    assert unknown is not None and not unknown.seed_known
    named = fitted(run({**PARAMS, "rng": 5}), seed="rng").fact
    assert named is not None and named.seed == 5 and named.others == {"seed": "7"}


def test_the_same_content_has_the_same_digest_wherever_it_lies_and_any_change_another() -> None:
    def digest(found: PastRun) -> str:
        fact = fitted(found).fact
        assert fact is not None
        return fact.digest

    one = digest(run())
    assert digest(run(run="elsewhere", name="copy")) == one
    set_otherwise = [run({**PARAMS, "lr": "0.02"}), run({**PARAMS, "seed": 8}), run({**PARAMS, "batch": 8})]
    others = [run(steps=range(9)), run(started_at=1.0), *set_otherwise]
    assert len({one, *map(digest, others)}) == 6


def test_secrets_in_a_configuration_are_not_taken_over() -> None:
    fact = fitted(run({**PARAMS, "api_key": "abcdef123456", "data": "cifar"})).fact
    assert fact is not None and fact.others == {"api_key": "(in the study file only)", "data": "cifar"}


def test_settings_of_a_table_are_no_curves() -> None:
    columns = {
        name: (array("q", range(10)), array("d", [v] * 10))
        for name, v in (("val_loss", 0.5), ("lr", 0.01), ("seed", 1.0))
    }
    made = fitted(run({"lr": 0.01, "width": 32, "act": 3, "seed": 1}, columns=columns, source="csv"))
    assert list(made.columns) == ["val_loss"]
