"""What a good engineer would do about a cause, in which order, and what it takes: the written ladder of the captain.

Nothing here does anything. An act names the authority it needs; `arbitrate.py` alone enforces that it was granted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from secondshift.records.incidents import Act, Incident
from secondshift.records.states import State
from secondshift.records.trials import Trial

TRIES = 2  # automatic ones for each cause and trial that did not work
FARTHEST = 0.5  # of the horizon: going back farther is for a person to decide
MARGIN = 8  # steps before the first suspicious one: what harms a step is done in the one before, and detectors see in blocks
EXACT = 1  # ... where a column of its own says since when
LOWER = 0.5  # times the learning rate, where nothing says by how much it jumped
JUMPED = 4.0  # times the usual rate: then it is set back to what it was
Needs = Literal["anything", "checkpoints", "history", "cooperation"]  # history: older checkpoints than the newest


@dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """One thing that can be done to a trial."""

    name: str
    authority: str  # in [captain] may; empty: takes none
    needs: Needs  # of the script
    sentence: str


REMEDIES: Mapping[str, Remedy] = {
    remedy.name: remedy
    for remedy in (
        Remedy(name="roll_back", authority="roll_back", needs="history",
               sentence="go back to a checkpoint from before the first suspicious step"),
        Remedy(name="roll_back_skip", authority="roll_back_skip", needs="cooperation",
               sentence="go back to before the first suspicious step and skip the suspicious steps"),
        Remedy(name="roll_back_lower_rate", authority="roll_back_lower_rate", needs="cooperation",
               sentence="go back to before the first suspicious step and go on with a lower learning rate"),
        Remedy(name="restart_loader", authority="restart_loader", needs="history",
               sentence="go back to before the loader failed and start it afresh"),
        Remedy(name="restart", authority="restart", needs="anything",
               sentence="end the process and start it again, from its newest checkpoint if it resumes"),
        Remedy(name="graceful_restart", authority="graceful_restart", needs="checkpoints",
               sentence="let it save, and resume it in a new process before memory runs out"),
        Remedy(name="requeue", authority="requeue", needs="checkpoints", sentence="resume it on another device"),
        Remedy(name="stop_early", authority="stop_early", needs="cooperation", sentence="stop it and keep its best checkpoint"),
        Remedy(name="stop", authority="stop_non_finite", needs="anything", sentence="stop it to save the rest of its budget"),
        Remedy(name="retry", authority="retry_infrastructure", needs="anything",
               sentence="start it again, from its newest checkpoint if it resumes"),
        Remedy(name="pause", authority="pause", needs="anything", sentence="pause it until a person decides"),
        Remedy(name="leave", authority="", needs="anything", sentence="leave it as it is"),
    )
}  # fmt: skip
# cause -> remedies in the order in which they are tried; a cause that is not here is asked about
LADDERS: Mapping[str, tuple[str, ...]] = {
    "bad_numbers": ("roll_back_skip", "roll_back_lower_rate", "stop"),
    "learning_rate_too_high": ("roll_back", "roll_back_lower_rate"),
    "bad_data": ("roll_back_skip", "roll_back_lower_rate"),
    "damaged_weights": ("roll_back", "roll_back_skip"),  # where it comes back, the data did it
    "dead_units": ("roll_back_lower_rate", "roll_back"),
    "overflow": ("roll_back", "roll_back_lower_rate"),
    "dead_loader": ("restart_loader", "restart_loader"),
    "slow_loader": ("restart_loader",),
    "slow_device": ("requeue",),
    "memory_leak": ("graceful_restart", "graceful_restart"),
    "overfitting": ("stop_early",),
    "silent": ("restart", "restart"),
    "hang_lock": ("restart", "restart"),
    "hang_busy": ("restart", "restart"),
    "hang_stopped": ("restart",),
}
# cause -> what happens if nobody answers; else it is left as it is
DEFAULTS: Mapping[str, str] = {
    "bad_numbers": "pause",
    "learning_rate_too_high": "pause",
    "bad_data": "pause",
    "damaged_weights": "pause",
    "dead_units": "pause",
    "overflow": "pause",
    "dead_loader": "pause",
    "no_learning": "pause",
    "wrong_set_up": "pause",
    "silent": "pause",
    "hang_lock": "pause",
    "hang_busy": "pause",
    "hang_stopped": "pause",
    "remedy_not_applied": "pause",
}


def next_act(state: State, incident: Incident) -> Act | None:
    """The next thing that may be done by rule, or None: then a person is asked."""
    trial = state.trials[incident.subject]
    tried = [act for act in state.acts_on(trial.id) if act.cause == incident.cause and act.outcome != "worked"]
    if len(tried) >= TRIES:
        return None
    ladder = LADDERS.get(incident.cause, ())
    for name in ladder[_rungs_used(ladder, [act.remedy for act in tried]) :]:
        remedy = REMEDIES[name]
        if name == "roll_back" and _in_vain(state, incident):
            continue
        if state.may(remedy.authority) and fits(state, trial, remedy) and not _too_far(state, trial, incident, name):
            return act_of(state, incident, name, by="captain")
    return None


def suggested(state: State, incident: Incident) -> str:
    """What a person would most likely want to allow."""
    trial = state.trials[incident.subject]
    tried = [act.remedy for act in incident.acts]
    ladder = LADDERS.get(incident.cause, ())
    for name in ladder[_rungs_used(ladder, tried) :]:
        if fits(state, trial, REMEDIES[name]):
            return name
    return DEFAULTS.get(incident.cause, "leave")


def fits(state: State, trial: Trial, remedy: Remedy) -> bool:
    """Say whether this script can do its part."""
    study = state.study
    if study is None or remedy.needs == "anything":
        return study is not None
    if study.alone() or study.tier == "opaque":
        return False
    return remedy.needs == "checkpoints" or study.tier == "cooperative"


def act_of(state: State, incident: Incident, name: str, *, by: str) -> Act:
    """Write a remedy out for this incident: where it goes back to, what is skipped, which rate it goes on with."""
    remedy = REMEDIES[name]
    attempt = state.attempt_of(incident.subject)
    back = _before(incident) if name.startswith("roll_back") or name == "restart_loader" else -1
    return Act(
        remedy=name, reason=f"{remedy.sentence}, because of {incident.cause.replace('_', ' ')}", by=by,
        cause=incident.cause, at=state.now_s, needs=remedy.authority if by == "captain" else "",
        attempt=attempt.id if attempt is not None else "", step=state.trials[incident.subject].logged_step,
        back_to=back,
        skip=((max(0, incident.since - _every(incident) + 1), incident.step + 1),) if name == "roll_back_skip" else (),
        lr_scale=_scale(incident) if name == "roll_back_lower_rate" else 1.0,
        avoid=attempt.devices if name == "requeue" and attempt is not None else (),
        fresh_loader=int(name == "restart_loader"), undo=_undo(state, incident, name),
    )  # fmt: skip


def _before(incident: Incident) -> int:
    """Steps done of the newest checkpoint that is surely from before the trouble."""
    exact = any(one.evidence.get("rate_since") == float(incident.since) for one in incident.findings)
    return max(0, incident.since - (EXACT if exact else max(MARGIN, _every(incident))))


def _every(incident: Incident) -> int:
    """Steps from one logged row to the next: the trouble may have begun right after the last good one."""
    return int(max((one.evidence.get("logged_every", 1.0) for one in incident.findings), default=1.0))


def _in_vain(state: State, incident: Incident) -> bool:
    """Say whether going back alone, to the same place, was tried before and did not help, whatever was believed to be the cause."""
    back = _before(incident)
    return any(
        act.remedy == "roll_back" and act.outcome == "failed" and abs(act.back_to - back) <= MARGIN
        for act in state.acts_on(incident.subject)
    )


def _scale(incident: Incident) -> float:
    jump = max((one.evidence.get("rate_change", 1.0) for one in incident.findings), default=1.0)
    return round(1.0 / jump, 6) if jump >= JUMPED else LOWER


def _rungs_used(ladder: tuple[str, ...], tried: list[str]) -> int:
    """How far down its ladder a cause has come: each try uses up one rung, and those above it."""
    used = 0
    for name in tried:
        if name in ladder[used:]:
            used = ladder.index(name, used) + 1
    return used


def _too_far(state: State, trial: Trial, incident: Incident, name: str) -> bool:
    """Say whether so much would have to be trained again that a person should say so."""
    if not (name.startswith("roll_back") or name == "restart_loader") or state.study is None:
        return False
    kept = [saved.step for saved in state.checkpoints.get(trial.id, ()) if saved.step <= _before(incident)]
    return trial.logged_step + 1 - max(kept, default=0) > FARTHEST * state.study.horizon_steps


def _undo(state: State, incident: Incident, name: str) -> str:
    trial = incident.subject
    if name == "leave":
        return ""  # nothing was done
    if name in ("stop", "stop_early"):
        return f"`secondshift stop {trial} --undo` lets it go on from what it saved"
    if name == "pause":
        return f"secondshift answer {incident.id or 'the incident'} leave"
    if name in ("roll_back", "roll_back_skip", "roll_back_lower_rate", "restart_loader"):
        return f"what it gave up lies in trials/{trial}/set-aside; `secondshift stop {trial}` ends it"
    return f"`secondshift stop {trial}` ends it"
