"""The verb `answer`: say what shall be done about an incident, and wait until it is recorded."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from secondshift.errors import SecondshiftError
from secondshift.interfaces.cli.asking import ask
from secondshift.interfaces.cli.desk import asker, language, open_desk
from secondshift.interfaces.cli.printing import document
from secondshift.interfaces.messages.catalogue import say, tell
from secondshift.interfaces.readmodel.incidents import asking
from secondshift.records.answers import refusal, waiting
from secondshift.records.states import State
from secondshift.runtime.spool import put_request


def answer(
    incident: Annotated[str, Parameter(help="An incident, such as i3.")],
    option: Annotated[
        str | None, Parameter(help="What shall be done, such as leave; left out: what can be answered is shown.")
    ] = None,
    /,
    *,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Answer what the captain asks about an incident; where no engine lives, the answer waits for the next shift."""
    tongue = language(lang)
    with open_desk(study) as desk:
        state = desk.state()
        found = state.incidents.get(incident)
        question = waiting(state, found) if found is not None else None
        if option is None and found is not None and question is not None:
            text = tell(asking(found, question), tongue)
            document({"exit": 0, "text": text, "options": list(question.options)}) if json else print(text)
            return 0
        if why_not := refusal(state, incident, option or ""):
            raise SecondshiftError(f"{_begun(why_not).rstrip('.')}. Nothing was asked for.")
        assert found is not None and option is not None, "refusal() says so"
        args = {"incident": incident, "answer": option, "trial": found.subject}
        if desk.holder().life in ("alive", "remote"):
            code, doc = ask(desk, "answer", args, done=lambda s: _done(s, incident, option, tongue), ends="acting on it")
        else:
            request = put_request(desk.folder, "answer", args, asker())
            code, doc = 0, {"request": request, "text": say("incident.answer_waits", tongue, incident=incident)}
    document({"exit": code, "incident": incident, "answer": option, **doc}) if json else print(doc["text"])
    return code


def _begun(text: str) -> str:
    """The text as the begin of a sentence; the name of an incident stays as it is typed."""
    return text if text.split()[0][1:].isdecimal() else text[0].upper() + text[1:]


def _done(state: State, incident: str, option: str, lang: str) -> str:
    """A sentence once the answer stands in the incident, or the incident is over."""
    found = state.incidents.get(incident)
    if found is None or (found.questions and found.questions[-1].answer == option and found.question() is None):
        return say("incident.answer_done", lang, incident=incident, answer_word=f"remedy_{option}")
    return ""
