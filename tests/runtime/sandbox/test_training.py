"""What a code candidate can read while it trains: all that its command needs to start, wherever that lies."""

import subprocess
import sys
from pathlib import Path

import pytest

from secondshift.records.orders import Order
from secondshift.records.studies import Objective, Study
from secondshift.runtime.executors.attempt_files import offer_tracking
from secondshift.runtime.sandbox.confining import confined, means
from secondshift.runtime.sandbox.training import OURS, Site, policy_of

STUDY = Study(name="s", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=3)


def order_in(folder: Path, *command: str) -> Order:
    place = str(folder)
    return Order(attempt="t1.a1", trial="t1", number=1, token=1, command=command, cwd=place, folder=place, checkpoints="")


def site(folder: Path) -> Site:
    return Site(private=folder / ".secondshift", place=folder, top=folder, store=folder / "store")


def test_a_python_that_is_a_shim_can_find_what_it_stands_for(tmp_path: Path) -> None:
    shim = tmp_path / ".pyenv" / "shims" / "python"
    shim.parent.mkdir(parents=True)
    shim.touch(0o755)
    policy = policy_of(order_in(tmp_path, str(shim), "train.py"), STUDY, site(tmp_path / "study"), ())
    assert str(tmp_path / ".pyenv") in policy.readable


@pytest.mark.skipif(not means().bwrap, reason="bubblewrap does not work here")
def test_the_package_can_be_imported_although_it_is_not_installed_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert (OURS / "tracking" / "runs.py").exists()
    bare = str(Path(sys.base_prefix) / "bin" / "python3")  # not that of our environment
    words = (bare, "-c", "import secondshift; print(secondshift.init(horizon=2).horizon)")
    policy = policy_of(order_in(tmp_path, *words), STUDY, site(tmp_path), (str(tmp_path),))
    done = subprocess.run(
        confined(list(words), policy), env={"PYTHONPATH": offer_tracking(str(tmp_path)), "PATH": "/usr/bin:/bin"}, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "2", done.stderr
