"""Which files a code idea may not touch, and whether a change touches one. Pure: what changed comes in, a sentence comes out."""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

LINK, MODULE, NONE = "120000", "160000", "000000"  # modes as git writes them: a symbolic link, a submodule, no file


@dataclass(frozen=True, kw_only=True, slots=True)
class Touched:
    """One path that is not the same before and after a change; a rename is two of them."""

    path: str  # relative to the top of the repository, with slashes
    old_mode: str = "100644"
    new_mode: str = "100644"
    target: str = ""  # where a symbolic link leads afterwards


def guarded(read_only: tuple[str, ...], evaluate: tuple[str, ...], folder: str) -> tuple[str, ...]:
    """List the patterns of protected files, relative to the study file's folder; those that [evaluate] names are some.

    folder: where the study's commands run, relative to that folder.
    """
    named = (word for place, word in enumerate(evaluate) if not word.startswith("-") and (place or "/" in word))
    inside = (word for word in named if "{" not in word and not word.startswith("/"))
    files = (posixpath.normpath(posixpath.join(folder, word)) for word in inside)
    return tuple(dict.fromkeys((*read_only, *files)))


def protects(patterns: Iterable[str], path: str) -> str:
    """Give the pattern that a path falls under, itself or by a folder above it; "" if none does."""
    parts = posixpath.normpath(path).split("/")
    for pattern in patterns:
        stem = pattern.removesuffix("**").rstrip("/")
        if not stem or any(_matches(posixpath.normpath(stem).split("/"), parts[:n]) for n in range(1, len(parts) + 1)):
            return pattern
    return ""


def refusal(touched: Iterable[Touched], patterns: tuple[str, ...], inside: str = "") -> tuple[str, str]:
    """Say why a change is refused and which path it is about; ("", "") if it is not.

    inside: the study file's folder, relative to the top of the repository. A file may not be put in place of a folder that
    holds protected ones, which git names as the deletion of each of them.
    """
    for one in touched:
        path = posixpath.normpath(one.path)
        if MODULE in (one.old_mode, one.new_mode):
            return f"{path} is a submodule, whose files are not part of a change", path
        if one.new_mode == LINK and _leads_out(path, one.target):
            return f"{path} becomes a symbolic link to {one.target}, which lies outside of the candidate's own tree", path
        below = _below(path, inside)
        found = protects(patterns, below) if below else ""
        if found:
            what = "deletes" if one.new_mode == NONE else "adds" if one.old_mode == NONE else "changes"
            return f"it {what} {path}, which is protected ({found})", path
    return "", ""


def _below(path: str, inside: str) -> str:
    """A path relative to a folder; "" if it lies elsewhere."""
    if inside in ("", "."):
        return path
    return path.removeprefix(f"{inside}/") if path.startswith(f"{inside}/") else ""


def _leads_out(path: str, target: str) -> bool:
    """Say whether a link at this path leads out of the tree, as far as its text tells."""
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return target.startswith("/") or joined == ".." or joined.startswith("../")


def _matches(pattern: list[str], parts: list[str]) -> bool:
    """Say whether a path is what a glob stands for; `**` is any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _matches(pattern[1:], parts) or (bool(parts) and _matches(pattern, parts[1:]))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(pattern[1:], parts[1:])
