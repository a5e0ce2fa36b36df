"""The training command and its like, checked: it can be split into arguments, and each placeholder has a value."""

import re
import shlex

from secondshift.config.filling import PIECE
from secondshift.config.mistakes import Given, Notebook, nearest

RESERVED = ("seed", "checkpoint_dir", "horizon", "artefact", "params_file", "out")  # placeholders that are no parameters
JUDGED = ("seed", "checkpoint_dir", "horizon", "artefact")  # those of them that an evaluation may name
_SHELL_WORDS = frozenset(["|", "||", "&&", "&", ";", ">", ">>", "<", "2>", "2>&1"])


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


def check_words(words: list[str], key: tuple[str | int, ...], known: tuple[str, ...], notes: Notebook) -> set[str]:
    """Note placeholders without a value and braces that are none; give the placeholders used."""
    used: set[str] = set()
    for word in words:
        for piece in PIECE.finditer(word):
            if piece.group() in ("{", "}"):
                notes.add(key, got=word, expected="a placeholder such as {lr}", advice="Write {{ and }} for braces.")
                break
            if piece[1] and piece[1] not in known and piece[1] not in used:
                expected = "one of " + ", ".join("{" + name + "}" for name in known)
                notes.add(key, got=Given(piece.group()), expected=expected, advice=nearest(piece[1], known))
            if piece[1]:
                used.add(piece[1])
    return used
