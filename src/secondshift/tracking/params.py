"""The parameters a script trains with, and how they are told."""

from __future__ import annotations


class Params(dict):
    """Parameters by attribute (`p.lr`), by key (`p["lr"]`) and as keywords (`**p`).

    A parameter called like a method of dict (`items`, `get`, ...) is reached by key only.
    """

    def __getattr__(self, name: str) -> object:
        try:
            return self[name]
        except KeyError:
            known = ", ".join(self) or "none"
            raise AttributeError(
                f"There is no parameter {name!r}; there are: {known}. Give its default: run.params({name}=...)."
            ) from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value


def like(default: object, value: object) -> object:
    """Return a chosen value in the type of its default, where only the kind of number differs."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(default) is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def plain(value: object) -> object:
    """Return a parameter as the ledger can hold it: a bool, a number of 64 bits, or text."""
    if isinstance(value, (bool, str)) or type(value) is float:
        return value if not isinstance(value, str) else value[:2000]
    if type(value) is int and -(1 << 63) <= value < 1 << 63:
        return value
    try:
        return str(value)[:2000]
    except Exception:
        return f"<{type(value).__name__}>"
