"""The page that documents the names of the package: each of its examples runs, alone and inside a study."""

import re
from pathlib import Path

import pytest

import secondshift

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
@pytest.mark.parametrize("inside", [True, False], ids=["in a study", "alone"])
def test_every_example_of_the_reference_runs(attempt, number, inside, tmp_path):
    where = {} if inside else {"SECONDSHIFT_ATTEMPT": ""}
    code, out, err = attempt.play("import secondshift\n" + EXAMPLES[number], TMPDIR=str(tmp_path), **where)
    assert code == 0, out + err
    assert [note["clean"] for note in attempt.notes("closed")] == ([True] if inside else [])


def test_every_attribute_of_a_run_stands_in_the_reference():
    page = PAGE.read_text("utf-8")
    missing = [name for name in dir(secondshift.Run) if not name.startswith("_") and f"run.{name}" not in page]
    assert not missing and len(EXAMPLES) >= 4
