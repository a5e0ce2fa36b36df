"""What a night says while it works: the facts people wait for, one line each, as they are recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from secondshift import plugins
from secondshift.interfaces.cli.printing import cited
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.duties import named
from secondshift.interfaces.readmodel.ideas import statement as idea_statement
from secondshift.interfaces.readmodel.models import askable
from secondshift.interfaces.readmodel.objectives import steps_to, written
from secondshift.interfaces.readmodel.overview import tier_line
from secondshift.interfaces.readmodel.quotes import quoted
from secondshift.interfaces.readmodel.reasons import story
from secondshift.records import events as facts
from secondshift.records.evaluations import Evaluation
from secondshift.records.ideas import Idea
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.studies import Study, Value
from secondshift.records.trials import Trial

AS_IN_WHY = (
    facts.TrialClosed,
    facts.TrialAdvanced,
    facts.CheckpointRejected,
    facts.CheckpointFailed,
    facts.DirectiveApplied,
    facts.PointsDropped,
    facts.IncidentOpened,
    facts.IncidentAmended,
    facts.TrialHelped,
    facts.TrialReopened,
    facts.IncidentClosed,
)


class Narrator:
    """Prints facts as they are recorded. A closed terminal or a full disk silences it; it never ends a night."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def __call__(self, state: State, events: Sequence[facts.Event]) -> None:
        """Say those of these facts that a person at the terminal would want to hear; the state holds them already."""
        try:
            for event in events:
                clock = datetime.fromtimestamp(event.at).astimezone().strftime("%H:%M:%S")
                for statement in _statements(state, event):
                    print(f"{clock}  {tell(statement, self.lang)} [{cited((event.seq,))}]", flush=True)
        except (OSError, ValueError):
            return


def _statements(state: State, event: facts.Event) -> Iterator[Statement]:
    payload = event.payload
    if isinstance(payload, facts.LeaseTaken):
        yield Statement(key="told.taken", values={"token": payload.token, "holder": payload.holder})
    elif isinstance(payload, facts.ShiftStarted):
        yield Statement(key="told.began", values={"shift": payload.shift.id, "slots": payload.shift.slots})
        yield from quoted(plugins.quoting()(replace(state, now_s=event.at)))
        if state.study is not None:
            yield from askable(state.study.agent.model)
        if (tier := tier_line(state.study)) is not None:
            yield tier
    elif isinstance(payload, facts.StudyAmended) and "proof" in payload.changed and state.shift is not None:
        if (tier := tier_line(payload.study)) is not None:
            yield tier
        elif payload.study.proof == "proved":
            yield Statement(key="told.tier_proved", values={"tier": payload.study.tier_offered()})
    elif isinstance(payload, facts.ShiftEnded):
        yield Statement(key="told.ended", values={"shift": payload.shift, "reason": payload.reason})
    elif isinstance(payload, facts.BriefWritten):
        files = ", ".join(name for name in payload.files if name.endswith((".md", ".html")))
        yield Statement(key="told.brief", values={"files": files})
    elif isinstance(payload, facts.BriefSent):
        values = {"channel": payload.channel, "detail": payload.detail}
        yield Statement(key=f"told.brief_{payload.outcome}", values=values)
    elif isinstance(payload, facts.PageSent):
        values = {"person_word": named(payload.person), "incident": payload.incident, "channel": payload.channel}
        yield Statement(key=f"told.page_{payload.outcome}", values={**values, "detail": payload.detail})
    elif isinstance(payload, facts.AttemptStarted):
        trial = state.trials[payload.attempt.partition(".")[0]]
        values = {
            "trial": trial.id,
            "pid": str(payload.pid),
            "steps": trial.steps_done,
            "params_word": _params(state, trial),
        }
        again = trial.steps_done and not payload.attempt.endswith(".a1")  # a short script saves before it is seen
        if trial.pair >= 0 and not again:
            yield Statement(key="told.fresh", values={**values, "seed": trial.pair + 1})
        else:
            yield Statement(key="told.resumed" if again else "told.started", values=values)
    elif isinstance(payload, facts.AttemptEnded):
        yield from _ended(state, state.trials[payload.attempt.partition(".")[0]])
    elif isinstance(payload, facts.TrialEvaluated) and state.study is not None and state.study.judges_search():
        yield _judged(state.study, payload.evaluation)
    elif isinstance(payload, facts.IdeaCaptured | facts.IdeaAmended) and _is_news(payload.idea):
        yield idea_statement(state, payload.idea)
    elif isinstance(payload, facts.BaselineMoved) and payload.idea:
        yield Statement(key="ideas.accepted", values={"idea": payload.idea, "candidate": payload.candidate})
    elif isinstance(payload, AS_IN_WHY):
        yield from story([event])


def _is_news(idea: Idea) -> bool:
    """Say whether an idea came in or got an answer; that a canary was given its change is neither."""
    return idea.state != "exploring" and not (idea.canary and idea.state == "open" and idea.change)


def _ended(state: State, trial: Trial) -> Iterator[Statement]:
    value = state.result(trial)
    values: dict[str, Value] = {"trial": trial.id, "status_word": trial.status, "reason": trial.reason}
    yield Statement(key="told.left", values=values)
    if value is not None and state.study is not None:
        horizon = state.study.horizon_steps
        values = {"metric": state.study.objective.metric, "value": value, "horizon": horizon}
        key = f"told.value_{trial.mark()}" if trial.mark() else "told.value"
        yield Statement(key=key, values={**values, "steps": steps_to(trial.logged_step, horizon)})


def _judged(study: Study, found: Evaluation) -> Statement:
    """The evaluator's word on a trial of a search for programs."""
    if found.problem:
        return Statement(key="told.judged_nothing", values={"trial": found.trial, "detail": found.detail or "—"})
    return Statement(key="told.judged", values={"trial": found.trial, "metric": study.objective.metric, "value": found.value})


def _params(state: State, trial: Trial) -> str:
    candidate = state.candidates.get(trial.candidate)
    if candidate and candidate.params:
        return written(candidate.params)
    return "changed_code" if candidate and candidate.code else "own_defaults"
