"""What a script is tried with: a baseline, and each parameter changed alone, as far as its axis allows."""

from secondshift.policies.models.spaces import active, region
from secondshift.policies.proofs.changes import baseline, changes
from secondshift.records.studies import Objective, Parameter, Space, Study

LR = Parameter(name="lr", kind="float", low=1e-4, high=1.0, log=True)
WIDTH = Parameter(name="width", kind="categorical", choices=(16, 32, 64), default=32)
LAYERS = Parameter(name="layers", kind="int", low=1, high=5)
OPTIMISER = Parameter(name="opt", kind="categorical", choices=("sgd", "adam"), default="sgd")
BETA = Parameter(name="beta", kind="float", low=0.8, high=0.99, when={"opt": ("adam",)})


def study(
    *parameters: Parameter, command: str = "python t.py", tier: str = "opaque", rules: tuple[str, ...] = ()
) -> Study:
    return Study(
        name="s", command=command, folder=".", objective=Objective(metric="loss"), horizon_steps=9, tier=tier,  # type: ignore[arg-type]  # one of the tiers
        space=Space(parameters=parameters, constraints=rules),
    )  # fmt: skip


def test_the_baseline_takes_defaults_and_the_middle_of_axes_without_one() -> None:
    found = baseline(study(LR, WIDTH, LAYERS))
    assert found["width"] == 32 and found["layers"] == 3 and 0.009 < float(found["lr"]) < 0.011


def test_a_cooperative_script_is_told_nothing_where_it_has_defaults_of_its_own() -> None:
    assert baseline(study(LR, WIDTH, tier="cooperative")) == {}
    assert baseline(study(WIDTH, tier="cooperative")) == {"width": 32}
    assert baseline(study(LR, tier="cooperative", command="python t.py {lr}")) != {}


def test_a_parameter_on_which_others_depend_lets_them_take_part() -> None:
    assert baseline(study(OPTIMISER, BETA))["opt"] == "adam"


def test_the_baseline_keeps_to_the_rules_of_the_space() -> None:
    found = baseline(study(LR, LAYERS, rules=("layers <= 2",)))
    assert found["layers"] in (1, 2)


def test_each_parameter_is_changed_alone_and_far() -> None:
    asked = study(LR, WIDTH, LAYERS)
    base = baseline(asked)
    found, left = changes(asked, base, {}, 8)
    assert [change.name for change in found] == ["lr", "width", "layers"] and left == ()
    for change in found:
        assert {name for name in base if change.params[name] != base[name]} == {change.name}
    assert (found[0].params["lr"], found[1].params["width"], found[2].params["layers"]) == (1e-4, 64, 1)


def test_a_value_near_the_lower_end_goes_to_the_upper_one() -> None:
    asked = study(LR)
    assert changes(asked, {"lr": 2e-4}, {}, 8)[0][0].params["lr"] == 1.0
    assert changes(asked, {}, {"lr": 1e-4}, 8)[0][0].params["lr"] == 1.0


def test_a_change_that_breaks_a_rule_is_not_made_and_the_next_far_one_is() -> None:
    asked = study(LAYERS, rules=("layers >= 2",))
    assert int(changes(asked, {"layers": 3}, {}, 8)[0][0].params["layers"]) in (2, 4, 5)
    assert changes(study(LAYERS, rules=("layers == 3",)), {"layers": 3}, {}, 8) == ([], ("layers",))


def test_a_dependent_parameter_is_changed_with_its_parents_active() -> None:
    asked = study(OPTIMISER, BETA, tier="cooperative")
    found, _ = changes(asked, {}, {"opt": "sgd"}, 8)
    beta = next(change for change in found if change.name == "beta")
    assert beta.params["opt"] == "adam" and beta.params["beta"] == 0.8
    for change in found:
        assert all(active(p, change.params) for p in region(asked.space).parameters if p.name in change.params)


def test_no_more_are_changed_than_asked_and_the_rest_is_named() -> None:
    found, left = changes(study(LR, WIDTH, LAYERS), baseline(study(LR, WIDTH, LAYERS)), {}, 2)
    assert [change.number for change in found] == [1, 2] and left == ("layers",)
