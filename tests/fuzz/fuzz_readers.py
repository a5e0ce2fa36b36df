"""Coverage-guided fuzzing of every reader: `python tests/fuzz/fuzz_readers.py -max_total_time=60 corpus/`.

Needs atheris, which the project does not depend on. What is asserted is what test_texts and test_libraries assert:
nothing raises, every reader comes to an end, and a text read in two goes gives the points of one. Formats with
checksums are tried as they come and, so that what lies behind the checksums is reached, within records that are whole.
"""

import shutil
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import atheris

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
with atheris.instrument_imports(include=["secondshift.runtime.readers"]):
    from secondshift.runtime.readers import texts
    from secondshift.runtime.readers.checksums import masked_crc32c
    from secondshift.runtime.readers.columns import Columns
    from secondshift.runtime.readers.dialects import Csv, Dialect, JsonLines, Pattern, Printed
    from secondshift.runtime.readers.eventfiles import read_events
    from secondshift.runtime.readers.file_stores import read_database, read_metric
    from secondshift.runtime.readers.fragments import read_fragment
    from secondshift.runtime.readers.offline_runs import read_run
    from secondshift.tracking import wire

FIXTURES = Path(__file__).parents[1] / "runtime" / "readers" / "fixtures"
DATABASE = (FIXTURES / "mlflow" / "mlflow.db").read_bytes() if FIXTURES.exists() else b""
FOLDER = Path(tempfile.mkdtemp()) / "metrics"
FOLDER.mkdir()
PATH = str(FOLDER / "file")
DIALECTS: tuple[Callable[[], Dialect], ...] = (
    Printed, JsonLines, Csv, lambda: Pattern(r"(?P<name>\w+)=(?P<value>\S+)"), lambda: Printed("epoch"),
)  # fmt: skip
READERS = (read_events, read_run, read_metric)


def one_input(data: bytes) -> None:
    """Read some bytes as everything that there is a reader for."""
    if len(data) < 2:
        return
    way, cut, data = data[0] % (len(DIALECTS) + 8), data[1], data[2:]
    if way < len(DIALECTS):
        whole = text_points(data, len(data), DIALECTS[way])
        assert text_points(data, cut * len(data) // 255, DIALECTS[way]) == whole
        return
    way -= len(DIALECTS)
    if way < 5:
        if way >= 3:
            data = (event_frames, run_frames)[way - 3](data, cut)
        to_the_end(READERS[way % 3], data)
    elif way == 5:
        to_the_end(a_fragment, data)
    elif way == 6:
        to_the_end(a_fragment, fragment_frames(data, cut))
    else:
        Path(PATH).write_bytes(damaged(DATABASE, data))
        assert read_database(PATH, cut)[1] >= cut


def to_the_end(reader: Callable[..., tuple[Columns, int]], data: bytes) -> None:
    """Read a file from offset to offset, as an engine would, until nothing is new."""
    Path(PATH).write_bytes(data)
    offset, end = -1, 0
    while end > offset:
        offset = end
        _, end = reader(PATH, offset, ended=True)
        assert offset <= end <= len(data)


def a_fragment(path: str, offset: int, *, ended: bool) -> tuple[None, int]:
    chunk = read_fragment(path, offset, trial="t1", attempt="t1.a1", ended=ended)
    return None, chunk.end


def parts(data: bytes, cut: int) -> list[bytes]:
    size = max(1, cut)
    return [data[at : at + size] for at in range(0, len(data), size)]


def event_frames(data: bytes, cut: int) -> bytes:
    """The records of an event file, their checksums right."""
    framed = b""
    for part in parts(data, cut):
        head = struct.pack("<Q", len(part))
        framed += head + struct.pack("<I", masked_crc32c(head)) + part + struct.pack("<I", masked_crc32c(part))
    return framed


def run_frames(data: bytes, cut: int) -> bytes:
    """The records of a W&B file, their checksums right, all of them within the first block."""
    framed = b":W&B\xe1\xbe\x00"
    for part in parts(data, cut):
        body = b"\x12" + bytes([len(part) & 0x7F, 0]) + part if cut % 2 else part  # half of them called a history
        framed += struct.pack("<IHB", crc32(body, crc32(b"\x01")), len(body), 1) + body
    return framed


def fragment_frames(data: bytes, cut: int) -> bytes:
    """The frames of the tracking room, their checksums right."""
    return wire.HEADER + b"".join(wire.frame(1 + part[0] % 3, part[1:]) for part in parts(data, cut))


def damaged(data: bytes, orders: bytes) -> bytes:
    """Some bytes with others put in their place: two bytes of `orders` say where, the third says what."""
    changed = bytearray(data)
    for at in range(0, len(orders) - 2, 3):
        where = int.from_bytes(orders[at : at + 2], "little") * 7
        if changed:
            changed[where % len(changed)] = orders[at + 2]
    return bytes(changed)


def text_points(data: bytes, first: int, make: Callable[[], Dialect]) -> list[tuple[str, list[int], str]]:
    """Read a text in two goes, the second by a reader that remembers nothing."""
    found: list[Columns] = []
    offset = 0
    for size in (first, len(data)):
        texts.forget()
        Path(PATH).write_bytes(data[:size])
        while True:
            columns, end = texts.read_text(PATH, offset, make, ended=size == len(data))
            found.append(columns)
            if end == offset:
                break
            offset = end
    names = sorted({name for columns in found for name in columns.columns})
    return [
        (name, [s for c in found if name in c.columns for s in c.columns[name][0]],
         repr([v for c in found if name in c.columns for v in c.columns[name][1]]))
        for name in names
    ]  # fmt: skip


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(FOLDER.parent, ignore_errors=True)
