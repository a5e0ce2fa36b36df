"""The HTTP of the window: loopback only, every request bounded in size and time, guarded before it is looked at.

Guards in this order: the Host is our own (a name that was rebound to this address is refused), the Origin is our extension or
none (a web page is refused), the secret is right. Nothing is logged: paths and headers hold what others may not read.
"""

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from secondshift.errors import FolderReadOnly, LedgerFull, SecondshiftError
from secondshift.interfaces.plain import one_line
from secondshift.interfaces.web import pairing
from secondshift.interfaces.web.wire import Refused, as_json

if TYPE_CHECKING:  # windows nest deep; only the name of a type is needed
    from secondshift.interfaces.web.counter import Counter

HOST = "127.0.0.1"
EXTENSION = "chrome-extension://omoglodfmoealkkioodjgfjjooceomhi"  # of the key in extension/popup/manifest.json
LIMIT_BYTES = 65_536  # of a body
PATIENCE_S = 5.0  # for the next bytes
DEADLINE_S = 15.0  # for the whole of a request, however slowly its bytes come
AT_ONCE = 32  # connections
_LENGTH = re.compile(r"[0-9]{1,9}")
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Window(ThreadingHTTPServer):
    """The server of one study. `with` it: leaving closes the port."""

    daemon_threads = True  # an answer under way never keeps the process alive; what was not acknowledged is sent again
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, counter: "Counter", port: int, *, deadline_s: float = DEADLINE_S) -> None:
        """Listen on this machine's own address. `port` 0: any that is free. Raises OSError."""
        self.counter = counter
        self.deadline_s = deadline_s
        self._places = threading.BoundedSemaphore(AT_ONCE)
        super().__init__((HOST, port), Asked)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:  # Any: as the standard library has it
        """Take a connection where there is room; beyond that, hang up."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and cut it off at its deadline."""
        cut = threading.Timer(self.deadline_s, _hang_up, (request,))
        cut.daemon = True
        cut.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            cut.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nobody's concern here."""


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it was over already


class Asked(BaseHTTPRequestHandler):
    """One request: guarded, handed to the counter, answered, hung up."""

    server: Window
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "secondshift", ""
    timeout = PATIENCE_S

    def do_GET(self) -> None:
        """Answer what can be looked at."""
        self._answered({"/hello": self._hello, "/brief": self._brief}, {"/now": self._now, "/ideas": self._ideas})

    def do_POST(self) -> None:
        """Take what is handed in."""
        self._answered({}, {"/ideas": self._hand_in, "/ticket": self._ticket})

    def _answered(self, free: Mapping[str, Callable[[], None]], paired: Mapping[str, Callable[[], None]]) -> None:
        """Go through the guards, then to the route. What has no ticket or proof to give needs the secret."""
        self.close_connection = True
        try:
            self._guard()
            parts = self._parts()
            route = free.get(parts.path)
            if route is None:
                self._check_secret()
                route = paired.get(parts.path)
            if route is None:
                raise Refused(404, "path", "There is nothing at this address.")
            route()
        except Refused as refused:
            self._send_refusal(refused)
        except (LedgerFull, FolderReadOnly) as problem:
            self._send_refusal(Refused(507, "storage", str(problem)))
        except SecondshiftError as problem:
            self._send_refusal(Refused(503, "study", str(problem)))
        except Exception as fault:  # told to who asked, for there is no log in which it could be found
            what = one_line(f"{type(fault).__name__}: {fault}", limit=300)
            text = f"This is a fault of secondshift itself: {what}. What was recorded is safe; report that."
            self._send_refusal(Refused(500, "fault", text))

    def _parts(self) -> SplitResult:
        """The address that was asked for, and its query as `asked`. Raises Refused."""
        try:
            parts = urlsplit(self.path)
            self.asked = dict(parse_qsl(parts.query, max_num_fields=8))
        except ValueError as problem:
            raise Refused(400, "request", "The address cannot be read. Expected one of the extension's.") from problem
        return parts

    def _guard(self) -> None:
        hosts, origins = self.headers.get_all("Host") or [], self.headers.get_all("Origin") or []
        ours = {f"{name}:{self.server.port}" for name in (HOST, "localhost")}
        if len(hosts) != 1 or hosts[0].lower() not in ours:
            raise Refused(403, "host", f"This window answers to http://{HOST}:{self.server.port} only.")
        if origins and origins != [EXTENSION]:
            raise Refused(403, "origin", "This window answers to the secondshift extension only, not to web pages.")

    def _check_secret(self) -> None:
        given = self.headers.get_all("Authorization") or []
        scheme, _, secret = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme != "Bearer" or not pairing.holds(self.server.counter.folder, secret):
            raise Refused(401, "secret", "The pairing is missing or not valid any more. Say `secondshift serve --new-token`.")

    def _hello(self) -> None:
        """Prove to the extension that this is the study's own server, before it says anything."""
        nonce = self.asked.get("nonce", "")
        if not pairing.NONCE.fullmatch(nonce):
            raise Refused(400, "nonce", "Expected a nonce of 16 to 64 letters.")
        self._send(200, {"proof": pairing.proof(self.server.counter.folder, self.server.port, nonce)})

    def _now(self) -> None:
        self._send(200, self.server.counter.now(self.asked))

    def _ideas(self) -> None:
        self._send(200, self.server.counter.ideas(self.asked))

    def _hand_in(self) -> None:
        self._send(*self.server.counter.hand_in(self._body()))

    def _ticket(self) -> None:
        self._body()
        self._send(200, self.server.counter.ticket())

    def _brief(self) -> None:
        text = self.server.counter.brief(self.asked)
        # The page's own style by its digest, and nothing else: what a run printed can bring none of its own.
        styles = " ".join(f"'sha256-{_sha256(style)}'" for style in _STYLE.findall(text)[:1])
        self._send_bytes(200, text.encode(), "text/html; charset=utf-8", policy=f"{_NOTHING}; style-src {styles}")

    def _body(self) -> dict[str, Any]:
        """The JSON object that was sent. Raises Refused, before reading where it is too large."""
        if self.headers.get("Transfer-Encoding") is not None:
            raise Refused(411, "length", "Expected a body with its length said beforehand.")
        lengths = self.headers.get_all("Content-Length") or []
        if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
            raise Refused(411, "length", "Expected a body with its length said beforehand.")
        if int(lengths[0]) > LIMIT_BYTES:
            raise Refused(413, "large", f"The body has {lengths[0]} bytes. Expected at most {LIMIT_BYTES}.")
        if self.headers.get_content_type() != "application/json":
            raise Refused(415, "type", "Expected application/json.")
        try:
            body = self.rfile.read(int(lengths[0]))
            found = json.loads(body)
        except (OSError, RecursionError, ValueError) as problem:
            raise Refused(400, "json", "The body is not JSON, or ended early.") from problem
        if len(body) != int(lengths[0]) or not isinstance(found, dict):
            raise Refused(400, "json", "The body is no JSON object, or ended early.")
        return found

    def _send(self, status: int, document: Mapping[str, Any]) -> None:
        self._send_bytes(status, as_json(document), "application/json", policy=_NOTHING)

    def _send_refusal(self, refused: Refused) -> None:
        if self.path.startswith("/brief"):  # a person looks at this one
            self._send_bytes(refused.status, refused.text.encode(), "text/plain; charset=utf-8", policy=_NOTHING)
        else:
            self._send(refused.status, {"error": refused.code, "text": refused.text})

    def _send_bytes(self, status: int, body: bytes, kind: str, *, policy: str) -> None:
        try:
            self.send_response(status)
            headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": policy}
            for name, value in {**headers, **_ALWAYS, "Connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # whoever asked has left

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses (a long line, a strange verb), said in our way."""
        self.close_connection = True
        self.path = getattr(self, "path", "")
        phrase = HTTPStatus(code).phrase
        self._send_refusal(Refused(code, "request", f"{phrase}. Expected one of the extension's requests."))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a log is no place for what people write."""


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
