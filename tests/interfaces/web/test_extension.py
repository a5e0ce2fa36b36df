"""The extension in a real Chromium: paired once, an idea goes in by keyboard, is kept while the window is shut, is sent once."""

import json
import re
import socket
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from interfaces.nights import eventful
from interfaces.web.windows import Open, opened, study
from secondshift.interfaces.web import pairing, server
from secondshift.runtime.spool import pending

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "benchmarks")]

from pages.browser import Browser, found  # noqa: E402  # the folder comes first
from pages.extension import CTRL, ENTER, NEW_TAB, POPUP, Page  # noqa: E402

PAGE = f"{server.EXTENSION}/page.html"
needs_chromium = pytest.mark.skipif(not found(), reason="chromium and chromedriver are not installed")
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser([POPUP, NEW_TAB]) as opened_browser:
        yield opened_browser


@pytest.fixture
def page(browser: Browser) -> Page:
    return Page(browser).fresh()


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Open]:
    with opened(study(tmp_path / "digits", None)) as found_window:
        yield found_window


def texts(window: Open) -> list[str]:
    return [str(request.args["text"]) for request in pending(window.folder)]


def soon(condition: Callable[[], bool], wait_s: float = 10.0) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- what it is made of; these need no browser ---


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def identity(folder: Path) -> str:
    """The id that a browser derives from the key: its digest in the letters a to p."""
    digest = sha256(b64decode(manifest(folder)["key"])).hexdigest()[:32]
    return "".join(chr(ord("a") + int(digit, 16)) for digit in digest)


def test_the_ids_are_those_that_the_window_and_the_other_one_name() -> None:
    assert server.EXTENSION == f"chrome-extension://{identity(POPUP)}"
    assert manifest(POPUP)["web_accessible_resources"] == [
        {"resources": ["page.html"], "extension_ids": [identity(NEW_TAB)]}
    ]
    assert f"{server.EXTENSION}/page.html?newtab" in (NEW_TAB / "newtab.html").read_text("utf-8")


def test_it_asks_for_the_least() -> None:
    popup, new_tab = manifest(POPUP), manifest(NEW_TAB)
    assert popup["permissions"] == ["storage", "alarms"] and popup["host_permissions"] == ["http://127.0.0.1/*"]
    assert "chrome_url_overrides" not in popup and "content_scripts" not in popup
    assert not {"permissions", "host_permissions", "background", "content_scripts"} & set(new_tab)
    assert [*NEW_TAB.rglob("*.js")] == []
    for one in (popup, new_tab):
        policy = one["content_security_policy"]["extension_pages"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_nothing_in_it_makes_html_of_text_or_runs_text() -> None:
    for file in [*POPUP.glob("*.js")]:
        text = file.read_text("utf-8")
        assert not re.search(r"(inner|outer|Adjacent)HTML|document\.write|\beval\(|new Function", text), file
        assert set(re.findall(r"https?://[^`'\"\s/:$]+", text)) <= {"http://127.0.0.1"}, file


def test_both_languages_say_the_same_things_and_every_sentence_is_said() -> None:
    said = {"asks", "works", "rests"}  # moods, which the window names
    for file in [*POPUP.glob("*.js"), *POPUP.glob("*.html"), POPUP / "manifest.json"]:
        said.update(re.findall(r"[\"'](?:__MSG_)?([A-Za-z]+?)(?:__)?[\"']", file.read_text("utf-8")))
    for folder in (POPUP, NEW_TAB):
        en, ko = (json.loads((folder / "_locales" / lang / "messages.json").read_text("utf-8")) for lang in ("en", "ko"))
        assert set(en) == set(ko)
        for key in en:
            places = [sorted(re.findall(r"\$\d", one[key]["message"])) for one in (en, ko)]
            assert places[0] == places[1], key
            assert folder == NEW_TAB or key in said, f"nobody says {key}"


# --- in the browser ---


@needs_chromium
@pytest.mark.slow
def test_it_is_paired_once_and_shows_the_night(page: Page, tmp_path: Path) -> None:
    with opened(study(tmp_path / "digits", eventful())) as window:
        assert "serve" in page.of("pair") and page.of("night") == ""
        page.pair(window.code).until("document.getElementById('lines').children.length > 1")
        assert "Best seen so far: t2" in page.of("lines") and page.of("study") == "digits"
        page.open().until("document.getElementById('lines').children.length > 1")
        assert page.run("return document.getElementById('pair').hidden")


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "says"),
    [("nonsense", "no code of secondshift"), ("secondshift-1-" + "a" * 43, "No window is open")],
    ids=["none", "shut"],
)
def test_a_wrong_code_is_said(page: Page, code: str, says: str) -> None:
    page.run("document.getElementById('code').focus()")
    page.browser.press(code + ENTER)
    page.until(f"document.getElementById('pairSaid').innerText.includes('{says}')")


@needs_chromium
@pytest.mark.slow
def test_an_idea_goes_from_the_keyboard_into_the_spool(page: Page, window: Open) -> None:
    page.pair(window.code)
    page.open()
    assert page.run("return document.activeElement.id") == "idea"  # no click is needed
    page.browser.press("Try a cosine schedule")
    page.browser.press(ENTER, held=CTRL)
    page.until("document.getElementById('said').innerText === 'Handed to the shift.'")
    assert texts(window) == ["Try a cosine schedule"] and page.kept() == []
    page.until("document.getElementById('ideas').innerText.includes('not taken in yet')")
    assert page.run("return document.getElementById('idea').value") == ""
    assert page.run("return (await chrome.alarms.getAll()).length") == 0


@needs_chromium
@pytest.mark.slow
def test_the_popup_itself_opens_whole_with_the_cursor_in_the_box(page: Page, window: Open) -> None:
    page.pair(window.code)
    page.open("")
    page.run("await chrome.action.openPopup()")
    popup = "chrome.extension.getViews({ type: 'popup' })[0]"
    page.until(f"{popup} && {popup}.document.getElementById('lines').children.length")
    width, height, whole, focus = page.run(
        f"const p = {popup}; return [p.innerWidth, p.innerHeight, p.document.body.scrollHeight, p.document.activeElement.id]"
    )
    assert focus == "idea" and width == 384 and whole - 1 <= height <= 600
    page.run(f"""const p = {popup}, box = p.document.getElementById('idea'); box.value = 'from the popup';
        box.dispatchEvent(new p.KeyboardEvent('keydown', {{ key: 'Enter', ctrlKey: true }})); p.close()""")
    soon(lambda: texts(window) == ["from the popup"], 60)  # though the popup closed in the same breath


@needs_chromium
@pytest.mark.slow
def test_ideas_wait_while_the_window_is_shut_and_are_sent_once(page: Page, tmp_path: Path) -> None:
    place = study(tmp_path / "digits", None)
    with opened(place) as window:
        page.pair(window.code)
    for text in ("first", "second"):
        page.hand_in(text)
        page.until("document.getElementById('said').innerText.startsWith('Kept here')")
    assert [one["text"] for one in page.kept()] == ["first", "second"] and texts(window) == []
    page.until("document.getElementById('trouble').innerText.includes('No window is open')")
    ids = [one["id"] for one in page.kept()]
    with opened(place, port=window.port, secret=window.secret):
        assert page.run("return await chrome.runtime.sendMessage('send')") == "sent"
        assert page.run("return await chrome.runtime.sendMessage('send')") == "sent"
    assert texts(window) == ["first", "second"] and [r.id for r in pending(window.folder)] == ids and page.kept() == []


@needs_chromium
@pytest.mark.slow
def test_ideas_are_sent_by_the_alarm_with_no_page_open(page: Page, tmp_path: Path) -> None:
    place = study(tmp_path / "digits", None)
    with opened(place) as window:
        page.pair(window.code)
    page.hand_in("while nobody looks")
    page.until("document.getElementById('said').innerText.startsWith('Kept here')")
    assert page.run("return (await chrome.alarms.get('send')).periodInMinutes") == 1
    page.browser.go("about:blank")
    with opened(place, port=window.port, secret=window.secret):
        soon(lambda: texts(window) == ["while nobody looks"], 90)


@needs_chromium
@pytest.mark.slow
def test_an_acknowledgement_that_was_lost_is_asked_for_again_and_counts_once(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, lost = study(tmp_path / "digits", None), []
    answered = server.Asked._hand_in

    def losing(self: server.Asked) -> None:
        if not lost:
            lost.append(self.server.counter.hand_in(self._body()))
            self.connection.shutdown(socket.SHUT_RDWR)
            raise server.Refused(503, "lost", "the line broke")
        answered(self)

    monkeypatch.setattr(server.Asked, "_hand_in", losing)
    with opened(place) as window:
        page.pair(window.code)
        page.hand_in("only once")
        page.until("/Kept here|Handed/.test(document.getElementById('said').innerText)")
        assert lost and lost[0][0] == 201
        page.run("await chrome.runtime.sendMessage('send')")
        assert texts(window) == ["only once"] and page.kept() == []


@needs_chromium
@pytest.mark.slow
def test_two_presses_hand_one_idea_in(page: Page, window: Open) -> None:
    page.pair(window.code)
    page.run("document.getElementById('idea').value = 'once'")
    page.run("for (let n = 0; n < 3; n++) document.getElementById('ask').requestSubmit()")
    page.until("document.getElementById('said').innerText === 'Handed to the shift.'")
    assert page.kept() == []
    assert texts(window) == ["once"]


@needs_chromium
@pytest.mark.slow
def test_ideas_kept_while_others_are_on_their_way_go_out_too(page: Page, window: Open) -> None:
    page.pair(window.code)
    wanted = [f"idea {n}" for n in range(20)]
    for text in wanted:
        page.run("document.getElementById('idea').value = given[0]; document.getElementById('ask').requestSubmit()", text)
    soon(lambda: len(texts(window)) == 20, 30)
    assert texts(window) == wanted and page.kept() == []


@needs_chromium
@pytest.mark.slow
def test_a_stranger_on_the_port_gets_neither_the_secret_nor_an_idea(page: Page, tmp_path: Path) -> None:
    place = study(tmp_path / "digits", None)
    with opened(place) as window:
        page.pair(window.code)
    with Stranger(window.port) as heard:
        page.hand_in("not for you")
        page.until("document.getElementById('said').innerText.startsWith('Kept here')")
        page.until("document.getElementById('trouble').innerText.includes('Something else answers')")
    everything = b"".join(heard)
    assert b"GET /hello" in everything and window.secret.encode() not in everything and b"not for you" not in everything
    assert len(page.kept()) == 1


@needs_chromium
@pytest.mark.slow
def test_after_a_new_token_it_asks_to_be_paired_again_and_loses_nothing(page: Page, window: Open) -> None:
    page.pair(window.code)
    again = Open(place=window.place, port=window.port, secret=pairing.new_secret(window.folder))
    page.hand_in("between two codes")
    page.until("!document.getElementById('pair').hidden")
    assert texts(window) == []
    page.pair(again.code)
    soon(lambda: texts(window) == ["between two codes"])


@needs_chromium
@pytest.mark.slow
def test_what_is_typed_survives_the_popup(page: Page, window: Open) -> None:
    page.pair(window.code)
    page.run("document.getElementById('idea').focus()")
    page.browser.press("half a thou")
    page.browser.go("about:blank")
    page.open()
    assert page.run("return document.getElementById('idea').value") == "half a thou"


@needs_chromium
@pytest.mark.slow
def test_an_idea_that_is_refused_stays_with_its_reason_and_can_be_put_back(
    page: Page, window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.pair(window.code)
    monkeypatch.setattr("secondshift.interfaces.web.counter.LONGEST", 10)
    page.hand_in("longer than ten letters")
    page.until("document.querySelector('#ideas li.refused')")
    assert "too long" in page.of("ideas") and texts(window) == []
    page.run("document.querySelector('#ideas li.refused button').click()")
    page.until("document.getElementById('idea').value === 'longer than ten letters'")
    assert page.kept() == []


@needs_chromium
@pytest.mark.slow
def test_html_in_ideas_and_names_is_text(page: Page, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\"><b>bold</b>"
    place = study(tmp_path / hostile.replace("/", ""), None)
    with opened(place) as window:
        page.pair(window.code)
        page.hand_in(hostile)
        page.until("document.getElementById('ideas').innerText.includes('<b>bold</b>')")
        assert page.run("return [document.querySelectorAll('img, b').length, document.title]") == [0, "secondshift"]
        assert "<img" in page.of("study")


@needs_chromium
@pytest.mark.slow
def test_the_brief_is_opened_in_a_tab_that_runs_nothing(page: Page, tmp_path: Path) -> None:
    with opened(study(tmp_path / "digits", eventful())) as window:
        page.pair(window.code).until("!document.getElementById('brief').hidden")
        before = page.browser.tabs()
        page.run("document.getElementById('brief').click()")
        soon(lambda: len(page.browser.tabs()) > len(before))
        page.browser.turn_to(next(tab for tab in page.browser.tabs() if tab not in before))
        page.until("document.querySelector('h1')")
        assert "digits" in page.of("night") or "digits" in page.text()
        assert page.run("return getComputedStyle(document.body).margin") == "0px"  # its own style is let in
        page.run("location.reload()")
        page.until("document.body.innerText.includes('opened once already')")
        page.browser.shut()
        page.browser.turn_to(before[0])


@needs_chromium
@pytest.mark.slow
def test_the_new_tab_shows_the_same_page_and_takes_ideas(page: Page, window: Open) -> None:
    page.pair(window.code)
    page.browser.go("chrome://newtab")
    page.browser.into(0)
    try:
        page.until("document.getElementById('pair').hidden && document.getElementById('lines').children.length")
        page.hand_in("from a new tab")
        page.until("document.getElementById('said').innerText === 'Handed to the shift.'")
    finally:
        page.browser.into(None)
    assert texts(window) == ["from a new tab"]


@needs_chromium
@pytest.mark.slow
def test_it_speaks_korean_when_told_so(page: Page, tmp_path: Path) -> None:
    with opened(study(tmp_path / "digits", eventful())) as window:
        page.pair(window.code)
        page.run("const s = document.getElementById('lang'); s.value = 'ko'; s.dispatchEvent(new Event('change'))")
        page.until("document.getElementById('question').innerText === '이 일을 AI로 더 잘할 수 있는 방법은 없을까?'")
        page.until("document.getElementById('lines').innerText.includes('가장 좋은 실험')")
        page.hand_in("학습률을 천천히 올리기")
        page.until("document.getElementById('said').innerText === '근무에 넘겼습니다.'")
        assert texts(window) == ["학습률을 천천히 올리기"]
        page.open().until("document.documentElement.lang === 'ko'")


@needs_chromium
@pytest.mark.slow
def test_a_web_page_cannot_embed_or_reach_it(page: Page, window: Open) -> None:
    page.pair(window.code)
    page.browser.go("data:text/html,<p>a page</p>")
    reach = "return await fetch(given[0], {headers: {Authorization: 'Bearer ' + given[1]}}).then(() => 'read', () => 'refused')"
    assert page.run(reach, f"http://127.0.0.1:{window.port}/now", window.secret) == "refused"
    assert page.run(reach, PAGE, "") == "refused"


class Stranger:
    """Something else that listens on a port, says yes to everything, and remembers what it heard."""

    def __init__(self, port: int) -> None:
        self.port, self.heard = port, []

    def __enter__(self) -> list[bytes]:
        self.line = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.serve, daemon=True).start()
        return self.heard

    def serve(self) -> None:
        body = b'{"id": "x", "state": "waiting", "proof": "yes"}'
        while True:
            try:
                connection, _ = self.line.accept()
            except OSError:
                return
            with connection:
                self.heard.append(connection.recv(65536))
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + body)

    def __exit__(self, *_: object) -> None:
        self.line.close()
