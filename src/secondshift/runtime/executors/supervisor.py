"""Stands beside one attempt as a process of its own: claims it, starts the script, limits it, records its end.

Run as `python -I -S supervisor.py <attempt folder> [<folder of pynvml>]`. The public package is not executed, only three
modules of this room, which need little of the standard library: their start is part of every trial's start. Those that
take samples follow a second later.
"""

import os
import sys

if __name__ == "__main__":
    # A bare stand-in for the package, so that `import secondshift.runtime...` finds the files and runs nothing else.
    package = type(sys)("secondshift")
    package.__path__ = [__file__.rpartition("/runtime/")[0]]
    sys.modules["secondshift"] = package

    from secondshift.runtime.executors.supervision import main

    code = main(*sys.argv[1:3])
    sys.stderr.flush()
    os._exit(code)  # nothing is left to tidy up
