"""What a study may borrow of this host, over a FAKE of NVML and real locks."""

from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.errors import DeviceBusy
from secondshift.records.orders import Order
from secondshift.records.studies import Launch
from secondshift.runtime import lending
from secondshift.runtime.accelerators import Accelerators
from secondshift.runtime.devices import DevicePool, fair_threads, slots_of
from secondshift.runtime.lending import BACK_S, YIELD, Lending
from tests.runtime.fake_nvml import GIB, FakeGpu, FakeNvml

ONE, TWO = "GPU-1111aaaa", "GPU-2222bbbb"


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "locks"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


class Bench:
    def __init__(self, folder: Path, launch: Launch | None = None, name: str = "digits") -> None:
        self.gpus = (FakeGpu(uuid=ONE), FakeGpu(uuid=TWO))
        self.folder = folder / name / ".secondshift"
        self.folder.mkdir(parents=True)
        ticks = iter(range(0, 10**6, 10))
        seen = Accelerators(FakeNvml(*self.gpus), clock=lambda: float(next(ticks)))
        self.lending = Lending(self.folder, launch or Launch(), gpus=seen)

    def order(self, *devices: str, trial: str = "t1") -> Order:
        return Order(
            attempt=f"{trial}.a1", trial=trial, number=1, token=1, command=("true",), cwd="/", checkpoints="",
            folder=str(self.folder / "attempts" / f"{trial}.a1"), devices=devices,
        )  # fmt: skip


def test_gpus_are_lent_by_uuid_and_each_trial_sees_only_its_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.lending.free() == (ONE, TWO)
    assert bench.lending.addressed(bench.order(TWO)).env == {"CUDA_VISIBLE_DEVICES": TWO}
    with bench.lending.acquire(bench.order(TWO)):
        assert bench.lending.free() == (ONE,)


def test_the_engines_own_list_of_devices_is_respected_and_the_studys_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert Bench(tmp_path, name="a").lending.free() == (TWO,)
    by_study = Launch(env={"CUDA_VISIBLE_DEVICES": ONE})
    assert Bench(tmp_path, by_study, name="b").lending.free() == (ONE,)
    none = Bench(tmp_path, Launch(env={"CUDA_VISIBLE_DEVICES": ""}), name="c")
    assert none.lending.free()[0] == "cpu-0"
    assert none.lending.addressed(none.order("cpu-0")) == none.order("cpu-0")


def test_several_trials_share_a_device_on_request_and_carry_a_mark_of_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Launch(per_device=2))
    assert bench.lending.free() == (f"{ONE}.1", f"{TWO}.1", f"{ONE}.2", f"{TWO}.2")
    assert bench.lending.marks([f"{ONE}.1"])["colocated"] == "2"
    assert bench.lending.addressed(bench.order(f"{ONE}.2")).env == {"CUDA_VISIBLE_DEVICES": ONE}
    assert "colocated" not in Bench(tmp_path, name="alone").lending.marks([ONE])


def test_a_whole_device_and_a_slot_of_it_shut_each_other_out(tmp_path: Path) -> None:
    whole, halves = Bench(tmp_path, name="a").lending.pool, DevicePool(slots_of([ONE], 2), folder=tmp_path / "locks")
    with whole.acquire([ONE], holder={"attempt": "/n/t1.a1"}):
        assert halves.free() == () and halves.holder(f"{ONE}.2") == {"attempt": "/n/t1.a1"}
        with pytest.raises(DeviceBusy, match=r"t1\.a1"):
            halves.acquire([f"{ONE}.2"], holder={})
    with halves.acquire([f"{ONE}.2"], holder={"attempt": "/n/t2.a1"}):
        assert halves.free() == (f"{ONE}.1",) and whole.free() == (TWO,)
        assert whole.holder(ONE) == {"attempt": "/n/t2.a1"}
        with pytest.raises(DeviceBusy, match=r"t2\.a1"):
            whole.acquire([ONE], holder={})
    assert whole.free() == (ONE, TWO)


def test_what_somebody_else_computes_on_is_named_and_not_lent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.gpus[0].start(2**22 + 1)
    assert bench.lending.free() == (TWO,)
    assert "computes on it" in bench.lending.held()[ONE]
    with pytest.raises(DeviceBusy, match="computes on it"):
        bench.lending.acquire(bench.order(ONE))
    assert bench.lending.free() == (TWO,)


def test_a_gpu_whose_memory_does_not_come_back_is_held_back_and_after_a_while_it_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.lending.acquire(bench.order(ONE)).close()
    bench.gpus[0].used += 8 * GIB
    assert bench.lending.free() == (TWO,)
    assert bench.lending.troubles(100.0) == {}
    assert "8.0 GiB" in bench.lending.troubles(100.0 + BACK_S)[f"memory:{ONE}"]
    bench.gpus[0].used -= 8 * GIB
    assert bench.lending.troubles(101.0 + BACK_S) == {} and bench.lending.free() == (ONE, TWO)


def test_a_person_gets_the_whole_machine_back_by_a_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Launch(yield_to="file:keep-off"))
    for place in (bench.folder / YIELD, bench.folder.parent / "keep-off"):
        place.write_text("minji asked for it at 09:00\x1b[2J\n")
        assert bench.lending.free() == ()
        assert bench.lending.held() == dict.fromkeys((ONE, TWO), "minji asked for it at 09:00[2J")
        assert "minji" in bench.lending.troubles(0.0)["yield:host"]
        place.unlink()
    assert bench.lending.free() == (ONE, TWO) and bench.lending.troubles(0.0) == {}


@pytest.mark.parametrize("how", ["gpu-busy", "never"])
def test_a_stranger_on_a_gpu_of_ours_is_told_unless_trials_never_yield(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, Launch(yield_to=how))
    assert bench.lending.watch is not None
    bench.lending.watch.ours = lambda pid: pid == 50
    with bench.lending.acquire(bench.order(ONE)):
        bench.gpus[0].start(50)
        assert bench.lending.troubles(0.0) == {}
        bench.gpus[0].start(60)
        assert bool(bench.lending.troubles(0.0)) == (how == "gpu-busy")


def test_without_gpus_cpus_are_lent_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "accelerators", lambda: None)
    assert Lending(tmp_path, Launch(slots=5)).free()[-1] >= "cpu-4"
    assert Lending(tmp_path, replace(Launch(), per_device=2)).free()[0] == "cpu-0.1"


def test_cpus_are_shared_among_the_slots_and_everybody_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    assert [fair_threads(slots) for slots in (0, 1, 3, 16, 40)] == [16, 16, 5, 1, 1]
