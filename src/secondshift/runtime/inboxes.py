"""Handing an idea to a study: from the command line, from Python, whether or not an engine runs."""

import getpass
import tomllib
from pathlib import Path

from secondshift.errors import ConfigInvalid
from secondshift.records.ideas import SET
from secondshift.records.studies import Value
from secondshift.runtime.changes import store
from secondshift.runtime.spool import put_request
from secondshift.runtime.studyfiles import find_study


def idea(
    text: str = "", *, study: Path | str = ".", why: str = "", author: str = "", patch: Path | str | None = None,
    branch: str = "", **params: Value,
) -> str:  # fmt: skip
    """Hand an idea to a study and return the id of its request, once it would survive a loss of power.

    `params` are what it changes of the baseline, `patch` is a file that `git diff` made, `branch` a branch of the study's
    repository; with words alone it waits for somebody who can turn it into a change. `study` is the study file or its folder.
    Raises StudyMissing, ChangeUnusable, FolderReadOnly, LedgerFull.
    """
    file = find_study(study)
    args: dict[str, Value] = {f"{SET}{name}": value for name, value in params.items()}
    change = kept(file, patch=Path(patch) if patch else None, branch=branch)
    args |= {k: v for k, v in {"text": text, "why": why, "author": author, "change": change}.items() if v}
    return put_request(file.parent / ".secondshift", "idea", args, author or _somebody())


def kept(file: Path, *, patch: Path | None, branch: str) -> str:
    """Keep the change of an idea and return its digest; empty where it has none. Raises ChangeUnusable, ConfigInvalid."""
    if patch is None and not branch:
        return ""
    try:
        named = tomllib.loads(file.read_text("utf-8")).get("folder", ".")
    except (OSError, ValueError) as problem:
        raise ConfigInvalid(f"{file} cannot be read: {problem}. Correct it first; nothing was handed over.") from problem
    return store(file.parent / ".secondshift", (file.parent / str(named)).resolve(), patch=patch, branch=branch or None)


def _somebody() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "a script"
