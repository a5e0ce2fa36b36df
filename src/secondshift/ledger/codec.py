"""How a fact becomes a line of JSON in the ledger and comes back as the same fact."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from secondshift.errors import LedgerDamaged, LedgerNewer
from secondshift.records.events import (
    KIND_OF,
    KINDS,
    VERSION,
    AttemptEnded,
    DecisionDropped,
    DecisionMade,
    Event,
    Payload,
    TickDecided,
)

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encode(payload: Payload) -> tuple[str, str]:
    """Turn a payload into its kind and its JSON.

    Non-finite numbers become the strings "NaN", "Infinity", "-Infinity"; text that reads like one of these gets a "="
    in front. Raises TypeError for something that is not a payload, or holds what JSON cannot.
    """
    kind = KIND_OF.get(type(payload))
    if kind is None:
        raise TypeError(
            f"{type(payload).__name__} is not a fact the ledger can hold. Expected one of the payloads in "
            "secondshift.records.events. New facts are added to KINDS there."
        )
    return kind, _json(payload).decode()


def decode(kind: str, version: int, text: str, *, seq: int = 0) -> Payload:
    """Turn a stored line back into its payload.

    Raises LedgerNewer for kinds and versions this release does not know, LedgerDamaged for text that is not that kind.
    """
    if version > VERSION or kind not in KINDS:
        raise LedgerNewer(
            f"Event {seq} is a {kind!r} of version {version}; this secondshift knows versions up to {VERSION}. "
            "Upgrade secondshift, or use another study folder; nothing was changed."
        )
    try:
        if 'NaN"' in text or 'Infinity"' in text:
            return msgspec.convert(_restored(msgspec.json.decode(text)), KINDS[kind])
        return _decoder(kind).decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LedgerDamaged(
            f"Event {seq} does not read as a {kind!r}: {error}. The ledger file is damaged or was edited by hand. "
            "Restore it from a copy, or move it away to begin anew; nothing was changed."
        ) from error


def chain(previous: str, events: Iterable[Event]) -> str:
    """Chain facts onto a digest: sha256 hex over kind and payload, one fact after the other.

    chain(chain(h, a), b) == chain(h, a + b). Start with the empty string.
    """
    for event in events:
        link = hashlib.sha256(previous.encode())
        link.update(event.kind.encode())
        # As it was written, not as this release would write it: a field added later changes no old fact.
        link.update(event.text.encode() if event.text else _json(event.payload))
        previous = link.hexdigest()
    return previous


def continued(previous: str, events: Iterable[Event]) -> str:
    """Chain facts as chain() does, but begin again at each `tick.decided` from the digest it carries.

    Both are equal while every tick says the truth; this one needs no more than the facts since the newest tick.
    """
    for event in events:
        if isinstance(event.payload, TickDecided):
            previous = event.payload.digest
        previous = chain(previous, (event,))
    return previous


def check_kinds(kinds: Sequence[str] | None) -> None:
    """Raise ValueError for a kind of event that does not exist; asking for one is a spelling mistake."""
    unknown = sorted(set(kinds or ()) - set(KINDS))
    if unknown:
        raise ValueError(f"There are no events of kind {', '.join(unknown)}. Expected some of: {', '.join(KINDS)}.")


def _plain(value: object) -> Any:
    """Offer the JSON writer something plainer: a dict for a mapping, a Python number for a numpy one."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (float, int, str)):
        return float(value) if isinstance(value, float) else int(value) if isinstance(value, int) else str(value)
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    raise TypeError(f"A fact holds a {type(value).__name__}. Expected numbers, text, tuples and mappings of these.")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)


@cache
def _decoder(kind: str) -> "msgspec.json.Decoder[Payload]":
    return msgspec.json.Decoder(KINDS[kind])


def _none(payload: Payload) -> int:
    return 0


# How many fields of the frequent facts hold None. A closer look costs ten times what writing them does.
_EMPTY: Mapping[type, Callable[[Any], int]] = {
    DecisionMade: lambda fact: fact.decision.value is None,
    DecisionDropped: lambda fact: fact.decision.value is None,
    AttemptEnded: lambda fact: (fact.exit.code is None) + (fact.exit.signal is None),
}


def _json(payload: Payload) -> bytes:
    try:
        raw = _ENCODER.encode(payload)
    except UnicodeEncodeError:
        return _ENCODER.encode(_exact(msgspec.to_builtins(payload, enc_hook=_plain)))
    # The JSON writer turns a non-finite number into null, so one that no field accounts for asks for a closer look.
    nulls = raw.count(b"null")
    unexplained = nulls and nulls != _EMPTY.get(type(payload), _none)(payload)
    if unexplained or b'NaN"' in raw or b'Infinity"' in raw:
        return _ENCODER.encode(_exact(msgspec.to_builtins(payload, enc_hook=_plain)))
    return raw


def _exact(value: Any) -> Any:
    """Write down what plain JSON would lose: non-finite numbers, and text that could be taken for one."""
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        value = value.encode("utf-8", "replace").decode()
        return "=" + value if value.lstrip("=") in _NON_FINITE else value
    if isinstance(value, dict):
        return {key.encode("utf-8", "replace").decode(): _exact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(item) for item in value]
    return value


def _restored(value: Any) -> Any:
    """Undo _exact. Keys of mappings are names, never numbers, and stay."""
    if isinstance(value, str):
        if value in _NON_FINITE:
            return _NON_FINITE[value]
        return value[1:] if value[:1] == "=" and value.lstrip("=") in _NON_FINITE else value
    if isinstance(value, dict):
        return {key: _restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return value
