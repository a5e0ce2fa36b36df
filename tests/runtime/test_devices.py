"""Devices are lent once on this host, to whoever still holds a copy of the lock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from secondshift.errors import DeviceBusy, FilesystemUnfit
from secondshift.runtime.devices import DevicePool, host_devices, host_folder


def test_a_device_is_lent_to_one_at_a_time_even_between_pools(tmp_path: Path) -> None:
    ours, theirs = DevicePool(["cpu-0", "cpu-1"], folder=tmp_path), DevicePool(["cpu-0"], folder=tmp_path)
    with ours.acquire(["cpu-0"], holder={"attempt": "/night/t1.a1", "pid": 7}):
        assert (ours.free(), theirs.free()) == (("cpu-1",), ())
        with pytest.raises(DeviceBusy, match=r"cpu-0 is held by /night/t1\.a1 \(pid 7\)"):
            theirs.acquire(["cpu-0"], holder={})
    assert theirs.free() == ("cpu-0",)


def test_listing_free_devices_takes_none_of_them(tmp_path: Path) -> None:
    pool = DevicePool(["cpu-0"], folder=tmp_path)
    assert pool.free() == pool.free() == ("cpu-0",)
    pool.acquire(["cpu-0"], holder={}).close()


def test_of_several_devices_all_are_locked_or_none(tmp_path: Path) -> None:
    pool = DevicePool(["a", "b", "c"], folder=tmp_path)
    held = pool.acquire(["b"], holder={})
    with pytest.raises(DeviceBusy):
        pool.acquire(["a", "b", "c"], holder={})
    assert pool.free() == ("a", "c")
    held.close()


def test_a_device_is_free_only_when_the_last_process_with_a_copy_is_gone(tmp_path: Path) -> None:
    pool = DevicePool(["cpu-0"], folder=tmp_path)
    lease = pool.acquire(["cpu-0"], holder={})
    process = subprocess.Popen(["sleep", "300"], pass_fds=lease.fds)
    lease.close()
    assert pool.free() == ()
    process.kill()
    process.wait()
    assert pool.free() == ("cpu-0",)


def test_a_shorter_holder_leaves_no_trace_of_a_longer_one(tmp_path: Path) -> None:
    pool = DevicePool(["cpu-0"], folder=tmp_path)
    pool.acquire(["cpu-0"], holder={"attempt": "x" * 200}).close()
    pool.acquire(["cpu-0"], holder={"attempt": "y"}).close()
    assert pool.holder("cpu-0") == {"attempt": "y"}


def test_the_folder_is_open_to_every_user_of_the_host_but_not_to_their_removals(tmp_path: Path) -> None:
    pool = DevicePool(["cpu-0"], folder=tmp_path / "devices")
    pool.free()
    assert (tmp_path / "devices").stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "devices" / "cpu-0").stat().st_mode & 0o777 == 0o666


def test_the_folder_of_the_host_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert host_folder().name == "secondshift-devices"
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "here"))
    assert host_folder() == tmp_path / "here"


def test_there_is_a_device_for_each_cpu_or_as_many_as_a_person_asks_for() -> None:
    assert len(host_devices()) == len(os.sched_getaffinity(0))
    assert host_devices(at_least=99)[-1] == "cpu-98"


@pytest.mark.parametrize("name", ["../outside", "", ".hidden", "a/b"])
def test_a_name_that_is_no_device_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a device"):
        DevicePool(["cpu-0"], folder=tmp_path).acquire([name], holder={})


def test_a_folder_that_cannot_be_made_is_told_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FilesystemUnfit, match="SECONDSHIFT_HOST_DIR"):
        DevicePool(["cpu-0"], folder=tmp_path / "file" / "devices").free()


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "cpu-0").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError):
        DevicePool(["cpu-0"], folder=tmp_path).free()
    assert not (tmp_path / "precious").exists()


def test_studies_that_list_devices_all_the_time_do_not_make_them_look_busy(tmp_path: Path) -> None:
    listing = (
        "import sys\nfrom pathlib import Path\nfrom secondshift.runtime.devices import DevicePool\n"
        "pool = DevicePool(['cpu-0'], folder=Path(sys.argv[1]))\nprint('on', flush=True)\nwhile True: pool.free()"
    )
    source = str(Path(__file__).parents[2] / "src")
    command = [sys.executable, "-c", listing, str(tmp_path)]
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": source})
    try:
        assert watcher.stdout is not None and watcher.stdout.readline()
        pool = DevicePool(["cpu-0"], folder=tmp_path)
        for _ in range(100):
            pool.acquire(["cpu-0"], holder={}).close()
    finally:
        watcher.kill()
        watcher.communicate()
