#!/usr/bin/env python3
"""How large the morning's page is after a night of 500 trials, and how long a browser needs for it.

python3 benchmarks/brief.py [--quick] [--json] [--record] [--shots DIR]

The night is simulated (recorded curves on a clock that is moved), its engine, ledger and brief are real. Needs chromium and
chromedriver. See benchmarks/README.md for the contract.
"""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import preparing

preparing.environment()

from overhead import pages as tables  # noqa: E402  # the folders come first
from overhead.rows import Row, spread, table  # noqa: E402
from pages.browser import Browser, found  # noqa: E402
from pages.nights import play  # noqa: E402

from secondshift.interfaces.brief.write import write_brief  # noqa: E402

MB = 1e6
LOOKS = (("light", 1000, False), ("dark", 1000, True), ("phone", 390, False))


def shots(browser: Browser, briefs: Path, target: Path) -> None:
    """Leave pictures of the page in both languages, for people to look at: light, dark, on a phone and on paper."""
    target.mkdir(parents=True, exist_ok=True)
    for lang, name in (("en", "s1.html"), ("ko", "s1.ko.html")):
        for kind, width, dark in LOOKS:
            browser.look(width, dark=dark)
            browser.open(briefs / name)
            browser.shot(target / f"{lang}-{kind}.png")
        browser.paper(target / f"{lang}.pdf")


def timed(browser: Browser, page: Path, again: int, *, width: int, dark: bool) -> list[float]:
    """Seconds from asking for the page to the frame after it was laid out and painted, each in a fresh load."""
    browser.look(width, dark=dark)
    return [browser.open(page)["laid_out"] / 1000 for _ in range(again)]


def measure(trials: int, again: int, place: Path, pictures: Path | None) -> list[Row]:
    """Play the night, write its brief, open it."""
    ledger, state = play(place, trials, share=0.04, deaths=2)
    began = time.perf_counter()
    files = write_brief(place, ledger, state, "s1")
    wrote = time.perf_counter() - began
    ledger.close()
    sizes = {name: (place / name).stat().st_size / MB for name in files if name.endswith(".html")}
    page, korean = place / "briefs" / "s1.html", place / "briefs" / "s1.ko.html"
    many = f"{len(state.trials)} simulated trials, {state.last_seq} facts"
    rows = [Row(name="HTML brief of a night of 500 trials", unit="MB", limit=1.5, ours=max(sizes.values()),
                also={"English": sizes["briefs/s1.html"], "Korean": sizes["briefs/s1.ko.html"]},
                how=f"{many}; the larger of both languages")]  # fmt: skip
    if not found():
        why = "chromium and chromedriver are not installed"
        return [*rows, Row(name="HTML brief, load and paint", unit="s", limit=2.0, reason=why)]
    with Browser() as browser:
        browser.look()
        browser.open(page)  # the browser itself has started by now
        values = [v for p in (page, korean) for _, width, dark in LOOKS
                  for v in timed(browser, p, again, width=width, dark=dark)]  # fmt: skip
        if pictures:
            shots(browser, place / "briefs", pictures)
    noise = spread(values)
    how = f"median of {noise.n} loads in headless Chromium: light, dark and 390 px wide, both languages"
    rows.append(Row(name="HTML brief, load and paint", unit="s", limit=2.0, ours=noise.median, spread=noise, how=how))
    rows.append(Row(name="composing and writing it", unit="s", limit=10.0, ours=wrote,
                    how="all six files: HTML, Markdown and JSON in both languages; once"))  # fmt: skip
    return rows


def main(given: Sequence[str]) -> int:
    """Measure and print. Returns 0 when every row was measured, also with misses."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute: 120 trials, fewer loads")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--record", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--shots", type=Path, help="a folder for pictures of the page")
    asked = parser.parse_args(given)
    if asked.record and asked.quick:
        parser.error("--record goes with the full measurement; leave out --quick")
    place = Path(tempfile.mkdtemp(prefix="brief-"))
    try:
        rows = measure(120 if asked.quick else 500, 2 if asked.quick else 6, place, asked.shots)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(table(rows))
    known = {row.name: row.as_json() for row in rows}
    if asked.record:
        record(known)
    if asked.json:
        print(json.dumps(known))
    return 0 if all(row.ours is not None for row in rows) else 1


def record(known: dict[str, dict[str, object]]) -> None:
    """Put the table into docs/benchmarks.md."""
    asking = ["git", "-C", str(preparing.ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asking, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    chromium = subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    heading = (
        "`python3 benchmarks/brief.py --record`", "",
        f"{today}, {len(os.sched_getaffinity(0))} cores, {chromium}; commit {commit}; load when it ended "
        f"{os.getloadavg()[0]:.1f} (other work shares the machine where that is above 2). The night is simulated: "
        "recorded curves on a clock that is moved; engine, ledger, brief and browser are real.",
    )  # fmt: skip
    tables.put_into(tables.PAGE, tables.section(known, heading, mark="brief", title="The morning's page"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
