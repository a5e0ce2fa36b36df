"""Bears witness for a training script that nobody changed. Loaded into the processes of a soak, at work in training only.

What the script logs through secondshift is noted outside the study right after it was logged, with a sign of life every
quarter of a second, so that the time a process lived is known however it ended.
"""

import atexit
import functools
import os
import threading
import time
from collections.abc import Callable

BEAT_S = 0.25


def watch() -> None:
    """Wrap what the SDK offers to a script, and say that this process lives."""
    from secondshift.tracking.runs import Restored, Run  # here: only training processes are to pay for it
    from soak.drill.training import Witness

    witness = Witness()

    def beating() -> None:
        while True:
            witness.say("alive")
            time.sleep(BEAT_S)

    def logging(log: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(log)
        def logged(run: Run, step: int, **metrics: float) -> None:
            log(run, step, **metrics)
            witness.say("step", step=step, **metrics)

        return logged

    def restoring(restore: Callable[[Run], Restored | None]) -> Callable[[Run], Restored | None]:
        @functools.wraps(restore)
        def restored(run: Run) -> Restored | None:
            found = restore(run)
            if found is not None:
                witness.say("restored", step=found.step)
            return found

        return restored

    Run.log, Run.restore = logging(Run.log), restoring(Run.restore)
    witness.say("begin", seed=int(os.environ["SECONDSHIFT_SEED"]))
    threading.Thread(target=beating, daemon=True).start()
    atexit.register(witness.say, "end")


if "SECONDSHIFT_ATTEMPT" in os.environ and "SOAK_WITNESS" in os.environ:
    watch()
