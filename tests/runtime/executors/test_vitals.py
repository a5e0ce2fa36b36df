"""Memory that is shared, and the limit of memory that applies, read from folders that look like /proc and the control groups'."""

import threading
import time
from pathlib import Path

import pytest

from secondshift.runtime.executors import vitals
from secondshift.runtime.executors.vitals import MB, Family, Process, memory_limit_mb

GIB = 1 << 30


def main_process(*, rss: int = GIB, mapped: int = 3 * GIB) -> Process:
    found = Process(7, [b"S", *[b"0"] * 30])
    found.rss_bytes, found.address_bytes = rss, mapped
    return found


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for name in ("proc/7", "groups"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:       67108864 kB\nMemFree: 1 kB\n")  # 64 GiB
    return tmp_path


def limit(host: Path, main: Process | None = None) -> float:
    return memory_limit_mb(main or main_process(), proc=str(host / "proc"), groups=str(host / "groups")) * MB / GIB


def group(host: Path, path: str, text: str) -> None:
    place = host / "groups" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_a_measurement_of_shared_memory_that_takes_long_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()

    def slow(pid: int) -> int:
        free.wait(20.0)
        return 3 * GIB

    def everybody(pid: int) -> Process:
        found = main_process(rss=4 * GIB)
        found.pid = pid
        return found

    monkeypatch.setattr(vitals, "proportional_bytes", slow)
    monkeypatch.setattr(vitals, "process", everybody)
    family, began = Family(7), time.monotonic()
    for at in (5.0, 10.0):
        family.look({7: 0, 8: 0}, at, 0.0)
        assert family.rss_mb == pytest.approx(8 * GIB / MB)  # the sum, as long as nothing else is known
    assert time.monotonic() - began < 10.0
    free.set()
    deadline = time.monotonic() + 20.0
    while family.rss_mb > 7 * GIB / MB:
        assert time.monotonic() < deadline, "the measurement did not come"
        family.look({7: 0, 8: 0}, 15.0, 0.0)
    assert family.rss_mb == pytest.approx(6 * GIB / MB)


def test_without_limits_it_is_the_memory_of_the_machine(host: Path) -> None:
    assert limit(host) == 64


def test_the_narrowest_group_around_a_process_counts(host: Path) -> None:
    (host / "proc/7/cgroup").write_text("0::/user.slice/job/step\n")
    group(host, "user.slice/memory.max", "max\n")
    group(host, "user.slice/job/memory.max", f"{20 * GIB}\n")
    group(host, "user.slice/job/step/memory.max", f"{30 * GIB}\n")
    assert limit(host) == 20


def test_groups_of_version_1_count_and_their_word_for_no_limit_does_not(host: Path) -> None:
    (host / "proc/7/cgroup").write_text("9:name=systemd:/x\n4:cpu,memory:/pod\n0::/\n")
    group(host, "memory/pod/memory.limit_in_bytes", "9223372036854771712\n")
    assert limit(host) == 64
    group(host, "memory/memory.limit_in_bytes", f"{12 * GIB}\n")
    assert limit(host) == 12


def test_a_group_cannot_lead_out_of_its_folder(host: Path) -> None:
    (host / "proc/7/cgroup").write_text("0::/../../secret\n")
    group(host, "../secret/memory.max", "1\n")
    assert limit(host) == 64


def test_of_a_limit_of_the_address_space_what_is_mapped_and_not_resident_is_taken_off(host: Path) -> None:
    (host / "proc/7/limits").write_text(
        "Limit                     Soft Limit           Hard Limit           Units\n"
        f"Max address space         {8 * GIB}           unlimited            bytes\n"
    )
    assert limit(host) == 6
    (host / "proc/7/limits").write_text("Max address space         unlimited            unlimited            bytes\n")
    assert limit(host) == 64


def test_where_nothing_can_be_read_there_is_no_limit(tmp_path: Path) -> None:
    assert limit(tmp_path) == 0
