"""What every round decides by itself, whatever the study: what people asked for, what is outdated, how a shift closes. Pure."""

from collections.abc import Sequence

from secondshift.records import events as facts
from secondshift.records.askers import ASKED_BY_AGENTS, ONLY_PEOPLE, is_agent
from secondshift.records.decisions import Decision
from secondshift.records.incidents import Incident
from secondshift.records.states import State
from secondshift.records.trials import Attempt

LEAVING_S = 120.0  # for a script that has logged its last step to end by itself when the shift does
OF_THE_CAPTAIN = ("answer",)  # requests
OF_THE_ROTA = ("hand-over", "swap")  # requests
OF_THE_INBOX = ("idea", "withdraw", "accept", "promote")  # requests
OF_THE_SEARCH = ("try",)  # requests


def noted(
    state: State, finding: str, evidence: tuple[str, ...], action: str, *, at: float, number: int = 1
) -> list[facts.Payload]:
    """Open an incident of the shift itself, unless the same is open already; `number`: how manyth it is in one round."""
    if any(incident.finding == finding for incident in state.incidents.values()):
        return []
    incident = Incident(
        id=f"i{state.incidents_seen + number}", subject="shift", finding=finding, evidence=evidence, action=action,
        opened_at=at,
    )  # fmt: skip
    return [facts.IncidentOpened(incident=incident)]


def closing(state: State) -> Sequence[Decision]:
    """When the shift is ending, ask every attempt to leave: pause, or kill where a person said now."""
    if not state.ending:
        return ()
    return [
        Decision(
            verb="pause", subject=attempt.trial, by="shift", source="person",
            params={"now": True} if state.hurry else {}, reason=f"the shift ends: {state.ending}",
        )
        for attempt in state.attempts.values()
        if (not attempt.asked or (state.hurry and not attempt.asked_now)) and not _just_leaving(state, attempt)
    ]  # fmt: skip


def _just_leaving(state: State, attempt: Attempt) -> bool:
    """Say whether it has logged its last step and is only putting its things away: asked to leave, it would have to begin again."""
    if state.hurry or state.study is None or not attempt.alone:
        return False
    whole = state.trials[attempt.trial].logged_step + 1 >= state.study.horizon_steps
    return whole and state.now_s - attempt.last_log_at <= LEAVING_S


def requested(state: State) -> Sequence[Decision]:
    """Turn what people asked for through the spool into decisions of theirs; other rooms answer for incidents and the rota."""
    elsewhere = (*OF_THE_CAPTAIN, *OF_THE_ROTA, *OF_THE_INBOX, *OF_THE_SEARCH)
    asked = state.requests.values()
    return [_answer(state, request) for request in asked if request.verb not in elsewhere or _is_a_persons(request)]


def _is_a_persons(request: facts.RequestReceived) -> bool:
    """Say whether an agent asks for what only a person may: it is answered here, whichever room would."""
    return is_agent(request.who) and (request.verb not in ASKED_BY_AGENTS or bool(request.args.get("undo")))


def _answer(state: State, request: facts.RequestReceived) -> Decision:
    trial = str(request.args.get("trial", ""))
    now = {"now": True} if request.args.get("now") else {}
    why = f"{request.who} asked to stop" + (" now" if now else "")
    if _is_a_persons(request):
        return Decision(
            verb="stop", subject=request.verb, reason=f"{request.who} asked for {request.verb!r}", by=request.who,
            source="person", refused=ONLY_PEOPLE.format(who=request.who), based_on=(request.id,),
        )  # fmt: skip
    if request.verb == "stop" and trial and request.args.get("undo"):
        return Decision(
            verb="reopen", subject=trial, reason=f"{request.who} takes back that {trial} was stopped", by=request.who,
            source="person", based_on=(request.id,), refused=_not_to_be_undone(state, trial),
        )  # fmt: skip
    if request.verb == "stop" and trial:
        return Decision(
            verb="stop", subject=trial, reason=f"{why} {trial}", by=request.who, source="person", params=now,
            based_on=(request.id,), refused=_not_its_own(state, request.who, trial),
        )  # fmt: skip
    if request.verb == "stop":
        return Decision(
            verb="end", subject="shift", reason=why, by=request.who, source="person", params=now, based_on=(request.id,)
        )
    return Decision(
        verb="stop", subject=request.verb, reason=f"{request.who} asked for {request.verb!r}, which is not known here",
        by=request.who, source="person", based_on=(request.id,),
    )  # fmt: skip


def _not_to_be_undone(state: State, name: str) -> str:
    """Say why it cannot be taken back that a trial was stopped; empty where it can."""
    trial = state.trials.get(name)
    if trial is None:
        return f"there is no trial {name}"
    if not trial.stopped():
        return f"{name} was not stopped: it is {trial.status}"
    if trial.pair >= 0:
        return f"{name} belongs to a pair of fresh seeds; whoever let it go on would have a say in the verdict"
    if state.study is not None and trial.revision != state.study.revision:
        return f"{name} belongs to revision {trial.revision} of the study, which is now at {state.study.revision}"
    return ""


def _not_its_own(state: State, who: str, name: str) -> str:
    """Say why an agent may not stop a trial; empty where it asked for that trial itself, or is a person."""
    trial = state.trials.get(name)
    if trial is None or not is_agent(who):
        return ""
    if trial.pair >= 0:
        return f"{name} is one of a pair of fresh seeds; an agent that stopped it would have a say in the verdict"
    asked = state.candidates[trial.candidate].by if trial.candidate in state.candidates else ""
    return "" if asked == who else f"{name} was not asked for by {who}: an agent stops only what it asked for itself"


def outdated(state: State) -> Sequence[Decision]:
    """Stop what still runs for a revision of the study that is over."""
    if state.study is None:
        return ()
    return [
        Decision(
            verb="stop", subject=trial.id, by="shift", source="person",
            reason=f"the study is now at revision {state.study.revision}; results of {trial.revision} do not mix with it",
        )
        for trial in state.running()
        if trial.revision != state.study.revision
    ]  # fmt: skip
