"""Prepares an attempt's folder before anything starts, and reads back how the attempt ended."""

import os
from dataclasses import asdict, fields, replace
from pathlib import Path

from secondshift.records.orders import Order
from secondshift.records.trials import Exit
from secondshift.runtime.executors.attempt_files import read_object, to_json, write_atomic
from secondshift.tracking.wire import PLACE

EXIT_FIELDS = frozenset(field.name for field in fields(Exit))


def write_order(order: Order) -> None:
    """Write order.json, params.json and the files of the order, each at once, and make the attempt's folders. Raises OSError."""
    folder = Path(order.folder)
    own = (folder / PLACE,) if order.writable or order.sandbox else ()
    for part in (folder / "tmp", folder / "out", *own, Path(order.checkpoints)):
        part.mkdir(parents=True, exist_ok=True)
    for name, text in order.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(str(path), text.encode())
    write_atomic(str(folder / "params.json"), to_json(dict(order.params)).encode())
    write_atomic(str(folder / "order.json"), to_json(asdict(order)).encode())


def read_exit(folder: Path) -> Exit | None:
    """Read how an attempt ended; None while that is not recorded."""
    found = read_object(os.path.join(folder, "exit.json"))
    if not found:
        return None
    signs = found.pop("signs", ())
    exit = Exit(**{name: value for name, value in found.items() if name in EXIT_FIELDS})
    return replace(exit, signs=tuple(signs))


def write_exit(folder: Path, exit: Exit) -> None:
    """Record the end of an attempt whose supervisor could not. Raises OSError."""
    write_atomic(os.path.join(folder, "exit.json"), to_json(asdict(exit)).encode(), sync=True)
