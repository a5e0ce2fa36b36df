"""What a supervisor takes down of its script: health told apart on real processes, numbers, and a file without half a frame."""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from secondshift.records.orders import Chunk, Order
from secondshift.runtime.executors import sampling
from secondshift.runtime.executors.attempt_files import read_object
from secondshift.runtime.executors.processes import boot_s, descendants
from secondshift.runtime.executors.sampling import SAMPLES, Condition, Sampler
from secondshift.runtime.executors.supervision import Supervision
from secondshift.runtime.readers.fragments import read_fragment
from secondshift.runtime.readers.samples import TIMES, read_samples
from secondshift.tracking import wire
from tests.runtime.executors.test_local import Bench, wait_for

LOCKED = "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()"
BUSY = "while True: pass"
QUIET = "import time; time.sleep(300)"
CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', sys.argv[1]])"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / ".secondshift"
    folder.mkdir()
    made = Bench(folder)
    yield made
    made.executor.close()


def sampled(bench: Bench, code: str, *arguments: str) -> Order:
    """Start a script that is looked at ten times a second."""
    order = replace(bench.python(code, *arguments), sample_every_s=0.1)
    bench.executor.submit(order)
    return order


def whole(order: Order) -> Chunk:
    return read_fragment(Path(order.folder, SAMPLES), 0, trial="t1", attempt="t1.a1")


def healths(order: Order) -> list[tuple[str, str]]:
    return [(str(n.values["health"]), str(n.values["waits_on"])) for n in whole(order).notes if n.kind == "health"]


def values(chunk: Chunk) -> Mapping[str, list[float]]:
    return {batch.metric: list(batch.values) for batch in chunk.batches}


@pytest.mark.parametrize(
    ("code", "expected"),
    [(LOCKED, ("blocked", "lock")), (BUSY, ("running", "")), (QUIET, ("blocked", "sleep")),
     ("import os; r, w = os.pipe(); os.read(r, 1)", ("blocked", "input"))],
)  # fmt: skip
def test_a_lock_a_busy_loop_and_other_waits_are_told_apart(bench: Bench, code: str, expected: tuple[str, str]) -> None:
    order = sampled(bench, code)
    wait_for(lambda: healths(order)[-1:] == [expected], f"{expected} in {order.folder}")


def test_a_script_stopped_by_a_signal_is_told_from_one_that_waits_and_runs_again_when_it_goes_on(bench: Bench) -> None:
    order = sampled(bench, BUSY)
    wait_for(lambda: healths(order) == [("running", "")], "running")
    child = bench.read(order, "child.json")
    os.kill(child["pid"], signal.SIGSTOP)
    wait_for(lambda: healths(order)[-1] == ("stopped", ""), "stopped")
    os.kill(child["pid"], signal.SIGCONT)
    wait_for(lambda: healths(order)[-1] == ("running", ""), "running again")
    assert len(healths(order)) == 3


@pytest.mark.parametrize(("code", "expected"), [(LOCKED, ("blocked", "lock")), (QUIET, ("blocked", "sleep"))])
def test_behind_a_launcher_that_waits_the_process_that_works_is_judged(
    bench: Bench, code: str, expected: tuple[str, str]
) -> None:
    order = sampled(bench, CHILD, code)
    wait_for(lambda: healths(order)[-1:] == [expected], str(expected))


def test_a_child_that_is_stopped_behind_its_launcher_counts_as_stopped(bench: Bench) -> None:
    order = sampled(bench, CHILD, f"print('begun', flush=True)\n{BUSY}")
    bench.hear(order, "begun")
    (child,) = descendants(bench.read(order, "child.json")["pid"])
    os.kill(child, signal.SIGSTOP)
    wait_for(lambda: healths(order)[-1:] == [("stopped", "")], "stopped")


def test_the_numbers_are_those_of_the_whole_family(bench: Bench) -> None:
    code = f"import os, time; os.fork(); hold = bytearray(os.urandom(1 << 20) * 100); {QUIET}"
    order = sampled(bench, code)
    wait_for(lambda: values(whole(order)).get("sys/processes", [0])[-1] == 2, "both processes")
    wait_for(lambda: 200 < values(whole(order))["sys/tree_rss_mb"][-1] < 300, "100 MB of each")
    found = values(whole(order))
    assert found["sys/threads"][-1] == 2
    disk = os.statvfs(order.folder)
    assert abs(found["sys/disk_free_mb"][-1] - disk.f_bavail * disk.f_frsize / 1e6) < 2048
    assert 0 < found["sys/memory_limit_mb"][-1] <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6 + 1


def test_memory_that_a_fork_shares_is_counted_once(bench: Bench) -> None:
    code = f"import os, time; hold = bytearray(os.urandom(1 << 20) * 200); [os.fork() or (time.sleep(300)) for _ in '123']; {QUIET}"
    order = sampled(bench, code)
    wait_for(lambda: values(whole(order)).get("sys/processes", [0])[-1] == 4, "four processes")
    wait_for(lambda: 200 < values(whole(order))["sys/tree_rss_mb"][-1] < 300, "200 MB, and not 800")


def test_a_leak_calls_for_a_reader_before_the_limit_of_its_address_space_is_reached(bench: Bench) -> None:
    code = (
        "import resource, time; resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20)); time.sleep(0.6)\n"
        "hold = []\n"
        "for _ in range(25): hold.append(bytearray(b'x') * (10 << 20)); time.sleep(0.1)\n" + QUIET
    )
    order = sampled(bench, code)
    wait_for(lambda: sum(note.kind == "look" for note in whole(order).notes) >= 3, "calls")
    found = values(whole(order))
    assert 150 < found["sys/memory_limit_mb"][-1] < 420
    assert max(found["sys/tree_rss_mb"]) < found["sys/memory_limit_mb"][-1]


def test_a_script_that_is_over_at_once_is_never_sampled(bench: Bench) -> None:
    order = bench.python("pass")
    bench.executor.submit(order)
    bench.read(order, "exit.json")
    assert not Path(order.folder, SAMPLES).exists()


def test_nothing_is_sampled_where_the_study_wants_none(bench: Bench) -> None:
    order = replace(bench.python("import time; time.sleep(1.4)"), sample_every_s=0.0)
    bench.executor.submit(order)
    assert bench.read(order, "exit.json")["code"] == 0
    assert not Path(order.folder, SAMPLES).exists()


def test_a_place_where_no_samples_can_be_written_harms_nobody(bench: Bench) -> None:
    order = replace(bench.python("import time; time.sleep(1.0); print('done')"), sample_every_s=0.1)
    Path(order.folder, SAMPLES).mkdir(parents=True)
    bench.executor.submit(order)
    assert bench.read(order, "exit.json")["code"] == 0 and read_object(f"{order.folder}/exit.json")["cause"] == "self"


def test_a_fault_in_sampling_ends_the_sampling_and_not_the_script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def take(self, now: float, known: dict[int, int]) -> None:
            raise ZeroDivisionError("a fault of ours")

    supervision = Supervision(str(tmp_path), {"token": 1}, "")
    supervision.sampler = Broken()
    supervision.sample(boot_s())
    assert supervision.sample_at == float("inf") and "a fault of ours" in capsys.readouterr().err


def mine(folder: Path) -> Sampler:
    """A sampler of this very process."""
    return Sampler(str(folder), os.getpid(), boot_s() - 10.0)


def take(sampler: Sampler, times: int = 1, step_s: float = 5.0) -> None:
    for _ in range(times):
        sampler.take(sampler.began + 10.0 + sampler.count * step_s, {os.getpid(): 0})


def test_a_disk_that_is_full_costs_samples_and_leaves_whole_frames_with_all_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler, room, write = mine(tmp_path), [70], os.write

    def narrow(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")
        written = write(fd, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(sampling.os, "write", narrow)
    take(sampler, 3)
    assert os.path.getsize(tmp_path / SAMPLES) == 0
    room[0] = 1 << 20
    take(sampler, 2)
    room[0] = 10
    take(sampler, 2)
    room[0] = 1 << 20
    take(sampler, 1)
    chunk = read_fragment(tmp_path / SAMPLES, 0, trial="t1", attempt="t1.a1", ended=True)
    assert not [note for note in chunk.notes if note.kind == "damaged"]
    assert values(chunk)[wire.WALL] == [25.0, 30.0, 45.0]
    assert len(values(chunk)["sys/threads"]) == 2  # said again after each loss


def test_what_does_not_move_is_written_every_five_minutes_and_memory_each_time(tmp_path: Path) -> None:
    sampler = mine(tmp_path)
    take(sampler, 121)  # ten minutes
    found = values(read_fragment(tmp_path / SAMPLES, 0, trial="t1", attempt="t1.a1"))
    assert len(found["sys/tree_rss_mb"]) == len(found["sys/cpu"]) == 121
    assert len(found["sys/threads"]) <= 5 and len(found["sys/memory_limit_mb"]) == 1


def test_a_sample_of_one_process_costs_less_than_a_millisecond_and_few_bytes(tmp_path: Path) -> None:
    sampler = mine(tmp_path)
    take(sampler, 5)
    size, began = os.path.getsize(tmp_path / SAMPLES), time.process_time()
    take(sampler, 100)
    assert time.process_time() - began < 0.1
    assert (os.path.getsize(tmp_path / SAMPLES) - size) / 100 < 60


def played(states: str, *, every_s: float = 5.0) -> list[tuple[float, str]]:
    """The changes that a course of states (r, b, d, s; l: in a lock) leaves, with when they began."""
    words = {"r": ("running", ""), "b": ("blocked", "input"), "l": ("blocked", "lock"), "d": ("disk", ""), "s": ("stopped", "")}
    condition = Condition()
    return [
        (condition.since_s, condition.waits_on or condition.health)
        for place, state in enumerate(states)
        if condition.push(*words[state], place * every_s)
    ]


def test_another_health_counts_once_it_has_lasted_and_from_when_it_began() -> None:
    assert played("rrrbrrr") == [(0.0, "running")]
    assert played("rrrbbbb") == [(0.0, "running"), (15.0, "input")]
    assert played("rrrbdbd") == [(0.0, "running")]
    assert played("r" + "bb" + "s") == [(0.0, "running"), (5.0, "input")]
    assert played("r" + "bb" + "ss") == [(0.0, "running"), (5.0, "input"), (15.0, "stopped")]


def test_what_a_blocked_one_waits_for_is_told_again_when_that_changes_for_good() -> None:
    assert played("rrr" + "bl" * 3 + "llll") == [(0.0, "running"), (15.0, "lock")]
    assert played("rrr" + "bb" + "llll") == [(0.0, "running"), (15.0, "input"), (15.0, "lock")]


@pytest.mark.parametrize("length", range(1, 30))
def test_a_health_that_changes_all_night_leaves_few_facts(length: int) -> None:
    samples = 8 * 3600 // 5
    changes = played((("r" * length + "b" * length) * samples)[:samples])
    assert len(changes) <= samples // sampling.MOST_STEADY
    assert all(later[0] > earlier[0] for earlier, later in pairwise(changes))


def test_a_hang_after_a_restless_night_is_told_within_a_minute() -> None:
    restless = ("r" * 12 + "b" * 12) * 100
    changes = played(restless + "r" * 12 + "b" * sampling.MOST_STEADY)
    assert changes[-1] == ((len(restless) + 12) * 5.0, "input")


def writing(folder: Path, seconds: float, *, every_s: float = 5.0) -> Callable[[float], None]:
    sampler = mine(folder)

    def until(end_s: float) -> None:
        while sampler.count * every_s + 10.0 <= end_s:
            take(sampler, step_s=every_s)

    until(seconds)
    return until


def test_samples_of_an_old_attempt_are_taken_in_two_minutes_at_a_time(tmp_path: Path) -> None:
    until = writing(tmp_path, 3000.0)

    def read(offset: int, *, ended: bool = False) -> Chunk | None:
        return read_samples(str(tmp_path), offset, trial="t1", attempt="t1.a1", ended=ended)

    first = read(0)
    assert first is not None and TIMES in values(first) and wire.WALL not in values(first)
    assert read(first.end) is None  # nothing new
    until(3100.0)
    assert read(first.end) is None  # it can wait
    last = read(first.end, ended=True)
    assert last is not None and len(values(last)[TIMES]) == 20
    until(3130.0)
    due = read(first.end)
    assert due is not None and due.start == first.end and len(values(due)[TIMES]) >= 24


def test_a_call_or_another_health_is_read_at_once_and_only_health_is_passed_on(tmp_path: Path) -> None:
    until = writing(tmp_path, 3000.0)
    first = read_samples(str(tmp_path), 0, trial="t1", attempt="t1.a1", ended=False)
    assert first is not None and [note.kind for note in first.notes] == ["health"]
    with open(tmp_path / SAMPLES, "ab") as file:
        file.write(wire.frame(wire.NOTE, b'["look", {}]'))
    until(3005.0)
    called = read_samples(str(tmp_path), first.end, trial="t1", attempt="t1.a1", ended=False)
    assert called is not None and called.notes == () and len(values(called)[TIMES]) == 1


def test_a_file_of_samples_with_a_torn_end_loses_no_points_of_the_script(tmp_path: Path) -> None:
    writing(tmp_path, 100.0)
    with open(tmp_path / SAMPLES, "ab") as file:
        file.write(b"\x20\x00\x00\x00torn")
    chunk = read_samples(str(tmp_path), 0, trial="t1", attempt="t1.a1", ended=True)
    assert chunk is not None and [note.kind for note in chunk.notes] == ["health"]
    assert chunk.end == os.path.getsize(tmp_path / SAMPLES)
