"""How a script learns that it shall stop: SIGTERM, or a file called `stopping` in the attempt's folder."""

from __future__ import annotations

import os
import signal
import time

POLL_S = 0.2  # between looks at the file


class Stops:
    """Watches for a request to stop. A SIGTERM handler that was there before is called after ours."""

    def __init__(self, folder: str, *, handle_signals: bool) -> None:
        self._flag = os.path.join(folder, "stopping") if folder else ""
        self._requested = False
        self._look_at = 0.0
        self._installed = False
        self._previous = None
        if handle_signals:
            self._install()

    def requested(self) -> bool:
        """Say whether stopping was requested; costs one system call at most every POLL_S."""
        if not self._requested and self._flag:
            now = time.monotonic()
            if now >= self._look_at:
                self._look_at = now + POLL_S
                self._requested = os.path.exists(self._flag)
        return self._requested

    def release(self) -> None:
        """Put back the handler that was there before, unless the script has set its own since."""
        if not self._installed:
            return
        self._installed = False
        try:
            if signal.getsignal(signal.SIGTERM) == self._on_signal:
                signal.signal(signal.SIGTERM, signal.SIG_DFL if self._previous is None else self._previous)
        except (ValueError, OSError, TypeError):
            pass  # not in the main thread: the handler stays and does no harm

    def _install(self) -> None:
        try:
            self._previous = signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, self._on_signal)
            self._installed = True
        except (ValueError, OSError):
            pass  # not the main thread: the file alone is watched

    def _on_signal(self, number: int, frame: object) -> None:
        self._requested = True
        if callable(self._previous):
            self._previous(number, frame)  # type: ignore[arg-type]  # the frame we were given
