"""The spool: where people and interfaces leave requests for the engine, whether or not one is running.

A request is one small JSON file. It is written in `spool/tmp/`, synced, and renamed into `spool/`, so a reader sees
all of it or nothing. The engine records it and only then discards it; a crash between the two shows the request
again, and the ledger's list of answered ids keeps it from counting twice.
"""

import errno
import json
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from secondshift.errors import FolderReadOnly, LedgerFull, SecondshiftError
from secondshift.records.events import RequestReceived
from secondshift.records.studies import Value

LIMIT_BYTES = 1 << 20  # of one request; an idea's text fits a thousand times
_FORMAT = 1
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # in ASCII order, so that ids sort as they were made; no i, l, o, u
SHAPE = re.compile(f"[{_LETTERS}]{{11}}-[{_LETTERS}]{{6,20}}")  # of an id: microseconds since 1970, and chance
_HOPELESS = (errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO)  # links, foreign files, sockets
_lock = threading.Lock()
_last_us = 0


class RequestInvalid(SecondshiftError):
    """A request cannot be kept as it is. Give it a verb, and arguments that are numbers, text, true or false."""


def put_request(
    folder: str | os.PathLike[str], verb: str, args: Mapping[str, Value] | None = None, who: str = "", *, name: str = ""
) -> str:
    """Leave a request for the engine and return its id once it would survive a loss of power.

    `folder` is the study's private folder (`.secondshift`). Ids sort in the order in which one process made them, and
    by the clock between processes. `name` is an id that the asker made, of the same shape, so that asking again counts once.
    Raises RequestInvalid, FolderReadOnly, or LedgerFull when the disk is full.
    """
    if name and not SHAPE.fullmatch(name):
        raise RequestInvalid(f"The id {name!r} is not one of a request. Expected such as {_new_id()}, or none.")
    request = RequestReceived(
        id=name or _new_id(), verb=verb, who=who or "unknown", args=dict(args or {}), asked_at=time.time()
    )
    text = _encode(request)
    spool = Path(folder) / "spool"
    # The draft's name is nobody else's: an asker killed in the middle must not stand in the way of asking again.
    waiting = spool / "tmp" / f"{request.id}.{secrets.token_hex(4)}"
    try:
        waiting.parent.mkdir(parents=True, exist_ok=True)
        with open(waiting, "xb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(waiting, spool / f"{request.id}.json")
        _sync_folder(spool)
    except OSError as problem:
        raise _explained(problem, spool) from problem
    return request.id


def pending(folder: str | os.PathLike[str]) -> list[RequestReceived]:
    """Return the requests that wait, oldest first; those that cannot be read go to `spool/refused/` with a sentence.

    Never raises for the content of a file. An unreadable spool folder counts as empty: the next tick looks again.
    """
    spool = Path(folder) / "spool"
    try:
        names = sorted(entry.name for entry in os.scandir(spool) if entry.name.endswith(".json"))
    except OSError:
        return []
    found = []
    for name in names:
        try:
            found.append(_read(spool / name))
        except FileNotFoundError:
            continue  # someone discarded it meanwhile
        except OSError as problem:
            if problem.errno in _HOPELESS:  # anything else (no handles left, a disk that stumbles) may pass
                _refuse(spool, name, f"it cannot be read ({problem.strerror}). Ask again with the command line.")
        except (ValueError, RecursionError) as problem:
            _refuse(spool, name, str(problem))
    return found


def discard(folder: str | os.PathLike[str], request: str) -> None:
    """Forget a request that is in the ledger. Discarding twice is harmless.

    A file that cannot be removed is left: it is recognised by its id and never counts again.
    """
    spool = Path(folder) / "spool"
    try:
        (spool / f"{request}.json").unlink(missing_ok=True)
    except OSError:
        return


def _new_id() -> str:
    """Eleven letters of microseconds since 1970, then chance: sorts by time, unique without asking anyone."""
    global _last_us
    with _lock:
        _last_us = max(_last_us + 1, time.time_ns() // 1000)
        left = _last_us
    letters = []
    for _ in range(11):
        left, digit = divmod(left, 32)
        letters.append(_LETTERS[digit])
    return "".join(reversed(letters)) + "-" + "".join(secrets.choice(_LETTERS) for _ in range(6))


def _encode(request: RequestReceived) -> bytes:
    content = {
        "format": _FORMAT,
        "id": request.id,
        "verb": request.verb,
        "who": request.who,
        "args": dict(request.args),
        "asked_at": request.asked_at,
    }
    try:
        text = json.dumps(content, allow_nan=False).encode("ascii")
        _decode(text, request.id)  # what the engine would refuse is better refused here, where someone listens
    except (TypeError, ValueError) as problem:
        raise RequestInvalid(f"The request {request.verb!r} was not kept: {problem}") from problem
    return text


def _read(file: Path) -> RequestReceived:
    # A link, a pipe or a device must neither be followed nor block the engine.
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("it is not a plain file. Expected one written by secondshift; ask again.")
        if facts.st_size > LIMIT_BYTES:
            raise ValueError(f"it has {facts.st_size} bytes. Expected at most {LIMIT_BYTES}; ask for less at a time.")
        with open(handle, "rb", closefd=False) as opened:
            return _decode(opened.read(LIMIT_BYTES + 1), file.name.removesuffix(".json"))
    finally:
        os.close(handle)


def _decode(text: bytes, name: str) -> RequestReceived:
    try:
        content = json.loads(text)
    except ValueError as problem:
        raise ValueError(f"it is not JSON ({problem}). Expected one written by secondshift; ask again.") from problem
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"it is not a request of format {_FORMAT}. Did a newer secondshift write it? Ask again.")
    if content.get("id") != name:
        raise ValueError(f"it says its id is {content.get('id')!r}. Expected {name!r}, the file's name; ask again.")
    args, asked_at = content.get("args"), content.get("asked_at")
    if not isinstance(args, dict) or isinstance(asked_at, bool) or not isinstance(asked_at, int | float):
        raise ValueError("its arguments or its time are missing. Expected a request written by secondshift; ask again.")
    return RequestReceived(
        id=name,
        verb=_text(content.get("verb"), "verb"),
        who=_text(content.get("who"), "who asks"),
        args={_text(key, "an argument's name"): _value(key, value) for key, value in args.items()},
        asked_at=float(_value("asked_at", asked_at)),
    )


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} is {value!r}. Expected some text.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} is {value!r}. Expected text that can be written as UTF-8.") from None
    return value


def _value(name: str, value: object) -> Value:
    if isinstance(value, str):
        return _text(value, f"argument {name!r}") if value else value
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError(f"argument {name!r} is {value}. Expected a finite number.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"argument {name!r} is {value}. Expected a whole number of at most 64 bits.")
    if isinstance(value, bool | int | float):
        return value
    raise ValueError(f"argument {name!r} is a {type(value).__name__}. Expected a number, text, true or false.")


def _refuse(spool: Path, name: str, why: str) -> None:
    """Move a damaged file out of the way and leave a sentence beside it; where even that fails, leave it alone."""
    refused = spool / "refused"
    try:
        refused.mkdir(exist_ok=True)
        os.rename(spool / name, refused / name)
        sentence = f"The request {name} was refused: {why}\n"
        (refused / f"{name}.why.txt").write_text(sentence, "utf-8", "backslashreplace")
    except OSError:
        return


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explained(problem: OSError, spool: Path) -> SecondshiftError:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return LedgerFull(f"The disk is full: no request could be written to {spool}. Free some space and ask again.")
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FolderReadOnly(f"The request could not be written to {spool}. Make that folder writable and ask again.")
    return SecondshiftError(f"The request could not be written to {spool}: {problem}. Check that folder and ask again.")
