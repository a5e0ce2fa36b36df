"""Parents are compared at equal steps, children stay in the space, and both are the same for the same facts."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from secondshift.policies.models.breeding import ENOUGH, Level, Parent, changes, child, level, reflected
from secondshift.policies.models.spaces import Region, region
from secondshift.policies.schedulers import budgets, fifo, halving
from secondshift.policies.searchers import evolution
from secondshift.records.states import State
from secondshift.records.studies import Parameter, Space, Study, Value
from secondshift.records.trials import Candidate, Milestone, Summary, Trial
from secondshift.testing.policy_conformance import SPACES, study
from secondshift.testing.simulated_nights import Night, play

LR = Parameter(name="lr", kind="float", low=1e-5, high=1.0, log=True)
WIDTH = Parameter(name="width", kind="int", low=1, high=512, log=True)
KIND = Parameter(name="kind", kind="categorical", choices=("sgd", "adam"))
MOMENTUM = Parameter(name="momentum", kind="float", low=0.0, high=0.99, when={"kind": ("sgd",)})
MIXED = Space(parameters=(MOMENTUM, LR, WIDTH, KIND))


def ended(values: list[float], *, milestones: list[tuple[int, float]] | None = None, failed: int = 0) -> State:
    """Complete trials with these values; others that stopped at a rung, and some that failed."""
    asked = study(SPACES["without defaults"], trials=None)
    trials = [
        Trial(id=f"t{n}", candidate=f"c{n}", seed=0, status="complete", steps_done=90, logged_step=89,
              milestones=(Milestone(step=10, value=value + 1.0), Milestone(step=90, value=value)),
              metrics={"loss": Summary(points=90, last_step=89, last=value)})
        for n, value in enumerate(values, 1)
    ]  # fmt: skip
    for step, value in milestones or []:
        n = len(trials) + 1
        trials.append(Trial(id=f"t{n}", candidate=f"c{n}", seed=0, status="stopped", steps_done=step, logged_step=step - 1,
                            milestones=(Milestone(step=step, value=value),)))  # fmt: skip
    for n in range(len(trials) + 1, len(trials) + 1 + failed):
        trials.append(Trial(id=f"t{n}", candidate=f"c{n}", seed=0, status="failed"))
    counts = {s: sum(t.status == s for t in trials) for s in ("complete", "stopped", "failed")}
    return State(
        study=asked, trials={t.id: t for t in trials}, statuses=counts,
        candidates={t.candidate: Candidate(id=t.candidate, params={"x": n / 100}) for n, t in enumerate(trials)},
    )  # fmt: skip


def found(state: State) -> Level | None:
    assert state.study
    return level(state, state.study, region(state.study.space))


def test_there_are_no_parents_before_enough_was_seen_and_what_failed_counts_as_seen() -> None:
    assert found(ended([0.1] * (ENOUGH - 1))) is None
    assert found(ended([0.1, 0.2, 0.3], failed=ENOUGH - 4)) is None
    few = found(ended([0.3, 0.1, 0.2], failed=ENOUGH - 3))
    assert few and [p.trial for p in few.parents] == ["t2", "t3", "t1"]


def test_what_failed_or_diverged_is_never_a_parent_and_of_too_few_there_is_no_step() -> None:
    assert found(ended([0.1, 0.2, math.nan, math.inf], failed=10)) is None
    three = found(ended([0.1, 0.2, math.nan, 0.3], failed=10))
    assert three and {p.trial for p in three.parents} == {"t1", "t2", "t4"}


def test_full_results_are_used_once_there_are_enough_and_else_the_highest_rung_that_has_enough() -> None:
    at_rung = [(10, 0.01)] * ENOUGH
    few = found(ended([0.1, 0.2, 0.3], milestones=at_rung))
    assert few and few.step == 10 and len(few.parents) == ENOUGH + 3
    assert few.parents[0].trial == "t4", "a value at step 10 was compared with one at the end"
    many = found(ended([0.1] * ENOUGH, milestones=at_rung))
    assert many and many.step == 90 and len(many.parents) == ENOUGH


def test_a_goal_of_max_has_the_highest_first() -> None:
    state = ended([0.1 * n for n in range(ENOUGH)])
    assert state.study
    asked = replace(state.study, objective=replace(state.study.objective, goal="max"))
    high = level(replace(state, study=asked), asked, region(asked.space))
    assert high and high.parents[0].value == pytest.approx(0.7) and high.parents[-1].value == 0.0


def test_what_was_helped_confirms_or_is_of_another_revision_is_no_parent() -> None:
    state = ended([0.1, 0.2, 0.3, 0.4], failed=ENOUGH)
    changed = {
        "t1": replace(state.trials["t1"], assisted=True), "t2": replace(state.trials["t2"], pair=0),
        "t3": replace(state.trials["t3"], revision=2),
    }  # fmt: skip
    for name, trial in changed.items():
        others = found(replace(state, trials={**state.trials, name: trial}))
        assert others and name not in {p.trial for p in others.parents}


def test_a_scripts_own_defaults_can_be_a_parent_as_the_script_told_them() -> None:
    state = ended([0.1, 0.2, 0.3], failed=ENOUGH)
    bare = {**state.candidates, "c1": Candidate(id="c1")}
    told = {**state.trials, "t1": replace(state.trials["t1"], params={"x": 0.5, "other": 3})}
    silent = found(replace(state, candidates=bare))
    assert silent is None, "parameters that nobody knows had children"
    known = found(replace(state, candidates=bare, trials=told))
    assert known and known.parents[0].params == {"x": 0.5}


def family(rng: np.random.Generator, ground: Region, count: int = ENOUGH) -> Level:
    params = [ground.decode(rng.random(len(ground.parameters)).tolist()) for _ in range(count)]
    parents = [Parent(trial=f"t{n}", candidate=f"c{n}", params=p, value=n, loss=n) for n, p in enumerate(params)]
    return Level(step=9, parents=tuple(parents))


def test_children_lie_in_the_space_with_the_parameters_that_are_active_and_name_their_parents() -> None:
    ground, rng = region(MIXED), np.random.default_rng(3)
    kinds: set[object] = set()
    for _ in range(300):
        made, parents = child(ground, family(rng, ground), rng)
        assert ground.fault(made) == ""
        assert 2 <= len(parents) <= 3 and len({p.trial for p in parents}) == len(parents)
        kinds.add((parents[0].params["kind"], made["kind"]))
    assert len(kinds) == 4, "a category is never changed"


def test_a_family_that_agrees_has_children_near_it_and_one_that_does_not_has_them_far() -> None:
    ground = region(Space(parameters=(LR,)))

    def spread(apart: float) -> float:
        rng = np.random.default_rng(5)
        params: list[dict[str, Value]] = [ground.decode([0.5 + apart * (n - 4) / 8]) for n in range(ENOUGH)]
        parents = tuple(Parent(trial=f"t{n}", candidate=f"c{n}", params=p, value=n, loss=n) for n, p in enumerate(params))
        made = [child(ground, Level(step=9, parents=parents), rng)[0] for _ in range(200)]
        return float(np.std([ground.encode(p)[0] for p in made]))

    assert spread(0.0) < 0.06 < 0.15 < spread(0.8)


def test_steps_past_an_end_are_folded_back() -> None:
    assert [reflected(u) for u in (-0.25, 0.0, 0.5, 1.0, 1.25, 2.5)] == [0.25, 0.0, 0.5, 1.0, 0.75, 0.5]


def test_what_a_child_has_otherwise_is_said_in_signs() -> None:
    before: dict[str, Value] = {"lr": 0.001, "kind": "sgd", "momentum": 0.9}
    assert changes(before, {"lr": 0.00132, "kind": "sgd", "momentum": 0.9}) == "lr 0.001 → 0.00132"
    assert changes(before, {"lr": 0.001, "kind": "adam"}) == "kind sgd → adam, - momentum"
    assert changes({"kind": "adam"}, {"kind": "sgd", "momentum": 0.5}) == "kind adam → sgd, + momentum 0.5"


def bowl(params: dict[str, Value], step: int) -> float:
    value = math.log10(float(params["lr"]) / 3e-3) ** 2 + abs(float(params["width"]) - 100) / 512
    return value + (0.0 if params["kind"] == "adam" else 0.2) + 1.0 / (step + 1)


def searched(seed: int, *, scheduler: str = "fifo", trials: int = 60, **changed: object) -> Night:
    space = Space(parameters=(LR, WIDTH, KIND, MOMENTUM), constraints=("width <= 400",))
    asked = replace(study(space, searcher="evolution", scheduler=scheduler, trials=trials), seed=seed, **changed)  # type: ignore[arg-type]  # fields of Study
    deciders = [{"fifo": fifo, "halving": halving}[scheduler].decide, evolution.decide, budgets.decide]
    return play(asked, deciders, curve=bowl, slots=4)  # type: ignore[arg-type]  # parameters as a mapping


def test_children_get_better_and_each_says_whose_child_it_is() -> None:
    for scheduler in ("fifo", "halving"):
        played = searched(1, scheduler=scheduler)
        candidates = list(played.state.candidates.values())
        children = [c for c in candidates if c.parents]
        assert len(children) > 30 and not any(c.parents for c in candidates[:ENOUGH])
        assert all(parent in played.state.candidates and parent != c.id for c in children for parent in c.parents)
        floors = [bowl(dict(c.params), 89) for c in candidates]
        assert np.median(floors[40:]) < 0.5 * np.median(floors[:ENOUGH])
        told = [d.reason for made in played.decided for d in made if d.verb == "propose" and d.parents]
        form = r"A child of t\d+ \(number \d+ of \d+ at step \d+, loss \S+\) and of t\d+(, t\d+)?: .*(→|[+-] ).*; \d of \d .*"
        assert len(told) == len(children) and not [reason for reason in told if not re.fullmatch(form, reason)]


def test_the_same_seed_gives_the_same_children_and_another_gives_others() -> None:
    def proposed(seed: int) -> list[object]:
        return [(c.params, c.parents) for c in searched(seed, trials=20).state.candidates.values()]

    assert proposed(1) == proposed(1)
    assert proposed(1) != proposed(2)


def test_no_free_slot_waits_for_a_generation() -> None:
    played = searched(3, trials=40)
    for state, decided in zip(played.seen, played.decided, strict=True):
        if len(state.trials) < 40 and state.free_slots():
            waiting = state.statuses.get("queued", 0)
            wanted = max(0, min(state.free_slots() - waiting, 40 - len(state.trials)))
            assert len([d for d in decided if d.verb == "propose"]) == wanted


def test_where_all_children_break_a_constraint_points_are_drawn_and_not_an_end_said() -> None:
    """Parents that hold a constraint by a hair have next to no children that do."""
    x = Parameter(name="x", kind="float", low=0.0, high=1.0)
    y = Parameter(name="y", kind="float", low=0.0, high=1.0)
    narrow = Space(parameters=(x, y), constraints=("x < 0.02 or y < 0.02",))
    asked = study(narrow, searcher="evolution", scheduler="fifo", trials=40)
    played = play(asked, [fifo.decide, evolution.decide, budgets.decide], curve=lambda p, step: float(p["x"]) + float(p["y"]))
    assert len(played.state.candidates) == 40 and "all trials of the budget were used" in played.reason


def test_a_study_that_mostly_diverges_is_searched_around_what_does_not() -> None:
    def curve(params: dict[str, Value], step: int) -> float:
        rate = float(params["lr"])
        return math.nan if rate > 1e-3 else math.log10(rate / 1e-4) ** 2 + 1.0 / (step + 1)

    asked: Study = study(Space(parameters=(LR, WIDTH, KIND)), searcher="evolution", scheduler="fifo", trials=60)
    played = play(asked, [fifo.decide, evolution.decide, budgets.decide], curve=curve, slots=4)  # type: ignore[arg-type]
    rates = [float(c.params["lr"]) > 1e-3 for c in played.state.candidates.values()]
    assert np.mean(rates[:ENOUGH]) > 0.5 and np.mean(rates[40:]) < 0.2
