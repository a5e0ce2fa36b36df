"""The HTML page: every number leads to its facts, its colours can be read, and a long night stays one page."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from interfaces.nights import Night, complete, eventful
from secondshift.interfaces.brief import write
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.brief.figures import Bar, Figures
from secondshift.interfaces.brief.plots import MOST_ROWS, night
from secondshift.interfaces.brief.ticks import spans
from secondshift.records.decisions import end, stop
from secondshift.records.events import AttemptAsked
from secondshift.records.nights import Brief
from secondshift.records.trials import Exit

CSS = (Path(write.__file__).with_name("page.css")).read_text("utf-8")
VOID = {"meta", "line", "rect", "circle", "path"}


class Statements(HTMLParser):
    """The text of each statement without its references, the places its links lead to, and all anchors of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.links: list[list[str]] = []
        self.anchors: set[str] = set()
        self.inside, self.refs = False, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.add(given.get("id") or "")
        if tag == "li":
            self.inside = True
            self.text.append("")
            self.links.append([])
        if self.refs and tag not in VOID:
            self.refs += 1
        elif given.get("class") == "refs":
            self.refs = 1
        if tag == "a" and self.inside:
            self.links[-1].append(str(given["href"]).removeprefix("#"))

    def handle_endtag(self, tag: str) -> None:
        self.refs = max(0, self.refs - 1)
        self.inside = self.inside and tag != "li"

    def handle_data(self, data: str) -> None:
        if self.inside and not self.refs:
            self.text[-1] += data


def long_night(trials: int) -> Night:
    made = Night().open()
    for number in range(trials):
        complete(made, {"lr": 0.001 * (number + 1)}, [1.0, 0.5 + number / 1000])
    return made.close()


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("made", [eventful(), long_night(150)], ids=["eventful", "long"])
def test_each_statement_with_a_number_has_a_link_to_a_fact_on_the_page(made: Night, lang: str) -> None:
    ledger = made.record()
    found = Statements()
    found.feed(write.page(ledger, made.state, "s1").html(lang))
    numbered = [(text, links) for text, links in zip(found.text, found.links, strict=True) if re.search(r"\d", text)]
    assert len(numbered) >= 8
    for text, links in numbered:
        assert links and set(links) <= found.anchors, text


def colours() -> dict[str, dict[str, str]]:
    """The colours of each theme: light, and what dark and print change of it."""
    blocks = re.findall(r":root \{([^}]*)\}", CSS)
    themes = [dict(re.findall(r"--([a-z]+):\s*(#[0-9a-f]{3,6})", block)) for block in blocks]
    light, dark, paper = themes
    return {"light": light, "dark": light | dark, "print": light | paper}


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_has_a_contrast_of_four_and_a_half_and_what_is_drawn_of_three(theme: str) -> None:
    found = colours()[theme]
    for ground in ("paper", "card"):
        for text in ("ink", "soft", "accent"):
            assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
        for drawn in ("other", "complete", "paused", "lost", "failed", "stopped", "running", "alert"):
            assert contrast(found[drawn], found[ground]) >= 3.0, (drawn, ground)


def bars(trials: int) -> Figures:
    made = [
        Bar(trial=f"t{n}", attempt=f"t{n}.a1", from_at=10.0 * (n // 2), to_at=10.0 * (n // 2) + 9, ending="complete",
            device=f"cpu-{n % 2}")
        for n in range(trials)
    ]  # fmt: skip
    return Figures(bars=tuple(made), bars_of=trials)


def test_the_time_line_of_many_trials_has_a_row_for_each_device_and_a_bar_for_each_attempt() -> None:
    few, many = night(bars(MOST_ROWS), "en"), night(bars(300), "en")
    assert ">t3<" in few and "cpu-0" not in few
    assert many.count('<rect class="bar') == 300
    assert many.count(">cpu-0<") == many.count(">cpu-1<") == 1 and ">t3<" not in many


def test_attempts_that_share_a_device_lie_beside_each_other() -> None:
    shared = tuple(
        Bar(trial=f"t{n}", attempt=f"t{n}.a1", from_at=0.0, to_at=5.0, ending="complete", device="cpu-0") for n in range(40)
    )
    drawn = night(Figures(bars=shared, bars_of=40), "en")
    assert len(set(re.findall(r'class="bar complete" x="[^"]*" y="(\d+)"', drawn))) == 40


def test_marks_of_time_are_whole_units() -> None:
    assert spans(0.0, 100_000.0) == [0.0, 43_200.0, 86_400.0]
    assert spans(0.0, 7_560.0) == [0.0, 3_600.0, 7_200.0]
    assert spans(0.0, 200.0) == [0.0, 60.0, 120.0, 180.0]
    assert spans(0.0, 8.0) == [0.0, 5.0]


def written(made: Night) -> Brief:
    return compose(made.state, made.events, made.study.objective, "s1", written_at=made.at)


def test_trials_that_the_scheduler_outranked_are_told_in_one_sentence() -> None:
    made = Night().open()
    for number in range(3):
        trial = made.queue({"lr": 0.001 * (number + 1)})
        attempt = made.start(trial)
        made.log(attempt, [2.0 + number])
        d = made.decide(stop(trial, reason=f"{trial} is number {number} at step 1.", by="halving"))
        made.add(AttemptAsked(attempt=attempt, mode="stop", decision=d))
        made.end(attempt, Exit(signal=15, cause="stop", elapsed_s=3.0))
    keys = [s.key for part in written(made.close()).sections for s in part.statements if s.key.startswith("failed.")]
    assert keys == ["failed.outranked"]


@pytest.mark.parametrize(("source", "until"), [("scheduler", 3), ("person", 3), ("person", 9), ("scheduler", 9)])
def test_only_what_was_broken_off_asks_to_go_on_and_not_what_waits_on_purpose(source: str, until: int) -> None:
    made = Night().open()
    attempt = made.start(made.queue({"lr": 0.001}), until=until)
    made.log(attempt, [2.4, 2.3, 2.2])
    made.save(attempt, 3)
    made.end(attempt, Exit(code=0, cause="pause", elapsed_s=11.0), early=True)
    made.decide(end(reason="nothing paused is good enough to go on", by="halving", source=source))  # type: ignore[arg-type]  # one of Source
    keys = [s.key for part in written(made.close()).sections for s in part.statements]
    assert [key for key in keys if key.startswith("needs.")] == (
        ["needs.go_on"] if (source, until) == ("person", 9) else ["needs.nothing"]
    )
    assert ("found.waiting" in keys) == ((source, until) == ("person", 3))
