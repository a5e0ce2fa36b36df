"""The extension's page in a real browser, as a person meets it: looked at, typed into, paired."""

import time
from pathlib import Path
from typing import Any

from pages.browser import Browser

ROOT = Path(__file__).resolve().parents[2]
POPUP, NEW_TAB = ROOT / "extension" / "popup", ROOT / "extension" / "newtab"
PAGE = "chrome-extension://omoglodfmoealkkioodjgfjjooceomhi/page.html"
CTRL, ENTER = "\ue009", "\ue007"  # as WebDriver names keys


class Page:
    """One browser with the extension loaded, looking at its page."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    def run(self, script: str, *args: Any) -> Any:
        """Run a script in the page; what it returns, or what its promise comes to."""
        function = f"(async (...given) => {{ {script} }})"
        said = self.browser.run_async(
            f"const [...a] = arguments, done = a.pop(); {function}(...a).then(done, e => done('ERROR ' + e))", args
        )
        assert not (isinstance(said, str) and said.startswith("ERROR ")), said
        return said

    def open(self, how: str = "?popup") -> "Page":
        self.browser.go(PAGE + how)
        self.until("!document.body.hidden")
        return self

    def fresh(self) -> "Page":
        """As it is after installing."""
        self.open()
        self.run("await chrome.storage.local.clear(); await chrome.alarms.clearAll()")
        return self.open()

    def until(self, condition: str, wait_s: float = 10.0) -> None:
        """Wait for the page to be so."""
        end = time.monotonic() + wait_s
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"it never came to be that {condition}; the page says:\n{self.text()}"
            time.sleep(0.05)

    def text(self) -> str:
        return self.run("return document.body.innerText")

    def of(self, name: str) -> str:
        return self.run("return document.getElementById(given[0]).innerText", name)

    def pair(self, code: str) -> "Page":
        self.run("document.getElementById('code').focus()")
        self.browser.press(code + ENTER)
        self.until("document.getElementById('pair').hidden")
        return self

    def hand_in(self, text: str) -> None:
        self.run("document.getElementById('idea').focus()")
        self.browser.press(text)
        self.browser.press(ENTER, held=CTRL)

    def kept(self) -> list[dict[str, Any]]:
        everything = self.run("return await chrome.storage.local.get(null)")
        return [value for key, value in sorted(everything.items()) if key.startswith("idea:")]
