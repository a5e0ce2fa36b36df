"""The verb `promote`: release the artefact of an idea."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from secondshift import shifts
from secondshift.interfaces.cli.asking import REFUSED, answered
from secondshift.interfaces.cli.desk import idea_named, language, open_desk
from secondshift.interfaces.cli.gatetable import gate_result
from secondshift.interfaces.cli.printing import document, line
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.readmodel.gates import gate_row, gate_story, openings
from secondshift.records.gates import Promotion
from secondshift.records.states import State
from secondshift.records.studies import Value


def promote(
    idea: Annotated[str, Parameter(help="An idea that held up, such as e3.")],
    /,
    *,
    to: Annotated[
        Path | None, Parameter(help="The folder to make; left out: promoted/IDEA beside the study file.")
    ] = None,
    because: Annotated[
        str, Parameter(help="Release one that did not hold up or pass the gate all the same: why. It is recorded.")
    ] = "",
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Release an idea's artefact: the suite must pass, the sealed test is opened, and a copy with a manifest is put into place."""
    tongue = language(lang)
    with open_desk(study) as desk:
        state = desk.state()
        idea_named(state, idea)
        before = len(state.promotions)
        args: dict[str, Value] = {"idea": idea, **({"because": because} if because else {})}
        if to is not None:
            args["to"] = str(to.absolute())
        code, doc = answered(
            desk, "promote", args, done=lambda s: _told(s, idea, before, tongue), ends="releasing the artefact", lang=tongue,
            waits=say("gate.promote_waits", tongue, idea=idea), attend=shifts.attend,
        )  # fmt: skip
        after = desk.state()
        one = _newest(after, idea, before)
        run = after.gates.get(one.gate) if one is not None else after.gate_run(after.ideas[idea])
        code = REFUSED if one is not None and one.outcome == "failed" else code
        mine = one.id if one is not None else "-"
        said = [e for e in desk.ledger.read(kinds=("sealed.measured",)) if getattr(e.payload, "promotion", "") == mine]
        sealed = gate_story(said, sealed_values=True)
        sealed += openings(desk.ledger.read(kinds=("sealed.opened",))) if sealed else []
    if json:
        shown = [{"key": s.key, "text": tell(s, tongue), "values": dict(s.values)} for s in sealed]
        document({"exit": code, "idea": idea, **doc, "gate": run and gate_row(run), "sealed": shown, "openings": after.openings})
        return code
    gate_result(run, tongue)
    for statement in sealed:
        print(line(statement, tongue))
    print(doc["text"])
    return code


def _newest(state: State, idea: str, before: int) -> Promotion | None:
    """The newest promotion of an idea among those that were not there before."""
    return next((one for one in reversed(list(state.promotions.values())[before:]) if one.idea == idea), None)


def _told(state: State, idea: str, before: int, lang: str) -> str:
    one = _newest(state, idea, before)
    if one is None or not one.outcome:
        return ""
    return say("gate.released" if one.outcome == "released" else "gate.not_released", lang, idea=idea, place=one.place)
