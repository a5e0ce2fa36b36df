"""A study with an eventful night and an open window on it, for the tests of `serve` and of the extension."""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interfaces.nights import Night
from secondshift.interfaces.cli.serving import newest_brief
from secondshift.interfaces.web import pairing
from secondshift.interfaces.web.counter import Counter
from secondshift.interfaces.web.server import Window
from secondshift.ledger.opening import open_ledger
from secondshift.runtime.opening import private_folder

STUDY = 'command = "python train.py"\n[objective]\nmetric = "val_loss"\n[horizon]\nsteps = 9\n'


@dataclass(kw_only=True)
class Open:
    """An open window, its study and its secret."""

    place: Path
    port: int
    secret: str

    @property
    def folder(self) -> Path:
        return self.place / ".secondshift"

    @property
    def code(self) -> str:
        return pairing.code(self.port, self.secret)

    def ask(
        self, path: str, body: Any = None, *, verb: str = "", raw: bytes | None = None, **headers: str | None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """One request: its status, its document (or text), its headers. A header named None is left out."""
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        wanted = {"Host": f"127.0.0.1:{self.port}", "Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        wanted |= {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[dict-item]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(verb or ("GET" if data is None else "POST"), path, skip_host=True, skip_accept_encoding=True)
        if data is not None:
            wanted.setdefault("Content-Length", str(len(data)))
        for name, value in wanted.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        kind = answer.headers.get_content_type()
        return answer.status, json.loads(text) if kind == "application/json" else text, dict(answer.headers)


def study(place: Path, night: Night | None) -> Path:
    """A study's folder, with a recorded night or before its first."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "secondshift.toml").write_text(STUDY)
    folder = private_folder(place / "secondshift.toml")
    if night is not None:
        ledger = open_ledger(folder)
        night.record(ledger)
        ledger.close()
    return place


@contextmanager
def opened(place: Path, *, port: int = 0, secret: str = "", deadline_s: float = 15.0) -> Iterator[Open]:
    """Open a window on a study, in this process."""
    folder = place / ".secondshift"
    counter = Counter(file=place / "secondshift.toml", folder=folder, newest_brief=newest_brief)
    with Window(counter, port, deadline_s=deadline_s) as window:
        thread = threading.Thread(target=window.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield Open(place=place, port=window.port, secret=secret or pairing.new_secret(folder))
        finally:
            window.shutdown()
            thread.join(10)
            counter.close()
