"""The verb `idea`: hand an idea to the shift. It loads no ledger: an idea is captured while one still thinks of it."""

from json import dumps
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from secondshift.errors import SecondshiftError
from secondshift.interfaces.cli.askers import asker, study_file
from secondshift.interfaces.cli.languages import language
from secondshift.interfaces.messages.catalogue import say
from secondshift.records.ideas import SET
from secondshift.records.studies import Value
from secondshift.runtime.inboxes import kept
from secondshift.runtime.spool import put_request


def idea(
    text: Annotated[
        str | None, Parameter(help="The idea in your words, or e3 for one that is there.")
    ] = None,
    /,
    *,
    set: Annotated[
        tuple[str, ...], Parameter(name="--set", negative="", help="NAME=VALUE of a parameter; again for more of them.")
    ] = (),
    patch: Annotated[Path | None, Parameter(help="A change of the code: a file that `git diff` made.")] = None,
    branch: Annotated[str, Parameter(help="A change of the code: a branch of the study's repository.")] = "",
    why: Annotated[str, Parameter(help="Why it should help.")] = "",
    author: Annotated[str, Parameter(help="Whose idea it is; left out: yours.")] = "",
    trial: Annotated[str, Parameter(help="A trial of the search, such as t12: did it win by luck?")] = "",
    again: Annotated[
        bool, Parameter(negative="", help="With e3: ask it again, on the baseline of now.")
    ] = False,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Hand an idea to the shift, whether or not one runs; `secondshift ideas` shows what becomes of it."""
    tongue, file = language(lang), study_file(study)
    if text is None and not (set or trial or patch or branch):
        raise SecondshiftError("An idea needs words or a change. Expected: secondshift idea \"...\" [--set NAME=VALUE].")
    known = text is not None and text[:1] == "e" and text[1:].isdigit()
    if again and not known:
        raise SecondshiftError("--again asks an idea that is there once more. Expected its id, such as e3, before it.")
    args: dict[str, Value] = {f"{SET}{name}": value for name, value in (_pair(one) for one in set)}
    if text is not None:
        args["idea" if known else "text"] = text
    change = kept(file, patch=patch, branch=branch)
    given = {"why": why, "author": author, "trial": trial, "again": again, "change": change}
    args |= {name: value for name, value in given.items() if value}
    request = put_request(file.parent / ".secondshift", "idea", args, asker())
    said = say("ideas.taken", tongue, request=request)
    print(dumps({"exit": 0, "request": request, "text": said}, ensure_ascii=False) if json else said)
    return 0


def _pair(text: str) -> tuple[str, Value]:
    """NAME=VALUE as a name and a number, a truth value or a text. Raises SecondshiftError."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise SecondshiftError(f"--set {text!r} is not a parameter's value. Expected NAME=VALUE, such as --set lr=3e-4.")
    value = value.strip()
    if value in ("true", "false"):
        return name.strip(), value == "true"
    for kind in (int, float):
        try:
            return name.strip(), kind(value)
        except ValueError:
            continue
    return name.strip(), value
