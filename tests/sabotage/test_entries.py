"""Every sabotage still has the line it would change, and the test that it names: an entry that went stale is no check."""

import ast

import pytest

from tests.sabotage.run import ROOT, Sabotage, load


@pytest.mark.parametrize("entry", load(), ids=lambda entry: entry.name)
def test_a_sabotage_can_still_be_done(entry: Sabotage) -> None:
    text = (ROOT / entry.file).read_text("utf-8")
    assert text.count(entry.find) == 1, f"{entry.file} holds {entry.find!r} {text.count(entry.find)} times; expected once"
    if entry.file.endswith(".py"):
        ast.parse(text.replace(entry.find, entry.replace))  # what does not even load is no harm that a test must notice
    file, _, name = entry.test.partition("::")
    suites = sorted((ROOT / "src/secondshift/testing").glob("*_conformance.py"))  # what a conformance test inherits
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / file, *suites)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    wanted = name.partition("[")[0].rpartition("::")[2]
    assert not wanted or wanted in defined, f"{file} has no {wanted}"
