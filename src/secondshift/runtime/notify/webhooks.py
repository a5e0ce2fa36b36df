"""The webhook channel: the JSON of a brief or a page, posted to an address."""

import base64
import time
import urllib.error
import urllib.request
from urllib.parse import unquote, urlsplit

from secondshift.errors import SecondshiftError
from secondshift.runtime.notify.letters import Letter

TIMEOUT_S = 10.0  # of each answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A receiver that moved is not followed: what was posted is for the address that was named."""

    def redirect_request(self, *args: object, **more: object) -> None:
        """Follow nothing."""
        return None


def send(address: str, letter: Letter, pauses_s: tuple[float, ...]) -> str:
    """Post; try again after each pause while the receiver is busy (5xx, 408, 429) or cannot be reached.

    Every try carries the same `Idempotency-Key`. Raises SecondshiftError when the last try failed too.
    """
    opener = urllib.request.build_opener(_NoRedirect)
    address, proof = without_user(address)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Idempotency-Key": letter.id,
        "User-Agent": "secondshift",
    }
    headers |= proof
    why = ""
    for pause in (0.0, *pauses_s):
        time.sleep(pause)
        request = urllib.request.Request(address, data=letter.document.encode(), headers=headers, method="POST")
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                return f"answered {answer.status}"
        except urllib.error.HTTPError as error:
            why = f"it answered {error.code}"
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                break
        except OSError as error:
            why = f"it cannot be reached ({type(error).__name__}: {getattr(error, 'reason', error)})"
    raise SecondshiftError(f"The webhook did not take it: {why}.")


def without_user(address: str) -> tuple[str, dict[str, str]]:
    """The address without its user and password, and the header that shows them instead."""
    parts = urlsplit(address)
    if parts.username is None:
        return address, {}
    both = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return bare, {"Authorization": f"Basic {base64.b64encode(both).decode()}"}
