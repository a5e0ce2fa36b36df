"""Whether a candidate imports its own code, or the study's by an editable install: asked of its interpreter before it runs."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.records.orders import Order
from secondshift.runtime.executors import confinement
from secondshift.runtime.interpreters import interpreter_of
from secondshift.runtime.repositories import TryLater

TIMEOUT_S = 20.0
MOST = 500  # modules that are asked for
ROOTS = ("", "src", "lib", "python")  # folders below the tree's top and the command's folder that modules may lie in
_MARK = "secondshift-origins "
_ASK = f"""
import sys, json, importlib.util
names, first = json.loads(sys.argv[1])
sys.path[0] = first
found = {{}}
for name in names:
    try:
        spec = importlib.util.find_spec(name)
    except Exception:
        continue
    if spec is not None:
        places = list(spec.submodule_search_locations or ())
        found[name] = spec.origin if spec.origin and spec.has_location else (places or [""])[0]
print("\\n{_MARK}" + json.dumps(found))
"""


class OtherCode(SecondshiftError):
    """A candidate would import the study's own code. Run it without the editable install, or with PYTHONPATH."""


def roots_in(order: Order, tree: Path, top: Path) -> list[str]:
    """Folders of a tree that must stand before all others, so that a candidate imports what lies in it.

    Raises OtherCode where a module comes from the study's own tree all the same, TryLater where Python takes too long.
    """
    program = interpreter_of(order.command[0], Path(order.cwd))
    names = _modules(order, tree)
    if not program or not names:
        return []
    roots = sorted({_root(origin, tree, top) for origin in _astray(order, program, names, tree, top).values()})
    if not roots:
        return []
    left = _astray(with_roots(order, roots), program, names, tree, top)
    if left:
        name, origin = next(iter(left.items()))
        raise OtherCode(
            f"refused: `import {name}` takes {origin}, expected it below {tree}: the study's own code would run, not the "
            "change. Take the editable install out of that environment, or set PYTHONPATH in [launch] env."
        )
    return roots


def with_roots(order: Order, roots: Sequence[str]) -> Order:
    """The order with these folders before all others on PYTHONPATH."""
    if not roots:
        return order
    known = order.env.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    return replace(order, env={**order.env, "PYTHONPATH": os.pathsep.join([*roots, *([known] if known else [])])})


def _modules(order: Order, tree: Path) -> list[str]:
    """Names that can be imported from a tree: what lies at its top, in its src, or where the command runs."""
    found: set[str] = set()
    for place in {*(tree / root for root in ROOTS), *(Path(order.cwd) / root for root in ROOTS), Path(_script_folder(order))}:
        for entry in os.scandir(place) if place.is_dir() else ():
            if entry.name.endswith(".py"):
                found.add(entry.name.removesuffix(".py"))
            elif entry.is_dir() and entry.name.isidentifier() and any(Path(entry).glob("*.py")):
                found.add(entry.name)
    return sorted(found)[:MOST]


def _script_folder(order: Order) -> str:
    """What stands first on the path: the folder of the script, else where the command runs."""
    script = next((word for word in order.command[1:] if word.endswith(".py")), "")
    return str((Path(order.cwd) / script).parent) if script else order.cwd


def _astray(order: Order, program: str, names: list[str], tree: Path, top: Path) -> dict[str, str]:
    """Modules that come from the study's own tree, with the path that they come from."""
    command = [program, "-c", _ASK, json.dumps([names, _script_folder(order)])]
    if order.writable and confinement.available():
        command = confinement.confined(command, [])
    try:
        done = subprocess.run(
            command, cwd=order.cwd, env={**os.environ, **order.env, "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        line = done.stdout.decode("utf-8", "replace").rpartition(_MARK)[2].splitlines()[0]
        origins = json.loads(line)
    except subprocess.TimeoutExpired as problem:
        raise TryLater(
            f"{program} took more than {TIMEOUT_S:g} s to say where it imports the candidate's code from. Expected a Python that "
            "starts sooner. Try the command in the study's folder."
        ) from problem
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as problem:
        raise OtherCode(
            f"refused: {program} did not say where it imports the candidate's code from ({type(problem).__name__}). Expected "
            "a Python that starts. Try the command in the study's folder."
        ) from problem
    resolved = {str(name): os.path.realpath(str(origin)) for name, origin in origins.items()}
    own, theirs = os.path.realpath(tree) + os.sep, os.path.realpath(top) + os.sep
    return {name: path for name, path in resolved.items() if path.startswith(theirs) and not path.startswith(own)}


def _root(origin: str, tree: Path, top: Path) -> str:
    """The twin, in the tree, of the folder from which a module is imported."""
    path = Path(origin)
    folder = path.parent.parent if path.name == "__init__.py" else path.parent
    return str(tree / folder.relative_to(os.path.realpath(top)))
