"""What a coding agent may ask for, as the deciders and arbitration see it: never what is a person's, never past a cap."""

from dataclasses import replace

import pytest

from secondshift.arbitrate import arbitrate
from secondshift.engine import decide, stages
from secondshift.ledger.fold import fold
from secondshift.policies.evidence import inbox
from secondshift.policies.searchers import asked
from secondshift.records import events as facts
from secondshift.records.decisions import start
from secondshift.records.ideas import Idea
from secondshift.records.nights import Shift
from secondshift.records.states import Spend, State
from secondshift.records.studies import Budget, Objective, Parameter, Policy, Space, Study, Value
from secondshift.records.trials import Candidate, Trial
from secondshift.standing import requested

AGENT = "mcp:claude-code"
SPACE = Space(
    parameters=(
        Parameter(name="lr", kind="float", low=0.001, high=1.0, default=0.1),
        Parameter(name="kind", kind="categorical", choices=("sgd", "adam"), default="sgd"),
        Parameter(name="beta", kind="float", low=0.0, high=0.99, default=0.9, when={"kind": ("adam",)}),
    ),
    constraints=("lr <= 0.9",),
)  # fmt: skip
STUDY = Study(
    name="s", command="c", folder=".", objective=Objective(metric="loss"), horizon_steps=9, space=SPACE,
    policy=Policy(searcher="random", scheduler="fifo"), budget=Budget(device_s=1000.0),
)  # fmt: skip
SHIFT = Shift(id="s1", started_at=0.0, deadline_at=None, slots=2, boot_id="b", anchor_boot_s=0.0)
BASE = Candidate(id="c1", params={"lr": 0.1, "kind": "sgd"}, by="random")


def request(verb: str, who: str = AGENT, name: str = "r1", **args: Value) -> facts.RequestReceived:
    return facts.RequestReceived(id=name, verb=verb, who=who, args=args, asked_at=1.0)


def state(*requests: facts.RequestReceived, **changes) -> State:
    parts = dict(study=STUDY, shift=SHIFT, candidates={"c1": BASE}, trials={"t1": Trial(id="t1", candidate="c1", seed=0)})
    return State(**{**parts, "requests": {r.id: r for r in requests}, "open": {"t1": True}, **changes})


def agents_trials(count: int, by: str = AGENT, status: str = "queued") -> dict:
    candidates = {f"c{n}": Candidate(id=f"c{n}", params={"lr": n / 1000, "kind": "sgd"}, by=by) for n in range(2, count + 2)}
    trials = {f"t{n}": Trial(id=f"t{n}", candidate=f"c{n}", seed=0, status=status) for n in range(2, count + 2)}  # type: ignore[arg-type]
    known = {"t1": Trial(id="t1", candidate="c1", seed=0), **trials}
    return dict(candidates={"c1": BASE, **candidates}, trials=known, open={n: True for n, t in known.items() if t.open()})


def outcome(seen: State) -> tuple[list[facts.Payload], list[str]]:
    """What one round makes of the requests: everything but decisions that were dropped, and why those were."""
    out = arbitrate(seen, [*requested(seen), *inbox.decide(seen), *asked.decide(seen)])
    dropped = [p for p in out if isinstance(p, facts.DecisionDropped)]
    return [p for p in out if p not in dropped], [p.reason for p in dropped]


def test_a_trial_is_queued_with_what_was_asked_for_and_the_rest_of_the_baseline() -> None:
    made, dropped = outcome(state(request("try", **{"set.kind": "adam", "why": "momentum"})))
    assert not dropped
    (candidate,) = [p.candidate for p in made if isinstance(p, facts.CandidateProposed)]
    assert (dict(candidate.params), candidate.by) == ({"kind": "adam", "lr": 0.1, "beta": 0.9}, AGENT)
    (queued,) = [p.trial for p in made if isinstance(p, facts.TrialQueued)]
    assert queued.pair == -1 and queued.seed == STUDY.seed, "a trial of the search: no verdict may rest on it"
    (decision,) = [p.decision for p in made if isinstance(p, facts.DecisionMade)]
    assert decision.based_on == ("r1",) and "momentum" in decision.reason


@pytest.mark.parametrize(("args", "changes", "why"), [
    ({"set.lr": 0.1}, {}, "t1 has these very parameters"),
    ({"set.lr": 5.0}, {}, "outside its axis"),
    ({"set.lr": 0.95}, {}, "the constraint `lr <= 0.9` does not hold"),
    ({"set.beta": 0.5}, {}, "only active when"),
    ({"set.nonsense": 1}, {}, "not a parameter of the space"),
    ({"set.lr": 0.2}, {"spend": Spend(settled_device_s=999.5)}, "no device time left to reserve"),
    ({"set.lr": 0.2}, {"study": replace(STUDY, budget=Budget(trials=1))}, "the budget of 1 trials is used up"),
    ({"set.lr": 0.2}, {"study": replace(STUDY, policy=Policy(scheduler="population"))}, "bring it as an idea"),
    ({"set.lr": 0.2}, agents_trials(asked.MOST_OPEN), "wait or run already"),
    ({"set.lr": 0.2}, agents_trials(asked.MOST_OPEN + 1, status="complete"), "the search comes first now"),
])  # fmt: skip
def test_a_trial_that_is_not_begun_is_answered_with_the_reason(args: dict, changes: dict, why: str) -> None:
    made, dropped = outcome(state(request("try", **args), **changes))
    assert not made and len(dropped) == 1 and why in dropped[0]


def test_while_all_that_is_left_is_set_aside_a_trial_waits_for_what_comes_back_and_none_starts() -> None:
    seen = state(request("try", **{"set.lr": 0.2}), spend=Spend(reserved_device_s=1000.0), free_devices=("cpu-0",))
    assert any(isinstance(p, facts.TrialQueued) for p in outcome(seen)[0])
    wish = start("t1", until_step=9, reason="it is next", by="fifo")
    assert not any(isinstance(p, facts.AttemptOrdered) for p in arbitrate(seen, [wish]))


def test_a_person_is_not_counted_as_an_agent_and_a_search_that_is_over_needs_no_half() -> None:
    many = agents_trials(asked.MOST_OPEN + 1, status="complete")
    assert outcome(state(request("try", who="kim", **{"set.lr": 0.2}), **many))[0]
    over = {"search": "1/random: every distinct point of the search space has been proposed"}
    assert outcome(state(request("try", **{"set.lr": 0.2}), memos=over, **many))[0]


def test_of_many_trials_asked_for_at_once_only_as_many_as_may_wait_are_queued_each_once() -> None:
    asking = [request("try", name=f"r{n}", **{"set.lr": 0.2 + n // 2 / 100}) for n in range(12)]
    made, dropped = outcome(state(*asking))
    assert len([p for p in made if isinstance(p, facts.TrialQueued)]) == asked.MOST_OPEN
    assert len(dropped) == 12 - asked.MOST_OPEN and any("twice at once" in why for why in dropped)


@pytest.mark.parametrize("changes", [{"shift": None}, {"ending": "the deadline"}])
def test_between_shifts_a_request_for_a_trial_waits(changes: dict) -> None:
    assert asked.decide(state(request("try", **{"set.lr": 0.2}), **changes)) == []


def pair_of_seeds() -> dict:
    mine = agents_trials(1)
    return {**mine, "trials": {**mine["trials"], "t2": replace(mine["trials"]["t2"], pair=0)}}


@pytest.mark.parametrize(("changes", "why"), [
    (agents_trials(1, by="random"), "stops only what it asked for itself"),
    (agents_trials(1, by="mcp:another"), "stops only what it asked for itself"),
    (pair_of_seeds(), "a say in the verdict"),
])  # fmt: skip
def test_an_agent_stops_neither_others_trials_nor_one_that_a_verdict_rests_on(changes: dict, why: str) -> None:
    made, dropped = outcome(state(request("stop", trial="t2"), **changes))
    assert not made and why in dropped[0]
    assert outcome(state(request("stop", who="kim", trial="t2"), **changes))[0], "a person may"


def test_an_agent_stops_the_trial_that_it_asked_for() -> None:
    made, dropped = outcome(state(request("stop", trial="t2"), **agents_trials(1)))
    assert not dropped and [p.trial for p in made if isinstance(p, facts.TrialClosed)] == ["t2"]


ASKED = [
    request("stop"), request("stop", now=True), request("accept", idea="e1", because="I am sure"),
    request("promote", idea="e1", because="I am sure"), request("answer", incident="i1", answer="leave"),
    request("hand-over", to="kim"), request("swap", to="kim", first="2026-01-01"), request("idea", idea="e1", again=True),
    request("anything"),
]  # fmt: skip


@pytest.mark.parametrize("one", ASKED, ids=lambda one: f"{one.verb} {dict(one.args)}")
def test_what_only_a_person_may_ask_for_is_refused_to_an_agent_whoever_would_answer(one: facts.RequestReceived) -> None:
    idea = Idea(id="e1", text="x", author=AGENT, state="refuted", params={"lr": 0.2}, candidate="c2", baseline="c0")
    seen = state(one, ideas={"e1": idea}, baseline="c1", now_s=1e9, **agents_trials(1))
    out = decide(seen, dict(stages(STUDY))["decide"])
    answers = [p for p in out if isinstance(p, facts.DecisionDropped) and one.id in p.decision.based_on]
    assert answers and not [p for p in out if isinstance(p, facts.DecisionMade) and AGENT in (p.decision.by, *p.decision.based_on)]
    assert all(p.decision.by != AGENT or p.reason for p in answers)
    events = [facts.Event(seq=n, at=1.0, token=1, kind=facts.KIND_OF[type(p)], payload=p) for n, p in enumerate(out, 1)]
    after = fold(seen, events)
    assert not after.requests and after.baseline == "c1" and not after.ending, "answered, and nothing came of it"


def test_the_author_of_an_agents_idea_is_the_agent_whatever_it_says() -> None:
    made, _ = outcome(state(request("idea", text="x", author="kim", **{"set.lr": 0.2})))
    assert [p.idea.author for p in made if isinstance(p, facts.IdeaCaptured)] == [AGENT]
    made, _ = outcome(state(request("idea", who="lee", text="x", author="kim")))
    assert [p.idea.author for p in made if isinstance(p, facts.IdeaCaptured)] == ["kim"]


def test_ideas_of_agents_are_bounded_and_those_of_people_are_not() -> None:
    many = {f"e{n}": Idea(id=f"e{n}", text=f"number {n}", author=AGENT) for n in range(1, inbox.MOST_OF_AGENTS + 1)}
    made, dropped = outcome(state(request("idea", text="one more"), ideas=many))
    assert not made and "ideas of agents wait for an answer" in dropped[0]
    assert outcome(state(request("idea", who="kim", text="one more"), ideas=many))[0]
    answered = {**many, "e1": replace(many["e1"], state="refuted")}
    assert outcome(state(request("idea", text="one more"), ideas=answered))[0]


@pytest.mark.parametrize(("changes", "who", "why"), [
    ({}, AGENT, ""),
    ({}, "mcp:another", "who alone can take it back"),
    ({}, "kim", "who alone can take it back"),
    ({"also": ("kim",)}, AGENT, "an idea of kim too"),
    ({"state": "exploring"}, AGENT, "only an idea that nothing was run for"),
    ({"state": "refuted"}, AGENT, "only an idea that nothing was run for"),
    ({"id": "e2"}, AGENT, "there is no idea e1"),
])  # fmt: skip
def test_an_idea_is_taken_back_by_its_author_before_anything_ran(changes: dict, who: str, why: str) -> None:
    idea = replace(Idea(id="e1", text="x", author=AGENT, params={"lr": 0.2}), **changes)
    made, dropped = outcome(state(request("withdraw", who=who, idea="e1"), ideas={idea.id: idea}))
    if why:
        assert not [p for p in made if isinstance(p, facts.IdeaAmended)] and why in dropped[0]
    else:
        (after,) = [p.idea for p in made if isinstance(p, facts.IdeaAmended)]
        assert after.state == "refused" and "took it back" in after.answer
