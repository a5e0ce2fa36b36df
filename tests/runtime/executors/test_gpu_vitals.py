"""The GPUs of an attempt, over a FAKE of NVML: what is the family's, what is missing, and a driver that hangs."""

import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.runtime.devices import DevicePool
from secondshift.runtime.executors import gpu_vitals
from secondshift.runtime.executors.gpu_vitals import Gpus, GpuWatch
from secondshift.runtime.executors.local import LocalExecutor
from secondshift.runtime.executors.sampling import SAMPLES
from secondshift.runtime.readers.fragments import read_fragment
from tests.runtime.executors.test_local import wait_for
from tests.runtime.executors.test_local_gpus import order
from tests.runtime.fake_nvml import GIB, FakeGpu, FakeNvml

ONE, TWO = "GPU-1111aaaa", "GPU-2222bbbb"


def test_only_the_memory_of_the_family_counts_and_the_rest_is_of_the_device() -> None:
    gpu = FakeGpu(uuid=ONE, busy=83, celsius=71, ecc=2)
    gpu.start(41, 3 * GIB)
    gpu.start(42, GIB)
    gpu.start(77, 8 * GIB)
    found = Gpus(FakeNvml(gpu), [ONE]).read({41, 42})
    assert found == {"sys/gpu_mb": 4 * GIB / 1e6, "sys/gpu_util": 83, "sys/gpu_c": 71, "sys/gpu_ecc": 2}


def test_where_processes_have_other_numbers_a_whole_gpu_is_taken_as_used_and_a_slot_is_not() -> None:
    gpu = FakeGpu(uuid=ONE, used=0)
    assert Gpus(FakeNvml(gpu), [ONE]).read({41})["sys/gpu_mb"] == 0
    gpu.start(9041, 5 * GIB)
    assert Gpus(FakeNvml(gpu), [ONE]).read({41})["sys/gpu_mb"] == 5 * GIB / 1e6
    assert Gpus(FakeNvml(gpu), [f"{ONE}.2"]).read({41})["sys/gpu_mb"] == 0


def test_of_several_gpus_the_sum_the_mean_and_each_one_are_told() -> None:
    one, two = FakeGpu(uuid=ONE, busy=90, celsius=60), FakeGpu(uuid=TWO, busy=10, celsius=80)
    one.start(41, GIB)
    two.start(41, 3 * GIB)
    found = Gpus(FakeNvml(one, two), [TWO, ONE]).read({41})
    assert (found["sys/gpu_mb"], found["sys/gpu_util"], found["sys/gpu_c"]) == (4 * GIB / 1e6, 50, 80)
    assert (found["sys/gpu_mb.0"], found["sys/gpu_util.1"]) == (3 * GIB / 1e6, 90)


def test_a_gpu_that_is_lost_or_counts_no_errors_leaves_the_others() -> None:
    one, two = FakeGpu(uuid=ONE, busy=90, ecc=None), FakeGpu(uuid=TWO)
    gpus = Gpus(FakeNvml(one, two), [ONE, TWO])
    two.lost = True
    found = gpus.read(set())
    assert found["sys/gpu_util"] == 90 and "sys/gpu_ecc" not in found and "sys/gpu_mb.1" not in found


def test_a_critical_error_is_told_once_by_its_number() -> None:
    gpu = FakeGpu(uuid=ONE)
    gpus = Gpus(FakeNvml(gpu), [ONE])
    assert "sys/gpu_xid" not in gpus.read(set())
    gpu.xids = [31, 79]
    assert gpus.read(set())["sys/gpu_xid"] == 79
    assert "sys/gpu_xid" not in gpus.read(set())


def test_a_driver_that_hangs_is_asked_once_and_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    free, asked = threading.Event(), []

    def hang(place: str) -> FakeNvml:
        asked.append(place)
        free.wait(20.0)
        return FakeNvml(FakeGpu(uuid=ONE, busy=12))

    monkeypatch.setattr(gpu_vitals, "driver", hang)
    watch, began = GpuWatch("somewhere", [ONE]), time.monotonic()
    assert [watch.look(set()) for _ in range(5)] == [{}] * 5
    assert time.monotonic() - began < 5.0
    wait_for(lambda: bool(asked), "that it was asked")
    free.set()
    wait_for(lambda: watch.look(set()).get("sys/gpu_util") == 12, "the answer")
    assert asked == ["somewhere"]


def test_without_a_driver_nothing_is_told_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(place: str) -> FakeNvml:
        raise ImportError("no pynvml here")

    monkeypatch.setattr(gpu_vitals, "driver", missing)
    watch = GpuWatch("nowhere", [ONE])
    watch.look(set())
    wait_for(lambda: not watch.devices, "that it gives up")
    assert watch.look(set()) == {} and "no pynvml here" in capsys.readouterr().err


def test_a_real_supervisor_loads_the_driver_from_the_engines_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "devices"))
    place = tmp_path / "packages"
    place.mkdir()
    root = Path(__file__).parents[3]
    # A module in whose place a driver's would lie: it speaks as the FAKE does.
    (place / "pynvml.py").write_text(
        f"import sys\nsys.path[:0] = [{str(root)!r}, *{[p for p in sys.path if p]!r}]\n"
        "from tests.runtime.fake_nvml import FakeGpu, FakeNvml, NVMLError\n"
        f"_gpu = FakeGpu(uuid={ONE!r}, busy=64)\n_gpu.start(1, 2 << 30)\n_fake = FakeNvml(_gpu)\n"
        "def nvmlInit(): pass\n"
        "def __getattr__(name): return getattr(_fake, name)\n"
    )
    monkeypatch.setattr("secondshift.runtime.executors.local._driver", lambda: str(place))
    folder = tmp_path / ".secondshift"
    folder.mkdir()
    made = LocalExecutor(folder, pool=DevicePool([ONE]), fingerprint=lambda _: {})
    asked = order(folder, "t1", ONE, "sleep 60")
    made.submit(replace(asked, sample_every_s=0.2))
    path = Path(asked.folder, SAMPLES)

    def found() -> list[float]:
        chunk = read_fragment(path, 0, trial="t1", attempt="t1.a1")
        return [v for b in chunk.batches if b.metric == "sys/gpu_util" for v in b.values]

    wait_for(lambda: found()[:1] == [64.0], "what the driver says")
    made.cancel("t1.a1", mode="kill", token=5, grace_s=0.0)
    wait_for(lambda: Path(asked.folder, "exit.json").exists(), "the end")
