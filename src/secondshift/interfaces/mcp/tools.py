"""The tools of the door, by name: what each takes, what it does, and what it cannot. docs/reference/mcp.md lists the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from secondshift.errors import SecondshiftError
from secondshift.interfaces.mcp import arguments, asking, looking
from secondshift.interfaces.mcp.bounds import written_down

if TYPE_CHECKING:  # windows nest deep; only the names of types are needed
    from secondshift.interfaces.mcp.door import Door

READS = "It changes nothing."
NO_VERDICT = "It decides and alters no verdict, and accepts or releases nothing: only fresh seeds and people do."


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """One tool."""

    name: str
    takes: type[msgspec.Struct]
    does: Callable[[Door, Any], dict[str, Any]]  # Any: an instance of `takes`
    cannot: str
    asks: bool = False  # it leaves a request, and does not only read

    def description(self) -> str:
        """What a client shows of it."""
        return f"{(self.does.__doc__ or '').strip().splitlines()[0]} {self.cannot}"

    def schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema."""
        _, parts = msgspec.json.schema_components((self.takes,), ref_template="#/$defs/{name}")
        whole = dict(parts[self.takes.__name__])
        return {"type": "object", "properties": whole.get("properties", {}), "required": list(whole.get("required", ())),
                "additionalProperties": False}  # fmt: skip


TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(name="study", takes=arguments.Nothing, does=looking.study, cannot=READS),
        Tool(name="trials", takes=arguments.Trials, does=looking.list_trials, cannot=READS),
        Tool(name="trial", takes=arguments.Trial, does=looking.show_trial, cannot=READS),
        Tool(name="curve", takes=arguments.Curve, does=looking.read_curve, cannot=READS),
        Tool(name="ideas", takes=arguments.Ideas, does=looking.list_ideas, cannot=READS),
        Tool(name="idea", takes=arguments.Idea, does=looking.show_idea, cannot=READS),
        Tool(name="brief", takes=arguments.Brief, does=looking.read_brief, cannot=READS),
        Tool(name="request", takes=arguments.Request, does=looking.show_request, cannot=READS),
        Tool(name="add_idea", takes=arguments.NewIdea, does=asking.add_idea, asks=True, cannot=NO_VERDICT),
        Tool(
            name="try_parameters", takes=arguments.NewTrial, does=asking.try_parameters, asks=True,
            cannot="It goes beyond neither the search space nor a cap of the budget; four trials of agents wait or run at once.",
        ),
        Tool(
            name="withdraw_idea", takes=arguments.Idea, does=asking.withdraw_idea, asks=True,
            cannot="It takes back nobody else's idea, and none that is being judged or was judged.",
        ),
        Tool(
            name="stop_trial", takes=arguments.StoppedTrial, does=asking.stop_trial, asks=True,
            cannot="It stops no trial that somebody else asked for, none with a fresh seed, and never the shift.",
        ),
    )
}  # fmt: skip


def offered(*, read_only: bool) -> list[Tool]:
    """The tools that a client may call."""
    return [tool for tool in TOOLS.values() if not (read_only and tool.asks)]


def called(door: Door, name: str, given: Mapping[str, Any], *, read_only: bool = False) -> str:
    """Call a tool and give its answer as text. Raises SecondshiftError, with what was got, what is expected and what to do."""
    known = {tool.name: tool for tool in offered(read_only=read_only)}
    tool = known.get(name)
    if tool is None:
        asks = " This server was started with --read-only." if read_only and name in TOOLS else ""
        raise SecondshiftError(f"There is no tool {name[:60]!r} here.{asks} There are {', '.join(known)}.")
    try:
        wanted = msgspec.convert(given, tool.takes)
    except msgspec.ValidationError as problem:
        takes = ", ".join(tool.schema()["properties"]) or "nothing"
        raise SecondshiftError(f"{tool.name} was called with arguments that do not fit: {problem}. It takes {takes}.") from problem
    return written_down(tool.does(door, wanted))
