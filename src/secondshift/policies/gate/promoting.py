"""A person releases an artefact: one that held up and passed the gate, or another with a reason that is recorded."""

from collections.abc import Sequence

from secondshift.policies.gate.ordering import first_whole
from secondshift.policies.models.guarding import confirmed
from secondshift.records.decisions import Decision
from secondshift.records.events import RequestReceived
from secondshift.records.gates import Promotion
from secondshift.records.states import State

NAME = "promoting"


def decide(state: State) -> list[Decision]:
    """Answer each request to promote an idea; one whose suite is not judged yet waits for that."""
    answers: list[Decision] = []
    for request in state.requests.values():
        known = (*state.promotions.values(), *(one for answer in answers for one in answer.promotions))
        if request.verb == "promote" and (answer := _answer(state, request, known)) is not None:
            answers.append(answer)
    return answers


def _answer(state: State, request: RequestReceived, known: Sequence[Promotion]) -> Decision | None:
    name, because = str(request.args.get("idea", "")), str(request.args.get("because", "")).strip()
    idea, study = state.ideas.get(name), state.study
    if idea is None or not idea.candidate or study is None:
        return _decision(request, (), f"there is no idea {name} that became a candidate")
    if taken := _place_refusal(name, str(request.args.get("to", "")), known):
        return _decision(request, (), taken)
    against = [] if idea.state == "held up" else [f"it is {idea.state}"]
    if against and not because:
        return _decision(request, (), f"{name} is {idea.state}: it did not hold up. Say --because WHY to promote it all the same")
    worst = confirmed(state, idea).worst
    if worst is not None:
        against.append(f"it breaks the guard {worst.guard.text}")
        if not because:
            why = f"{name} breaks the guard {worst.guard.text}. Say --because WHY to promote it all the same"
            return _decision(request, (), why)
    run = state.gate_run(idea, request.id) if study.gate.suite else None
    if study.gate.suite and (run is None or not run.verdict):
        return None
    if run is not None and run.verdict != "pass":
        against.append(f"the gate says {run.verdict}")
        if not because:
            why = f"the gate says {run.verdict} ({run.id}): {run.reason}. Say --because WHY to promote it all the same"
            return _decision(request, (), why)
    trial = run.trial if run is not None else first_whole(state, idea.candidate)
    if not trial:
        return _decision(request, (), f"{idea.candidate} has no complete trial whose artefact could be released")
    one = Promotion(
        id="", idea=idea.id, candidate=idea.candidate, trial=trial, gate=run.id if run else "",
        digest=run.artefact() if run else "", verdict=run.verdict if run else "", who=request.who,
        because=because if against else "", to=str(request.args.get("to", "")), request=request.id,
    )  # fmt: skip
    overridden = f" although {' and '.join(against)}: {because}" if against else ""
    return _decision(request, (one,), "", overridden)


def _place_refusal(idea: str, to: str, known: Sequence[Promotion]) -> str:
    """Say why nothing can be released to a place, so that the sealed test is not opened for nothing; empty: it is free."""
    for one in known:
        same = to in (one.to, one.place) if to else not one.to and one.idea == idea
        if same and not one.outcome:
            return f"a release of {one.idea} to that place is under way. Name another folder with --to PATH"
        if same and one.outcome == "released":
            return f"{one.idea} was released to {one.place} already ({one.id}). Name another folder with --to PATH"
    return ""


def _decision(request: RequestReceived, promotions: tuple[Promotion, ...], refused: str, overridden: str = "") -> Decision:
    name = str(request.args.get("idea", ""))
    return Decision(
        verb="promote", subject=f"promotion of {name}", promotions=promotions, by=request.who, source="person", refused=refused,
        reason=f"{request.who} promoted {name}{overridden}.", based_on=(request.id,),
    )  # fmt: skip
