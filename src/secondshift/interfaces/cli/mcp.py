"""The verb `mcp`: a door for an interactive coding agent, over standard input and output."""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from secondshift.errors import SecondshiftError
from secondshift.interfaces.brief.write import newest_shift, page
from secondshift.interfaces.cli.languages import language
from secondshift.interfaces.mcp.door import Door, Seen
from secondshift.interfaces.mcp.server import serve
from secondshift.interfaces.mcp.tools import called, offered


def mcp(
    *,
    read_only: Annotated[bool, Parameter(negative="", help="Offer only the tools that read.")] = False,
    lang: Annotated[str | None, Parameter(help="en or ko, of the sentences in answers.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
) -> int:
    """Let a coding agent read the study, bring ideas and ask for trials, over standard input and output until it hangs up."""
    call = partial(called, read_only=read_only)
    door = Door(study=study, lang=language(lang), brief_of=brief_of)
    serve(door, offered(read_only=read_only), call, version=version("secondshift"))
    return 0


def brief_of(seen: Seen, shift: str, lang: str) -> tuple[str, str]:
    """The name of a shift, or of the newest, and its brief as Markdown. Raises SecondshiftError."""
    if seen.desk is None:
        raise SecondshiftError("No shift is recorded in this study yet, so there is no brief.")
    name = shift or newest_shift(seen.desk.ledger)
    return name, page(seen.desk.ledger, seen.state, name).markdown(lang)
