"""The benchmark of DESIGN §7 keeps the contract of benchmarks/README.md."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.overhead import pages
from benchmarks.overhead.rows import Row, percentile, spread, table

ROOT = Path(__file__).resolve().parents[2]
DESIGNED = {
    "log": ("log 10 metrics, p50", "log 10 metrics, p99", "log 10 metrics, p99.99"),
    "import": ("import and init, time", "import and init, memory"),
    "start": ("start of a trivial local trial beyond a subprocess",),
}


def overhead(*arguments: str, timeout_s: float = 60) -> str:
    """Run the benchmark as a person does; return what it printed."""
    env = {**os.environ, "PYTHONWARNINGS": "default"}
    command = [sys.executable, str(ROOT / "benchmarks" / "overhead.py"), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_shape(row: dict) -> None:
    """What the contract asks of every row."""
    assert {"ours", "unit", "peers", "target", "holds"} <= row.keys()
    limit = float(row["target"].removeprefix("<= "))
    assert row["holds"] == (row["ours"] is not None and row["ours"] <= limit)
    for peer in row["peers"].values():
        assert isinstance(peer, float | int) or {"recorded", "source"} & peer.keys(), peer


def test_quick_rows_come_as_one_object_on_the_last_line() -> None:
    printed = overhead("--quick", "--json", "--only", "import", "--only", "start")
    rows = json.loads(printed.splitlines()[-1])
    assert tuple(rows) == (*DESIGNED["import"], *DESIGNED["start"])
    for row in rows.values():
        check_shape(row)
        assert row["ours"] > 0


def test_recorded_peers_carry_their_date() -> None:
    row = json.loads(overhead("--quick", "--json", "--only", "import").splitlines()[-1])["import and init, time"]
    assert {"trackio", "MLflow SQLite", "Optuna"} <= row["peers"].keys()
    assert all(set(peer) == {"value", "recorded"} for peer in row["peers"].values())


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_row_of_the_design_is_measured() -> None:
    rows = json.loads(overhead("--quick", "--json", timeout_s=200).splitlines()[-1])
    for row in rows.values():
        check_shape(row)
    assert len(rows) >= 15


def test_a_miss_is_not_rounded_away() -> None:
    row = Row(name="r", unit="ms", limit=5.0, ours=5.0000001, reason="because")
    assert not row.holds
    assert not row.as_json()["holds"]
    shown = table([row])
    assert shown.splitlines()[1].startswith("MISS")
    assert "because" in shown


def test_what_could_not_be_measured_does_not_hold() -> None:
    assert not Row(name="r", unit="ms", limit=5.0).holds


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert percentile(values, 50) == 50
    assert percentile(values, 99) == 99
    assert percentile(values, 100) == 100
    assert percentile([3.0], 99) == 3.0
    noise = spread([3.0, 1.0, 2.0])
    assert (noise.low, noise.median, noise.p95, noise.n) == (1.0, 2.0, 3.0, 3)


def test_a_full_run_replaces_its_own_section_of_the_page_and_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    row = Row(name="r", unit="ms", limit=5.0, ours=6.0, peers={"peer": 7.0}, reason="because")
    pages.put_into(page, pages.section({"r": row.as_json()}, ("first",)))
    page.write_text(page.read_text() + "\n## Soak\n\nnothing lost\n")
    pages.put_into(page, pages.section({"r": row.as_json()}, ("second",)))
    text = page.read_text()
    assert "first" not in text
    assert text.count(pages.BEGIN) == text.count(pages.END) == 1
    assert "| r | **6** ms | <= 5 | **MISS** | peer 7 |" in text
    assert "- *r*: because." in text
    assert text.endswith("## Soak\n\nnothing lost\n")
