"""What every test gets: no study, host folder or attempt of the machine it runs on leaks into it."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

# Where this is set, each of the thousand processes that tests start would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in an engine: small matrices, and tests beside each other


@pytest.fixture(autouse=True)
def no_ambient_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may themselves run inside a trial (a night that tests our own code): take that trial's variables away."""
    for name in [name for name in os.environ if name.startswith("SECONDSHIFT_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_signal_stays_blocked() -> Iterator[None]:
    """What a test leaves blocked is blocked in every process that later tests start: they would wait for Ctrl-C for ever."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    after = signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert after == before, f"signals stay blocked: {sorted(after - before)}; start what blocks them as a process of its own"
