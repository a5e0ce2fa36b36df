"""A study folder whose attempts are ended with the test, whatever the test did to them."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from secondshift.runtime.executors.attempt_files import read_object
from secondshift.runtime.executors.processes import carriers, signal_process
from secondshift.runtime.executors.remains import end_remains


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path: Path) -> Iterator[None]:
    """End what a failed test left; a passed one must have left nothing."""
    yield
    tokens: set[str] = set()
    for path in (tmp_path / ".secondshift" / "attempts").glob("*/claim.json"):
        claim = read_object(str(path))
        if "pid" in claim:
            signal_process(claim["pid"], claim["start_ticks"], signal.SIGKILL)
            end_remains(path.parent, claim)
            tokens.add(claim["env_token"])
    assert not carriers(tokens)
