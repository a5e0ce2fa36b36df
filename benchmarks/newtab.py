#!/usr/bin/env python3
"""How long it takes from opening the extension's page to a recorded idea, how fast the window answers, how large the extension is.

python3 benchmarks/newtab.py [--quick] [--json] [--record] [--shots DIR]

The night is simulated (recorded curves on a clock that is moved), its ledger, `secondshift serve` and the browser are real. Needs
chromium and chromedriver. See benchmarks/README.md for the contract.
"""

import argparse
import datetime
import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import preparing

preparing.environment()

from overhead import pages as tables  # noqa: E402  # the folders come first
from overhead.rows import Row, spread, table  # noqa: E402
from pages.browser import Browser, found  # noqa: E402
from pages.extension import CTRL, ENTER, NEW_TAB, POPUP, Page  # noqa: E402
from pages.nights import play  # noqa: E402

from secondshift.runtime.spool import SHAPE, pending, put_request  # noqa: E402

STUDY = 'command = "python train.py"\n[objective]\nmetric = "val_loss"\n[horizon]\nsteps = 81\n'
SERVE = "import sys; from secondshift.interfaces.cli.main import main; main(sys.argv[1:])"
IDEA = "Warm the learning rate up more slowly"
RECORDED = "from opening the page to a recorded idea, beside a person's typing"
LIMITS = {"GET /now": 100.0, "GET /ideas": 100.0, "POST /ideas": 100.0}  # milliseconds


@contextmanager
def serving(place: Path, port: int = 0) -> Iterator[dict[str, str]]:
    """`secondshift serve` in a process of its own: its port, and the pairing code of its first start."""
    command = [sys.executable, "-c", SERVE, "serve", "--json", "--port", str(port), "--study", str(place)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=20)


def study(place: Path, trials: int, *, so_far_h: float = 0.0) -> Path:
    """A study whose night is over, or under way for so long."""
    place.mkdir()
    (place / "secondshift.toml").write_text(STUDY)
    if so_far_h:
        evening = time.time() - so_far_h * 3600
        ledger, _ = play(place / ".secondshift", trials, share=0.3, evening=evening, hours=so_far_h)
    else:
        ledger, state = play(place / ".secondshift", trials, share=0.04)
        ledger.release(state.token)
    ledger.close()
    return place


def asked(port: int, secret: str, path: str, body: object = None) -> None:
    """One request, as the extension makes it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status not in (200, 201):
        raise OSError(f"{path} answered {answer.status}")


def milliseconds(work: Callable[[], None], again: int) -> list[float]:
    """How long something takes, again and again."""
    times = []
    for _ in range(again):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times


def idea(text: str = IDEA) -> dict[str, str]:
    """An idea with an id of the shape that the spool knows."""
    name = f"{time.time_ns() // 1000:011d}"[-11:] + "-" + secrets.token_hex(6)
    assert SHAPE.fullmatch(name)
    return {"id": name, "text": text}


def endpoints(place: Path, said: dict[str, str], again: int, trials: int) -> list[Row]:
    """How fast the window answers after a long night, with a hundred ideas in it."""
    port, secret = int(said["port"]), said["pairing"].split("-", 2)[2]
    for n in range(100):
        put_request(place / ".secondshift", "idea", {"text": f"idea {n}", "author": "bench"}, "bench")
    calls = {
        "GET /now": lambda: asked(port, secret, "/now?lang=ko"),
        "GET /ideas": lambda: asked(port, secret, "/ideas"),
        "POST /ideas": lambda: asked(port, secret, "/ideas", idea()),
    }
    rows = []
    for name, call in calls.items():
        first = milliseconds(call, 1)[0]
        noise = spread(milliseconds(call, again))
        how = f"median of {noise.n} over a new connection each; {trials} trials, 100 ideas that wait"
        also = {"the first": first}
        rows.append(Row(name=name, unit="ms", limit=LIMITS[name], ours=noise.median, spread=noise, also=also, how=how))
    return rows


def opened_to_recorded(page: Page, place: Path, again: int) -> Row:
    """From asking for the page to the idea in the spool, typing included at the machine's own speed."""
    times = []
    for n in range(again):
        before = len(pending(place / ".secondshift"))
        began = time.perf_counter()
        page.browser.go("about:blank")
        page.open()
        page.browser.press(f"{IDEA} {n}")  # the cursor is in the box
        page.browser.press(ENTER, held=CTRL)
        while len(pending(place / ".secondshift")) == before:
            time.sleep(0.005)
        times.append(time.perf_counter() - began)
    noise = spread(times)
    how = (
        f"median of {noise.n}: page opened, {len(IDEA)} letters typed by WebDriver, Ctrl+Enter, until the request is in the spool. "
        "A person's typing comes on top: at 250 letters a minute these are 9 s"
    )
    return Row(name=RECORDED, unit="s", limit=1.0, ours=noise.median, spread=noise, how=how)


def size() -> list[Row]:
    """What is loaded: bytes of all files."""
    rows = []
    for folder, limit in ((POPUP, 100.0), (NEW_TAB, 20.0)):
        files = [file for file in folder.rglob("*") if file.is_file()]
        rows.append(Row(name=f"extension/{folder.name}", unit="kB", limit=limit, ours=sum(f.stat().st_size for f in files) / 1000,
                        how=f"{len(files)} files, none of others"))  # fmt: skip
    return rows


def measure(trials: int, again: int, place: Path, pictures: Path | None) -> list[Row]:
    """Play the night, open the window, open the browser."""
    rows = size()
    night = study(place / "digits", trials)
    with serving(night) as said:
        rows += endpoints(night, said, again, trials)
        if not found():
            why = "chromium and chromedriver are not installed"
            return [*rows, Row(name=RECORDED, unit="s", limit=1.0, reason=why)]
        with Browser([POPUP, NEW_TAB]) as browser:
            page = Page(browser).fresh().pair(said["pairing"])
            rows.append(opened_to_recorded(page, night, max(3, again // 5)))
    if pictures:
        shots(place, pictures)
    return rows


def shots(place: Path, target: Path) -> None:
    """Leave pictures for people to look at: popup and new tab, light and dark, English and Korean, window open and shut."""
    target.mkdir(parents=True, exist_ok=True)
    morning = study(place / "morning", 24)
    going = study(place / "going", 40, so_far_h=0.25)
    with Browser([POPUP, NEW_TAB]) as browser:
        page = Page(browser)
        for name, night in (("morning", morning), ("going", going)):
            with serving(night) as said:
                page.fresh().pair(said["pairing"])
                for text in ("Warm the learning rate up more slowly", "배치 크기를 절반으로 줄이고 누적하기"):
                    page.hand_in(text)
                    page.until("!document.getElementById('ideas').hidden && document.getElementById('idea').value === ''")
                looks(page, target, name)
        page.hand_in("An idea while the window is shut, long enough to need a second line in the popup")
        page.until("document.getElementById('trouble').innerText !== ''")
        looks(page, target, "shut")
        page.fresh()
        looks(page, target, "unpaired")


def looks(page: Page, target: Path, name: str) -> None:
    """The page as it stands in every dress."""
    for lang in ("en", "ko"):
        page.run("await chrome.storage.local.set({ lang: given[0] })", lang)
        for dress, dark in (("light", False), ("dark", True)):
            page.browser.look(384, 600, dark=dark)
            page.open()
            settled(page)
            page.browser.shot(target / f"{name}-popup-{lang}-{dress}.png")
            page.browser.look(1280, 800, dark=dark)
            page.browser.go("chrome://newtab")
            page.browser.into(0)
            settled(page)
            page.browser.into(None)
            page.browser.shot(target / f"{name}-tab-{lang}-{dress}.png", whole=False)
        page.open("")


def settled(page: Page) -> None:
    page.until(
        "!document.body.hidden && (document.getElementById('lines').children.length"
        " || document.getElementById('trouble').innerText || !document.getElementById('pair').hidden)"
    )
    time.sleep(0.3)


def main(given: Sequence[str]) -> int:
    """Measure and print. Returns 0 when every row was measured, also with misses."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute: 60 trials, fewer requests")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--record", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--shots", type=Path, help="a folder for pictures of the page")
    wanted = parser.parse_args(given)
    if wanted.record and wanted.quick:
        parser.error("--record goes with the full measurement; leave out --quick")
    place = Path(tempfile.mkdtemp(prefix="newtab-"))
    try:
        rows = measure(60 if wanted.quick else 500, 15 if wanted.quick else 60, place, wanted.shots)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(table(rows))
    known = {row.name: row.as_json() for row in rows}
    if wanted.record:
        record(known)
    if wanted.json:
        print(json.dumps(known))
    return 0 if all(row.ours is not None for row in rows) else 1


def record(known: dict[str, dict[str, object]]) -> None:
    """Put the table into docs/benchmarks.md."""
    asking = ["git", "-C", str(preparing.ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asking, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    chromium = subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    heading = (
        "`python3 benchmarks/newtab.py --record`", "",
        f"{today}, {len(os.sched_getaffinity(0))} cores, {chromium}; commit {commit}; load when it ended "
        f"{os.getloadavg()[0]:.1f} (other work shares the machine where that is above 2). The night is simulated; its ledger, "
        "`secondshift serve` and the browser are real.",
    )  # fmt: skip
    tables.put_into(tables.PAGE, tables.section(known, heading, mark="newtab", title="The new tab"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
