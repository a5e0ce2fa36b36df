"""Duties as an iCalendar text (RFC 5545), for people's own calendars."""

from collections.abc import Iterable
from datetime import UTC, datetime

from secondshift.records.rotas import Duty

LINE = 75  # octets, after which RFC 5545 3.1 folds a line


def calendar(duties: Iterable[Duty], *, title: str, now: float) -> str:
    """Write one event for each duty, in UTC. `title` stands before each name; `now` (UTC seconds) is the time of writing."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//secondshift//on call//EN"]
    for duty in duties:
        summary = f"{title}: {duty.person}"
        if duty.instead_of and duty.instead_of != duty.person:
            summary += f" ({duty.why}, {duty.instead_of})"
        lines += [
            "BEGIN:VEVENT", f"UID:{_stamp(duty.begins)}-{_plain(duty.person)}@secondshift", f"DTSTAMP:{_stamp(now)}",
            f"DTSTART:{_stamp(duty.begins)}", f"DTEND:{_stamp(duty.ends)}", f"SUMMARY:{_text(summary)}", "END:VEVENT",
        ]  # fmt: skip
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def _text(value: str) -> str:
    """Escape as RFC 5545 3.3.11 asks; a name must not end its line and begin another property."""
    plain = "".join(letter if letter.isprintable() else " " for letter in value)
    return plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def _folded(line: str) -> Iterable[str]:
    """Cut a line into pieces of at most 75 octets, never inside a character; each further one begins with a space."""
    piece, size = "", 0
    for letter in line:
        octets = len(letter.encode())
        if size + octets > LINE:
            yield piece
            piece, size = " ", 1
        piece, size = piece + letter, size + octets
    yield piece
