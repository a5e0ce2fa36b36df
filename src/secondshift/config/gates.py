"""[gate]: every mistake in a behaviour suite, and the gate that the table describes."""

from collections.abc import Sequence
from pathlib import Path

from secondshift.config.commands import check_words
from secondshift.config.filling import words
from secondshift.config.mistakes import Given, Notebook
from secondshift.config.tables import GateTable
from secondshift.records.gates import rule_of
from secondshift.records.studies import Check, Gate, Study

MEASURED = ("artefact",)  # the placeholder of a check's command


def check_gate(table: GateTable, notes: Notebook) -> None:
    """Note checks of the same name, commands that never look at the artefact, and rules that are none."""
    names: set[str] = set()
    for place, check in enumerate(table.suite):
        path = ("gate", "suite", place)
        if check.name in names:
            notes.add((*path, "name"), got=check.name, expected="a name of its own for each check")
        names.add(check.name)
        _check_words(check.command, (*path, "command"), notes)
        for text in check.require:
            if rule_of(text) is None:
                expected = 'a metric, <= or >=, and a number or the baseline, such as "ms <= 20" or "acc >= baseline - 0.01"'
                notes.add((*path, "require"), got=text, expected=expected)
    if table.sealed is not None:
        _check_words(table.sealed.command, ("gate", "sealed", "command"), notes)


def _check_words(given: list[str], path: tuple[str | int, ...], notes: Notebook) -> None:
    if "artefact" not in check_words(given, path, MEASURED, notes):
        notes.add(path, got=Given("a command without {artefact}"), expected="one that is given what it measures: {artefact}")


def filled(study: Study, command: Sequence[str], artefact: Path) -> tuple[str, ...]:
    """Fill the artefact into a check's command."""
    return tuple(words(study, list(command), {"artefact": str(artefact)}))


def gate_of(table: GateTable) -> Gate:
    """Give the gate that a table describes."""
    suite = (Check(name=c.name, command=tuple(c.command), require=tuple(c.require)) for c in table.suite)
    sealed = table.sealed
    return Gate(
        suite=tuple(suite), repeats=table.repeats, timeout_s=table.timeout,
        sealed_command=tuple(sealed.command) if sealed else (), sealed_metric=sealed.metric if sealed else "",
    )  # fmt: skip
