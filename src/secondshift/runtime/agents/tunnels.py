"""A way to endpoints without TLS, such as a server on this machine: a sandbox lets connections out by CONNECT only.

Standard library only. Where there is no sandbox, or TLS is spoken, the SDK finds its way by itself.
"""

import contextlib
import os
import socket
import threading
from urllib.parse import urlsplit

from secondshift.runtime.sandbox.policies import PORT
from secondshift.runtime.sandbox.proxy import joined

OUT = f"http://127.0.0.1:{PORT}"  # as the sandbox names its proxy
CONNECT_S = 30.0
MOST_HEAD = 4096


def reached(base_url: str) -> tuple[str, dict[str, str]]:
    """The address under which an endpoint is reached from here, and the headers that it needs for that."""
    address = urlsplit(base_url)
    if address.scheme != "http" or os.environ.get("HTTPS_PROXY") != OUT:
        return base_url, {}
    door = socket.create_server(("127.0.0.1", 0))
    host = f"{address.hostname}:{address.port or 80}"
    threading.Thread(target=_serve, args=(door, host), daemon=True).start()
    return f"http://127.0.0.1:{door.getsockname()[1]}{address.path}", {"Host": host}


def _serve(door: socket.socket, host: str) -> None:
    while True:
        caller, _ = door.accept()
        threading.Thread(target=_passed, args=(caller, host), daemon=True).start()


def _passed(caller: socket.socket, host: str) -> None:
    with caller, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), CONNECT_S) as way:
        way.sendall(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n") and len(head) < MOST_HEAD:
            piece = way.recv(1)
            if not piece:
                return
            head += piece
        if head.split(b" ")[1:2] == [b"200"]:
            joined(caller, way)
        else:
            _turned_away(caller)


def _turned_away(caller: socket.socket) -> None:
    """Say that the endpoint was not reached, in words that the SDK knows for a request that cost nothing."""
    caller.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    caller.shutdown(socket.SHUT_WR)
    caller.settimeout(CONNECT_S)
    while caller.recv(MOST_HEAD):
        pass  # until it hangs up: closing first would take back what was said
