"""Following a growing text: each point once, whenever it is looked at, whatever is written, and after any restart."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from secondshift.runtime.readers import texts
from secondshift.runtime.readers.columns import Columns
from secondshift.runtime.readers.dialects import Csv, Dialect, JsonLines, Pattern, Printed

exact = settings(derandomize=True, deadline=None, max_examples=120)
Points = dict[str, list[tuple[int, str]]]

BAR = "\rEpoch {0}: {1}%|##| {1}/100 [00:01<00:01, 31.9it/s, v_num=0, train_loss=0.{1}]"
lines = st.one_of(
    st.builds("step={} loss={}\n".format, st.integers(0, 50), st.floats(width=16)),
    st.builds("loss: {}\r\n".format, st.integers(0, 9)),
    st.builds('{{"epoch": {}, "a": {}}}\n'.format, st.integers(0, 9), st.integers(0, 9)),
    st.builds(BAR.format, st.integers(0, 3), st.integers(0, 99)),
    st.builds("{},{},{}\n".format, st.integers(0, 9), st.integers(0, 9), st.just("")),
    st.builds("xxxxxx={}\x08\x08\x08".format, st.integers(0, 9)),
    st.sampled_from(
        ["step,acc,größe\n", "\r        \r", "\n", "\x1b[1mEpoch 7\x1b[0m\n", "'loss': 0.5, 'epoch': 0.25\n", "[3] "]
    ),
    st.text(max_size=12),
)
contents = st.lists(lines, max_size=25).map("".join).map(lambda text: text.encode("utf-8", "surrogatepass"))
DIALECTS: dict[str, Callable[[], Dialect]] = {
    "printed": Printed, "json": JsonLines, "csv": Csv, "pattern": lambda: Pattern(r"(?P<name>\w+)=(?P<value>\S+)"),
}  # fmt: skip


def points_of(columns: Columns) -> Points:
    return {
        name: [(step, repr(value)) for step, value in zip(steps, values, strict=True)]
        for name, (steps, values) in columns.columns.items()
    }


def joined(readings: Iterable[Points]) -> Points:
    found: Points = {}
    for reading in readings:
        for name, points in reading.items():
            found.setdefault(name, []).extend(points)
    return found


def at_once(path: Path, make: Callable[[], Dialect]) -> Points:
    texts.forget()
    found, offset = [], 0
    while True:
        columns, end = texts.read_text(str(path), offset, make, ended=True)
        found.append(points_of(columns))
        if end == offset:
            return joined(found)
        offset = end


def read_in_pieces(path: Path, make: Callable[[], Dialect], data: bytes, cuts, limit: int = 4 << 20) -> None:
    """Read a file while it grows, by engines that die and forget, and compare with reading it in one go."""
    path.write_bytes(data)
    expected = at_once(path, make)
    texts.forget()
    found, offset = [], 0
    for size, restart, lost in (*sorted(cuts), (len(data), False, False)):
        path.write_bytes(data[:size])
        whole = size >= len(data)
        while True:
            columns, end = texts.read_text(str(path), offset, make, ended=whole, limit=limit)
            if lost and not whole:
                break  # the engine died before it could commit this
            found.append(points_of(columns))
            if end == offset:
                break
            offset = end
        if restart:
            texts.forget()
    assert joined(found) == expected


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("texts") / "log"


@pytest.mark.parametrize("dialect", DIALECTS)
@exact
@given(data=contents, cuts=st.lists(st.tuples(st.integers(0, 900), st.booleans(), st.booleans()), max_size=6))
def test_any_cuts_and_restarts_give_the_same_points_once(path: Path, dialect: str, data: bytes, cuts) -> None:
    read_in_pieces(path, DIALECTS[dialect], data, cuts)


BARS = "".join(BAR.format(0, 0) for _ in range(3))


@exact
@example(data=f"loss: 0\r\nstep=0 loss=0.0\n{BARS}step,acc\nstep=0 loss=0.0\n".encode(), cuts=[(193, True, False)])
@given(data=contents, cuts=st.lists(st.tuples(st.integers(0, 900), st.booleans(), st.booleans()), max_size=6))
def test_any_cuts_give_the_same_points_where_lines_are_too_long_and_readings_small(
    path: Path, data: bytes, cuts
) -> None:
    cap, window = texts.LINE_CAP, texts.WINDOW
    texts.LINE_CAP, texts.WINDOW = 24, 8 * 24
    try:
        read_in_pieces(path, Printed, data, cuts, limit=1)
    finally:
        texts.LINE_CAP, texts.WINDOW = cap, window


@exact
@given(data=st.binary(max_size=400), glue=st.sampled_from([b"", b"\r", b"\n", b"=1 ", b"{", b": 0.5\r"]))
def test_arbitrary_bytes_never_raise(path: Path, data: bytes, glue: bytes) -> None:
    path.write_bytes(glue.join([data, data]))
    for make in DIALECTS.values():
        at_once(path, make)


@pytest.mark.parametrize(
    "line",
    [b"a" * 130_000, b"a " * 65_000, b"=" * 130_000, b"a=" * 65_000, b"1" * 130_000, b"a=" + b"1" * 130_000,
     b"1," * 65_000, b"{" * 130_000, b'{"a":' * 26_000, b"step " * 26_000, b"a: 1e" * 26_000, b"|" * 130_000,
     b"9%|" * 43_000, b"\x1b[" * 65_000, b"\x1b]" * 65_000, b'"' * 130_000, b"a'" * 65_000, b"[" * 130_000],
)  # fmt: skip
def test_no_line_takes_long(path: Path, line: bytes) -> None:
    path.write_bytes(line[: texts.LINE_CAP] + b"\n")
    began = time.process_time()
    for make in (Printed, JsonLines, Csv):
        at_once(path, make)
    assert time.process_time() - began < 2.0


def test_a_line_longer_than_the_cap_is_cut_counted_and_does_not_hide_the_next(path: Path) -> None:
    for end in (b"\n", b"\r", b"\r\n"):
        path.write_bytes(b"step=1 a=1 " + b"x" * (5 * texts.LINE_CAP) + b" a=9" + end + b"step=2 a=2\n")
        texts.forget()
        columns, offset = texts.read_text(str(path), 0, Printed)
        found = [points_of(columns)]
        assert [note.kind for note in columns.notes()] == ["damaged"]
        while (more := texts.read_text(str(path), offset, Printed))[1] > offset:
            offset = more[1]
            found.append(points_of(more[0]))
        assert joined(found) == {"a": [(1, "1.0"), (2, "2.0")]}


def test_a_line_that_never_ends_is_passed_over_in_constant_memory(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"a=1\n")
        file.truncate(200 << 20)
    texts.forget()
    assert at_once(path, Printed) == {"a": [(0, "1.0")]}
    path.unlink()


def test_counting_goes_on_after_a_restart_although_nothing_but_the_offset_was_kept(path: Path) -> None:
    path.write_text("loss=3\nnothing\nloss=2\n")
    _, offset = texts.read_text(str(path), 0, Printed)
    with path.open("a") as file:
        file.write("loss=1\n")
    texts.forget()
    columns, _ = texts.read_text(str(path), offset, Printed)
    assert points_of(columns) == {"loss": [(2, "1.0")]}


def test_the_same_offset_gives_the_same_points_until_it_is_committed(path: Path) -> None:
    path.write_text("loss=3\nloss=2\n")
    texts.forget()
    first, again = (points_of(texts.read_text(str(path), 0, Printed)[0]) for _ in range(2))
    assert first == again == {"loss": [(0, "3.0"), (1, "2.0")]}


def test_what_may_still_be_overwritten_is_waited_for(path: Path) -> None:
    path.write_bytes(BAR.format(0, 10).encode() + b"\r")
    texts.forget()
    assert texts.read_text(str(path), 0, Printed)[1] == 0
    with path.open("ab") as file:
        file.write(BAR.format(0, 99).encode() + BAR.format(1, 1).encode() + b"\r")
    columns, offset = texts.read_text(str(path), 0, Printed)
    assert points_of(columns) == {"train_loss": [(0, "0.99")]}
    assert points_of(texts.read_text(str(path), offset, Printed, ended=True)[0]) == {"train_loss": [(1, "0.1")]}


def test_a_file_cut_back_to_nothing_is_read_again_from_its_start(path: Path) -> None:
    path.write_text("step=1 a=1\nstep=2 a=2\n")
    _, offset = texts.read_text(str(path), 0, Printed)
    path.write_text("step=3 a=3\n")
    columns, end = texts.read_text(str(path), offset, Printed)
    assert points_of(columns) == {"a": [(3, "3.0")]}
    assert end == path.stat().st_size < offset


def test_a_missing_file_a_folder_and_a_pipe_give_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "", "pipe"):
        assert texts.read_text(str(tmp_path / name), 7, Printed)[1] == 7
