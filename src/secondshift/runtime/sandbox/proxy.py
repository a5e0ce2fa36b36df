"""The one way out of a sandbox: a proxy that connects to named hosts and ports, and to nothing else (HTTP CONNECT).

What passes through it is not looked into. Standard library only.
"""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Sequence

MOST_HEAD = 16 << 10  # bytes of a request's head
HEAD_S, CONNECT_S, IDLE_S = 10.0, 20.0, 900.0  # longest waits: for the request, for the host, for either side to speak
MOST_AT_ONCE = 128  # connections
PIECE = 64 << 10  # bytes that are passed on at once

May = Callable[[str, int], bool]
Refused = Callable[[str], None]  # called with "host:port", and with what was asked for where it is no CONNECT


def serve(door: socket.socket, may: May, refused: Refused) -> threading.Thread:
    """Take calls at a listening socket, in a thread of its own, until the socket is closed."""
    room = threading.BoundedSemaphore(MOST_AT_ONCE)

    def take() -> None:
        while True:
            try:
                caller, _ = door.accept()
            except OSError:
                return
            if not room.acquire(blocking=False):
                caller.close()
                continue
            threading.Thread(target=_served, args=(caller, may, refused, room), daemon=True).start()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return thread


def _served(caller: socket.socket, may: May, refused: Refused, room: threading.BoundedSemaphore) -> None:
    try:
        with caller, contextlib.suppress(OSError):
            caller.settimeout(HEAD_S)
            asked = _head(caller)
            host, port = target(asked)
            if not host or not may(host, port):
                refused(f"{host}:{port}" if host else " ".join(asked[:1])[:80])
                _answer(caller, "403 Forbidden", "The sandbox reaches the hosts of [agent] hosts only, by CONNECT.")
                return
            try:
                other = socket.create_connection((host, port), CONNECT_S)
            except OSError as problem:
                _answer(caller, "502 Bad Gateway", f"{host}:{port} was not reached: {problem}")
                return
            with other:
                _answer(caller, "200 Connection established", "")
                joined(caller, other)
    finally:
        room.release()


def _head(caller: socket.socket) -> list[str]:
    """The lines of a request's head, read byte by byte at its end so that nothing behind it is taken."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        piece = caller.recv(1)
        if not piece or len(data) > MOST_HEAD:
            return []
        data += piece
    return data.decode("latin-1").split("\r\n")


def target(head: Sequence[str]) -> tuple[str, int]:
    """The host and port that a CONNECT names; ("", 0) for anything else."""
    words = head[0].split(" ") if head else []
    if len(words) != 3 or words[0] != "CONNECT":
        return "", 0
    host, _, port = words[1].rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return (host, int(port)) if host and port.isascii() and port.isdigit() and len(port) <= 5 else ("", 0)


def allowed(host: str, port: int, hosts: Sequence[str]) -> bool:
    """Say whether a host may be reached: it is named with this port (443 where none is named), or lies below a "*." name."""
    asked = host.lower().rstrip(".")
    for rule in hosts:
        name, _, number = rule.lower().partition(":")
        if (number or "443") != str(port):
            continue
        if asked == name or (name.startswith("*.") and asked.endswith(name[1:]) and len(asked) > len(name) - 1):
            return True
    return False


def _answer(caller: socket.socket, status: str, body: str) -> None:
    length = f"Content-Length: {len(body.encode())}\r\nConnection: close\r\n" if body else ""
    caller.sendall(f"HTTP/1.1 {status}\r\n{length}\r\n{body}".encode())


def joined(one: socket.socket, other: socket.socket) -> None:
    """Pass on what either side says, until both have said all or nobody speaks for long."""
    with selectors.DefaultSelector() as ears:
        for ear, mouth in ((one, other), (other, one)):
            ear.settimeout(IDLE_S)
            ears.register(ear, selectors.EVENT_READ, mouth)
        while ears.get_map():
            ready = ears.select(IDLE_S)
            if not ready:
                return
            for key, _ in ready:
                said = key.fileobj.recv(PIECE)  # type: ignore[union-attr]  # only sockets are registered
                if said:
                    key.data.sendall(said)
                    continue
                ears.unregister(key.fileobj)
                with contextlib.suppress(OSError):
                    key.data.shutdown(socket.SHUT_WR)
