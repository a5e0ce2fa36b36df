"""Write a shift's brief: Markdown, HTML and JSON, in English and Korean, each file whole or not at all."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.interfaces.brief.citations import carried
from secondshift.interfaces.brief.compose import compose_traced
from secondshift.interfaces.brief.figures import Figures, figures
from secondshift.interfaces.brief.render_html import render_html
from secondshift.interfaces.brief.render_json import render_json
from secondshift.interfaces.brief.render_markdown import render_markdown
from secondshift.interfaces.brief.trace import Trace, trace
from secondshift.interfaces.messages.formats import LANGUAGES
from secondshift.interfaces.readmodel.objectives import as_judged
from secondshift.ledger.fold import fold
from secondshift.ledger.stores import Ledger
from secondshift.records.events import Event, ShiftStarted
from secondshift.records.nights import Brief, Section, Statement
from secondshift.records.states import State
from secondshift.records.studies import Objective
from secondshift.runtime.wholefiles import replace_text

MOST_POINTS = 240  # of a curve in a plot


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A brief with what its pages carry along."""

    brief: Brief
    figures: Figures
    facts: Mapping[int, Event]

    def html(self, lang: str, zone: tzinfo | None = None) -> str:
        """The page as one self-contained HTML file."""
        return render_html(self.brief, self.figures, self.facts, lang, zone)

    def markdown(self, lang: str, zone: tzinfo | None = None) -> str:
        """The page as Markdown."""
        return render_markdown(self.brief, lang, zone)

    def json(self, lang: str, zone: tzinfo | None = None) -> str:
        """The page as one JSON document."""
        return json.dumps(render_json(self.brief, lang, zone), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def newest_shift(ledger: Ledger) -> str:
    """The id of the newest shift. Raises SecondshiftError if there was none."""
    shift = ""
    for event in ledger.read(kinds=("shift.started",)):
        if isinstance(event.payload, ShiftStarted):
            shift = event.payload.shift.id
    if not shift:
        raise SecondshiftError(
            "No shift is recorded in this study yet, so there is nothing to brief. Start one: `secondshift run --for 1h`."
        )
    return shift


def page(ledger: Ledger, state: State, shift: str) -> Page:
    """Compose the page of a shift from the ledger. `state` is the newest fold; an older shift is folded anew."""
    night = trace(ledger.read(), shift, _objective(state))
    if night.started == 0:
        raise SecondshiftError(
            f"No shift {shift} is recorded in this study; its newest is {newest_shift(ledger)}. "
            "Leave --shift out for the newest one."
        )
    if night.ended and night.ended < state.last_seq:
        state = fold(State(), ledger.read(until=night.ended))
        night = trace(ledger.read(until=night.ended), shift, _objective(state))
    state = as_judged(state)
    brief = compose_traced(state, night, _objective(state), shift, written_at=_when(night))
    facts = _facts(ledger, carried(brief))
    return Page(brief=brief, figures=_figures(ledger, night, state), facts=facts)


def _objective(state: State) -> Objective:
    return state.study.objective if state.study else Objective(metric="?")


def _when(night: Trace) -> float:
    """The moment up to which the brief speaks; this machine's clock where nothing at all is recorded."""
    return night.ended_at or night.last_at or time.time()


def _facts(ledger: Ledger, seqs: list[int]) -> dict[int, Event]:
    wanted = set(seqs)
    events = ledger.read(seqs[0] - 1, until=seqs[-1]) if seqs else iter(())
    return {event.seq: event for event in events if event.seq in wanted}


def _figures(ledger: Ledger, night: Trace, state: State) -> Figures:
    def read(trial: str, metric: str) -> tuple[list[int], list[float]]:
        series = ledger.series(trial, metric, points=MOST_POINTS)
        return [int(s) for s in series.steps], [float(v) for v in series.values]

    return figures(night, state, _objective(state), read)


def write_brief(folder: Path, ledger: Ledger, state: State, shift_id: str) -> tuple[str, ...]:
    """Write `<folder>/briefs/<shift>.{md,html,json}` and `.ko.` beside them; return the names relative to `folder`.

    Of the newest shift, `<folder>/handover.md` and `handover.ko.md` are written, too.

    `folder` is the study's private folder. What goes wrong (a full disk) is raised as OSError; old files stay whole.
    """
    made = page(ledger, state, shift_id)
    briefs = Path(folder) / "briefs"
    briefs.mkdir(parents=True, exist_ok=True)
    files = []
    for lang in LANGUAGES:
        middle = "" if lang == "en" else f".{lang}"
        for kind, text in (("md", made.markdown(lang)), ("html", made.html(lang)), ("json", made.json(lang))):
            target = briefs / f"{shift_id}{middle}.{kind}"
            replace_text(target, text)
            files.append(f"briefs/{target.name}")
    if shift_id == newest_shift(ledger):
        files += _hand_over(Path(folder), made.brief)
    return tuple(files)


def _hand_over(folder: Path, brief: Brief) -> list[str]:
    """Leave the note for whoever comes next: what waits for a person, what is open, what was tried, what to look at first."""
    kept = tuple(section for section in brief.sections if section.key in ("section.needs_you", "section.handover"))
    if not any(section.statements for section in kept if section.key == "section.handover"):
        facts = tuple(sorted({seq for section in kept for s in section.statements for seq in s.facts}))
        kept = (*kept[:-1], Section(key="section.handover", statements=(Statement(key="handover.nothing", facts=facts),)))
    note, files = replace(brief, sections=kept), []
    for lang in LANGUAGES:
        name = "handover.md" if lang == "en" else f"handover.{lang}.md"
        replace_text(folder / name, render_markdown(note, lang, title="page.handover_title"))
        files.append(name)
    return files
