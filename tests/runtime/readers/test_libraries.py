"""Files that TensorBoard, W&B and MLflow writers left: read without their libraries, torn, cut or damaged."""

import math
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.runtime.readers.checksums import masked_crc32c
from secondshift.runtime.readers.columns import Columns
from secondshift.runtime.readers.eventfiles import read_events
from secondshift.runtime.readers.file_stores import metric_name, read_database, read_metric
from secondshift.runtime.readers.offline_runs import BLOCK, read_run

exact = settings(derandomize=True, deadline=None, max_examples=60)
FIXTURES = Path(__file__).with_name("fixtures")
EVENTS = FIXTURES / "tensorboard" / "events.out.tfevents.1795472825.vm"
RUN = FIXTURES / "wandb" / "run-pog1ol92.wandb"
METRIC = next(FIXTURES.glob("mlflow/mlruns/*/*/metrics/loss"))
Reader = Callable[..., tuple[Columns, int]]
FILES: list[tuple[Reader, Path]] = [(read_events, EVENTS), (read_run, RUN), (read_metric, METRIC)]


def points_of(columns: Columns) -> dict[str, list[tuple[int, float]]]:
    return {name: list(zip(steps, values, strict=True)) for name, (steps, values) in columns.columns.items()}


def single(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def test_tensorboard_scalars_are_what_was_written() -> None:
    columns, end = read_events(str(EVENTS), 0, ended=True)
    found = points_of(columns)
    assert end == EVENTS.stat().st_size and not columns.notes()
    assert found["loss"] == [(step, single(1.0 / (step + 1))) for step in range(12)]
    assert found["val/acc"] == [(step * 10, single(step / 12)) for step in range(12)]
    assert repr(found["odd"]) == "[(3, nan), (4, inf)]"
    assert set(found) == {"loss", "val/acc", "odd"}


def test_scalars_of_a_folder_called_validation_have_its_name_before_theirs() -> None:
    path = next((FIXTURES / "tensorboard" / "validation").iterdir())
    assert points_of(read_events(str(path), 0)[0]) == {"validation/loss": [(7, 0.25)]}


def test_wandb_history_is_what_was_logged() -> None:
    columns, end = read_run(str(RUN), 0, ended=True)
    found = points_of(columns)
    assert end == RUN.stat().st_size and not columns.notes()
    assert found["loss"] == [(step, 1.0 / (step + 1)) for step in range(12)]
    assert found["eval.acc"] == [(step, step / 12) for step in range(12)]
    assert repr(found["odd"]) == "[(12, nan), (40, inf)]"
    assert set(found) == {"loss", "eval.acc", "odd"}


def test_both_stores_of_mlflow_hold_what_was_logged() -> None:
    stored = points_of(read_database(str(FIXTURES / "mlflow" / "mlflow.db"), 0)[0])
    files = [p for p in FIXTURES.glob("mlflow/mlruns/**/*") if p.is_file()]
    filed = {}
    for path in files:
        filed.update(points_of(read_metric(str(path), 0)[0]))
    for found in (stored, filed):
        assert found["loss"] == [(step, 1.0 / (step + 1)) for step in range(12)]
        assert found["val/acc"] == [(step * 10, step / 12) for step in range(12)]
        assert repr(found["odd"]) == "[(3, nan), (4, inf), (5, -inf)]"
    assert metric_name("mlruns/1/2/meta.yaml") == metric_name("mlruns/1/2/params/lr") == ""


def test_a_database_is_read_on_from_its_last_row(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(FIXTURES / "mlflow" / "mlflow.db", path)
    _, row = read_database(str(path), 0)
    assert read_database(str(path), row) == (Columns(), row)
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO metrics SELECT key, 7.5, timestamp, run_uuid, 99, 0 FROM metrics LIMIT 1")
    columns, end = read_database(str(path), row)
    assert list(points_of(columns).values()) == [[(99, 7.5)]] and end == row + 1
    (tmp_path / "none.db").write_bytes(b"SQLite format 3\0" + bytes(50))
    assert read_database(str(tmp_path / "none.db"), 3)[1] == 3


def test_the_checksum_is_that_of_castagnoli_turned() -> None:
    crc = 0xE3069283  # of "123456789", the check value that is published with the polynomial
    assert masked_crc32c(b"123456789") == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize(("reader", "source"), FILES, ids=["events", "run", "metric"])
@exact
@given(cuts=st.lists(st.integers(0, 7000), max_size=8))
def test_any_cuts_give_the_same_points_once(tmp_path_factory, reader: Reader, source: Path, cuts: list[int]) -> None:
    data = source.read_bytes()
    path = tmp_path_factory.getbasetemp() / "metrics" / source.name
    path = tmp_path_factory.getbasetemp() / "mlruns" / "metrics" / source.name
    path.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[tuple[int, str]]] = {}
    offset = 0
    for size in (*sorted(cuts), len(data)):
        path.write_bytes(data[:size])
        columns, offset = reader(str(path), offset, ended=size >= len(data))
        assert not columns.notes(), "a file that is being written is not damaged"
        for name, points in points_of(columns).items():
            found.setdefault(name, []).extend((step, repr(value)) for step, value in points)
    whole = points_of(reader(str(source), 0, ended=True)[0])
    assert found == {name: [(step, repr(value)) for step, value in points] for name, points in whole.items()}


@pytest.mark.parametrize(("reader", "source"), FILES, ids=["events", "run", "metric"])
@exact
@given(flips=st.lists(st.tuples(st.integers(0, 7000), st.integers(1, 255)), max_size=12), cut=st.integers(0, 7000))
def test_damage_never_raises_never_stops_and_invents_nothing(
    tmp_path_factory, reader: Reader, source: Path, flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(source.read_bytes()[: max(cut, 20)])
    for place, mask in flips:
        data[place % len(data)] ^= mask
    path = tmp_path_factory.getbasetemp() / "damaged" / "metrics" / source.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    offset, found = 0, {}
    for _ in range(20):
        columns, end = reader(str(path), offset, ended=True)
        assert offset <= end <= len(data)
        found.update(points_of(columns))
        if end == offset:
            break
        offset = end
    else:
        raise AssertionError("the reader does not come to an end")
    if reader is not read_metric:  # whose lines have no checksum
        whole = points_of(reader(str(source), 0, ended=True)[0])
        for name, points in found.items():
            assert set(map(repr, points)) <= set(map(repr, whole[name]))


@exact
@given(data=st.binary(max_size=600))
def test_arbitrary_bytes_never_raise(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.wandb"
    for prefix in (b"", b":W&B\xe1\xbe\x00", struct.pack("<QI", 3, masked_crc32c(struct.pack("<Q", 3)))):
        path.write_bytes(prefix + data)
        for reader in (read_events, read_run, read_metric):
            columns, end = reader(str(path), 0, ended=True)
            assert 0 <= end <= len(prefix + data)
            assert all(len(steps) == len(values) for steps, values in columns.columns.values())
        read_database(str(path), 0)


@exact
@given(flips=st.lists(st.tuples(st.integers(0, 20_480), st.integers(1, 255)), max_size=12), cut=st.integers(0, 20_480))
def test_a_damaged_database_never_raises_and_never_goes_back(
    tmp_path_factory, flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray((FIXTURES / "mlflow" / "mlflow.db").read_bytes()[: max(cut, 100)])
    for place, mask in flips:
        data[place % len(data)] ^= mask
    path = tmp_path_factory.getbasetemp() / "damaged.db"
    path.write_bytes(data)
    columns, row = read_database(str(path), 5)
    assert row >= 5 and all(len(steps) == len(values) for steps, values in columns.columns.values())


def test_a_record_over_several_blocks_is_put_together(tmp_path: Path) -> None:
    """Repeats the file's own records until they cross blocks, as its writer would."""
    from zlib import crc32

    history = b""
    data, at = RUN.read_bytes(), 7
    while at < len(data):
        _, length, kind = struct.unpack_from("<IHB", data, at)
        body = data[at + 7 : at + 7 + length]
        if b"loss" in body and kind == 1:
            history = body
        at += 7 + length
    padded = history + b"\xfa\x3f\x80\xf4\x03" + bytes(64_000)  # an unknown field of 64,000 bytes
    out, left, first = bytearray(data[:7]), padded, True
    while left:
        room = BLOCK - len(out) % BLOCK
        if room < 7:
            out += bytes(room)
            continue
        part, left = left[: room - 7], left[room - 7 :]
        kind = bytes([(1 if not left else 2) if first else (4 if not left else 3)])
        out += struct.pack("<IH", crc32(part, crc32(kind)), len(part)) + kind + part
        first = False
    path = tmp_path / "run.wandb"
    for size in range(0, len(out), 1000):
        path.write_bytes(out[:size])
        assert points_of(read_run(str(path), 0)[0]) == {}
    path.write_bytes(out)
    columns, end = read_run(str(path), 0)
    assert end == len(out) and list(points_of(columns)["loss"]) and math.isfinite(points_of(columns)["loss"][0][1])
