"""The verb `accept`: make an idea the baseline that later ones are judged against."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from secondshift import shifts
from secondshift.interfaces.cli.asking import answered
from secondshift.interfaces.cli.desk import idea_named, language, open_desk
from secondshift.interfaces.cli.gatetable import gate_result
from secondshift.interfaces.cli.printing import document
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.readmodel.gates import gate_row
from secondshift.interfaces.readmodel.ideas import branch_of
from secondshift.records.states import State
from secondshift.records.studies import Value


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
        idea_named(desk.state(), idea)
        args: dict[str, Value] = {"idea": idea, **({"because": because} if because else {})}
        code, doc = answered(
            desk, "accept", args, done=lambda s: _moved(s, idea, tongue), ends="moving the baseline", lang=tongue,
            attend=shifts.attend,
            waits=say("ideas.accept_waits", tongue, idea=idea),
        )  # fmt: skip
        after = desk.state()
        run = after.gate_run(after.ideas[idea])
    if json:
        document({"exit": code, "idea": idea, **doc, "gate": run and gate_row(run)})
        return code
    gate_result(run, tongue)
    print(doc["text"])
    return code


def _moved(state: State, name: str, lang: str) -> str:
    found = state.ideas[name]
    if state.baseline != found.candidate:
        return ""
    said, branch = say("ideas.accepted", lang, idea=name, candidate=found.candidate), branch_of(state, found)
    return said if branch is None else f"{said} {tell(branch, lang)}"
