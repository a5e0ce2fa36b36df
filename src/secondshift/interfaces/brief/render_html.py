"""A brief as one self-contained HTML file: no script, nothing fetched; every statement links to its facts below."""

import re
from collections.abc import Mapping
from datetime import tzinfo
from html import escape

from secondshift.interfaces.brief import plots
from secondshift.interfaces.brief.best_plot import best_so_far, rival_drawn, told
from secondshift.interfaces.brief.citations import cited, excerpt, ranges
from secondshift.interfaces.brief.documents import document_html, legend
from secondshift.interfaces.brief.fan_plots import fan_figures
from secondshift.interfaces.brief.figures import MOST_BARS, MOST_CURVES, Figures
from secondshift.interfaces.brief.forest import forest
from secondshift.interfaces.brief.front_plot import front_svg, front_table
from secondshift.interfaces.brief.parameter_figures import MOST_PANELS
from secondshift.interfaces.brief.parameter_plots import panel_svgs
from secondshift.interfaces.brief.weight_plots import ordered, share_bar, weights_note
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.messages.formats import moment, zone_name
from secondshift.records.events import Event
from secondshift.records.forecasts import COVERED
from secondshift.records.nights import Brief, Section, Statement

MOST_LINKS = 5  # beside a statement; more are folded away
CALM = "needs.nothing"
LONG = 32  # characters; a longer value is somebody's sentence, not a figure to pick out
_CODE = re.compile(r"`([^`]+)`")  # in our own sentences; those in values are escaped


def render_html(
    brief: Brief, figures: Figures, facts: Mapping[int, Event], lang: str = "en", zone: tzinfo | None = None
) -> str:
    """Write the page. `facts` are the events it carries; what is cited beyond them is counted and can be read by SQL."""
    title = say("page.title", lang, quote=escape, study=brief.study, shift=brief.shift)
    written = say(
        "page.written", lang, zone=zone, written_at=brief.written_at, zone_name=zone_name(brief.written_at, zone)
    )
    sections = []
    for section in brief.sections:
        sections.append(_section(section, facts, lang, zone))
        if section.key == "section.found":
            sections.append(_plots(figures, lang, zone))
        if section.key == "section.wrong":
            sections.append(fan_figures(figures.fans, lang))
        if section.key == "section.ideas":
            sections.append(_forest(figures, lang))
    body = f'<p class="written">{escape(written)}</p>\n{"".join(sections)}{_facts(brief, facts, lang, zone)}'
    return document_html(title, body, lang)


def _section(section: Section, facts: Mapping[int, Event], lang: str, zone: tzinfo | None) -> str:
    if not section.statements:
        return ""
    name = section.key.rpartition(".")[2]
    calm = " calm" if any(s.key == CALM for s in section.statements) else ""
    style = f' class="needs{calm}"' if name == "needs_you" else ""
    items = "".join(f"<li>{_statement(s, facts, lang, zone)}</li>\n" for s in section.statements)
    title = f'<h2 id="{name}">{escape(say(section.key, lang))}</h2>'
    return f'<section{style} aria-labelledby="{name}">\n{title}\n<ul>\n{items}</ul>\n</section>\n'


def _statement(statement: Statement, facts: Mapping[int, Event], lang: str, zone: tzinfo | None) -> str:
    text = _CODE.sub(r"<code>\1</code>", tell(statement, lang, quote=_value, zone=zone))
    runs = ranges(statement.facts)
    if not runs:
        return text
    links = " ".join(_link(a, b, facts) for a, b in runs)
    if len(runs) <= MOST_LINKS:
        return f'{text} <span class="refs">{links}</span>'
    count = escape(say("page.cites", lang, n=len(set(statement.facts))))
    return f'{text} <details class="refs"><summary>{count}</summary>{links}</details>'


def _value(text: str) -> str:
    safe = escape(text).replace("`", "&#96;")
    return f"<b>{safe}</b>" if len(text) <= LONG else f'<span class="said">{safe}</span>'


def _link(first: int, last: int, facts: Mapping[int, Event]) -> str:
    label = f"e{first}" if first == last else f"e{first}–e{last}"
    target = next((seq for seq in range(first, last + 1) if seq in facts), None)
    return f'<a href="#e{target}">[{label}]</a>' if target is not None else f"[{label}]"


def _plots(figures: Figures, lang: str, zone: tzinfo | None) -> str:
    drawn = (
        _figure("plot.best_title", best_so_far(figures, lang), _best_note(figures, lang), lang),
        _figure("plot.curves_title", plots.curves(figures, lang), _curves_note(figures, lang), lang),
        _front(figures, lang),
        _panels(figures, lang),
        _figure("plot.night_title", plots.night(figures, lang, zone), _night_note(figures, lang), lang, wide=True),
    )
    return f'<div class="plots">\n{"".join(drawn)}</div>\n' if any(drawn) else ""


def _best_note(figures: Figures, lang: str) -> str:
    entries = [("accent", say("rival.legend_ours", lang)), ("rival", say("rival.legend", lang, covered_share=COVERED))]
    note = "".join(f'<p class="note">{escape(text)}</p>' for text in told(figures, lang))
    return (legend(entries) if rival_drawn(figures) else "") + note


def _forest(figures: Figures, lang: str) -> str:
    drawn = forest(figures.branches, figures.metric, figures.least, lang)
    note = legend([("accent", say("ideas.state_held_up", lang)), ("others", say("ideas.head_interval", lang))], "")
    return f'<div class="plots">\n{_figure("ideas.forest_title", drawn, note, lang, wide=True)}</div>\n' if drawn else ""


def _front(figures: Figures, lang: str) -> str:
    drawn, data = front_svg(figures.scatter, lang), figures.scatter
    entries = [("accent", say("front.legend_front", lang)), ("soft", say("plot.legend_complete_others", lang))]
    note = legend(entries, "") + front_table(data, lang)
    return _figure("front.plot_title", drawn, note, lang, wide=True)


def _figure(title: str, svg: str, note: str, lang: str, *, wide: bool = False) -> str:
    if not svg:
        return ""
    style = ' class="wide"' if wide else ""
    return f"<figure{style}><figcaption>{escape(say(title, lang))}</figcaption>{svg}{note}</figure>\n"


def _panels(figures: Figures, lang: str) -> str:
    weights = figures.lookback.weights
    drawn = panel_svgs(ordered(figures.panels, weights)[:MOST_PANELS], figures.metric, lang)
    if not drawn:
        return ""
    title = escape(say("plot.panels_title", lang, metric=figures.metric))
    boxes = "".join(f"<div><span>{escape(name)}{share_bar(weights, name)}</span>{svg}</div>" for name, svg in drawn)
    more = say("plot.too_many", lang, n=MOST_PANELS) if len(figures.panels) > MOST_PANELS else ""
    entries = [("accent", say("plot.legend_best", lang)), ("soft", say("plot.legend_complete_others", lang))]
    return (
        f'<figure class="wide"><figcaption>{title}</figcaption><div class="panels">{boxes}</div>'
        f"{legend(entries, more)}{weights_note(figures.lookback, lang)}</figure>\n"
    )


def _curves_note(figures: Figures, lang: str) -> str:
    entries = [("others", say("plot.legend_trials", lang))]
    if any(c.best for c in figures.curves):
        entries = [("accent", say("plot.legend_best", lang)), ("others", say("plot.legend_others", lang))]
    more = say("plot.too_many", lang, n=MOST_CURVES) if figures.curves_of > MOST_CURVES else ""
    return legend(entries, more)


def _night_note(figures: Figures, lang: str) -> str:
    seen = {bar.ending for bar in figures.bars}
    order = ("complete", "paused", "lost", "failed", "stopped", "running")
    more = say("plot.too_many", lang, n=MOST_BARS) if figures.bars_of > MOST_BARS else ""
    entries = [(e, say(f"plot.legend_{e}", lang)) for e in order if e in seen]
    if figures.takeovers:
        entries.append(("takeover", say("plot.legend_takeover", lang)))
    return legend(entries, more)


def _facts(brief: Brief, facts: Mapping[int, Event], lang: str, zone: tzinfo | None) -> str:
    named = cited(brief)
    shown = [facts[seq] for seq in named if seq in facts]
    rows = "".join(
        f'<tr id="e{e.seq}"><td class="n">e{e.seq}</td><td class="n">{escape(moment(e.at, lang, zone))}</td>'
        f'<td class="n">{escape(e.kind)}</td><td><code>{escape(excerpt(e))}</code></td></tr>\n'
        for e in shown
    )
    heads = "".join(
        f'<th scope="col">{escape(say(f"page.fact_{k}", lang))}</th>' for k in ("number", "time", "kind", "says")
    )
    more = ""
    if len(named) > len(shown):
        command = 'secondshift sql "select * from events where seq = 123"'
        text = say("page.facts_more", lang, quote=escape, n=len(named) - len(shown), command=command)
        more = f'<p class="note">{text}</p>'
    return (
        f'<details class="facts" open><summary><h2 id="facts">{escape(say("page.facts", lang))}</h2></summary>\n'
        f'<p class="note">{escape(say("page.facts_help", lang))} {escape(say("page.machine_words", lang))}</p>{more}\n'
        # It scrolls by itself: a hundred pages of facts below a page of brief would hide that the brief has an end.
        f'<div class="scroll" role="region" aria-labelledby="facts" tabindex="0"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>\n{rows}</tbody></table></div></details>\n"
    )
