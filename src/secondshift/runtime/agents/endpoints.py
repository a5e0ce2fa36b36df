"""Endpoints of models, by the SDKs of OpenAI and Anthropic: one streamed answer for one conversation, or the trouble there was."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, Protocol, cast

from secondshift.errors import SecondshiftError
from secondshift.runtime.agents import tunnels
from secondshift.runtime.agents.answers import SCHEMA
from secondshift.runtime.agents.orders import Order

TOOL = "answer"  # by whose arguments Anthropic's models answer
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529)  # a later try may go better
UNSENT = ("ConnectError", "ConnectTimeout", "ProxyError")  # network errors after which the endpoint has heard nothing
SPENT = "insufficient_quota"  # a 429 that no waiting mends
INSTALL = "The package {provider} is not installed. Install it where secondshift runs: pip install 'secondshift[models]'"


class ExtraMissing(SecondshiftError):
    """The SDK of the model's provider is not installed: pip install 'secondshift[models]'."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer that came to its end."""

    text: str
    stop: Literal["whole", "cut", "refused"] = "whole"
    input_tokens: int | None = None  # None: the endpoint did not say
    output_tokens: int | None = None


@dataclass(kw_only=True)
class Trouble(Exception):
    """A request that brought no whole answer."""

    why: str
    again: bool = False  # it may go better in a while
    wait_s: float | None = None  # how long the endpoint asks to wait
    charged: bool = False  # it may have cost something
    input_tokens: int | None = None  # as far as they were told
    output_tokens: int | None = None


@dataclass(kw_only=True, slots=True)
class Said:
    """What has come of an answer so far."""

    pieces: list[str] = field(default_factory=list)
    input_tokens: int | None = None
    output_tokens: int | None = None
    stop: str = ""
    refusal: str = ""


class Endpoint(Protocol):
    """Where a model is asked."""

    def ask(self, system: str, talk: Sequence[tuple[str, str]], timeout_s: float) -> Reply:
        """Ask once. `talk`: who ("user", "assistant") and what, in turns. timeout_s: longest silence. Raises Trouble."""
        ...

    def close(self) -> None:
        """Let go of its connections."""
        ...


def sdk(provider: str) -> ModuleType:
    """Load the SDK of a provider. Raises ExtraMissing."""
    try:
        return import_module(provider)  # optional: the extra `models`
    except ImportError:
        raise ExtraMissing(INSTALL.format(provider=provider)) from None


def opened(order: Order, key: str) -> Endpoint:
    """Make ready to ask a model. Raises ExtraMissing."""
    address, headers = tunnels.reached(order.base_url)
    more = {"base_url": address} if address else {}
    package = sdk(order.provider)
    client = {"openai": "OpenAI", "anthropic": "Anthropic"}[order.provider]
    made = getattr(package, client)(api_key=key or "none", max_retries=0, default_headers=headers, **more)
    return (OpenAI if order.provider == "openai" else Anthropic)(package, made, order)


class OpenAI:
    """Any endpoint that speaks OpenAI's chat completions. What it does not know of is left out and not asked for again."""

    def __init__(self, package: ModuleType, client: Any, order: Order) -> None:  # Any: an SDK that may be missing
        self.package, self.client = package, client
        most = "max_completion_tokens" if not order.base_url else "max_tokens"
        schema = {"name": TOOL, "strict": True, "schema": SCHEMA}
        self.extras: dict[str, Any] = {
            most: order.output_tokens, "stream_options": {"include_usage": True},
            "response_format": {"type": "json_schema", "json_schema": schema},
        }  # fmt: skip
        self.model, self.most = order.model, order.output_tokens

    def ask(self, system: str, talk: Sequence[tuple[str, str]], timeout_s: float) -> Reply:
        """See Endpoint."""
        messages = [{"role": "system", "content": system}, *({"role": who, "content": what} for who, what in talk)]
        while True:
            try:
                return _heard(self.package, lambda said: self._stream(said, messages, timeout_s))
            except Trouble as trouble:
                if not self._adapted(trouble):
                    raise

    def close(self) -> None:
        """See Endpoint."""
        self.client.close()

    def _stream(self, said: Said, messages: list[dict[str, str]], timeout_s: float) -> None:
        create = self.client.chat.completions.create
        with create(model=self.model, messages=messages, stream=True, timeout=timeout_s, **self.extras) as chunks:
            for chunk in chunks:
                if (usage := chunk.usage) is not None:
                    said.input_tokens, said.output_tokens = _count(usage.prompt_tokens), _count(usage.completion_tokens)
                for choice in (chunk.choices or [])[:1]:
                    said.pieces.append(getattr(choice.delta, "content", None) or "")
                    said.refusal += getattr(choice.delta, "refusal", None) or ""
                    said.stop = choice.finish_reason or said.stop

    def _adapted(self, trouble: Trouble) -> bool:
        """Leave out what the endpoint says it does not know; False if that is not what was wrong."""
        if trouble.again or trouble.charged:
            return False
        if "max_tokens" in self.extras and "max_completion_tokens" in trouble.why:
            self.extras["max_completion_tokens"] = self.extras.pop("max_tokens")
        elif "max_completion_tokens" in self.extras and "max_completion_tokens" in trouble.why:
            self.extras["max_tokens"] = self.extras.pop("max_completion_tokens")
        elif "response_format" in self.extras and any(word in trouble.why for word in ("response_format", "json_schema", "schema")):
            self.extras.pop("response_format")
        elif "stream_options" in self.extras and any(word in trouble.why for word in ("stream_options", "include_usage")):
            self.extras.pop("stream_options")
        else:
            return False
        return True


class Anthropic:
    """An endpoint that speaks Anthropic's messages: the answer comes as the arguments of a tool."""

    def __init__(self, package: ModuleType, client: Any, order: Order) -> None:  # Any: an SDK that may be missing
        self.package, self.client, self.model, self.most = package, client, order.model, order.output_tokens

    def ask(self, system: str, talk: Sequence[tuple[str, str]], timeout_s: float) -> Reply:
        """See Endpoint."""
        messages = [{"role": who, "content": what} for who, what in talk]
        return _heard(self.package, lambda said: self._stream(said, system, messages, timeout_s))

    def close(self) -> None:
        """See Endpoint."""
        self.client.close()

    def _stream(self, said: Said, system: str, messages: list[dict[str, str]], timeout_s: float) -> None:
        tool = {"name": TOOL, "description": "Give the answer.", "input_schema": SCHEMA}
        with self.client.messages.create(
            model=self.model, system=system, messages=messages, max_tokens=self.most, stream=True, timeout=timeout_s,
            tools=[tool], tool_choice={"type": "tool", "name": TOOL},
        ) as events:  # fmt: skip
            for event in events:
                if event.type == "message_start":
                    said.input_tokens = _sent(event.message.usage)
                elif event.type == "content_block_delta":
                    said.pieces.append(getattr(event.delta, "partial_json", None) or getattr(event.delta, "text", None) or "")
                elif event.type == "message_delta":
                    said.stop = event.delta.stop_reason or said.stop
                    said.output_tokens = _count(event.usage.output_tokens)
                    said.refusal = "no reason given" if said.stop == "refusal" else ""


def _sent(usage: Any) -> int | None:  # Any: of an SDK that may be missing
    """All tokens that were sent, from a cache or not: each at its full price."""
    cached = (_count(getattr(usage, f"cache_{kind}_input_tokens", None)) or 0 for kind in ("creation", "read"))
    sent = _count(usage.input_tokens)
    return None if sent is None else sent + sum(cached)


def _count(value: object) -> int | None:
    """A count of tokens, if it is one: SDKs pass on what an endpoint says as it is."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _heard(package: ModuleType, stream: Callable[[Said], None]) -> Reply:
    """Listen to an answer until it ends. Raises Trouble."""
    said = Said()
    try:
        stream(said)
    except _broken(package) as problem:
        raise _trouble(problem, said) from problem
    if said.refusal:
        return Reply(text=said.refusal, stop="refused", input_tokens=said.input_tokens, output_tokens=said.output_tokens)
    if not said.stop:
        raise Trouble(why="the answer broke off", again=True, charged=True, input_tokens=said.input_tokens)
    if said.stop == "content_filter":
        return Reply(text="its provider's filter stopped it", stop="refused", input_tokens=said.input_tokens,
                     output_tokens=said.output_tokens)  # fmt: skip
    cut = said.stop in ("length", "max_tokens", "model_context_window_exceeded")
    return Reply(
        text="".join(said.pieces), stop="cut" if cut else "whole", input_tokens=said.input_tokens, output_tokens=said.output_tokens
    )


def _broken(package: ModuleType) -> tuple[type[BaseException], ...]:
    """What an SDK raises, with what its network library raises in the middle of a stream, and what is no JSON."""
    own = getattr(package, "OpenAIError", None) or package.AnthropicError
    return (own, OSError, ValueError, *_network_errors())


def _network_errors() -> Iterator[type[BaseException]]:
    for name in ("httpx2", "httpx"):
        if name in sys.modules:
            yield from (sys.modules[name].HTTPError, sys.modules[name].StreamError)


def _trouble(problem: BaseException, said: Said) -> Trouble:
    status, response = getattr(problem, "status_code", None), getattr(problem, "response", None)
    why = " ".join(str(problem).split())[:600] or type(problem).__name__
    begun = bool(said.pieces) or said.input_tokens is not None or status == 200
    if status is not None and not begun:
        told = why if str(status) in why else f"{status}: {why}"
        return Trouble(why=told, again=status in AGAIN and SPENT not in why, wait_s=_asked_wait(getattr(response, "headers", {})))
    unsent = type(problem.__cause__ or problem).__name__ in UNSENT and not begun
    name = type(problem.__cause__ or problem).__name__
    why = why if name in why else f"{why} ({name})"
    return Trouble(why=why, again=True, charged=not unsent, input_tokens=said.input_tokens)


def _asked_wait(headers: Any) -> float | None:  # Any: a mapping that ignores case
    """Seconds that Retry-After asks for, as a number or a date; None if it does not, or not in words that can be read."""
    milliseconds, value = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000.0)
        return None if value is None else max(0.0, float(value))
    except ValueError:
        pass  # it may be a date
    try:
        return max(0.0, parsedate_to_datetime(cast(str, value)).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
