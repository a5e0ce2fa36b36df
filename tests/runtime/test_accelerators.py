"""GPUs as a FAKE of NVML shows them: which are ours to use, who else computes there, whether memory came back."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.runtime.accelerators import Accelerator, Accelerators, AcceleratorWatch, of_secondshift, visible
from secondshift.runtime.executors.processes import boot_id, children
from tests.runtime.fake_nvml import GIB, FakeGpu, FakeNvml

ONE, TWO = "GPU-1111aaaa", "GPU-2222bbbb"
FOUND = (Accelerator(uuid=ONE), Accelerator(uuid=TWO), Accelerator(uuid="GPU-22cc"))


def watched(*gpus: FakeGpu, share: bool = False, ours: dict[int, bool | None] | None = None) -> AcceleratorWatch:
    """A watch that looks anew each time; `ours` says whose each process is, a stranger's if not named."""
    ticks = iter(range(0, 10**6, 10))
    seen = Accelerators(FakeNvml(*gpus), clock=lambda: float(next(ticks)))
    return AcceleratorWatch(seen, share=share, ours=lambda pid: (ours or {}).get(pid, False))


@pytest.mark.parametrize("as_bytes", [False, True])
def test_gpus_are_named_by_uuid_model_and_driver_whatever_the_bindings_return(as_bytes: bool) -> None:
    seen = Accelerators(FakeNvml(FakeGpu(uuid=ONE), as_bytes=as_bytes))
    assert seen.found == (Accelerator(uuid=ONE, model="NVIDIA Imaginary 80GB", memory_bytes=80 * GIB),)
    assert AcceleratorWatch(seen).marks([f"{ONE}.2"]) == {"device": "NVIDIA Imaginary 80GB", "driver": "999.01"}


@pytest.mark.parametrize(
    ("listed", "uuids"),
    [
        (None, [ONE, TWO, "GPU-22cc"]), ("1,0", [TWO, ONE]), (f"{TWO},0", [TWO, ONE]), ("GPU-1111", [ONE]),
        ("GPU-22", []), ("", []), ("-1", []), ("0,9,1", [ONE]), ("0, 0,1", [ONE, TWO]), ("MIG-1", []), ("GPU-", []),
    ],
)  # fmt: skip
def test_the_list_of_visible_devices_means_what_the_driver_takes_it_for(listed: str | None, uuids: list[str]) -> None:
    assert [gpu.uuid for gpu in visible(FOUND, listed)] == uuids


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([str(n) for n in range(5)] + [g.uuid for g in FOUND] + ["x", "-1"]), max_size=6))
def test_what_is_visible_is_among_what_there_is_once_each_and_saying_it_by_uuid_changes_nothing(words: list[str]) -> None:
    chosen = visible(FOUND, ",".join(words))
    assert len(set(chosen)) == len(chosen) and set(chosen) <= set(FOUND)
    assert visible(FOUND, ",".join(gpu.uuid for gpu in chosen)) == chosen


def test_a_gpu_on_which_somebody_computes_is_not_lent_unless_sharing_was_asked_for() -> None:
    gpu = FakeGpu(uuid=ONE)
    gpu.start(77)
    assert "process 77" in watched(gpu).gate(ONE, {})
    assert watched(gpu, share=True).gate(ONE, {}) == ""
    gpu.end(77)
    assert watched(gpu).gate(ONE, {}) == ""


def test_a_screen_drawn_on_a_gpu_does_not_keep_trials_away() -> None:
    assert watched(FakeGpu(uuid=ONE, used=3 * GIB, drawing={900: 2 * GIB})).gate(ONE, {}) == ""


def test_a_slot_is_lent_beside_our_own_trials_but_a_whole_gpu_is_not() -> None:
    gpu = FakeGpu(uuid=ONE)
    gpu.start(50)
    watch = watched(gpu, ours={50: True})
    assert watch.gate(f"{ONE}.2", {}) == "" and "process 50" in watch.gate(ONE, {})


def test_memory_that_a_killed_trial_did_not_give_back_holds_the_gpu_until_it_is_free() -> None:
    gpu = FakeGpu(uuid=ONE)
    watch = watched(gpu)
    holder = {"attempt": "/night/.secondshift/attempts/t3.a1", **watch.measured(ONE)}
    gpu.start(50, 4 * GIB)
    gpu.end(50, give_back=False)
    assert "4.0 GiB of its memory are not back since t3.a1 ended" in watch.gate(ONE, holder)
    assert watch.gate(ONE, {**holder, "boot_id": "another boot"}) == ""
    gpu.used -= 4 * GIB
    assert watch.gate(ONE, holder) == ""
    assert holder["boot_id"] == boot_id()


def test_a_gpu_that_fell_off_the_bus_is_not_lent() -> None:
    gpu = FakeGpu(uuid=ONE)
    watch = watched(gpu)
    gpu.lost = True
    assert watch.gate(ONE, {}) == "the driver does not answer for it" and watch.measured(ONE) == {}


def test_only_processes_seen_here_and_not_ours_make_trials_leave() -> None:
    gpu = FakeGpu(uuid=ONE, compute={50: GIB, 60: GIB})
    assert watched(gpu, ours={50: True, 60: None}).foreign(ONE) == ""
    assert "process 60" in watched(gpu, ours={50: True}).foreign(ONE)
    assert watched(gpu, share=True).foreign(ONE) == ""


WAITS = "import sys; print(flush=True); sys.stdin.readline()"
CLEARED = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {WAITS!r}], env={{}}).returncode)"


@pytest.mark.parametrize(
    ("program", "mark", "whose"), [(WAITS, "abc", True), (WAITS, None, False), (CLEARED, "abc", True), (CLEARED, None, False)]
)
def test_a_process_of_a_trial_is_known_by_its_mark_or_that_of_one_above_it(
    program: str, mark: str | None, whose: bool
) -> None:
    env = {k: v for k, v in os.environ.items() if k != "SECONDSHIFT_TOKEN"} | ({"SECONDSHIFT_TOKEN": mark} if mark else {})
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it runs, so its environment is its own
        below = children(process.pid)
        assert of_secondshift(below[0] if below else process.pid) is whose
        process.communicate(b"\n", timeout=20)
    assert of_secondshift(2**22 + 1) is None


def test_a_reading_is_used_again_for_a_second() -> None:
    library, now = FakeNvml(FakeGpu(uuid=ONE)), [0.0]
    seen = Accelerators(library, clock=lambda: now[0])
    seen.read(ONE)
    calls = library.calls
    now[0] = 0.5
    seen.read(ONE)
    assert library.calls == calls
    now[0] = 1.5
    seen.read(ONE)
    assert library.calls > calls


def test_the_fake_speaks_no_function_that_the_real_library_lacks() -> None:
    real = pytest.importorskip("pynvml", reason="the extra `gpu` is not installed")
    assert not [name for name in dir(FakeNvml) if name.startswith("nvml") and not hasattr(real, name)]
