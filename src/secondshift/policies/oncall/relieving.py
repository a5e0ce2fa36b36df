"""Who takes over from whom, as people asked: `secondshift oncall --hand-over` and `--swap`."""

from datetime import date

from secondshift.policies.oncall.rota import DAY, duties, instant, turn_ends
from secondshift.records.decisions import Decision, cover
from secondshift.records.events import RequestReceived
from secondshift.records.states import State
from secondshift.records.studies import Cover, Rota


def decide(state: State) -> list[Decision]:
    """Answer each request to hand over or to swap; whether the person exists is judged by `arbitrate`."""
    return [
        _relief(state, request) for request in state.requests.values() if request.verb in ("hand-over", "swap")
    ]


def _relief(state: State, request: RequestReceived) -> Decision:
    rota = state.rota()
    who, note = str(request.args.get("to", "")), str(request.args.get("note", ""))
    if request.verb == "hand-over":
        begins, ends = state.now_s, duty_ends(rota, state.now_s)
    else:
        begins, ends = _days(rota, str(request.args.get("first", "")), str(request.args.get("last", "")))
    taken = Cover(
        begins=begins, ends=ends, who=who, why="hand-over" if request.verb == "hand-over" else "swap",
        asked_by=request.who, note=note, id=request.id,
    )  # fmt: skip
    how = "handed the watch over to" if request.verb == "hand-over" else "asked for a swap with"
    return cover(taken, reason=f"{request.who} {how} {who or 'nobody'}" + (f": {note}" if note else ""), request=request.id)


def duty_ends(rota: Rota, at: float) -> float:
    """When the duty of whoever is on call at `at` (UTC seconds) ends, or the turn if that is earlier; `at` without people."""
    if not rota.order:
        return at
    return min(duties(rota, at, turn_ends(rota, at))[0].ends, turn_ends(rota, at))


def _days(rota: Rota, first: str, last: str) -> tuple[float, float]:
    """The stretch from the handover of one day of the rota to that after another; nothing at all for what are no days."""
    try:
        begins, ends = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        return 0.0, 0.0
    return instant(begins, rota.handover, rota.zone), instant(ends + DAY, rota.handover, rota.zone)
