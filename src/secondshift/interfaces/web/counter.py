"""What can be had at the window, and handed in: each route takes what was asked and gives an answer; no policy, no HTTP."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from secondshift.errors import SecondshiftError
from secondshift.interfaces.cli.desk import Desk, Sitting, asker
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.messages.formats import LANGUAGES, duration, number
from secondshift.interfaces.plain import clean, one_line
from secondshift.interfaces.readmodel.glance import Bar, glance
from secondshift.interfaces.readmodel.ideas import inbox
from secondshift.interfaces.readmodel.objectives import written
from secondshift.interfaces.readmodel.overview import Holder
from secondshift.interfaces.readmodel.requests import request_named
from secondshift.interfaces.readmodel.spending import short
from secondshift.interfaces.web.wire import Refused
from secondshift.records.states import State
from secondshift.runtime.spool import SHAPE, pending, put_request

IDEA = "idea"  # the verb of such a request
LONGEST = 10_000  # characters of an idea, and of its why
LISTED = 50  # ideas
TICKET_S = 60.0
MOST_TICKETS = 32


@dataclass(kw_only=True, slots=True)
class Counter:
    """One study's window. Every method may be called from any thread."""

    file: Path  # secondshift.toml
    folder: Path  # .secondshift beside it
    newest_brief: Callable[[Desk, State, str, tzinfo | None], str]  # as HTML, of a study that has had a shift
    _lock: threading.Lock = field(default_factory=threading.Lock)  # of everything below, and of handing in
    _sitting: Sitting | None = None
    _tickets: dict[str, float] = field(default_factory=dict)  # when each ends, monotonic seconds

    def now(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """What the study is doing, in the language and zone that were asked for."""
        lang, zone = _reader(asked)
        with self._lock:
            desk = self._at_desk()
            state, holder = (desk.state(), desk.holder()) if desk else (State(), Holder(life="never"))
            briefed = _any_shift(desk)
        seen = glance(state, holder, now=time.time(), fallback=self.file.resolve().parent.name)
        return {
            "study": seen.study,
            "metric": seen.metric,
            "mood": seen.mood,
            "needs": [tell(one, lang, zone=zone) for one in seen.needs],
            "lines": [tell(one, lang, zone=zone) for one in seen.lines],
            "running": [_drawn(bar, lang) for bar in seen.running],
            "more": seen.more,
            "spent_share": seen.spent_share,
            "brief": briefed,
        }

    def look_ahead(self) -> None:
        """Fold a long study once, before anybody waits for it. What goes wrong is told to whoever asks."""
        try:
            self.now({})
        except (SecondshiftError, OSError):
            pass

    def ideas(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """The newest ideas with what became of them, and how many there are."""
        lang, _ = _reader(asked)
        waiting = pending(self.folder)  # before the state: what an engine takes up in between is in the state by then
        with self._lock:
            desk = self._at_desk()
            rows = inbox(desk.state() if desk else State(), waiting)
        return {"ideas": [_shown(row, lang) for row in reversed(rows[-LISTED:])], "all": len(rows)}

    def hand_in(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Take an idea: 201 once it would survive a loss of power, 200 if it was here already. Raises Refused."""
        name, text, why = body.get("id"), body.get("text"), body.get("why", "")
        if not isinstance(name, str) or not SHAPE.fullmatch(name):
            raise Refused(400, "id", "The id is missing or of another shape. Expected 11 letters of time, a dash, and 6 by chance.")
        if not isinstance(text, str) or not text.strip():
            raise Refused(400, "text", "The idea has no text. Expected a sentence or two.")
        if not isinstance(why, str) or max(len(text), len(why)) > LONGEST:
            raise Refused(413, "long", f"The idea or its reason is too long. Expected text of at most {LONGEST} letters each.")
        who = asker()
        args = {"text": text.strip(), "why": why.strip(), "author": who}
        with self._lock:
            desk = self._at_desk()
            known = request_named(self.folder, desk.ledger if desk else None, name)
            if known is None:
                put_request(self.folder, IDEA, args, who, name=name)
        if known is None:
            return 201, {"id": name, "state": "waiting"}
        request, where = known
        if request.verb != IDEA or any(request.args.get(part) != args[part] for part in ("text", "why")):
            raise Refused(409, "taken", f"The id {name} is that of another idea. Nothing was changed; hand it in under a new id.")
        return 200, {"id": name, "state": where}

    def ticket(self) -> dict[str, Any]:
        """Let the brief be opened once, within a minute, by an address that holds no secret."""
        made = secrets.token_urlsafe(24)
        with self._lock:
            self._tickets = {t: end for t, end in self._tickets.items() if end > time.monotonic()}
            if len(self._tickets) >= MOST_TICKETS:
                raise Refused(429, "tickets", "Too many pages are being opened at once. Try again in a minute.")
            self._tickets[made] = time.monotonic() + TICKET_S
        return {"ticket": made}

    def brief(self, asked: Mapping[str, str]) -> str:
        """The newest shift's brief as an HTML page, for the bearer of a ticket. Raises Refused."""
        with self._lock:
            end = self._tickets.pop(asked.get("ticket", ""), 0.0)
            if end <= time.monotonic():
                raise Refused(401, "ticket", "This page was opened once already, or too late. Open it from the extension again.")
            desk = self._at_desk()
            if desk is None or not _any_shift(desk):
                raise Refused(404, "brief", "No shift is recorded in this study yet, so there is nothing to brief.")
            state = desk.state()
        lang, zone = _reader(asked)  # composing a long night takes a while: others need not wait for it
        return self.newest_brief(desk, state, lang, zone)

    def close(self) -> None:
        """Give the ledger back."""
        with self._lock:
            if self._sitting is not None:
                self._sitting.close()

    def _at_desk(self) -> Desk | None:
        """The study opened for reading; None before its first night."""
        self._sitting = self._sitting or Sitting(file=self.file)
        return self._sitting.desk()


def _any_shift(desk: Desk | None) -> bool:
    return desk is not None and any(True for _ in desk.ledger.read(kinds=("shift.started",)))


def _reader(asked: Mapping[str, str]) -> tuple[str, tzinfo | None]:
    """The reader's language and zone, as far as they are known here."""
    lang, zone = asked.get("lang", ""), asked.get("zone", "")
    try:
        known = ZoneInfo(zone) if zone else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = None
    return lang if lang in LANGUAGES else LANGUAGES[0], known


def _drawn(bar: Bar, lang: str) -> dict[str, Any]:
    return {
        "trial": bar.trial,
        "progress": bar.progress,
        "value": "" if bar.value is None else number(bar.value),
        "left": "" if bar.left_s is None else duration(bar.left_s, lang),
    }


def _shown(row: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """An idea as it is shown: data, without what could steer a reader's eye elsewhere."""
    found = row["verdict"] or {}
    judged = found.get("pairs") and found.get("effect") is not None
    return {
        "id": row["request"],
        "idea": row["idea"],
        "text": clean(row["text"] or written(row["params"]), limit=LONGEST),
        "why": clean(row["why"], limit=LONGEST),
        "authors": [one_line(author) for author in row["authors"]],
        "state": row["state"],
        "state_words": say(f"ideas.state_{row['state'].replace(' ', '_')}", lang),
        "answer": one_line(row["answer"], limit=400),
        "gain": ("+" if found["effect"] > 0 else "") + number(found["effect"]) if judged else "",
        "pairs": found.get("pairs", 0),
        "spent": short(row["spent"], lang),
    }
