"""Records of one shape are decoded together exactly as each would be alone, and what is damaged among them is told."""

import random
import struct
from pathlib import Path

import pytest

from secondshift.runtime.readers import eventfiles
from secondshift.runtime.readers.checksums import masked_crc32c, masked_crc32c_of
from secondshift.runtime.readers.columns import Columns
from secondshift.runtime.readers.eventfiles import read_events

LIBRARY = Path(__file__).parent / "fixtures" / "tensorboard"


def varint(value: int) -> bytes:
    """An integer of a message."""
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def part(number: int, body: bytes) -> bytes:
    """A field of bytes."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def framed(body: bytes) -> bytes:
    """A record as TensorBoard frames it."""
    head = struct.pack("<Q", len(body))
    return head + struct.pack("<I", masked_crc32c(head)) + body + struct.pack("<I", masked_crc32c(body))


def event(step: int, *values: bytes, wall: float = 1e9) -> bytes:
    """One event; a step of zero is not written, as protocol buffers do it."""
    at = b"\x10" + varint(step) if step else b""
    return b"\x09" + struct.pack("<d", wall) + at + part(5, b"".join(part(1, value) for value in values))


def simple(tag: str, value: float) -> bytes:
    """A number as PyTorch writes it."""
    return part(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def tensor(tag: str, value: float, kind: str) -> bytes:
    """A number as TensorFlow 2 writes it: a tensor of one element, its plugin behind or before it."""
    content = {
        "float": b"\x08\x01" + part(5, struct.pack("<f", value)), "double": b"\x08\x02" + part(6, struct.pack("<d", value)),
        "raw": b"\x08\x01" + part(2, b"") + part(4, struct.pack("<f", value)),
        "long": b"\x08\x02" + part(4, struct.pack("<d", value)),
        "two": b"\x08\x01" + part(5, struct.pack("<ff", value, value)), "integer": b"\x08\x03" + part(4, struct.pack("<i", 7)),
    }[kind]  # fmt: skip
    plugin = part(9, part(1, part(1, b"scalars")))
    return part(1, tag.encode()) + (plugin + part(8, content) if kind == "raw" else part(8, content) + plugin)


def night(rng: random.Random) -> bytes:
    """A file of many shapes; in some, bits are wrong, bytes are missing or were put between."""
    tags = [f"{name}{rng.randrange(9)}" for name in ("loss", "lr/a", "val", "a")]
    records = []
    for step in range(rng.choice([20, 150, 400])):
        at = rng.choice([step, step, step, step * 40, step * 100_000, -step, 2**40 + step])
        value = rng.choice([rng.gauss(0, 1), 0.0, float("nan"), float("inf"), 1e9])
        kind = rng.choice(["simple"] * 8 + ["float", "double", "raw", "long", "two", "integer", "pair", "picture"])
        tag, wall = rng.choice(tags), rng.choice([1e9 + step, 0.0, value])
        if kind == "pair":
            body = event(at, simple(tag, value), simple(rng.choice(tags), 2.0), wall=wall)
        elif kind == "picture":
            body = event(at, part(1, tag.encode()) + part(4, rng.randbytes(30)), wall=wall)
        else:
            body = event(at, simple(tag, value) if kind == "simple" else tensor(tag, value, kind), wall=wall)
        records.append(bytearray(framed(body)))
    for record in rng.sample(records, rng.choice([0, 0, 3, 12])):
        if rng.random() < 0.7:
            record[rng.randrange(len(record))] ^= 1 << rng.randrange(8)
        elif rng.random() < 0.5:
            del record[rng.randrange(len(record)) :]
        else:
            record += rng.randbytes(rng.randrange(1, 40))
    return b"".join(records)


def said(columns: Columns) -> object:
    """All that a reading came to, so that NaN is NaN."""
    points = {name: (list(steps), [value.hex() for value in values]) for name, (steps, values) in columns.columns.items()}
    return list(points.items()), columns.points, columns.left_out, columns.damaged


def both(path: Path, monkeypatch: pytest.MonkeyPatch, *, ended: bool) -> tuple[object, object]:
    """What comes of a file together, and record by record."""
    found = []
    for many in (1, 1 << 60):
        monkeypatch.setattr(eventfiles, "_MANY", many)
        columns, end = read_events(str(path), 0, ended=ended)
        found.append((said(columns), end))
    return found[0], found[1]


@pytest.mark.parametrize("seed", range(60))
def test_many_records_at_once_give_what_each_gives_alone(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(night(rng))
    together, alone = both(path, monkeypatch, ended=seed % 2 == 0)
    assert together == alone


def test_files_of_the_library_give_the_same_many_times_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(LIBRARY.rglob("events*"))
    assert files
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join(file.read_bytes() for file in files) * 20)
    together, alone = both(path, monkeypatch, ended=True)
    assert together == alone


def test_records_alike_are_decoded_together() -> None:
    frames, data = [], b""
    for step in range(100, 120):
        frames.append((len(data) + 12, len(event(step, simple("loss", step / 8)))))
        data += framed(event(step, simple("loss", step / 8), wall=step))
    found = eventfiles.decode(data, frames, eventfiles._scalars)
    assert not found.rest and not found.damaged
    assert found.alike[0].tag == "loss"
    assert found.alike[0].steps == list(range(100, 120))
    assert found.alike[0].values == [step / 8 for step in range(100, 120)]


@pytest.mark.parametrize("byte", range(-4, 27))
def test_a_wrong_bit_in_one_of_many_is_told(byte: int, tmp_path: Path) -> None:
    records = [bytearray(framed(event(step, simple("loss", 0.5)))) for step in range(200, 240)]
    records[17][byte + 12 if byte >= 0 else byte] ^= 4
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join(records))
    columns, _ = read_events(str(path), 0, ended=True)
    steps = list(columns.columns["loss"][0])
    assert steps == [step for step in range(200, 240) if step != 217]
    assert sum(columns.damaged.values()) == len(records[17])


def test_the_checksum_of_many_is_that_of_each() -> None:
    rows = [random.Random(seed).randbytes(37) for seed in range(50)]
    columns = [bytes(row[place] for row in rows) for place in range(37)]
    assert masked_crc32c_of(columns, 50) == [masked_crc32c(row) for row in rows]


def test_a_signalling_nan_is_a_nan_and_no_warning(tmp_path: Path) -> None:
    value = part(1, b"loss") + b"\x15" + struct.pack("<I", 0x7FA00000)
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join(framed(event(step, value)) for step in range(200, 240)))
    values = read_events(str(path), 0, ended=True)[0].columns["loss"][1]
    assert len(values) == 40 and all(value != value for value in values)
