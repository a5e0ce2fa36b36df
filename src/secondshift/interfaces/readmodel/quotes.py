"""What a night may cost, in sentences: before it begins."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from secondshift.records.nights import Statement


def quoted(quote: Any) -> list[Statement]:  # Any: windows know no policy, and read its fields
    """Say what a quote says: calls of the agent, device time, and the purse that both are paid from."""
    said = list(_calls(quote.calls)) if quote.calls is not None else []
    said.append(_devices(quote))
    if quote.device_usd is not None:
        said.append(Statement(key="quote.device_price", values={"device_usd": quote.device_usd}))
    if quote.money_usd is not None:
        said.append(Statement(key="quote.purse", values={"money_usd": quote.money_usd}))
    return said


def row(quote: Any) -> dict[str, Any]:
    """A quote as a document."""
    return asdict(quote)


def _calls(calls: Any) -> Iterator[Statement]:
    values: dict[str, str | int | float] = {"most": calls.most, "waiting": calls.waiting, "timeout_s": calls.timeout_s}
    if not calls.in_time:
        yield Statement(key="quote.no_time", values=values)
        return
    if not calls.most:
        yield Statement(key="quote.no_calls", values=values)
        return
    if calls.price_usd is None:
        yield Statement(key="quote.subscription", values=values)
    elif calls.low_usd is None:
        values |= {"most_usd": calls.most_usd, "price_usd": calls.price_usd, "known": calls.known}
        yield Statement(key="quote.calls_most", values=values)
    else:
        values |= {"most_usd": calls.most_usd, "low_usd": calls.low_usd, "high_usd": calls.high_usd, "known": calls.known,
                   "each_low_usd": calls.each_low_usd, "each_high_usd": calls.each_high_usd}  # fmt: skip
        yield Statement(key="quote.calls", values=values)
    key = "search" if calls.search else "ideas" if calls.waiting else "nobody"
    yield Statement(key=f"quote.for_{key}", values={**values, "few": calls.few, "many": calls.many})


def _devices(quote: Any) -> Statement:
    if quote.device_s is None:
        return Statement(key="quote.devices_open")
    values = {"device_s": quote.device_s, "slots": quote.slots, "window_s": quote.window_s or 0.0}
    return Statement(key=f"quote.devices_{quote.bound}", values=values)
