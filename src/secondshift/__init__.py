"""A second shift for model training. The names here are loaded when first used, so importing costs little."""

from importlib import import_module

TYPE_CHECKING = False  # the real one lives in `typing`, which costs more to import than everything a script uses
if TYPE_CHECKING:
    from secondshift.runtime.inboxes import idea
    from secondshift.tracking.runs import Run, init

_HOMES = {"Run": "secondshift.tracking.runs", "idea": "secondshift.runtime.inboxes", "init": "secondshift.tracking.runs"}

__all__ = ["Run", "idea", "init"]


def __getattr__(name: str) -> object:
    """Load a public name from the module it lives in. Raises AttributeError for any other name."""
    if name not in _HOMES:
        raise AttributeError(f"secondshift has no {name!r}. Public names: {', '.join(__all__)}.")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
