"""Standard input and output as two streams of messages: one line each, bounded, and whatever cannot be read is answered.

The SDK's own pair drops a line that it cannot read, and keeps one of any length in memory.
"""

import json
import os
import select
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

LONGEST = 1 << 20  # bytes of one message
CHUNK = 1 << 16
AT_ONCE = select.PIPE_BUF  # bytes that can be written without waiting once something can
DEAF_S = 60.0  # longest wait for a client to read on; then it is taken to have left, though its end of the pipe is open
UNREADABLE, MISSHAPEN = -32700, -32600  # codes of JSON-RPC


def lines(handle: int, longest: int = LONGEST) -> Iterator[bytes | None]:
    """Give the lines that come in until the other end closes; None in place of one that is too long."""
    held, over = bytearray(), False
    while chunk := os.read(handle, CHUNK):
        *whole, rest = chunk.split(b"\n")
        for end in whole:
            fits = not over and len(held) + len(end) <= longest
            yield bytes(held + end) if fits else None
            held.clear()
            over = False
        over = over or len(held) + len(rest) > longest
        if over:
            held.clear()
        else:
            held += rest
    if held or over:
        yield None if over else bytes(held)


def fault(line: bytes | None) -> dict[str, Any]:
    """The answer to a line that is no message, under its own id where it has one."""
    code, name = UNREADABLE, None
    if line is None:
        text = f"A message has more than {LONGEST} bytes. Expected fewer; nothing was done. Ask for less at a time."
    else:
        text = "A message could not be read as JSON. Expected one JSON-RPC object in one line; nothing was done."
        try:
            found = json.loads(line)
            text = "A message is no JSON-RPC 2.0 request. Expected jsonrpc, id, method and params; nothing was done."
            code, name = MISSHAPEN, found.get("id") if isinstance(found, dict) else None
        except (ValueError, RecursionError):
            pass
    usable = isinstance(name, str | int) and not isinstance(name, bool) and len(str(name)) <= 200
    return {"jsonrpc": "2.0", "id": name if usable else None, "error": {"code": code, "message": text}}


def claimed() -> tuple[int, int]:
    """Take standard input and output for the protocol alone: what else prints goes to standard error, and reads nothing."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return source, sink


@asynccontextmanager
async def streams(source: int, sink: int) -> AsyncIterator[tuple[Any, Any]]:
    """Messages from `source` and to `sink`, as the SDK takes them."""
    anyio, lowlevel = import_module("anyio"), import_module("anyio.lowlevel")  # optional: come with the extra `mcp`
    to_thread, from_thread = import_module("anyio.to_thread"), import_module("anyio.from_thread")  # optional: as above
    message_of = import_module("mcp.shared.message").SessionMessage  # optional: the extra `mcp`
    shape = import_module("mcp_types.jsonrpc").jsonrpc_message_adapter  # optional: as above
    to_server, read = anyio.create_memory_object_stream(0)
    write, to_client = anyio.create_memory_object_stream(0)
    faults, refused = anyio.create_memory_object_stream(0)
    token = lowlevel.current_token()

    async def take(line: bytes | None) -> None:
        try:
            message = shape.validate_json(line or b"", by_name=False)
        except ValueError:
            await faults.send(fault(line))
            return
        if not hasattr(message, "id") and "id" in json.loads(line or b""):  # with an id that is none: it waits for an answer
            await faults.send(fault(line))
        else:
            await to_server.send(message_of(message))

    def pump() -> None:
        """In a thread of its own, which ends with the process: nothing waits for a client that says nothing more."""
        try:
            for line in lines(source):
                if line is None or line.strip():
                    from_thread.run(take, line, token=token)
            from_thread.run(to_server.aclose, token=token)
        except (OSError, RuntimeError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # the server has gone

    async def give(texts: Any, told: Any) -> None:
        async with texts:
            async for one in texts:
                if not await to_thread.run_sync(_written, sink, told(one)):
                    both.cancel_scope.cancel()

    async with anyio.create_task_group() as both:
        both.start_soon(give, to_client, lambda one: one.message.model_dump_json(by_alias=True, exclude_unset=True))
        both.start_soon(give, refused, json.dumps)
        threading.Thread(target=pump, daemon=True, name="secondshift-mcp-reader").start()
        yield read, write
        both.cancel_scope.cancel()


_one_at_a_time = threading.Lock()


def _written(sink: int, text: str) -> bool:
    """Write a whole line; False for a client that reads no more. That it has left is no fault of ours."""
    left = memoryview(text.encode() + b"\n")
    with _one_at_a_time:
        try:
            while left:
                if not select.select([], [sink], [], DEAF_S)[1]:
                    return False
                left = left[os.write(sink, left[:AT_ONCE]) :]
        except BrokenPipeError:
            return False
    return True
