"""The verb `accept`: make an idea the baseline that later ones are judged against."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from secondshift.errors import SecondshiftError
from secondshift.interfaces.cli.asking import ask
from secondshift.interfaces.cli.desk import asker, language, open_desk
from secondshift.interfaces.cli.printing import document
from secondshift.interfaces.messages.catalogue import say
from secondshift.records.states import State
from secondshift.records.studies import Value
from secondshift.runtime.spool import put_request


def accept(
    idea: Annotated[str, Parameter(help="An idea that held up, such as e3.")],
    /,
    *,
    because: Annotated[
        str, Parameter(help="Accept one that did not hold up all the same: why. It is recorded with your name.")
    ] = "",
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Make an idea the baseline that later ideas are judged against."""
    tongue = language(lang)
    with open_desk(study) as desk:
        state = desk.state()
        if idea not in state.ideas:
            known = ", ".join(state.ideas) or "none"
            raise SecondshiftError(f"There is no idea {idea!r}; there are {known}. `secondshift ideas` lists them.")
        args: dict[str, Value] = {"idea": idea, **({"because": because} if because else {})}
        doc: dict[str, Any]
        if desk.holder().life in ("alive", "remote"):
            code, doc = ask(desk, "accept", args, done=lambda s: _moved(s, idea, tongue), ends="moving the baseline")
        else:
            request = put_request(desk.folder, "accept", args, asker())
            code, doc = 0, {"request": request, "text": say("ideas.accept_waits", tongue, idea=idea)}
    document({"exit": code, "idea": idea, **doc}) if json else print(doc["text"])
    return code


def _moved(state: State, name: str, lang: str) -> str:
    found = state.ideas[name]
    return say("ideas.accepted", lang, idea=name, candidate=found.candidate) if state.baseline == found.candidate else ""
