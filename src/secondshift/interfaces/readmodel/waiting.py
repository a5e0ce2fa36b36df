"""Why a trial does not run now, and what it waits for."""

from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.trials import Trial

MOST_NAMES = 6


def names(ids: list[str]) -> str:
    """Some ids, the first few of them by name."""
    more = f" +{len(ids) - MOST_NAMES}" if len(ids) > MOST_NAMES else ""
    return ", ".join(ids[:MOST_NAMES]) + more


def outlook(state: State, trial: Trial, *, engine_alive: bool) -> list[Statement]:
    """What a trial's status means now: where it runs to, or why it waits. Nothing for one that is over."""
    scheduler = state.study.policy.scheduler if state.study else "?"
    if trial.status == "running":
        horizon = state.study.horizon_steps if state.study else 0
        key = "why.runs_on" if 0 < trial.until_step < horizon else "why.runs_end"
        return [Statement(key=key, values={"until": trial.until_step or horizon, "by": scheduler})]
    if trial.status not in ("queued", "paused"):
        return []
    reasons = _reasons(state, trial, engine_alive)
    return reasons or [Statement(key="why.wait_chosen", values={"by": scheduler})]


def _reasons(state: State, trial: Trial, engine_alive: bool) -> list[Statement]:
    if trial.held:  # no engine and no shift would go on with it
        return [Statement(key="why.wait_answer", values={"incident": trial.held})]
    if state.shift is None:
        return [Statement(key="why.wait_no_shift")]
    if not engine_alive:
        return [Statement(key="why.wait_no_engine")]
    if state.ending:
        return [Statement(key="why.wait_ending", values={"reason": state.ending})]
    found = []
    care = state.care.get(trial.id)
    if trial.rests and care is not None and care.acts:
        found.append(Statement(key="why.wait_rest", values={"after_at": care.acts[-1].after}))
    if trial.id in state.held:
        found.append(Statement(key="why.wait_held", values={"reason": state.held[trial.id]}))
    left = state.device_s_left()
    if left is not None and left <= 0:
        found.append(Statement(key="why.wait_budget"))
    taken = [attempt.trial for attempt in state.attempts.values()]
    if taken and len(taken) >= state.shift.slots:
        found.append(
            Statement(
                key="why.wait_slots", values={"n": len(taken), "slots": state.shift.slots, "trials": names(taken)}
            )
        )
    ahead = []
    for other in state.waiting("queued"):
        if other.id == trial.id:
            break
        ahead.append(other.id)
    if trial.status == "queued" and ahead:
        found.append(Statement(key="why.wait_turn", values={"n": len(ahead), "trials": names(ahead)}))
    return found
