"""Decisions: what a policy wants done, and why. None can be built without a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from secondshift.records.agent_calls import AgentCall
from secondshift.records.askers import OF_AGENTS, ONLY_PEOPLE, is_agent
from secondshift.records.forecasts import Audit, Forecast
from secondshift.records.gates import GateRun, Promotion
from secondshift.records.ideas import Idea, Verdict
from secondshift.records.incidents import Finding, Incident
from secondshift.records.inheritances import NOTHING, Inheritance
from secondshift.records.pages import Page
from secondshift.records.studies import Cover, Value

Verb = Literal[
    "propose", "start", "advance", "pause", "stop", "fail", "end", "remember",
    "see", "open", "amend", "close", "repair", "reopen", "cover", "page", "wait",
    "capture", "answer", "judge", "explore", "repeat", "accept", "check", "gate", "promote", "forecast",
    "audit", "call", "fit",
]  # fmt: skip
Source = Literal["person", "captain", "evidence", "scheduler", "searcher"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One thing to do, who wants it, and what it is based on.

    Raises ValueError if the reason is empty: a decision that cannot say why is not taken.
    """

    verb: Verb
    reason: str  # a sentence for people
    by: str  # name of the policy or person
    source: Source
    subject: str = ""  # trial, or policy name for `remember` and `fit`
    params: Mapping[str, Value] = field(default_factory=dict)  # of a proposal
    parents: tuple[str, ...] = ()
    until_step: int = 0  # of start and advance
    value: float | None = None  # the objective that was judged, for advance
    step: int = 0  # where it was judged
    memo: str = ""  # of remember, at most 64 KiB
    based_on: tuple[str, ...] = ()  # ids of trials, candidates, requests
    needs: str = ""  # the authority of the captain that this takes; a person needs none
    findings: tuple[Finding, ...] = ()  # of see
    refused: str = ""  # why the policy that made it will not have it done: it is recorded as dropped
    incidents: tuple[Incident, ...] = ()  # of open, amend, close and repair: the one it is about, as it shall stand
    covers: tuple[Cover, ...] = ()  # of cover: who takes over, and when
    pages: tuple[Page, ...] = ()  # of page and wait: what was weighed
    ideas: tuple[Idea, ...] = ()  # of capture and answer: the idea as it shall stand
    verdicts: tuple[Verdict, ...] = ()  # of judge
    gates: tuple[GateRun, ...] = ()  # of check, gate and accept: the run of a suite it is about
    forecasts: tuple[Forecast, ...] = ()  # of forecast
    audits: tuple[Audit, ...] = ()  # of audit: one that is drawn, or has ended
    promotions: tuple[Promotion, ...] = ()  # of promote
    calls: tuple[AgentCall, ...] = ()  # of call: whom the agent is called for, and what is set aside
    because: str = ""  # of accept: a person's reason to go against the evidence
    pair: int = -1  # of repeat: the number of the fresh seed
    on: str = ""  # of propose: the candidate on whose code it is made, its first parent; empty: the study's working tree
    change: str = ""  # of propose: digest of the change that it brings, on top of that code; empty: none
    inherits: Inheritance = NOTHING  # of propose: the checkpoint that the new trial begins from
    id: str = ""  # given by arbitrate

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError(
                f"A decision to {self.verb} {self.subject or 'something'} by {self.by} has no reason. "
                "Expected a sentence that says why. Pass reason='...'."
            )

    def only_for_people(self) -> str:
        """Say that it bears an agent's name and is more than an agent may have done; empty otherwise."""
        return ONLY_PEOPLE.format(who=self.by) if is_agent(self.by) and self.verb not in OF_AGENTS else ""

    def moves(self) -> bool:
        """Say whether it moves a trial by rule: a device is kept free until the trial has left its own."""
        return self.source != "person" and any(one.acts and one.acts[-1].remedy == "requeue" for one in self.incidents)


def propose(*, params: Mapping[str, Value], reason: str, by: str, parents: tuple[str, ...] = ()) -> Decision:
    """Propose a candidate; a trial of it is queued."""
    return Decision(verb="propose", params=params, reason=reason, by=by, source="searcher", parents=parents)


def program(
    *, change: str, on: str, params: Mapping[str, Value], parents: tuple[str, ...], reason: str, by: str,
    based_on: tuple[str, ...] = (), refused: str = "",
) -> Decision:  # fmt: skip
    """Propose a candidate whose code is that of `on` with a change; `refused` says why it is not to be run.

    parents: what else it was made from.
    """
    return Decision(
        verb="propose", params=params, parents=(on, *parents), on=on, change=change, reason=reason, by=by, source="searcher",
        based_on=based_on, refused=refused,
    )  # fmt: skip


def bear(
    *, params: Mapping[str, Value], parent: str, inherits: Inheritance, reason: str, by: str, based_on: tuple[str, ...] = ()
) -> Decision:
    """Propose a candidate whose trial begins from the checkpoint of another; `parent` is the candidate of that one."""
    return Decision(
        verb="propose", params=params, parents=(parent,), inherits=inherits, reason=reason, by=by, source="scheduler",
        based_on=based_on,
    )  # fmt: skip


def start(
    trial: str, *, until_step: int, reason: str, by: str, based_on: tuple[str, ...] = (), source: Source = "scheduler"
) -> Decision:
    """Start a queued trial or resume a paused one, to run until it has done `until_step` steps."""
    return Decision(
        verb="start", subject=trial, until_step=until_step, reason=reason, by=by, source=source, based_on=based_on
    )


def advance(trial: str, *, step: int, value: float, until_step: int, reason: str, by: str) -> Decision:
    """Let a running trial pass the rung at `step`, where its objective was `value`, on to `until_step`."""
    return Decision(
        verb="advance",
        subject=trial,
        step=step,
        value=value,
        until_step=until_step,
        reason=reason,
        by=by,
        source="scheduler",
    )


def pause(trial: str, *, reason: str, by: str, source: Source = "scheduler") -> Decision:
    """Ask a running trial to checkpoint and leave its slot."""
    return Decision(verb="pause", subject=trial, reason=reason, by=by, source=source)


def stop(trial: str, *, reason: str, by: str, source: Source = "scheduler") -> Decision:
    """End a trial for good."""
    return Decision(verb="stop", subject=trial, reason=reason, by=by, source=source)


def fail(trial: str, *, reason: str, by: str) -> Decision:
    """Give up a trial that was interrupted too often."""
    return Decision(verb="fail", subject=trial, reason=reason, by=by, source="captain")


def see(trial: str, findings: tuple[Finding, ...], *, by: str) -> Decision:
    """Record what the detectors found in a trial's streams."""
    return Decision(
        verb="see", subject=trial, findings=findings, reason="found in its streams", by=by, source="captain"
    )


def about(
    verb: Literal["open", "amend", "close", "repair"], incident: Incident, *, reason: str, by: str,
    needs: str = "", source: Source = "captain", based_on: tuple[str, ...] = (),
) -> Decision:  # fmt: skip
    """Open, amend or close an incident, or do the last of its acts; `incident` is how it shall stand afterwards."""
    return Decision(
        verb=verb, subject=incident.subject, incidents=(incident,), reason=reason, by=by, source=source, needs=needs,
        based_on=based_on,
    )  # fmt: skip


def reopen(trial: str, *, reason: str, by: str, needs: str) -> Decision:
    """Let a failed trial run again from its newest checkpoint."""
    return Decision(verb="reopen", subject=trial, reason=reason, by=by, source="captain", needs=needs)


def cover(who: Cover, *, reason: str, request: str) -> Decision:
    """Let somebody take over the watch for a stretch of time, as a person asked."""
    return Decision(
        verb="cover", subject=request, covers=(who,), reason=reason, by=who.asked_by, source="person", based_on=(request,)
    )


def weighed(page: Page, *, reason: str, by: str) -> Decision:
    """Tell the person on call about an incident now, or let it wait."""
    return Decision(
        verb="page" if page.verdict == "page" else "wait", subject=page.incident, pages=(page,), reason=reason, by=by,
        source="captain",
    )  # fmt: skip


def capture(idea: Idea, *, reason: str, request: str = "", source: Source = "person") -> Decision:
    """Take an idea in; it is given its id when it is recorded."""
    asked = (request,) if request else ()
    return Decision(
        verb="capture", subject=request or idea.text[:40], ideas=(idea,), reason=reason, by=idea.author, source=source,
        based_on=asked,
    )  # fmt: skip


def answer(idea: Idea, *, reason: str, by: str, based_on: tuple[str, ...] = ()) -> Decision:
    """Say what became of an idea, or more about it; `idea` is how it shall stand."""
    return Decision(verb="answer", subject=idea.id, ideas=(idea,), reason=reason, by=by, source="evidence", based_on=based_on)


def forecast(expected: Forecast, *, reason: str, by: str) -> Decision:
    """Record how a trial is expected to end."""
    return Decision(verb="forecast", subject=expected.trial, forecasts=(expected,), reason=reason, by=by, source="scheduler")


def audit(one: Audit, *, reason: str, by: str) -> Decision:
    """Record that a trial was drawn to be trained to its end, or how that ended."""
    return Decision(verb="audit", subject=one.trial, audits=(one,), reason=reason, by=by, source="scheduler")


def judge(verdict: Verdict, *, by: str) -> Decision:
    """Record what the fresh seeds of an idea say so far."""
    return Decision(
        verb="judge", subject=verdict.idea, verdicts=(verdict,), reason=verdict.reason, by=by, source="evidence"
    )


def check(run: GateRun, *, reason: str, by: str) -> Decision:
    """Run a study's suite on the artefacts of a candidate and of the baseline; it is given its id when it is recorded."""
    return Decision(verb="check", subject=f"gate of {run.idea}", gates=(run,), reason=reason, by=by, source="person")


def passed(run: GateRun, *, by: str) -> Decision:
    """Record what a suite says of a candidate, once all is measured."""
    return Decision(
        verb="gate", subject=run.id, gates=(run,), reason=run.reason or "judged", by=by, source="evidence"
    )


def call(one: AgentCall, *, reason: str, by: str, subject: str = "") -> Decision:
    """Call the agent; the call is given its id when it is recorded. `subject`: the idea, or what tells calls of a search apart."""
    return Decision(verb="call", subject=subject or one.idea, calls=(one,), reason=reason, by=by, source="searcher")


def explore(idea: Idea, params: Mapping[str, Value], *, parents: tuple[str, ...], reason: str, by: str) -> Decision:
    """Make a candidate of an idea; `idea` is how it shall stand, less the candidate's id."""
    return Decision(
        verb="explore", subject=idea.id, ideas=(idea,), params=params, parents=parents, reason=reason, by=by,
        source="evidence",
    )  # fmt: skip


def found_baseline(params: Mapping[str, Value], *, known: str = "", reason: str, by: str) -> Decision:
    """Judge ideas against the study's defaults: `known` is the candidate that has them, or one is made."""
    return Decision(
        verb="explore", subject="baseline", params=params, parents=(known,) if known else (), reason=reason, by=by,
        source="evidence",
    )  # fmt: skip


def repeat(candidate: str, *, pair: int, reason: str, by: str) -> Decision:
    """Queue a trial of a candidate with the fresh seed of this number."""
    return Decision(verb="repeat", subject=candidate, pair=pair, reason=reason, by=by, source="evidence")


def end(*, reason: str, by: str, source: Source = "scheduler") -> Decision:
    """End the shift: running trials are paused, charges settled, the brief written."""
    return Decision(verb="end", subject="shift", reason=reason, by=by, source=source)


def remember(policy: str, *, memo: str, reason: str) -> Decision:
    """Keep a policy's memory (at most 64 KiB of text) as a fact."""
    return Decision(verb="remember", subject=policy, memo=memo, reason=reason, by=policy, source="searcher")


def fit(policy: str, *, reason: str) -> Decision:
    """Order settings to be fitted, beside the loop where that may be; a `memo.remembered` will hold what came of it."""
    return Decision(verb="fit", subject=policy, reason=reason, by=policy, source="searcher")
