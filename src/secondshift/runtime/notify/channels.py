"""One channel from its line in the study file: where it leads, and how to send to it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qs, urlsplit

from secondshift.errors import SecondshiftError
from secondshift.records.addresses import ENV, MAIL_SECRETS, SECRET, read_mail
from secondshift.runtime.notify import extras, files, mails, webhooks
from secondshift.runtime.notify.letters import Letter

Send = Callable[[str, Letter, tuple[float, ...]], str]  # what the receiver answered
_MASK = "…"


class NotSent(SecondshiftError):
    """The brief could not be sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How sending to one channel ended."""

    sent: bool
    detail: str  # what the receiver answered, or what went wrong; without secrets


def send(
    channel: str,
    letter: Letter,
    environment: Mapping[str, str] | None = None,
    *,
    pauses_s: tuple[float, ...] = (1.0, 4.0),
) -> Outcome:
    """Send to one channel; whatever goes wrong is an outcome, never an exception. `pauses_s`: before each further try."""
    environment = os.environ if environment is None else environment
    address = ""
    try:
        address = resolved(channel, environment)
        detail = _sender(address)(address, letter, pauses_s)
        return Outcome(sent=True, detail=masked(detail, address))
    except Exception as error:  # a channel is somebody else's machine or library; it never ends a shift
        said = str(error) if isinstance(error, SecondshiftError) else f"{type(error).__name__}: {error}"
        return Outcome(sent=False, detail=masked(said, address))


def resolved(channel: str, environment: Mapping[str, str]) -> str:
    """The address itself. Raises NotSent if the environment variable that should hold it does not."""
    if not channel.startswith(ENV):
        return channel
    name = channel.removeprefix(ENV)
    address = environment.get(name, "").strip()
    if not address:
        raise NotSent(
            f"The environment variable {name} is not set where the engine runs. Set it before `secondshift run`."
        )
    return address


def masked(text: str, address: str) -> str:
    """The text on one line, without the address or any part of it that may be a secret."""
    for piece in sorted({address, *_pieces(address)}, key=len, reverse=True):
        if len(piece) >= 4:
            text = text.replace(piece, _MASK)
    return " ".join(SECRET.sub(_MASK, text).split())[:300]


def _pieces(address: str) -> set[str]:
    try:
        parts = urlsplit(address)
        found = {parts.username or "", parts.password or "", parts.query, parts.path}
        found |= {value for name, values in parse_qs(parts.query).items() if name in MAIL_SECRETS for value in values}
    except ValueError:
        return set()
    return found if parts.scheme not in ("file",) else set()


def _sender(address: str) -> Send:
    return _SENDERS.get(urlsplit(address).scheme, extras.send)


_SENDERS: Mapping[str, Send] = {
    "file": files.send, "mailto": partial(mails.send, read_mail), "http": webhooks.send, "https": webhooks.send,
}  # fmt: skip
