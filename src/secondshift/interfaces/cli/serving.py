"""The verb `serve`: a window for the browser's new tab, on this machine's own address."""

import errno
import json as encoding
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Annotated
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from cyclopts import Parameter

from secondshift.errors import SecondshiftError
from secondshift.interfaces.brief.write import newest_shift, page
from secondshift.interfaces.cli.desk import Desk, language, study_file
from secondshift.interfaces.cli.printing import document
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.web import pairing
from secondshift.interfaces.web.counter import Counter
from secondshift.interfaces.web.server import HOST, Window
from secondshift.records.states import State
from secondshift.runtime.opening import private_folder

PORT = 8712
NONCE = "is-this-our-own-window"


def serve(
    *,
    port: Annotated[int, Parameter(help="Where to listen on this machine; 0: any port that is free.")] = PORT,
    new_token: Annotated[bool, Parameter(negative="", help="Make a new pairing code; the old one ends at once.")] = False,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document, with the code, and serve.")] = False,
) -> int:
    """Serve the brief, what runs now, and the inbox to the browser extension, until Ctrl-C. Reachable from this machine only."""
    tongue, file = language(lang), study_file(study)
    if not 0 <= port < 65536:
        raise SecondshiftError(f"There is no port {port}. Expected 0 to 65535; leave it out for {PORT}.")
    folder = private_folder(file)
    wanted = new_token or not pairing.key(folder)
    if wanted and not (json or sys.stdout.isatty()):
        raise SecondshiftError(say("serve.needs_terminal", tongue))
    counter = Counter(file=file, folder=folder, newest_brief=newest_brief)
    try:
        window = Window(counter, port)
    except OSError as problem:
        if not (new_token and problem.errno == errno.EADDRINUSE and _ours(folder, port)):
            raise SecondshiftError(say("serve.no_port", tongue, port=str(port), problem=str(problem.strerror))) from problem
        _tell(port, pairing.new_secret(folder), "serve.replaced", tongue, json)
        return 0
    with window, _until_asked():
        _tell(window.port, pairing.new_secret(folder) if wanted else "", "serve.listening", tongue, json)
        threading.Thread(target=counter.look_ahead, daemon=True).start()
        window.serve_forever()
    counter.close()
    return 0


def _tell(port: int, secret: str, key: str, lang: str, json: bool) -> None:
    """Say where the window is, and the code if it is new: the only time that it is shown."""
    address, code = f"http://{HOST}:{port}", pairing.code(port, secret) if secret else ""
    text = say(key, lang, address=address)
    if json:
        document({"exit": 0, "address": address, "port": port, "pairing": code or None, "text": text})
        return
    print(text)
    told = say("serve.code", lang)
    print(f"\n{told}\n\n  {code}\n" if code else say("serve.paired", lang), flush=True)


def newest_brief(desk: Desk, state: State, lang: str, zone: tzinfo | None) -> str:
    """The brief of a study's newest shift as an HTML page."""
    return page(desk.ledger, state, newest_shift(desk.ledger)).html(lang, zone)


def _ours(folder: Path, port: int) -> bool:
    """Say whether what listens there is this study's own window."""
    try:
        straight = build_opener(ProxyHandler({}))  # this machine's own address, whatever proxy there is
        with straight.open(f"http://{HOST}:{port}/hello?nonce={NONCE}", timeout=3) as answer:
            return encoding.load(answer).get("proof") == pairing.proof(folder, port, NONCE) != ""
    except (URLError, OSError, ValueError, AttributeError):
        return False


@contextmanager
def _until_asked() -> Iterator[None]:
    """Leave the block quietly at Ctrl-C or SIGTERM."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
