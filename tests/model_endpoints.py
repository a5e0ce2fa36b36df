"""SIMULATED: no model. A server on loopback that speaks OpenAI's chat completions and Anthropic's messages, and plays models.

Which one, the idea's words say: "[good] ...". A play is a list of steps, one for each request; the last one is repeated.
"""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROLE = re.compile(r"## The idea \([^\n]*\)\n\n`+text\n\[([\w-]+)\]")
KEY = "sk-simulated-0123456789abcdefghij"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one request gets."""

    text: str = ""
    status: int = 200
    retry_after: str = ""
    message: str = "SIMULATED trouble"
    breaks: bool = False  # the connection ends in the middle of the answer
    stalls_s: float = 0.0  # silence in the middle
    trickles_s: float = 0.0  # between two pieces
    usage: bool = True
    output_tokens: int = 0  # that are told; 0: as many as there are
    refuses: bool = False
    cut: bool = False
    overloaded: bool = False  # said in the stream, after it began


def change(*edits: tuple[str, str, str], note: str = "as the idea says", **more: Any) -> Step:
    """An answer with these edits: path, search text, what replaces it."""
    made = [dict(zip(("path", "search", "replace"), edit, strict=True)) for edit in edits]
    return Step(text=json.dumps({"decision": "change", "note": note, "edits": made}), **more)


def says(decision: str, note: str) -> Step:
    return Step(text=json.dumps({"decision": decision, "note": note, "edits": []}))


@dataclass(frozen=True, kw_only=True)
class Served:
    """One request, and what it got."""

    role: str
    step: int
    status: int
    input_tokens: int = 0  # of an answer that began
    output_tokens: int = 0
    told: bool = False  # the client was told both
    key: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)


class Endpoint:
    """The server; a context manager. `unknown`: words of parameters that it turns away, as plain endpoints do."""

    def __init__(self, plays: Mapping[str, Sequence[Step]], unknown: Sequence[str] = ()) -> None:
        self.plays, self.unknown = plays, unknown
        self.served: list[Served] = []
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.over = threading.Event()
        handler = type("Bound", (_Handler,), {"endpoint": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "Endpoint":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10.0)

    def step(self, asked: str) -> tuple[str, int, Step]:
        found = ROLE.search(asked)
        role = found[1] if found else ""
        with self.lock:
            number = self.counts[role]
            self.counts[role] += 1
        play = self.plays[role]
        return role, number, play[min(number, len(play) - 1)]


class _Handler(BaseHTTPRequestHandler):
    endpoint: Endpoint
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        anthropic = self.path.endswith("/messages")
        told = "\n".join(str(message["content"]) for message in body["messages"])
        if word := next((word for word in self.endpoint.unknown if word in body), ""):
            self._trouble(400, f"Unrecognized request argument supplied: {word}")
            return
        role, number, step = self.endpoint.step(told)
        sent = len(json.dumps(body)) // 4
        counted = step.output_tokens or max(1, len(step.text) // 4)
        begun = step.status == 200
        key = (self.headers.get("x-api-key") or self.headers.get("Authorization") or "").removeprefix("Bearer ")
        self.endpoint.served.append(Served(
            role=role, step=number, status=step.status, input_tokens=sent * begun, output_tokens=counted * begun,
            told=begun and step.usage and not step.breaks and not step.overloaded and not step.stalls_s, key=key, asked=body,
        ))  # fmt: skip
        if not begun:
            self._trouble(step.status, step.message, step.retry_after)
            return
        try:
            self._streamed(step, (_anthropic if anthropic else _openai)(step, sent, counted))
        except OSError:
            pass  # the client has had enough

    def _trouble(self, status: int, message: str, retry_after: str = "") -> None:
        data = json.dumps({"type": "error", "error": {"type": "simulated", "message": message}}).encode()
        self.send_response(status)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _streamed(self, step: Step, events: Sequence[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        half = len(events) // 2
        for number, event in enumerate(events):
            data = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
            if number == half and step.breaks:
                self.close_connection = True
                self.connection.shutdown(2)
                return
            if number == half and step.stalls_s:
                self.endpoint.over.wait(step.stalls_s)
            if step.trickles_s:
                time.sleep(step.trickles_s)
        self.wfile.write(b"0\r\n\r\n")


def _pieces(text: str) -> list[str]:
    size = max(1, len(text) // 6)
    return [text[place : place + size] for place in range(0, len(text), size)]


def _openai(step: Step, sent: int, counted: int) -> list[str]:
    def chunk(choices: list[dict[str, Any]], **more: Any) -> str:
        whole = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "SIMULATED", "choices": choices, **more}
        return f"data: {json.dumps(whole)}\n\n"

    name = "refusal" if step.refuses else "content"
    events = [": SIMULATED\n\n"]
    events += [chunk([{"index": 0, "delta": {name: piece}, "finish_reason": None}]) for piece in _pieces(step.text)]
    if step.overloaded:
        return [*events, f"data: {json.dumps({'error': {'message': 'Overloaded', 'type': 'server_error'}})}\n\n"]
    events.append(chunk([{"index": 0, "delta": {}, "finish_reason": "length" if step.cut else "stop"}]))
    if step.usage:
        events.append(chunk([], usage={"prompt_tokens": sent, "completion_tokens": counted, "total_tokens": sent + counted}))
    return [*events, "data: [DONE]\n\n"]


def _anthropic(step: Step, sent: int, counted: int) -> list[str]:
    def event(kind: str, **more: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n"

    usage = {"input_tokens": sent, "output_tokens": 1}
    message = {"id": "x", "type": "message", "role": "assistant", "model": "SIMULATED", "content": [], "stop_reason": None,
               "stop_sequence": None, "usage": usage}  # fmt: skip
    block = {"type": "tool_use", "id": "t", "name": "answer", "input": {}}
    events = [event("message_start", message=message), event("content_block_start", index=0, content_block=block), event("ping")]
    for piece in _pieces(step.text):
        events.append(event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": piece}))
    if step.overloaded:
        return [*events, event("error", error={"type": "overloaded_error", "message": "Overloaded"})]
    stop = "refusal" if step.refuses else "max_tokens" if step.cut else "tool_use"
    ends = event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": counted})
    return [*events, event("content_block_stop", index=0), ends, event("message_stop")]
