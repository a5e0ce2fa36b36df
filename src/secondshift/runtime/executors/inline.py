"""The shortest executor, and the tutorial: run the command here and now, wait for it, report."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from secondshift.errors import DeviceBusy
from secondshift.records.orders import Chunk, Order, Sign
from secondshift.records.studies import Study
from secondshift.records.trials import Attempt, Exit
from secondshift.runtime.executors.attempt_files import environment, tail
from secondshift.runtime.executors.folders import read_exit, write_exit, write_order
from secondshift.runtime.executors.protocol import COLLECT_LIMIT, Mode
from secondshift.runtime.readers.collecting import collect_attempt


class InlineExecutor:
    """Runs each attempt in the foreground: `submit` returns when it has ended. For debugging: it cannot be cancelled.

    folder: the study's private folder; study: not needed here.
    """

    def __init__(self, folder: Path, *, study: Study | None = None) -> None:
        self.folder = folder.absolute()

    def devices(self) -> tuple[str, ...]:
        """Name the one place there is."""
        return ("inline-0",)

    def held(self) -> Mapping[str, str]:
        """Nothing: the one place is ours alone."""
        return {}

    def submit(self, order: Order) -> None:
        """Run the command to its end, or for `grant_s` seconds. Raises DeviceBusy if given other devices than ours."""
        if not set(order.devices) <= {"inline-0"}:
            raise DeviceBusy(f"inline has no device {order.devices}; expected inline-0. Ask devices() what is free.")
        folder = Path(order.folder)
        if (folder / "order.json").exists():
            return
        write_order(order)
        began, cause, code, problem = time.monotonic(), "self", None, ""
        with open(folder / "output.log", "ab") as output:
            try:
                variables = environment(asdict(order), os.urandom(16).hex())
                code = subprocess.run(
                    order.command, cwd=order.cwd, env=variables, stdin=subprocess.DEVNULL, stdout=output,
                    stderr=subprocess.STDOUT, timeout=order.grant_s, check=False,
                ).returncode  # fmt: skip
            except subprocess.TimeoutExpired:
                cause, code = "grant", -9
            except OSError as error:
                problem, code = f"Could not start {order.command[:1]} in {order.cwd}: {error}", 127
        write_exit(
            folder,
            Exit(
                code=code if code >= 0 else None,
                signal=-code if code < 0 else None,
                cause=cause,
                elapsed_s=time.monotonic() - began,
                message=problem or tail(str(folder / "output.log")),
            ),
        )

    def poll(self, attempts: Sequence[Attempt]) -> list[Sign]:
        """Report the attempts that have run: whatever was submitted has ended."""
        signs = []
        for attempt in attempts:
            exit = read_exit(self.folder / "attempts" / attempt.id)
            if exit is None:
                exit = Exit(cause="lost", message="It was never run, or the process that ran it died.")
            elif attempt.status == "ordered":
                signs.append(Sign(attempt=attempt.id, kind="started", supervisor=os.getpid()))
            signs.append(Sign(attempt=attempt.id, kind="ended", exit=exit))
        return signs

    def cancel(self, attempt: str, *, mode: Mode, token: int, grace_s: float) -> None:
        """Do nothing: an attempt that could be cancelled has ended."""

    def collect(self, attempt: Attempt, *, limit: int = COLLECT_LIMIT) -> list[Chunk]:
        """Return what the attempt's streams hold after `attempt.offsets`."""
        folder = self.folder / "attempts" / attempt.id
        return collect_attempt(folder, attempt.offsets, trial=attempt.trial, attempt=attempt.id, limit=limit)

    def close(self) -> None:
        """Nothing is held."""
