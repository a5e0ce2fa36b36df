"""Stands in for a supervisor: arms the write points, then is the supervisor. `supervised.py <supervisor.py> <folder>`."""

import runpy
import sys

sys.path.insert(0, __file__.rpartition("/")[0])
import crashing

crashing.arm(sys.argv)
sys.path.pop(0)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
