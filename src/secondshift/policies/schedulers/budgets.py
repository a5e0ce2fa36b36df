"""When the shift is over: the deadline, the device time, the wall time, or the number of trials has been used up.

And when only that is left which fresh seeds are to have: then the best of the search is nominated, where the study says so."""

from secondshift.policies.models.nominating import early, finish
from secondshift.records.decisions import Decision, end
from secondshift.records.states import MIN_GRANT_S, State

NAME = "budgets"


def decide(state: State) -> list[Decision]:
    """End the shift when one of its limits is reached."""
    if state.study is None or state.shift is None or state.ending:
        return []
    reason = _deadline(state) or _wall(state) or _device_time(state)
    if reason:
        return [end(reason=reason, by=NAME)]
    reason = _trials(state)
    return finish(state, reason=reason, by=NAME) if reason else early(state)


def _deadline(state: State) -> str:
    deadline = state.shift.deadline_at if state.shift else None
    if deadline is None or state.now_s < deadline:
        return ""
    return "The deadline of the shift has come."


def _wall(state: State) -> str:
    cap = state.study.budget.wall_s if state.study else None
    if cap is None or state.wall_s() < cap:
        return ""
    return f"The wall time of the study is used up: {state.wall_s():.0f} of {cap:.0f} s on shift."


def _device_time(state: State) -> str:
    left = state.device_s_left()
    if left is None or left >= MIN_GRANT_S or state.attempts or state.study is None:
        return ""
    used, budget = state.spend.settled_device_s, state.study.budget
    rate = budget.usd_per_device_s
    if (
        budget.money_usd is not None
        and rate
        and (budget.device_s is None or budget.money_usd / rate <= budget.device_s)
    ):
        return (
            f"The money is used up: {used * rate:.2f} of {budget.money_usd:.2f} USD for {used:.0f} device-seconds; "
            "what is left would not pay for another start."
        )
    left = f"{left:.1f} s left are too few for another start" if left > 0 else "nothing is left"
    return f"The device time is used up: {used:.1f} of {budget.device_s or 0.0:.1f} device-seconds; {left}."


def _trials(state: State) -> str:
    cap = state.study.budget.trials if state.study else None
    if cap is None or len(state.trials) - len(state.pairs) < cap or state.open or state.attempts:
        return ""
    ended = ((state.statuses.get(status, 0), status) for status in ("complete", "stopped", "failed"))
    return f"All {cap} trials of the budget have ended: {', '.join(f'{n} {status}' for n, status in ended if n)}."
