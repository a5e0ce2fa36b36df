"""Random facts of every kind, built from the records' own types."""

import dataclasses
import datetime
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st

from secondshift.records.decisions import Decision
from secondshift.records.events import KINDS

_TEXT = st.text(max_size=12) | st.sampled_from(["NaN", "=Infinity", "null", "-Infinity", "1", "true", "t1", "t1.a2"])
_WHOLE = st.integers(-(2**63), 2**63 - 1)


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Make values of a type that occurs in records."""
    if hint is str:
        return _TEXT
    if hint is bool:
        return st.booleans()
    if hint is int:
        return _WHOLE
    if hint is float:
        return st.floats()
    if hint is type(None):
        return st.none()
    if hint is datetime.date:
        return st.dates()
    if hint is datetime.time:
        return st.times().map(lambda moment: moment.replace(fold=0))  # a time of day has no fold to keep
    if dataclasses.is_dataclass(hint):
        return record(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, types.UnionType):
        return st.one_of([of(arg) for arg in args])
    if origin is tuple and args[-1] is not Ellipsis:
        return st.tuples(*map(of, args))
    if origin is tuple:
        if args[-1] is not Ellipsis:
            return st.tuples(*[of(arg) for arg in args])
        # One record in a record is enough: what is nested deeper grows too large to be made quickly.
        return st.lists(of(args[0]), max_size=1 if dataclasses.is_dataclass(args[0]) else 3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(_TEXT, of(args[1]), max_size=3)
    raise TypeError(f"Records hold a {hint} now; say in tests/ledger/payloads.py how to make one.")


def record(cls: Any) -> st.SearchStrategy[Any]:
    """Make records of a class."""
    hints = typing.get_type_hints(cls)
    fields = {field.name: of(hints[field.name]) for field in dataclasses.fields(cls)}
    if cls is Decision:
        fields["reason"] = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
    return st.builds(cls, **fields)


PAYLOADS: Mapping[str, st.SearchStrategy[Any]] = {kind: record(cls) for kind, cls in KINDS.items()}
