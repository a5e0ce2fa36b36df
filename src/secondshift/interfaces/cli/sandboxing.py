"""`secondshift doctor --sandbox`: each claim of the sandbox, tried from inside, on a line of its own."""

from rich.console import Console
from rich.text import Text

from secondshift.interfaces.cli.printing import console, document, indented
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.plain import one_line
from secondshift.runtime.sandbox.confining import means
from secondshift.runtime.sandbox.probes import Tried, broken, tried_all

BROKEN = 1  # exit code: something that was to hold does not
STYLES = {"holds": ("green", "✓"), "broken": ("bold red", "✗"), "not enforced": ("yellow", "·")}


def prove(lang: str, *, json: bool) -> int:
    """Try every claim and say what came of it; 1 if one is broken that something was to enforce."""
    screen, by = console(), means()
    if not json:
        screen.print(Text(say(f"sandbox.by_{by.kind()}", lang, why_not=one_line(by.why_not) or "—")))
    found = tried_all((lambda _: None) if json else (lambda one: show(screen, one, lang)))
    failed = broken(found)
    if json:
        rows = [{"claim": one.claim, "found": one.found, "detail": one.detail} for one in found]
        document({"means": by.kind(), "why_not": by.why_not, "claims": rows})
    else:
        key = "sandbox.some_broken" if failed else "sandbox.all_hold"
        left = sum(one.found == "not enforced" for one in found)
        screen.print(Text(say(key, lang, n=len(failed), left=left)))
    return BROKEN if failed else 0


def show(screen: Console, one: Tried, lang: str) -> None:
    """One claim in a line."""
    style, mark = STYLES[one.found]
    words = say(f"sandbox.{one.claim}", lang)
    found = say("sandbox.word", lang, found_word=f"sandbox_{one.found.replace(' ', '_')}")
    detail = f" ({one_line(one.detail)})" if one.detail else ""
    screen.print(indented(Text(f"{mark} {found}: {words}{detail}", style=style)))
