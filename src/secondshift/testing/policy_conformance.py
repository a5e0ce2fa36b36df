"""What every searcher and scheduler must hold; call these from your own tests with your `decide` function."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Literal

from secondshift.policies.models.guarding import barred
from secondshift.policies.models.proposals import wanted
from secondshift.policies.models.spaces import region
from secondshift.policies.schedulers import budgets, fifo, guarding, halving
from secondshift.policies.searchers import uniform
from secondshift.records.decisions import Decision
from secondshift.records.states import State
from secondshift.records.studies import Budget, Goal, Objective, Parameter, Policy, Space, Study, Value
from secondshift.testing.simulated_nights import Night, play

Decider = Callable[[State], list[Decision]]

TIERS: tuple[Literal["opaque", "resumable", "cooperative"], ...] = ("opaque", "resumable", "cooperative")
GOALS: tuple[Goal, ...] = ("min", "max")
SCHEDULES: tuple[Literal["free", "tied"], ...] = ("free", "tied")

RATE = Parameter(name="rate", kind="float", low=1e-5, high=1e-1, log=True, default=1e-3)
WIDTH = Parameter(name="width", kind="int", low=16, high=64, step=16, default=32)
KIND = Parameter(name="kind", kind="categorical", choices=("sgd", "adam"), default="adam")
MOMENTUM = Parameter(name="momentum", kind="float", low=0.0, high=0.99, default=0.9, when={"kind": ("sgd",)})

ROWS: tuple[Mapping[str, Value], ...] = (
    {"rate": 0.02, "kind": "adam"}, {"rate": 0.001, "kind": "adam"}, {"rate": 0.05, "kind": "sgd", "momentum": 0.5},
    {"rate": 0.05, "kind": "sgd", "momentum": 0.9}, {"rate": 3e-4, "kind": "adam"},
)  # fmt: skip
SPACES: dict[str, Space] = {
    "empty": Space(),
    "continuous": Space(parameters=(RATE, MOMENTUM, KIND), constraints=("rate * 10 <= maximum(momentum, 0.5)",)),
    "finite": Space(parameters=(KIND, WIDTH), constraints=("width < 64 or kind == 'sgd'",)),
    "listed": Space(parameters=(RATE, MOMENTUM, KIND), among=ROWS),
    "without defaults": Space(parameters=(Parameter(name="x", kind="float", low=-1.0, high=1.0),)),
}


def study(
    space: Space,
    *,
    searcher: str = "random",
    scheduler: str = "halving",
    tier: Literal["opaque", "resumable", "cooperative"] = "cooperative",
    goal: Goal = "min",
    schedule: Literal["free", "tied"] = "free",
    trials: int | None = 12,
) -> Study:
    """Make a small study to try a policy on: 90 steps, rungs at 10 and 30."""
    return Study(
        name="conformance",
        command=" ".join(f"--{p.name} {{{p.name}}}" for p in space.parameters),
        folder=".",
        objective=Objective(metric="loss", goal=goal),
        horizon_steps=90,
        schedule=schedule,
        space=space,
        budget=Budget(trials=trials),
        policy=Policy(searcher=searcher, scheduler=scheduler),
        tier=tier,
    )


def curve(params: Mapping[str, Value], step: int) -> float:
    """Fall towards a floor that depends on the parameters; some never give a number."""
    key = json.dumps(dict(params), sort_keys=True)
    floor = sum(map(ord, key)) % 97 / 97
    return math.nan if floor > 0.95 else floor + 1.0 / (step + 1)


def memory(params: Mapping[str, Value], step: int) -> float:
    """What a guard is set on: too much for two in five points of the space, once a few steps are done."""
    return sum(map(ord, json.dumps(dict(params), sort_keys=True))) % 101 if step >= 5 else 0.0


def check_searcher(name: str, decide: Decider) -> None:
    """Check a searcher that proposes under `name`. Raises AssertionError that says what does not hold.

    Pure; proposes inside the space, the baseline first, never more than wanted or than the budget allows; repeats no
    point of a finite space; comes to an end on one.
    """
    for label, space in SPACES.items():
        for scheduler in (fifo, halving):
            asked = study(space, searcher=name, scheduler=scheduler.NAME)
            night = _night(asked, [scheduler.decide, decide, budgets.decide])
            _check_pure(night, decide)
            for state in night.seen:
                _check_proposals(state, decide(state), name)
            proposed = [dict(c.params) for c in night.state.candidates.values()]
            where = f"searcher {name}, space {label!r}"
            assert night.reason, f"{where}: the night did not end within its ticks"
            points = {"empty": 1, "finite": 7, "listed": len(ROWS)}.get(label)
            assert proposed and len(proposed) <= 12, f"{where}: {len(proposed)} candidates for a budget of 12 trials"
            assert points in (None, len(proposed)), f"{where}: {len(proposed)} candidates for {points} points"
            assert not any(p in proposed[:i] for i, p in enumerate(proposed)), f"{where}: a point was proposed twice"
            baseline = region(space).baseline()
            assert baseline is None or proposed[0] == baseline, f"{where}: the first candidate is not the baseline"


def check_scheduler(decide: Decider, *, name: str = "halving", trials: int = 12) -> None:
    """Check a scheduler that studies call `name`. Raises AssertionError that says what does not hold.

    Pure; starts only queued and paused trials, no more than there are free slots, none twice; ends the night; leaves
    at least one full result; goes on with nothing that breaks a guard; lets trials inherit only what waits and is saved;
    says nothing when there is no shift or it is ending. `trials`: the budget of each study that is played.
    """
    for tier, goal, slots, schedule in product(TIERS, GOALS, (1, 3), SCHEDULES):
        asked = study(SPACES["continuous"], scheduler=name, tier=tier, goal=goal, schedule=schedule, trials=trials)
        night = _night(asked, [decide, uniform.decide, budgets.decide], slots=slots)
        _check_pure(night, decide)
        for state in night.seen:
            _check_starts(state, decide(state))
            _check_heirs(state, decide(state))
        where = f"scheduler, tier {tier}, goal {goal}, {slots} slots, schedule {schedule}"
        assert night.reason, f"{where}: the night did not end within its ticks"
        assert night.state.statuses.get("complete", 0), f"{where}: no trial was run to the horizon"
    for tier in TIERS:
        _check_guards(decide, tier, name)
    assert decide(State()) == [], "A scheduler decides something before there is a study."


def _check_heirs(state: State, decisions: Sequence[Decision]) -> None:
    """What a trial is to begin from is there, nothing trains on it meanwhile, and its parameters are of the space."""
    for one in decisions:
        if one.verb != "propose" or not one.inherits.trial:
            continue
        assert state.study is not None
        fault = region(state.study.space).fault(one.params)
        assert not fault, f"{one.by} proposed {dict(one.params)}: {fault}"
        name, step = one.inherits.trial, one.inherits.step
        assert name in state.trials and state.attempt_of(name) is None, f"a trial is to begin from {name}, which runs or is none"
        saved = {checkpoint.step for checkpoint in state.checkpoints.get(name, ())}
        assert step in saved, f"a trial is to begin from {name} at step {step}; it has checkpoints at {sorted(saved)}"
        assert one.parents == (state.trials[name].candidate,), f"the parents {one.parents} are not those of {name}"


def _check_guards(decide: Decider, tier: Literal["opaque", "resumable", "cooperative"], name: str) -> None:
    """What breaks a guard is neither started nor advanced nor run to its end, but for the baseline."""
    plain = study(SPACES["continuous"], scheduler=name, tier=tier)
    asked = replace(plain, objective=replace(plain.objective, guards=("memory <= 60",)))
    night = _night(asked, [guarding.decide, decide, uniform.decide, budgets.decide], beside={"memory": memory})
    where = f"scheduler, tier {tier}, a study with a guard"
    for state in night.seen:
        for one in decide(state):
            trial = state.trials.get(one.subject)
            wrong = one.verb in ("start", "advance") and trial is not None and barred(state, trial)
            assert not wrong, f"{where}: {one.verb} of {one.subject}, which breaks a guard. Ask models.guarding.barred."
    assert night.reason, f"{where}: the night did not end within its ticks"
    ended = [t for t in night.state.trials.values() if t.status == "complete"]
    assert ended and not any(barred(night.state, trial) for trial in ended), f"{where}: what broke it was run to its end"


def _night(
    asked: Study, deciders: Sequence[Decider], slots: int = 2, beside: Mapping[str, Callable[..., float]] | None = None
) -> Night:
    return play(asked, deciders, curve=curve, slots=slots, ticks=600, beside=beside or {})


def _check_pure(night: Night, decide: Decider) -> None:
    for state in night.seen[::5]:
        first, second = decide(state), decide(state)
        assert first == second, (
            f"The same state gave two answers: {first} and {second}. Use no clock and no unseeded chance."
        )


def _check_reasons(decisions: Sequence[Decision]) -> None:
    for decision in decisions:
        assert decision.reason.strip(), f"{decision.verb} {decision.subject} has no reason"
        assert decision.by, f"{decision.verb} {decision.subject} does not say who decided it"
        json.dumps(dict(decision.params))


def _check_proposals(state: State, decisions: Sequence[Decision], name: str) -> None:
    _check_reasons(decisions)
    proposals = [d for d in decisions if d.verb == "propose"]
    assert len(proposals) <= wanted(state), (
        f"{len(proposals)} candidates were proposed where {wanted(state)} were wanted"
    )
    assert state.study is not None
    ground = region(state.study.space)
    for proposal in proposals:
        script_defaults = not proposal.params and state.study.tier == "cooperative"
        fault = "" if script_defaults else ground.fault(proposal.params)
        assert not fault, f"{name} proposed {dict(proposal.params)}: {fault}"


def _check_starts(state: State, decisions: Sequence[Decision]) -> None:
    _check_reasons(decisions)
    starts = [d for d in decisions if d.verb == "start"]
    assert len(starts) <= state.free_slots(), f"{len(starts)} starts into {state.free_slots()} free slots"
    assert len({d.subject for d in starts}) == len(starts), "a trial is started twice"
    assert not (decisions and state.ending), f"{decisions[0].verb} was decided while the shift is ending"
    for decision in starts:
        trial = state.trials.get(decision.subject)
        assert trial is not None, f"{decision.subject} is started, but there is no such trial"
        assert trial.status in ("queued", "paused"), f"{trial.id} is started while it is {trial.status}"
        horizon = state.study.horizon_steps if state.study else 0
        assert trial.steps_done < decision.until_step <= horizon, (
            f"{trial.id} is started until step {decision.until_step}"
        )
