"""The record of other people's scripts says what was measured, and of the very files that are named."""

import json
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "benchmarks")]

import foreign  # noqa: E402  # the folder comes first

BRIEF = "# Brief\n\n## Found\n\n- 2 trials: 1 complete. [e1–e2, +3]\n- Best [t1]: 0.5. [e4]\n\n## Spent\n\n- Much. [e5]\n"


def test_a_part_of_a_brief_is_given_without_the_numbers_of_its_facts() -> None:
    assert foreign.section(BRIEF, "Found") == ["2 trials: 1 complete.", "Best [t1]: 0.5."]
    assert foreign.section(BRIEF, "Incidents") == []


def test_a_case_holds_up_to_fifteen_minutes_and_never_when_it_broke() -> None:
    assert [foreign.held({"broke": "", "in_all_s": took}) for took in (900.0, 900.1)] == ["HOLDS", "**MISS**"]
    assert foreign.held({"broke": "Broken: init", "in_all_s": 1.0}) == "**BROKE**"
    assert foreign.row({"broke": "", "in_all_s": 900.1})["holds"] is False


def test_what_is_recorded_is_of_the_files_that_the_benchmark_fetches() -> None:
    kept = json.loads(foreign.KEPT.read_text())
    assert {case.name for case in foreign.CASES} == set(kept) and len(kept) >= 5
    for case in foreign.CASES:
        one = kept[case.name]
        assert (one["package"], one["script"], one["command"]) == (case.package, case.script, case.command)
        assert (one["archive_sha256"], one["script_sha256"]) == (case.archive_sha256, case.script_sha256)
        assert one["broke"] or one["files_unchanged"]
    page = foreign.PAGE.read_text()
    assert all(line in page for line in foreign.table(kept)), "the page is not what was recorded"


def test_another_file_stops_a_case() -> None:
    with pytest.raises(foreign.Broken, match="sha256 is a, recorded is b"):
        foreign.same("script", "a", "b")
