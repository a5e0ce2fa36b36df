"""A training script of the soaks that behaves badly in one way, named by its argument."""

import os
import signal
import sys
import time

import secondshift


def train(how: str) -> int:
    """Log a few points, and misbehave."""
    if how == "leaves":
        return 0
    if how == "fails":
        print("no such dataset: /data/nowhere", file=sys.stderr)
        return 1
    run = secondshift.init()
    if how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how == "daemon":
        daemon()
    for step in range(run.horizon):
        time.sleep(0.05)
        if how == "flood":
            os.write(1, b"all work and no play\n" * 50_000)
        if how != "quiet":
            run.log(step, loss=float("nan") if how == "nan" and step >= 3 else 1.0 / (step + 1))
        if how in ("quiet", "deaf", "nan") and step == run.horizon - 1:
            time.sleep(60.0)
    run.close()
    return 0


def daemon() -> None:
    """Leave a process behind that tries hard not to be found: own session, orphaned, and without its environment."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execve("/bin/sleep", ["sleep", "61"], {"SOAK_MARK": os.environ["SOAK_MARK"]})


if __name__ == "__main__":
    sys.exit(train(sys.argv[1]))
