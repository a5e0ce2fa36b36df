"""Real processes and real locks over a FAKE of NVML: each trial gets its own GPU, and leaves when somebody needs it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from secondshift.records.orders import Order
from secondshift.records.studies import Launch
from secondshift.runtime.accelerators import Accelerators
from secondshift.runtime.executors.attempt_files import read_object
from secondshift.runtime.executors.local import LocalExecutor
from secondshift.runtime.executors.protocol import Watchful
from secondshift.runtime.lending import Lending
from secondshift.testing.executor_conformance import attempt_of
from tests.runtime.fake_nvml import GIB, FakeGpu, FakeNvml

ONE, TWO = "GPU-1111aaaa", "GPU-2222bbbb"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "devices"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    folder = tmp_path / "digits" / ".secondshift"
    folder.mkdir(parents=True)
    return folder


def executor(folder: Path, *gpus: FakeGpu, launch: Launch | None = None) -> LocalExecutor:
    ticks = iter(range(0, 10**6, 10))
    made = LocalExecutor(folder, fingerprint=lambda _: {"python": "3"})
    seen = Accelerators(FakeNvml(*gpus), clock=lambda: float(next(ticks)))
    made.lending = Lending(folder, launch or Launch(), gpus=seen)
    made.pool = made.lending.pool
    return made


def order(folder: Path, trial: str, device: str, script: str) -> Order:
    return Order(
        attempt=f"{trial}.a1", trial=trial, number=1, token=5, command=("sh", "-c", script), cwd=str(folder.parent),
        folder=str(folder / "attempts" / f"{trial}.a1"), checkpoints=str(folder / "c"), grant_s=30.0, grace_s=0.3,
        devices=(device,),
    )  # fmt: skip


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20.0
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_trials_see_their_own_gpu_alone_and_free_it_at_their_end(study: Path) -> None:
    ours = executor(study, FakeGpu(uuid=ONE), FakeGpu(uuid=TWO))
    say = "echo $CUDA_VISIBLE_DEVICES"
    orders = [order(study, "t1", ONE, f"{say}; sleep 60"), order(study, "t2", TWO, say)]
    for each in orders:
        ours.submit(each)
    wait_for((Path(orders[1].folder) / "exit.json").exists)
    wait_for(lambda: (Path(orders[0].folder) / "output.log").exists() and (Path(orders[0].folder) / "output.log").read_text())
    assert [(Path(o.folder) / "output.log").read_text().strip() for o in orders] == [ONE, TWO]
    assert read_object(orders[0].folder + "/fingerprint.json") == {
        "python": "3", "device": "NVIDIA Imaginary 80GB", "driver": "999.01",
    }  # fmt: skip
    assert ours.devices() == (TWO,) and ours.held() == {}
    ours.cancel("t1.a1", mode="kill", token=5, grace_s=0.0)
    wait_for(lambda: any(sign.kind == "ended" for sign in ours.poll([attempt_of(orders[0])])))
    assert ours.devices() == (ONE, TWO)


def test_after_a_kill_a_gpu_is_lent_again_only_when_its_memory_is_back_even_by_another_engine(study: Path) -> None:
    gpu = FakeGpu(uuid=ONE)
    first, killed = executor(study, gpu), order(study, "t1", ONE, "sleep 60")
    first.submit(killed)
    wait_for((Path(killed.folder) / "child.json").exists)
    gpu.start(4242, 9 * GIB)
    first.cancel("t1.a1", mode="kill", token=5, grace_s=0.0)
    wait_for((Path(killed.folder) / "exit.json").exists)
    gpu.end(4242, give_back=False)
    for each in (first, executor(study, gpu)):
        assert each.devices() == () and "9.0 GiB" in each.held()[ONE]
    gpu.used -= 9 * GIB
    assert executor(study, gpu).devices() == (ONE,)


def test_two_trials_share_a_gpu_on_request_and_a_third_does_not(study: Path) -> None:
    ours = executor(study, FakeGpu(uuid=ONE), launch=Launch(per_device=2))
    orders = [order(study, f"t{n}", f"{ONE}.{n}", "sleep 60") for n in (1, 2)]
    for each in orders:
        ours.submit(each)
    for each in orders:
        wait_for((Path(each.folder) / "child.json").exists)
    assert ours.devices() == () and executor(study, FakeGpu(uuid=ONE)).devices() == ()
    assert read_object(orders[0].folder + "/fingerprint.json")["colocated"] == "2"
    for each in orders:
        ours.cancel(each.attempt, mode="kill", token=5, grace_s=0.0)
    wait_for(lambda: all((Path(each.folder) / "exit.json").exists() for each in orders))
    assert executor(study, FakeGpu(uuid=ONE)).devices() == (ONE,)


def test_the_local_executor_sees_what_befalls_its_devices(study: Path) -> None:
    assert isinstance(executor(study, FakeGpu(uuid=ONE)), Watchful)
