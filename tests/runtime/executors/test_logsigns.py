"""Logs of any length are looked through for signs, in bounded memory and time."""

import tracemalloc
from pathlib import Path

import pytest

from secondshift.runtime.executors import logsigns

LINE = b"INFO step=%d loss=0.25 lr=0.001\n"
OOM = b"torch.OutOfMemoryError: CUDA out of memory.\n"


def lines(count: int) -> bytes:
    return b"".join(LINE % number for number in range(count))


def test_a_sign_in_the_middle_of_a_long_log_is_found(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(lines(60_000) + OOM + lines(60_000))
    assert logsigns.look_through(str(tmp_path / "log")) == (("oom",), 0)


def test_a_sign_that_lies_across_two_blocks_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in range(40, 120):
        monkeypatch.setattr(logsigns, "BLOCK", block)
        (tmp_path / "log").write_bytes(lines(9) + OOM + lines(9))
        assert logsigns.look_through(str(tmp_path / "log")) == (("oom",), 0), block


def test_of_a_huge_log_the_ends_are_looked_at_and_the_rest_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logsigns, "FIRST", 1000)
    monkeypatch.setattr(logsigns, "LAST", 2000)
    (tmp_path / "log").write_bytes(b"SIGKILL\n" + lines(200) + OOM + lines(200) + b"Segmentation fault\n")
    size = (tmp_path / "log").stat().st_size
    assert logsigns.look_through(str(tmp_path / "log")) == (("killed", "segfault"), size - 3000)


def test_time_that_is_used_up_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logsigns, "MOST_S", -1.0)
    (tmp_path / "log").write_bytes(OOM)
    assert logsigns.look_through(str(tmp_path / "log")) == ((), len(OOM))


def test_a_log_costs_no_memory_even_as_one_endless_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logsigns, "BLOCK", 1 << 16)
    (tmp_path / "log").write_bytes(b"x" * (8 << 20) + b"\n" + OOM)
    tracemalloc.start()
    try:
        assert logsigns.look_through(str(tmp_path / "log"))[0] == ("oom",)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_no_log_has_no_signs(tmp_path: Path) -> None:
    assert logsigns.look_through(str(tmp_path / "none")) == ((), 0)
