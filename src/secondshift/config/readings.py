"""[metrics]: every mistake in where a trial's numbers are read, before anything starts."""

import re
from typing import Any

from secondshift.config.mistakes import Given, Notebook
from secondshift.config.tables import StudyFile

OUT = "{out}"
FILES = ("csv", "jsonl", "tensorboard", "wandb", "mlflow")  # sources that may be files
TEXTS = ("auto", "stdout", "csv", "jsonl")  # sources that are lines of text
_parse = re._parser.parse  # type: ignore[attr-defined]  # there is no public way to see how an expression repeats
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_UNBOUNDED = 100  # repetitions from which on one counts as without end


def check_metrics(file: StudyFile, notes: Notebook) -> None:
    """Note where a pattern is none, could take for ever, or names nothing; and where a path cannot tell trials apart."""
    metrics = file.metrics
    if metrics.pattern:
        _check_pattern(metrics.pattern, metrics.source, notes)
    if metrics.step and metrics.source in ("sdk", "tensorboard", "wandb", "mlflow"):
        got = Given(f'`step` beside source = "{metrics.source}"')
        notes.add(("metrics", "step"), got=got, expected="it for text only; this source has steps of its own")
    if metrics.path:
        _check_path(file, notes)


def _check_pattern(pattern: str, source: str, notes: Notebook) -> None:
    path = ("metrics", "pattern")
    if source not in ("auto", "stdout"):
        got = Given(f'`pattern` beside source = "{source}"')
        notes.add(path, got=got, expected='it with source = "stdout", of what is printed or of the files of `path`')
    try:
        groups, tree = set(re.compile(pattern).groupindex), _parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        notes.add(path, got=pattern, expected=f"a regular expression ({error})")
        return
    if not groups - {"step", "name"} or ("name" in groups and "value" not in groups):
        example = r"""such as 'step (?P<step>\d+): (?P<val_loss>\S+)' or '(?P<name>\w+) is (?P<value>\S+)' """.strip()
        notes.add(path, got=pattern, expected=f"a group named as the metric, or groups name and value, {example}")
    if _repeats_within(tree, False):
        advice = r"Write what stands between exactly, such as \w+(?: \w+){0,3}."
        expected = "no repetition within a repetition, which can take for ever on some line"
        notes.add(path, got=pattern, expected=expected, advice=advice)


def _repeats_within(tree: Any, inside: bool) -> bool:  # Any: the parser's tree has no public types
    """Say whether a repetition without end holds another that does not end either."""
    for operation, argument in tree:
        name, parts = str(operation), []
        endless = name in _REPEATS and int(argument[1]) >= _UNBOUNDED
        if endless and inside:
            return True
        if name in (*_REPEATS, "ASSERT", "ASSERT_NOT", "SUBPATTERN"):
            parts = [argument[-1]]
        elif name in ("BRANCH", "GROUPREF_EXISTS"):
            parts = argument[1] if name == "BRANCH" else argument[1:]
        elif name == "ATOMIC_GROUP":
            parts = [argument]
        if any(_repeats_within(part, inside or endless) for part in parts if part):
            return True
    return False


def _check_path(file: StudyFile, notes: Notebook) -> None:
    metrics, key = file.metrics, ("metrics", "path")
    given = metrics.path.removeprefix(OUT)
    if metrics.source not in FILES and not metrics.pattern:
        expected = "it with source = " + ", ".join(f'"{source}"' for source in FILES) + ", or with a pattern"
        notes.add(key, got=Given(f'`path` beside source = "{metrics.source}"'), expected=expected)
    outside = given == metrics.path and given.startswith(("/", "~"))
    if outside or ".." in given.split("/") or OUT in given or "\0" in given:
        expected = 'a pattern of files below the working folder, or below {out}, such as "{out}/**/metrics.csv"'
        notes.add(key, got=metrics.path, expected=expected)
    elif given == metrics.path and file.launch.slots != 1:
        expected = "files below {out}, or one trial at a time: trials that run side by side share the working folder"
        advice = "Give the script its own folder by {out} in the command or in [launch] env, or set launch.slots = 1."
        notes.add(key, got=metrics.path, expected=expected, advice=advice)
