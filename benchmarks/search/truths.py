"""Says how curves go on that were bought in part: `truths.py DATA` reads {instance: [what was bought]}, answers with curves.

It runs under the Python that can read the data (search.buying.reader), and only once nights are over.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def by_path(file: Path) -> Any:  # Any: a module
    """Import the data's own loader."""
    spec = importlib.util.spec_from_file_location("searchbench_instances", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Answer one request."""
    data = Path(sys.argv[1])
    instances = by_path(data.resolve().parent / "instances.py")
    found: dict[str, Any] = {}
    for name, wanted in json.load(sys.stdin).items():
        known = instances.load(name, data)
        if hasattr(known, "points"):
            curves = [known.curve(int(what)) for what in wanted]
        else:
            curves = list(known.curves(np.array([[float(x) for x in what.split()] for what in wanted])))
        found[name] = {"horizon": known.horizon, "curves": [np.asarray(curve, dtype=float).tolist() for curve in curves]}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
