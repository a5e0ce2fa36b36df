"""The training command: split into arguments once, its placeholders filled in each argument, never given to a shell."""

import re
import shlex
from collections.abc import Iterator, Mapping

from secondshift.config.mistakes import Given, Notebook, nearest
from secondshift.records.studies import Study, Value

RESERVED = ("seed", "checkpoint_dir", "horizon", "artefact")  # placeholders that are no parameters
_SHELL_WORDS = frozenset(["|", "||", "&&", "&", ";", ">", ">>", "<", "2>", "2>&1"])
_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}|[{}]|[^{}]+")


def arguments(study: Study, params: Mapping[str, Value], seed: int, checkpoint_dir: str) -> tuple[str, ...]:
    """Write out the command of a trial, and after it the resume flag where the study has one.

    `{name}` stands for a parameter, {seed}, {horizon} (steps) and {checkpoint_dir} for themselves; `{{` and `}}` are
    braces. An argument that names a parameter which is inactive in `params` is left out, and so is a flag (an argument
    that begins with `-`) right before it if the argument is that placeholder alone.
    """
    values: dict[str, Value] = {
        **params,
        "seed": seed,
        "horizon": study.horizon_steps,
        "checkpoint_dir": checkpoint_dir,
    }
    inactive = {parameter.name for parameter in study.space.parameters} - params.keys()
    filled: list[str] = []
    flag_before = False  # the argument before this one is a flag that may go with it
    for word in (*shlex.split(study.command), *shlex.split(study.resume_flag)):
        if inactive.intersection(placeholders(word)):
            if flag_before and placeholders(word) and word == "{" + next(iter(placeholders(word))) + "}":
                filled.pop()
            flag_before = False
            continue
        filled.append("".join(_filled(word, values)))
        flag_before = word.startswith("-") and not placeholders(word) and "=" not in word
    return tuple(filled)


def placeholders(word: str) -> tuple[str, ...]:
    """List the names in braces of an argument, in order."""
    return tuple(found[1] for found in _PIECE.finditer(word) if found[1])


def check_command(command: str, key: tuple[str, ...], known: tuple[str, ...], notes: Notebook) -> set[str]:
    """Note what is wrong with a command; give the placeholders it uses. `known` are those that have a value here."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        notes.add(key, got=command, expected=f"a command that can be split into arguments ({error})")
        return set()
    if not words:
        notes.add(key, got=command, expected='a command such as "python train.py --lr {lr}"')
    for word in words:
        if word in _SHELL_WORDS:
            advice = f"Put the line into a script, or write command = \"bash -c '... {word} ...'\"."
            notes.add(key, got=word, expected="arguments; the command is never given to a shell", advice=advice)
    if words and re.match(r"[A-Za-z_]\w*=", words[0]):
        name = words[0].partition("=")[0]
        notes.add(key, got=words[0], expected="a program first", advice=f"Set {name} in [launch] env instead.")
    return check_words(words, key, known, notes)


def check_words(words: list[str], key: tuple[str, ...], known: tuple[str, ...], notes: Notebook) -> set[str]:
    """Note placeholders without a value and braces that are none; give the placeholders used."""
    used: set[str] = set()
    for word in words:
        for piece in _PIECE.finditer(word):
            if piece.group() in ("{", "}"):
                notes.add(key, got=word, expected="a placeholder such as {lr}", advice="Write {{ and }} for braces.")
                break
            if piece[1] and piece[1] not in known and piece[1] not in used:
                expected = "one of " + ", ".join("{" + name + "}" for name in known)
                notes.add(key, got=Given(piece.group()), expected=expected, advice=nearest(piece[1], known))
            if piece[1]:
                used.add(piece[1])
    return used


def _filled(word: str, values: Mapping[str, Value]) -> Iterator[str]:
    for piece in _PIECE.finditer(word):
        if piece[1]:
            yield _text(values[piece[1]])
        else:
            yield {"{{": "{", "}}": "}"}.get(piece.group(), piece.group())


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
