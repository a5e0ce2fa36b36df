"""Before the night: what calls of the agent and device time may cost, as far as facts and caps say. Never narrower than that."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from secondshift.policies.models.broods import searches_programs
from secondshift.policies.models.handing import MOST_TRIES, affordable, calls_by_idea, due, in_time
from secondshift.policies.models.proposals import trials_left
from secondshift.records.events import RequestReceived
from secondshift.records.ideas import SET
from secondshift.records.states import State

ENOUGH = 10  # calls that have ended, before their cost is told as a range
LOW, HIGH = 0.1, 0.9  # quantiles of what earlier calls cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Calls:
    """What calls of the agent may come to in a shift."""

    waiting: int  # ideas in words that it is to be called for
    search: bool  # a search for programs calls it, too
    few: int  # calls that are to be expected, at least
    many: int  # and at most
    most: int  # calls that may be made at all, by their number and by money
    in_time: bool  # one call could end before the shift has to
    timeout_s: float  # of one call
    price_usd: float | None  # of one call at most; None: a subscription, of which no price is known
    known: int = 0  # earlier calls of the study that say what one really costs
    each_low_usd: float | None = None  # what they cost; None: too few say so
    each_high_usd: float | None = None
    low_usd: float | None = None  # for all calls together; None: too few say so, or it is a subscription
    high_usd: float | None = None
    most_usd: float | None = None  # that may be set aside for them; None: a subscription


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """What a shift may cost."""

    calls: Calls | None = None  # None: the study calls nobody
    slots: int = 1
    window_s: float | None = None  # how long the shift may take; None: nothing says
    device_s: float | None = None  # device time at most; None: nothing bounds it
    bound: str = ""  # by what: "budget", or "shift", which ends
    device_usd: float | None = None  # what so much costs; None: device time has no price
    money_usd: float | None = None  # left of [budget] money_usd, for devices and calls together; None: not capped


def quote(state: State) -> Quote:
    """Say what the shift of a state may cost from now on; the shift says how many slots there are, and when it has to end."""
    study, shift = state.study, state.shift
    if study is None or shift is None:
        return Quote()
    budget = study.budget
    ends = [] if shift.deadline_at is None else [max(0.0, shift.deadline_at - state.now_s)]
    ends += [] if budget.wall_s is None else [max(0.0, budget.wall_s - state.wall_s())]
    window = min(ends, default=None)
    bounds = [] if window is None else [(window * shift.slots, "shift")]
    if (left := state.device_s_left()) is not None:
        bounds.append((max(0.0, left), "budget"))
    device_s, bound = min(bounds, default=(None, ""))
    price, money = budget.usd_per_device_s, budget.money_usd
    used = state.spend.agents_usd + state.spend.reserved_usd
    used += (state.spend.settled_device_s + state.spend.reserved_device_s) * (price or 0.0)
    return Quote(
        calls=_calls(state, window) if study.agent.command else None, slots=shift.slots, window_s=window, device_s=device_s,
        bound=bound, device_usd=None if price is None or device_s is None else device_s * price,
        money_usd=None if money is None else max(0.0, money - used),
    )  # fmt: skip


def _calls(state: State, window: float | None) -> Calls:
    assert state.study is not None, "quote() says so"
    agent, asked = state.study.agent, list(_asked(state))
    search = searches_programs(state) and trials_left(state) != 0
    known, tried = list(due(state)), calls_by_idea(state)
    left = [MOST_TRIES - sum(call.counts() for call in tried.get(idea.id, ())) for idea in known]
    most = affordable(state) if in_time(state) else 0
    waiting = len(known) + len(asked)
    surely = math.inf if window is None else agent.parallel * (window // agent.timeout_s)  # however long each of them takes
    few = int(min(waiting, most, surely))
    many = most if search else min(most, sum(left) + MOST_TRIES * len(asked))
    common = {"waiting": waiting, "search": search, "few": few, "many": many, "most": most, "in_time": in_time(state),
              "timeout_s": agent.timeout_s, "price_usd": agent.price_usd}  # fmt: skip
    if agent.price_usd is None:
        return Calls(**common)
    cap, costs = state.usd_left(), _costs(state)
    most_usd = min(most * agent.price_usd, math.inf if cap is None else max(0.0, cap))
    if len(costs) < ENOUGH:
        return Calls(**common, known=len(costs), most_usd=most_usd)
    low, high = (float(np.quantile(costs, q)) for q in (LOW, HIGH))
    return Calls(**common, known=len(costs), each_low_usd=low, each_high_usd=high, low_usd=min(few * low, most_usd),
                 high_usd=min(many * high, most_usd), most_usd=most_usd)  # fmt: skip


def _asked(state: State) -> Iterator[str]:
    """Ideas in words that nobody has taken in yet, each text once."""
    known = {idea.text.strip().casefold() for idea in state.ideas.values()}
    for request in state.requests.values():
        text = str(request.args.get("text", "")).strip().casefold()
        if request.verb == "idea" and text and text not in known and not _has_change(request):
            known.add(text)
            yield text


def _has_change(request: RequestReceived) -> bool:
    """Say whether a request brings more than words, or is about an idea that is known."""
    named = any(request.args.get(name) for name in ("idea", "change", "trial"))
    return named or any(name.startswith(SET) for name in request.args)


def _costs(state: State) -> list[float]:
    """What earlier calls cost that began and were seen to end."""
    return [call.usd for call in state.calls.values() if call.ending and call.usd > 0.0 and not call.assumed]
