"""The dead-man URL: an address outside this machine is told that the captain lives, for as long as it does."""

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence

from secondshift.errors import SecondshiftError
from secondshift.records import events as facts
from secondshift.records.incidents import Incident
from secondshift.records.states import State
from secondshift.runtime.notify.channels import masked, resolved
from secondshift.runtime.notify.webhooks import without_user

SUBJECT = "dead man's switch"
TIMEOUT_S = 10.0
PATIENCE = 2  # calls in a row that fail before it is told


class DeadMan:
    """Calls the address from the ticks, so that a hung engine falls silent too, and in a thread, so that no tick waits for it."""

    def __init__(self) -> None:
        self._called_at = -1e9  # seconds since boot
        self._thread: threading.Thread | None = None
        self._said: list[str] = []  # what went wrong with the last call; "" if nothing did
        self._failed = 0

    def check(self, state: State, *, boot_s: float, now_s: float) -> Sequence[facts.Payload]:
        """Call if it is time; return what is to be recorded of earlier calls. Only failures are, and their end."""
        told = next((i.id for i in state.incidents.values() if i.subject == SUBJECT), None)
        oncall = state.study.oncall if state.study is not None else None
        if oncall is None or not oncall.dead_man_url or state.shift is None:
            return [facts.IncidentClosed(incident=told, outcome="it is not called any more")] if told else []
        out = self._outcome(state, told, now_s)
        free = self._thread is None or not self._thread.is_alive()
        if free and not self._said and boot_s - self._called_at >= oncall.dead_man_every_s:
            self._called_at = boot_s
            self._thread = threading.Thread(target=self._call, args=(oncall.dead_man_url,), name=SUBJECT, daemon=True)
            self._thread.start()
        return out

    def _outcome(self, state: State, told: str | None, now_s: float) -> Sequence[facts.Payload]:
        if not self._said:
            return []
        said = self._said.pop()
        self._failed = self._failed + 1 if said else 0
        if not said:
            return [facts.IncidentClosed(incident=told, outcome="the address answers again")] if told else []
        if told or self._failed < PATIENCE:
            return []
        incident = Incident(
            id=f"i{state.incidents_seen + 1}", subject=SUBJECT, opened_at=now_s,
            finding=f"the address outside cannot be told that the captain lives: {said}",
            action="called again and again; whoever watches it may think that the captain died",
        )  # fmt: skip
        return [facts.IncidentOpened(incident=incident)]

    def _call(self, url: str) -> None:
        address = ""
        try:
            address = resolved(url, os.environ)
            bare, proof = without_user(address)
            request = urllib.request.Request(bare, headers={"User-Agent": "secondshift", **proof})
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                answer.read(1)
            self._said.append("")
        except urllib.error.HTTPError as error:
            error.close()
            self._said.append(f"it answered {error.code}")
        except Exception as error:  # somebody else's machine; it never ends a shift
            said = str(error) if isinstance(error, SecondshiftError) else f"{type(error).__name__}: {error}"
            self._said.append(masked(said, address) or "it cannot be reached")
