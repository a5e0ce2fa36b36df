"""The referee of the packing example forgives nothing, and the simulated agent's edits are what they say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "circle_packing"
ROWS = [[(0.5 + n % 5) / 5, (0.5 + n // 5) / 6, 1 / 12] for n in range(26)]  # circles that stand apart or touch the edge


def judged(tmp_path: Path, text: str) -> tuple[int, str]:
    (tmp_path / "circles.json").write_text(text)
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "check.py"), str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def with_first(*row: object) -> str:
    return json.dumps([list(row), *ROWS[1:]])


def test_a_packing_is_worth_the_sum_of_its_radii(tmp_path: Path) -> None:
    rows = [[x, y, "R"] for x, y, _ in ROWS]
    code, said = judged(tmp_path, json.dumps(rows).replace('"R"', "0.08"))
    assert code == 0 and said.splitlines()[-1] == "sum_of_radii=2.080000000000"


def test_circles_may_touch_and_overlap_by_nothing_at_all(tmp_path: Path) -> None:
    """Two circles of 0.05 whose centres are 0.1 apart as written, in decimals that no float holds."""
    rest = [[x, y, 0] for x, y, _ in ROWS[2:]]

    def two(radius: str) -> tuple[int, str]:
        return judged(tmp_path, json.dumps([["A", 0.3, "R"], ["B", 0.3, 0.05], *rest])
                      .replace('"A"', "0.1").replace('"B"', "0.2").replace('"R"', radius))  # fmt: skip

    assert two("0.05")[0] == 0
    code, said = two("0.05000000000000000000000000000001")
    assert code != 0 and "circles 0 and 1 overlap" in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (with_first(0.1, 0.1, float("nan")), "not a finite decimal number"),
        (with_first(0.1, 0.1, float("inf")), "not a finite decimal number"),
        (with_first(0.1, 0.1, -0.01), "negative radius"),
        (with_first(0.01, 0.1, 0.02), "sticks out"),
        (with_first(0.1, 0.1, True), "is not [x, y, radius]"),
        (with_first(0.1, 0.1, "0.01"), "is not [x, y, radius]"),
        (with_first(0.1, 0.1), "is not [x, y, radius]"),
        (json.dumps(ROWS[:25]), "expected a list of 26"),
        (json.dumps({"sum_of_radii": 9}), "expected a list of 26"),
        ("sum_of_radii=9", "not JSON"),
        ("[" * 50_000, "not JSON"),
        (with_first(0.1, 0.1, 0.0).replace("0.0]", "1e999999999]", 1), "not a finite decimal number"),
    ],
)
def test_what_is_no_packing_gets_no_number(tmp_path: Path, text: str, why: str) -> None:
    code, said = judged(tmp_path, text)
    assert code != 0 and why in said and "sum_of_radii=" not in said.replace("'sum_of_radii=9'", "")


def test_the_study_itself_is_a_packing_that_leaves_room_for_better_ones(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(EXAMPLE / "pack.py"), "--out", str(tmp_path)], check=True, timeout=60)
    code, said = judged(tmp_path, (tmp_path / "circles.json").read_text())
    assert code == 0 and 1.9 < float(said.rpartition("=")[2]) < 2.1


def test_every_edit_of_the_simulated_agent_is_one_of_its_library(tmp_path: Path) -> None:
    text = (EXAMPLE / "pack.py").read_text()
    left = set()
    for number in range(12):
        (tmp_path / "pack.py").write_text(text)
        (tmp_path / "brief.md").write_text(f"brief {number}")
        for _ in range(2):
            call = [sys.executable, str(EXAMPLE / "scripted_agent.py"), "brief.md"]
            (tmp_path / "pack.py").write_text(text)
            subprocess.run(call, cwd=tmp_path, check=True, timeout=60)
            left.add((number, (tmp_path / "pack.py").read_text()))
    assert len(left) == 12, "the same brief gives the same edit"
    assert text not in {after for _, after in left} and len({after for _, after in left}) > 4
