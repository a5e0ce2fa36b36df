"""Runs tests in forked copies of a process that has loaded what takes long to load. Nothing of ours is loaded before a fork.

Reads a line of JSON for each run from its standard input (tree, tests, output: a file, limit_s) and answers with pytest's exit
code, or -1 where the run was not done in time. Half of what a sabotage costs is loading pytest and numpy, the same each time.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # a thread of a library's would not survive a fork

import gc  # noqa: E402  # one thread is set before numpy loads
import json  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
from typing import Any  # noqa: E402

import msgspec  # noqa: E402, F401
import numpy  # noqa: E402, F401
import pydantic  # noqa: E402, F401
import pytest  # noqa: E402
import rich.console  # noqa: E402, F401
import scipy.special  # noqa: E402, F401

POLL_S = 0.01


def run(asked: dict[str, Any]) -> int:
    """Run tests in this process, against the sources of that tree."""
    os.setsid()
    tree = asked["tree"]
    output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for fd, copy in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(fd, copy)
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": f"{tree}/src", "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    sys.path[:0] = [tree, f"{tree}/src"]
    return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *asked["tests"]]))


def forked(asked: dict[str, Any]) -> int:
    """Run tests in a copy of this process; its whole group is ended when it has had its time."""
    child = os.fork()
    if child == 0:
        code = 3  # as pytest says of an error of its own
        try:
            code = run(asked)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    until = time.monotonic() + float(asked["limit_s"])
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_S)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


def main() -> None:
    """Answer until the input ends."""
    assert "secondshift" not in sys.modules, "what is sabotaged must be loaded after the fork"
    gc.freeze()
    for line in sys.stdin:
        print(forked(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
