"""Whether what was done about an incident helped: judged against how the run stood before it, never against what it became."""

from collections.abc import Sequence

from secondshift.policies.captain.diagnosis import RISES
from secondshift.policies.captain.remedies import JUMPED
from secondshift.records.devicenames import elsewhere
from secondshift.records.incidents import Act, Care, Finding, Incident, Look, Outcome
from secondshift.records.states import State
from secondshift.records.trials import Attempt, Trial, best_saved

PATIENCE = 0.05  # of the horizon that a helped run must come past the trouble before it is believed
LEAST, MOST = 16, 256  # steps: bounds of that
WORSE = 4.0  # units of noise above the level from before the incident that still count as the same
RATE_TOLERANCE = 0.05  # of the learning rate
SAME_PLACE = 16  # steps, or blocks of two, between the begin of a trouble and where it begins again
POINTS, SURE = 3, 0.7  # of a rise that is known already
EXTENT = 48  # points that a trouble was seen for at least, before what comes next may be to skip it
NOBODY, NOTHING = Care(), Look()
Judged = tuple[Outcome, str]


def outcome_of(state: State, incident: Incident, act: Act, new: Sequence[Finding]) -> Judged | None:
    """Say how an act turned out and by what that is judged, or None while it is too early.

    `new`: findings worth more than a note that came after it.
    """
    trial = state.trials[incident.subject]
    if act.remedy in ("stop", "stop_early"):
        return ("worked", _stood(state, trial)) if not trial.open() else None
    if not trial.open():
        return _ended(trial, new)
    attempt = state.attempt_of(trial.id)
    if attempt is None or attempt.id == act.attempt or attempt.status != "running":
        return None  # it has not begun anew yet
    care, look = state.care.get(trial.id, NOBODY), state.looks.get(trial.id, NOTHING)
    if act.remedy == "requeue":
        return _moved(incident, act, attempt, look)
    if new:
        if refused := _refused(act, care, incident, look):
            return "not applied", refused
        worst = new[-1]
        return "failed", f"{worst.symptom.replace('_', ' ')} again at step {worst.step}"
    if again := _again(incident, act, care.unclaimed()):
        return "failed", again
    if trial.logged_step < _believed_from(state, incident, act):
        return None
    if refused := _refused(act, care, incident, look):
        return "not applied", refused
    return _level(state, incident, look, trial)


def _ended(trial: Trial, new: Sequence[Finding]) -> Judged:
    if any(one.evidence.get("ended", 0.0) > 0.0 for one in new):
        return "failed", f"{trial.id} came to its end above the best it had"
    if trial.status == "complete":
        return "worked", f"{trial.id} came to its end"
    return "failed", f"{trial.id} is {trial.status}"


def _stood(state: State, trial: Trial) -> str:
    """How a trial was left that was stopped, with what is kept of it."""
    objective = state.study.objective if state.study is not None else None
    kept = best_saved(state.checkpoints.get(trial.id, ()), objective) if objective is not None else None
    if kept is None or objective is None:
        return f"{trial.id} is {trial.status}"
    saved = f"the checkpoint of step {kept.step} is kept, saved at {objective.metric} {kept.objective:.6g}"
    return f"{trial.id} is {trial.status}; {saved}"


def _moved(incident: Incident, act: Act, attempt: Attempt, look: Look) -> Judged | None:
    """Whether a trial that was moved is faster: judged by the time of a step, nearer to what it was before than to the slow one."""
    if not elsewhere(attempt.devices, act.avoid):
        return "not applied", "no other device was free when it was started again"
    if look.step_s <= 0.0 or look.attempt != attempt.id:
        return None  # how long a step takes now is not known yet
    slow, usual = (max(one.evidence.get(name, 0.0) for one in incident.findings) for name in ("step_time_s", "before_s"))
    took = f"a step takes {look.step_s:.3g} s, and took {slow:.3g} s where it was slow and {usual:.3g} s before that"
    return ("worked", took) if look.step_s < (slow * usual) ** 0.5 else ("failed", f"{took}: it is not the device")


def _believed_from(state: State, incident: Incident, act: Act) -> int:
    horizon = state.study.horizon_steps if state.study is not None else 0
    patience = min(MOST, max(LEAST, int(PATIENCE * horizon)))
    trouble = max(incident.step, max((end for _, end in act.skip), default=0))
    return min(trouble + patience, horizon - 1)


def _again(incident: Incident, act: Act, notes: Sequence[Finding]) -> str:
    """Say what came back at the place where the trouble began: what was seen once is believed at once."""
    leapt = incident.cause == "learning_rate_too_high" and any("rate_since" in one.evidence for one in incident.findings)
    if act.remedy != "roll_back" or not (leapt or incident.step - incident.since >= EXTENT):
        return ""
    for one in notes:
        same = one.symptom in RISES and abs(one.since - incident.since) <= SAME_PLACE
        if same and one.lasted >= POINTS and one.confidence >= SURE and ("rate_since" in one.evidence or not leapt):
            also = ", and so did the learning rate" if leapt else ""
            return f"{one.symptom.replace('_', ' ')} again at step {one.step}, where it began before{also}"
    return ""


def _refused(act: Act, care: Care, incident: Incident, look: Look) -> str:
    """Name the directive that the script did not carry out; settings are read back, not taken on trust."""
    wanted = {"skip": bool(act.skip), "lr_scale": act.lr_scale != 1.0, "fresh_loader": act.fresh_loader > 0}
    missing = [name for name, asked in wanted.items() if asked and name not in care.applied]
    if missing:
        return f"the script never said that it carried out {', '.join(missing)}"
    now = look.level.rate
    if act.lr_scale != 1.0 and _kept(incident, act.lr_scale, now):
        return f"the learning rate is {now:.6g}, and was {incident.rate:.6g} when the trouble was found"
    return ""


def _kept(incident: Incident, scale: float, now: float) -> bool:
    """Say whether a learning rate was not scaled: it is nearer to what it was than to what it was to become.

    A schedule goes on meanwhile, so it need not be the same. Where it rises, as in a warm-up, a rate that was halved may come
    back by itself, and only one that is the same counts.
    """
    was, usual = incident.rate, incident.before.rate
    rises = 0.0 < usual and usual * (1.0 + RATE_TOLERANCE) < was and scale > 1.0 / JUMPED
    least = 1.0 - RATE_TOLERANCE if rises else min(1.0 - RATE_TOLERANCE, scale**0.5)
    return was > 0.0 and least * was <= now <= (1.0 + RATE_TOLERANCE) * was


def _level(state: State, incident: Incident, look: Look, trial: Trial) -> Judged | None:
    before, now = incident.before, look.level
    if not before.metric or now.metric != before.metric or state.study is None:
        return "worked", f"nothing more was found up to step {trial.logged_step}"
    rises = state.study.objective.goal == "max" and now.metric == state.study.objective.metric
    worse = (before.value - now.value) if rises else (now.value - before.value)
    if worse > WORSE * max(before.noise, now.noise):
        return "failed", f"{now.metric} is {now.value:.6g}, and was {before.value:.6g} before it"
    return "worked", f"{now.metric} is {now.value:.6g}, and was {before.value:.6g} before it"
