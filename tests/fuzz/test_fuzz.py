"""A short run of the fuzzers, where atheris is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SEEDS = HERE.parent / "runtime" / "readers" / "fixtures"


@pytest.mark.slow
def test_ten_seconds_of_fuzzing_find_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="the readers are fuzzed where atheris is installed")
    ran = subprocess.run(
        [sys.executable, str(HERE / "fuzz_readers.py"), "-max_total_time=10", "-timeout=10", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
