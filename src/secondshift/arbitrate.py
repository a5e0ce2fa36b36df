"""Who wins when decisions clash, and what the budget allows: decisions in, facts out. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from secondshift.records import events as facts
from secondshift.records.agent_calls import AgentCall
from secondshift.records.decisions import Decision
from secondshift.records.devicenames import chosen
from secondshift.records.gates import GateRun
from secondshift.records.ideas import CONFIRM_SEED, Idea
from secondshift.records.incidents import Incident, directives_of
from secondshift.records.states import MIN_GRANT_S, State
from secondshift.records.trials import Attempt, Candidate, Directives, Trial

WRITTEN = ("see", "open", "amend", "close", "judge", "gate", "forecast", "audit")  # what was seen and believed; no clash
RANKS = ("person", "captain", "evidence", "scheduler", "searcher")  # the first wins
MANY = ("propose", "remember", "repeat", "fit")  # verbs that several decisions of one round may have for one subject


@dataclass(kw_only=True, slots=True)
class _Desk:
    """What one round of arbitration has given away so far."""

    state: State
    out: list[facts.Payload] = field(default_factory=list)
    settled: dict[str, Decision] = field(default_factory=dict)  # subject -> the decision that won
    devices: list[str] = field(default_factory=list)
    slots: int = 0
    given_s: float = 0.0  # device-seconds set aside in this round
    made: int = 0
    candidates: int = 0
    trials: int = 0
    incidents: int = 0
    pages: int = 0
    ideas: int = 0
    comparisons: int = 0
    gates: int = 0
    promotions: int = 0
    calls: int = 0
    calls_usd: float = 0.0  # set aside for them in this round
    pairs: set[str] = field(default_factory=set)  # fresh seeds given out

    @property
    def left(self) -> float | None:
        """Device-seconds that may still be set aside; None if not capped."""
        left = self.state.device_s_left(self.calls_usd)
        return None if left is None else left - self.given_s


def arbitrate(state: State, decisions: Iterable[Decision]) -> list[facts.Payload]:
    """Turn wishes into facts: the highest rank wins a subject, ids are given, budget is reserved before a start.

    A decision that loses or cannot be paid for becomes a `decision.dropped` fact, once per reason; one that asks
    for what is already so is passed over.
    """
    desk = _Desk(state=state, devices=list(state.free_devices), slots=state.free_slots())
    for decision in sorted(decisions, key=lambda d: RANKS.index(d.source)):
        refusal = _refusal(desk, decision)
        if refusal is None:
            taken = decision if decision.verb in WRITTEN else _numbered(desk, decision)
            _TAKE[decision.verb](desk, taken)
        elif refusal and (decision.based_on or state.held.get(decision.subject or decision.verb) != refusal):
            desk.out.append(facts.DecisionDropped(decision=decision, reason=refusal))
    _extend(desk)
    return desk.out


def _numbered(desk: _Desk, decision: Decision) -> Decision:
    desk.made += 1
    numbered = replace(decision, id=f"d{desk.state.decisions + desk.made}")
    if decision.verb not in MANY:
        desk.settled[decision.subject] = numbered
    parts = (numbered.incidents, numbered.pages, numbered.covers, numbered.ideas, numbered.gates, numbered.promotions,
             numbered.calls)  # fmt: skip
    # The facts that follow hold these in full.
    bare = replace(numbered, incidents=(), pages=(), covers=(), ideas=(), gates=(), promotions=(), calls=())
    desk.out.append(facts.DecisionMade(decision=bare if any(parts) else numbered))
    return numbered


def _refusal(desk: _Desk, decision: Decision) -> str | None:
    """None: take it. Empty: it is already so. A sentence: why not."""
    if why := decision.refused or decision.only_for_people():
        return why
    if decision.verb in WRITTEN:
        return None
    if decision.source != "person" and not desk.state.may(decision.needs):
        return f"[captain] may of the study file does not grant {decision.needs}"
    winner = desk.settled.get(decision.subject)
    if winner is not None and decision.verb not in MANY:
        return "" if winner.verb == decision.verb else f"{winner.by} decided to {winner.verb} it: {winner.reason}"
    if decision.verb == "end":
        return "" if desk.state.ending and not _now(decision) else None
    if decision.verb == "remember":
        return None if len(decision.memo.encode()) <= 65536 else "a memo may hold 64 KiB"
    if decision.verb == "fit":
        return "" if decision.subject in desk.state.fitting else None
    if decision.verb == "propose":
        return _propose_refusal(desk)
    if decision.verb in ("cover", "page", "wait"):
        return _duty_refusal(desk.state, decision)
    if decision.verb == "check":
        return "" if any(_same_gate(run, new) for run in desk.state.gates.values() for new in decision.gates) else None
    if decision.verb == "call":
        return next(filter(None, (_call_refusal(desk, one) for one in decision.calls)), None)
    if decision.verb in ("capture", "answer", "explore", "repeat", "accept", "promote"):
        return _idea_refusal(desk, decision)
    trial = desk.state.trials.get(decision.subject)
    if trial is None:
        return f"there is no trial {decision.subject}"
    if decision.verb == "reopen":
        return None if trial.status == "failed" or (trial.stopped() and decision.source == "person") else ""
    if not trial.open():
        return f"{trial.id} is already {trial.status}"
    if decision.verb == "repair":
        attempt = desk.state.attempt_of(trial.id)
        if attempt is not None and attempt.asked == "stop":
            return f"{trial.id} is being stopped"
        return "no other device is free any more" if decision.moves() and desk.slots <= 0 else None
    if decision.verb == "start":
        return _start_refusal(desk, trial, decision)
    attempt = desk.state.attempt_of(trial.id)
    if decision.verb in ("pause", "advance") and attempt is None:
        return f"{trial.id} is not running"
    if decision.verb == "advance":
        return "" if trial.until_step >= decision.until_step else None
    if decision.verb == "fail" and attempt is not None:
        return f"{trial.id} is running"
    if attempt is not None and _strength(attempt.asked, attempt.asked_now) >= _strength(decision.verb, _now(decision)):
        return ""
    return None


def _propose_refusal(desk: _Desk) -> str | None:
    if desk.state.ending or "shift" in desk.settled:
        return "the shift is ending"
    cap = desk.state.study.budget.trials if desk.state.study else None
    if cap is not None and len(desk.state.trials) - len(desk.state.pairs) + desk.trials - len(desk.pairs) >= cap:
        return f"the budget of {cap} trials is used up"
    return None


def _duty_refusal(state: State, decision: Decision) -> str | None:
    people = state.rota().people
    for cover in decision.covers:
        if cover.who not in people:
            return f"nobody of [oncall] is called {cover.who!r}; there are {', '.join(people) or 'none'}"
        if cover.ends <= max(cover.begins, state.now_s):
            return "the time that was to be covered is over"
    return "" if any(page.incident not in state.incidents for page in decision.pages) else None


def _idea_refusal(desk: _Desk, decision: Decision) -> str | None:
    """Nothing is taken in or answered twice; while a shift ends, nothing new is begun."""
    state = desk.state
    if decision.verb in ("explore", "repeat") and (state.ending or "shift" in desk.settled):
        return "the shift is ending"
    if decision.verb == "explore":
        known = state.ideas.get(decision.subject)
        return "" if (known.state != "open" if known else state.baseline) else None
    if decision.verb == "repeat":
        name = f"{decision.subject}/{decision.pair}"
        return "" if name in state.pairs or name in desk.pairs else None
    return None


def _call_refusal(desk: _Desk, call: AgentCall) -> str | None:
    """What is set aside for calls never passes a cap, and an idea has one call at a time."""
    state, left, turns = desk.state, desk.state.usd_left(desk.given_s), desk.state.calls_left()
    if state.ending or "shift" in desk.settled:
        return "the shift is ending"
    if call.idea and any(state.calls[name].idea == call.idea for name in state.calling):
        return f"the agent is at work on {call.idea} already"
    if turns is not None and desk.calls >= turns:
        return "the calls of [agent] turns are used up"
    if left is not None and desk.calls_usd + call.reserved_usd > left:
        return "the budget has no money left to set aside for a call"
    return None


def _start_refusal(desk: _Desk, trial: Trial, decision: Decision) -> str | None:
    study = desk.state.study
    if desk.state.ending or "shift" in desk.settled:
        return "the shift is ending"
    if trial.status == "running" or study is None:
        return ""
    if trial.revision != study.revision:
        return f"it belongs to revision {trial.revision} of the study, which is now at {study.revision}"
    if trial.awaits_inheritance():
        return f"the checkpoint of {trial.inherits.trial} that it begins from is not in its place yet"
    if not study.alone() and decision.until_step <= trial.steps_done < study.horizon_steps:
        return f"it has done {trial.steps_done} steps already"
    if desk.slots <= 0 or not desk.devices:
        return "no device is free"
    if desk.left is not None and desk.left < MIN_GRANT_S:
        return "the budget has no device time left to reserve"
    if study.budget.wall_s is not None and desk.state.wall_s() >= study.budget.wall_s:
        return "the wall time of the study is used up"
    return None


def _take_propose(desk: _Desk, decision: Decision) -> None:
    state, study = desk.state, desk.state.study
    candidate = _candidate(desk, decision)
    desk.trials += 1
    trial = Trial(
        id=f"t{len(state.trials) + desk.trials}", candidate=candidate.id, seed=study.seed if study else 0,
        revision=candidate.revision, reason=decision.reason, inherits=decision.inherits,
    )  # fmt: skip
    desk.out.append(facts.CandidateProposed(candidate=candidate, decision=decision.id))
    desk.out.append(facts.TrialQueued(trial=trial, decision=decision.id))


def _candidate(desk: _Desk, decision: Decision, idea: Idea | None = None) -> Candidate:
    """Make a candidate; that of an idea has the code of the one it is judged against, and its own change on top."""
    desk.candidates += 1
    before = [desk.state.candidates[name].code for name in (decision.parents if idea else filter(None, (decision.on,)))]
    return Candidate(
        id=f"c{len(desk.state.candidates) + desk.candidates}", params=decision.params, parents=decision.parents,
        by=decision.by, revision=desk.state.study.revision if desk.state.study else 1, idea=idea.id if idea else "",
        code="+".join(filter(None, (*before, idea.change if idea else decision.change))),
    )  # fmt: skip


def _take_start(desk: _Desk, decision: Decision) -> None:
    """Reserve first, order second: both are recorded in one transaction before anything runs."""
    trial = desk.state.trials[decision.subject]
    device = _device(desk, trial)
    from_step, back_to = _set_aside(desk, trial)
    skip, lr_scale, fresh_loader = directives_of(desk.state.acts_on(trial.id))
    directives = Directives(skip=skip, lr_scale=lr_scale, fresh_loader=fresh_loader)
    grant = _grant(desk)
    desk.slots -= 1
    desk.given_s += grant
    attempt = f"{trial.id}.a{trial.attempts + 1}"
    alone = desk.state.study is not None and desk.state.study.alone()
    for saved in desk.state.checkpoints.get(trial.id, ()) if alone else ():
        reason = "its trial begins again from its first step: nobody proved that the script goes on from it"
        desk.out.append(facts.CheckpointPruned(trial=trial.id, step=saved.step, reason=reason))
    desk.out.append(facts.ChargeReserved(charge=attempt, trial=trial.id, device_s=grant, decision=decision.id))
    desk.out.append(facts.AttemptOrdered(
        attempt=attempt, trial=trial.id, number=trial.attempts + 1, token=desk.state.token, devices=(device,),
        from_step=0 if alone else from_step, until_step=decision.until_step, grant_s=grant, decision=decision.id,
        alone=alone, directives=directives, back_to=back_to,
    ))  # fmt: skip


def _device(desk: _Desk, trial: Trial) -> str:
    """Take the first free device, rather one that no trial was moved away from, least of all this one."""
    own = {name for act in desk.state.acts_on(trial.id) for name in act.avoid}
    device = chosen(desk.devices, own, desk.state.slow)
    desk.devices.remove(device)
    return device


def _set_aside(desk: _Desk, trial: Trial) -> tuple[int, int]:
    """Set checkpoints aside that an incident does not trust; the steps done of the newest that is left, and the bound."""
    care = desk.state.care.get(trial.id)
    if care is None or care.back_to < 0:
        return trial.steps_done, -1
    left = 0
    for saved in desk.state.checkpoints.get(trial.id, ()):
        if saved.step <= care.back_to:
            left = max(left, saved.step)
            continue
        reason = f"set aside: an incident goes back to a checkpoint of at most {care.back_to} steps"
        desk.out.append(facts.CheckpointPruned(trial=trial.id, step=saved.step, reason=reason))
    return left, care.back_to


def _grant(desk: _Desk) -> float:
    """Device-seconds to set aside now: a slice, so that an unwatched attempt cannot use up the whole budget."""
    full = desk.state.study.launch.grant_s if desk.state.study else MIN_GRANT_S
    if desk.left is None:
        return full
    return min(full, desk.left, max(MIN_GRANT_S, desk.left / max(1, desk.slots)))


def _take_advance(desk: _Desk, decision: Decision) -> None:
    at = {"step": decision.step, "value": decision.value or 0.0, "until_step": decision.until_step}
    desk.out.append(facts.TrialAdvanced(trial=decision.subject, decision=decision.id, **at))


def _take_leave(desk: _Desk, decision: Decision) -> None:
    """Pause, stop and fail: ask a running attempt, close a trial that is not running."""
    attempt = desk.state.attempt_of(decision.subject)
    if attempt is not None:
        asked = facts.AttemptAsked(attempt=attempt.id, mode=decision.verb, decision=decision.id, now=_now(decision))
        desk.out.append(asked)
        return
    status = "failed" if decision.verb == "fail" else "stopped"
    closed = facts.TrialClosed(trial=decision.subject, status=status, reason=decision.reason, decision=decision.id)
    desk.out.append(closed)


def _take_see(desk: _Desk, decision: Decision) -> None:
    attempt = desk.state.attempt_of(decision.subject)
    running = attempt.id if attempt else ""
    desk.out.append(facts.SymptomSeen(trial=decision.subject, attempt=running, findings=decision.findings))


def _take_incident(desk: _Desk, decision: Decision) -> None:
    """Open an incident that has no id yet, else write down how it stands now."""
    for incident in decision.incidents:
        _write(desk, incident, decision.reason)


def _take_close(desk: _Desk, decision: Decision) -> None:
    desk.out.extend(facts.IncidentClosed(incident=one.id, outcome=decision.reason) for one in decision.incidents)


def _write(desk: _Desk, incident: Incident, why: str) -> str:
    if incident.id:
        desk.out.append(facts.IncidentAmended(incident=incident, why=why))
        return incident.id
    desk.incidents += 1
    name = f"i{desk.state.incidents_seen + desk.incidents}"
    opened = replace(incident, id=name, opened_at=desk.state.now_s)
    desk.out.append(facts.IncidentOpened(incident=opened))
    return name


def _take_repair(desk: _Desk, decision: Decision) -> None:
    """Record the act with its incident first; then ask the attempt that runs to leave."""
    desk.slots -= decision.moves()
    trial, state = desk.state.trials[decision.subject], desk.state
    for incident in decision.incidents:
        act = incident.acts[-1]
        name = _write(desk, incident, decision.reason)
        desk.out.append(facts.TrialHelped(trial=trial.id, incident=name, act=act, decision=decision.id))
        mode = "stop" if act.remedy in ("stop", "stop_early") else "pause"
        attempt = state.attempt_of(trial.id)
        if attempt is not None and act.ends_attempt():
            asked = facts.AttemptAsked(attempt=attempt.id, mode=mode, decision=decision.id, now=act.at_once())
            desk.out.append(asked)
        elif attempt is None and mode == "stop":
            closed = facts.TrialClosed(trial=trial.id, status="stopped", reason=decision.reason, decision=decision.id)
            desk.out.append(closed)


def _take_reopen(desk: _Desk, decision: Decision) -> None:
    who = {"by": decision.by} if decision.source == "person" else {}
    desk.out.append(facts.TrialReopened(trial=decision.subject, reason=decision.reason, decision=decision.id, **who))


def _now(decision: Decision) -> bool:
    return bool(decision.params.get("now"))


def _strength(mode: str, now: bool) -> int:
    """A stop outweighs a pause, and haste outweighs patience."""
    return ("", "pause", "stop").index(mode) + 2 * now


def _take_remember(desk: _Desk, decision: Decision) -> None:
    desk.out.append(facts.MemoRemembered(policy=decision.subject, memo=decision.memo))


def _take_cover(desk: _Desk, decision: Decision) -> None:
    desk.out.extend(facts.DutyCovered(cover=cover, decision=decision.id) for cover in decision.covers)


def _take_page(desk: _Desk, decision: Decision) -> None:
    """Recorded before anything is sent: hands send what the state says is due."""
    for page in decision.pages:
        desk.pages += 1
        numbered = replace(page, id=f"g{desk.state.pages_seen + desk.pages}")
        desk.out.append(facts.PageWeighed(page=numbered, decision=decision.id))


def _take_capture(desk: _Desk, decision: Decision) -> None:
    state = desk.state
    for idea in decision.ideas:
        desk.ideas += 1
        revision = state.study.revision if state.study else 1
        named = replace(idea, id=f"e{len(state.ideas) + desk.ideas}", first_pair=state.next_pair, revision=revision)
        desk.out.append(facts.IdeaCaptured(idea=named, decision=decision.id))


def _take_answer(desk: _Desk, decision: Decision) -> None:
    desk.out.extend(facts.IdeaAmended(idea=idea, why=decision.reason) for idea in decision.ideas)


def _take_call(desk: _Desk, decision: Decision) -> None:
    """The order and what is set aside for it are one fact: no call begins before its charge."""
    for call in decision.calls:
        desk.calls += 1
        desk.calls_usd += call.reserved_usd
        name, state = f"call-{len(desk.state.calls) + desk.calls}", desk.state
        ordered = replace(call, id=name, token=state.token, ordered_at=state.now_s)
        desk.out.append(facts.AgentOrdered(call=ordered, decision=decision.id))


def _take_said(desk: _Desk, decision: Decision) -> None:
    desk.out.extend(facts.VerdictReached(verdict=verdict) for verdict in decision.verdicts)
    desk.out.extend(facts.ForecastMade(forecast=one) for one in decision.forecasts)
    desk.out.extend((facts.AuditEnded if one.outcome else facts.AuditDrawn)(audit=one) for one in decision.audits)


def _take_explore(desk: _Desk, decision: Decision) -> None:
    """An idea, or the study's defaults, become a candidate that no search has seen."""
    idea = decision.ideas[0] if decision.ideas else None
    name = idea.candidate if idea else "".join(decision.parents)
    if not name:
        candidate = _candidate(desk, decision, idea=idea)
        name = candidate.id
        desk.out.append(facts.CandidateProposed(candidate=candidate, decision=decision.id))
    if idea:
        desk.comparisons += not idea.canary  # one that must not win spends nothing of what may be spent on error
        begun = replace(idea, candidate=name, rank=0 if idea.canary else desk.state.comparisons + desk.comparisons)
        desk.out.append(facts.IdeaAmended(idea=begun, why=decision.reason))
    else:
        moved = facts.BaselineMoved(candidate=name, why=decision.reason, who=decision.by, decision=decision.id)
        desk.out.append(moved)


def _take_repeat(desk: _Desk, decision: Decision) -> None:
    study, pair = desk.state.study, decision.pair
    desk.pairs.add(f"{decision.subject}/{pair}")
    desk.trials += 1
    trial = Trial(
        id=f"t{len(desk.state.trials) + desk.trials}", candidate=decision.subject, pair=pair,
        seed=(study.seed if study else 0) + CONFIRM_SEED + pair, revision=study.revision if study else 1,
        reason=decision.reason,
    )  # fmt: skip
    desk.out.append(facts.TrialQueued(trial=trial, decision=decision.id))


def _take_accept(desk: _Desk, decision: Decision) -> None:
    for idea in decision.ideas:
        desk.out.append(facts.BaselineMoved(
            candidate=idea.candidate, why=decision.reason, idea=idea.id, who=decision.by, decision=decision.id,
            gate=decision.gates[0].id if decision.gates else "", because=decision.because,
        ))  # fmt: skip


def _same_gate(run: GateRun, new: GateRun) -> bool:
    """Say whether a run for the same request, of the same suite, is there already."""
    return replace(new, id=run.id, results=run.results, verdict=run.verdict, reason=run.reason, rows=run.rows) == run


def _take_check(desk: _Desk, decision: Decision) -> None:
    for run in decision.gates:
        desk.gates += 1
        named = replace(run, id=f"gate-{len(desk.state.gates) + desk.gates}")
        desk.out.append(facts.GateOrdered(run=named, decision=decision.id))


def _take_promote(desk: _Desk, decision: Decision) -> None:
    """A release is recorded before anything is copied, and the sealed test counts as opened before it runs."""
    state = desk.state
    for one in decision.promotions:
        desk.promotions += 1
        named = replace(one, id=f"promotion-{len(state.promotions) + desk.promotions}")
        desk.out.append(facts.PromotionOrdered(promotion=named, decision=decision.id))
        if state.study is not None and state.study.gate.sealed_command:
            opened = facts.SealedOpened(promotion=named.id, idea=named.idea, candidate=named.candidate, who=named.who)
            desk.out.append(opened)


def _take_gate(desk: _Desk, decision: Decision) -> None:
    judged = (facts.GateJudged(gate=g.id, idea=g.idea, verdict=g.verdict, reason=g.reason, rows=g.rows) for g in decision.gates)
    desk.out.extend(judged)


def _take_itself(desk: _Desk, decision: Decision) -> None:
    """Nothing more: the recorded decision itself ends the shift, or says that a fit is wanted."""


def _extend(desk: _Desk) -> None:
    """Reserve the next slice for attempts that have used up half of theirs."""
    state = desk.state
    if state.ending or state.study is None:
        return
    for attempt in state.attempts.values():
        if _stays(state, attempt) and (desk.left is None or desk.left >= MIN_GRANT_S):
            grant = _grant(desk)
            desk.given_s += grant
            desk.out.append(facts.ChargeReserved(charge=attempt.id, trial=attempt.trial, device_s=grant))


def _stays(state: State, attempt: Attempt) -> bool:
    late = state.now_s - attempt.started_at > attempt.grant_s - min(60.0, attempt.grant_s / 2)
    return late and attempt.status == "running" and not attempt.asked


_TAKE = {
    "propose": _take_propose, "start": _take_start, "advance": _take_advance,
    "pause": _take_leave, "stop": _take_leave, "fail": _take_leave,
    "end": _take_itself, "fit": _take_itself, "remember": _take_remember, "see": _take_see,
    "open": _take_incident, "amend": _take_incident, "close": _take_close,
    "repair": _take_repair, "reopen": _take_reopen,
    "cover": _take_cover, "page": _take_page, "wait": _take_page,
    "capture": _take_capture, "answer": _take_answer, "call": _take_call,
    "judge": _take_said, "forecast": _take_said, "audit": _take_said,
    "explore": _take_explore, "repeat": _take_repeat, "accept": _take_accept,
    "check": _take_check, "gate": _take_gate, "promote": _take_promote,
}  # fmt: skip
