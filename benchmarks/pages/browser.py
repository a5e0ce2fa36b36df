"""A real browser, driven by chromedriver's plain HTTP: how long a page takes, and what it looks like."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import Request, urlopen

QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
TIMES = """
const done = arguments[0];
requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => {
  const load = performance.getEntriesByType('navigation')[0], paints = performance.getEntriesByType('paint');
  done({load: load.loadEventEnd, paint: Math.max(0, ...paints.map(p => p.startTime)), laid_out: performance.now(),
        wide: document.documentElement.scrollWidth, tall: document.documentElement.scrollHeight});
}, 0)));
"""
Answer = Any  # Any: whatever chromedriver says, as JSON


def found() -> bool:
    """Say whether the programs are there."""
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    """A headless Chromium with an empty profile, for the length of a `with` block."""

    def __init__(self, extensions: Sequence[Path] = ()) -> None:
        """extensions: folders to load unpacked, as a person would under chrome://extensions."""
        self.more = [f"--load-extension={','.join(str(folder.resolve()) for folder in extensions)}"] if extensions else []

    def __enter__(self) -> "Browser":
        self.place = tempfile.mkdtemp(prefix="brief-browser-")
        self.driver = subprocess.Popen(
            [shutil.which("chromedriver") or "chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        try:
            self.base = self._address()
            options = {"binary": shutil.which("chromium"), "args": [*QUIET, *self.more, f"--user-data-dir={self.place}/profile"]}
            wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
            self.session = f"/session/{self._ask('POST', '/session', wanted)['sessionId']}"
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._ask("DELETE", self.session, None)
        except (OSError, AttributeError):
            pass  # it is gone, or never came
        self.driver.terminate()
        self.driver.wait(20)
        if self.driver.stdout:
            self.driver.stdout.close()
        shutil.rmtree(self.place, ignore_errors=True)

    def _address(self) -> str:
        until = time.monotonic() + 20
        for line in self.driver.stdout or ():
            if "on port " in line and "successfully" in line:
                port = line.rpartition("on port ")[2].strip(" .\n")
                return f"http://127.0.0.1:{port}"
            if time.monotonic() > until:
                break
        raise OSError("chromedriver did not say where it listens")

    def _ask(self, verb: str, path: str, body: Mapping[str, Answer] | None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.base + path, data=data, method=verb, headers={"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def cdp(self, command: str, **params: Answer) -> Answer:
        """Send one command of the DevTools protocol."""
        return self._ask("POST", f"{self.session}/goog/cdp/execute", {"cmd": command, "params": params})

    def look(self, width: int = 1280, height: int = 900, *, dark: bool = False, scale: float = 1.0) -> None:
        """Choose the window and the reader's colours for the pages that follow."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 500)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, page: Path) -> dict[str, float]:
        """Load a page; milliseconds to its load event, its first paint and the frame after it; its width and height."""
        self.go(page.resolve().as_uri())
        return self.run_async(TIMES)

    def go(self, address: str) -> None:
        """Load an address."""
        self._ask("POST", f"{self.session}/url", {"url": address})

    def tabs(self) -> list[str]:
        """The open tabs, by handles."""
        return self._ask("GET", f"{self.session}/window/handles", None)

    def turn_to(self, tab: str) -> None:
        """Look at another tab."""
        self._ask("POST", f"{self.session}/window", {"handle": tab})

    def shut(self) -> None:
        """Close the tab that is looked at; turn to another one after it."""
        self._ask("DELETE", f"{self.session}/window", None)

    def into(self, frame: int | None) -> None:
        """Look into a frame of the page, by its number; None: at the page itself."""
        self._ask("POST", f"{self.session}/frame", {"id": frame})

    def press(self, text: str, *, held: str = "") -> None:
        """Type on the keyboard, with one key held down meanwhile."""
        strokes = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        if held:
            strokes = [{"type": "keyDown", "value": held}, *strokes, {"type": "keyUp", "value": held}]
        self._ask("POST", f"{self.session}/actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def run_async(self, script: str, args: Sequence[Answer] = ()) -> Answer:
        """Run a script that calls its last argument with the answer."""
        return self._ask("POST", f"{self.session}/execute/async", {"script": script, "args": list(args)})

    def shot(self, target: Path, *, whole: bool = True, most: int = 16_000) -> None:
        """A picture of the page, of the whole of it or of the window."""
        params: dict[str, Answer] = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
            params["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": min(most, size["height"]), "scale": 1}
        target.write_bytes(base64.b64decode(self.cdp("Page.captureScreenshot", **params)["data"]))

    def paper(self, target: Path) -> None:
        """The page as a printer gets it."""
        answer = self._ask("POST", f"{self.session}/print", {"background": False, "page": {"width": 21.0, "height": 29.7}})
        target.write_bytes(base64.b64decode(answer))
