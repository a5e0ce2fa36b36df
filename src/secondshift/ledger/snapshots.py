"""A disposable copy of the folded state, so that opening a study of ten thousand trials takes a blink."""

import gc
import hashlib
import os
from functools import cache
from pathlib import Path

import msgspec

from secondshift.ledger import (
    codec,
    fold,
    fold_agents,
    fold_attempts,
    fold_captain,
    fold_gates,
    fold_ideas,
    fold_oncall,
    summaries,
)
from secondshift.ledger.stores import Ledger
from secondshift.records.states import State

_MAGIC = b"secondshift state 1\n"
_DIGEST = 32  # bytes of sha256
_CODE = (fold, fold_agents, fold_attempts, fold_captain, fold_gates, fold_ideas, fold_oncall, summaries)  # all that folds


def load_state(ledger: Ledger, cache_file: Path) -> State:
    """Return the state that all facts of the ledger add up to.

    Begins with the copy in `cache_file` where that is sound and of this ledger, else with nothing; then folds what
    has been recorded since. Raises what Ledger.read raises.
    """
    state = _kept(ledger, cache_file) or State()
    return fold.fold(state, ledger.read(state.last_seq))


def save_state(state: State, cache_file: Path, *, ledger: Ledger) -> bool:
    """Keep a copy of the state; True if it could be written. It is a cache: on a full disk there is none."""
    body = _anchor(ledger, state.last_seq) + msgspec.msgpack.encode(state)
    draft = cache_file.with_name(f"{cache_file.name}.{os.getpid()}.tmp")
    try:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(_MAGIC + _shape() + hashlib.sha256(body).digest() + body)
        draft.replace(cache_file)
    except OSError:
        draft.unlink(missing_ok=True)
        return False
    return True


def _kept(ledger: Ledger, cache_file: Path) -> State | None:
    """Return the copy if everything about it is right; any doubt, and the facts are folded anew."""
    try:
        blob = cache_file.read_bytes()
    except OSError:
        return None
    head = _MAGIC + _shape()
    body = blob[len(head) + _DIGEST :]
    if blob[: len(head)] != head or blob[len(head) : len(head) + _DIGEST] != hashlib.sha256(body).digest():
        return None
    # Ten thousand trials are many small objects; the collector would walk over them again and again while they appear.
    collecting = gc.isenabled()
    gc.disable()
    try:
        state = msgspec.msgpack.decode(body[_DIGEST:], type=State)
    except msgspec.MsgspecError:
        return None
    finally:
        if collecting:
            gc.enable()
    return state if body[:_DIGEST] == _anchor(ledger, state.last_seq) else None


def _anchor(ledger: Ledger, seq: int) -> bytes:
    """Digest the fact a state ends with, so that the copy of one ledger is never taken for another's."""
    newest = list(ledger.read(seq - 1, until=seq)) if seq > 0 else []
    return hashlib.sha256(f"{seq} {newest[0].at if newest else ''} {codec.chain('', newest)}".encode()).digest()


@cache
def _shape() -> bytes:
    """Digest what the copy's meaning depends on: the fields of the records, and the code that folds."""
    shape = msgspec.json.encode(msgspec.json.schema(State))
    try:
        code = b"".join(Path(str(module.__file__)).read_bytes() for module in _CODE)
    except OSError:
        code = os.urandom(16)  # cannot be told apart from other code, so nothing kept is trusted
    return hashlib.sha256(shape + code).digest()
