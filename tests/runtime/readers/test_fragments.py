"""Reading fragments: every point exactly once, from any offset, whatever is torn or damaged."""

import math
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.runtime.readers import fragments
from secondshift.runtime.readers.fragments import collect_folder, read_fragment
from secondshift.tracking import wire

exact = settings(derandomize=True, deadline=None, max_examples=60)

calls = st.lists(
    st.tuples(
        st.integers(0, 2**63 - 1),
        st.dictionaries(st.sampled_from(["loss", "acc", "lr", "größe"]), st.floats(width=64), min_size=1),
    ),
    max_size=12,
)
Point = tuple[str, int, bytes]


def write(calls: list[tuple[int, dict[str, float]]], size: float = math.inf) -> tuple[bytes, list[int], list[Point]]:
    """A fragment as a script would write it, where its frames end, and the points in its first `size` bytes."""
    data, ends, points, ids = wire.HEADER, [len(wire.HEADER)], [], {}

    def add(more: bytes) -> None:
        nonlocal data
        data += more
        ends.append(len(data))

    for number, (step, metrics) in enumerate(calls):
        for name in metrics:
            if name not in ids:
                ids[name] = len(ids)
                add(wire.name_frame(ids[name], name.encode()))
        layout = wire.Layout([ids[name] for name in metrics])
        add(layout.frame(layout.pack(wire.POINTS, step, float(number), layout.ids, *metrics.values())))
        if len(data) <= size:
            points += [(name, step, struct.pack("<d", value)) for name, value in metrics.items()]
        if number % 3 == 0:
            add(wire.frame(wire.NOTE, f'["saved", {{"step": {number}}}]'.encode()))
    return data, ends, points


def by_metric(points: list[Point]) -> dict[str, list[tuple[int, bytes]]]:
    found: dict[str, list[tuple[int, bytes]]] = {}
    for name, step, value in points:
        found.setdefault(name, []).append((step, value))
    return found


def points_of(chunk) -> list[Point]:
    return [
        (b.metric, step, struct.pack("<d", value))
        for b in chunk.batches
        if b.metric != wire.WALL
        for step, value in zip(b.steps, b.values, strict=True)
    ]


def read(path: Path, offset: int = 0, *, ended: bool = False, limit: int = fragments.LIMIT):
    return read_fragment(path, offset, trial="t1", attempt="t1.a1", ended=ended, limit=limit)


def damaged(chunk) -> int:
    return sum(int(note.values["bytes"]) for note in chunk.notes if note.kind == "damaged")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Callable[[bytes], Path]:
    """Puts bytes into a fragment that no earlier reading remembers."""
    folder = tmp_path_factory.mktemp("fragments")
    count = 0

    def put(data: bytes) -> Path:
        nonlocal count
        count += 1
        path = folder / f"{count}.frag"
        path.write_bytes(data)
        return path

    return put


@exact
@given(calls=calls, cuts=st.lists(st.floats(0, 1), max_size=8), forget=st.booleans())
def test_read_piece_by_piece_as_it_grows_every_point_arrives_exactly_once(place, calls, cuts, forget):
    data, _, points = write(calls)
    path, offset, found, notes = place(b""), 0, [], 0
    for size in [*sorted(int(cut * len(data)) for cut in cuts), len(data)]:
        path.write_bytes(data[:size])
        if forget:  # a new engine has nothing in memory
            fragments._remembered.clear()
        chunk = read(path, offset)
        assert chunk.start == offset and chunk.end >= offset and not damaged(chunk)
        offset, found, notes = chunk.end, found + points_of(chunk), notes + len(chunk.notes)
    assert by_metric(found) == by_metric(points) and offset == len(data)
    assert notes == math.ceil(len(calls) / 3)
    assert read(path, offset, ended=True).end == offset


@exact
@given(calls=calls, cut=st.floats(0, 1))
def test_any_prefix_gives_the_points_whose_frames_are_whole_and_one_note_of_the_torn_rest(place, calls, cut):
    data, ends, _ = write(calls)
    size = int(cut * len(data))
    expected = write(calls, size)[2]
    whole = max((end for end in ends if end <= size), default=0)
    path = place(data[:size])
    chunk = read(path)
    assert chunk.end == whole and not damaged(chunk)
    assert by_metric(points_of(chunk)) == by_metric(expected)
    last = read(path, chunk.end, ended=True)
    assert damaged(last) == size - whole and last.end == size
    assert read(path, last.end, ended=True).notes == ()


@exact
@given(calls=calls)
def test_from_any_frame_boundary_the_metric_names_are_known(place, calls):
    data, ends, points = write(calls)
    path = place(data)
    for end in ends:
        before = points_of(read(place(data[:end])))
        fragments._remembered.clear()
        rest = points_of(read(path, end))
        whole = by_metric(points)
        for name, series in by_metric(rest).items():
            assert whole[name][-len(series) :] == series
        assert len(before) + len(rest) == len(points)


@settings(exact, max_examples=200)
@given(calls=calls, places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
       ended=st.booleans(), cut=st.floats(0.5, 1))  # fmt: skip
def test_random_damage_never_raises_and_never_invents_points(place, calls, places, ended, cut):
    data, _, points = write(calls)
    broken = bytearray(data)
    for where, value in places:
        broken[min(len(data) - 1, int(where * len(data)))] = value
    path = place(bytes(broken)[: int(cut * len(data)) + 1])
    chunk = read(path, ended=ended)
    truth = by_metric(points)
    for name, series in by_metric(points_of(chunk)).items():
        left = iter(truth.get(name, []))
        assert all(point in left for point in series)  # a subsequence: nothing new, nothing twice, order kept
    if ended:
        assert chunk.end == path.stat().st_size


@exact
@given(garbage=st.binary(max_size=400), ended=st.booleans())
def test_garbage_gives_no_points(place, garbage, ended):
    chunk = read(place(garbage), ended=ended)
    assert not chunk.batches and chunk.end == (len(garbage) if ended else chunk.end)


def test_a_damaged_frame_in_the_middle_costs_itself_alone(place):
    data, ends, _ = write([(s, {"loss": float(s)}) for s in range(20)])
    broken = bytearray(data)
    start = ends[10]
    broken[start + 20] ^= 0xFF
    chunk = read(place(bytes(broken)))
    assert len(points_of(chunk)) in (19, 20) and damaged(chunk) == ends[11] - start and chunk.end == len(data)


def test_a_length_that_was_damaged_does_not_hold_up_what_follows(place):
    data, ends, _ = write([(s, {"loss": float(s)}) for s in range(20)])
    broken = bytearray(data)
    broken[ends[10] + 2] = 2  # says 128 KiB: more than there is
    chunk = read(place(bytes(broken)))
    assert chunk.end == len(data) and damaged(chunk) == ends[11] - ends[10]


def test_points_whose_name_was_damaged_are_not_given_to_another_metric(place):
    data, _, _ = write([(0, {"loss": 1.0}), (1, {"acc": 2.0}), (2, {"loss": 3.0})])
    broken = bytearray(data)
    broken[data.index(b"acc")] ^= 1
    chunk = read(place(bytes(broken)))
    assert by_metric(points_of(chunk)).keys() == {"loss"} and damaged(chunk) > 0


def test_zeros_left_by_a_power_cut_are_damage(place):
    data, _, points = write([(0, {"loss": 1.0})])
    path = place(data + bytes(5000))
    chunk = read(path)
    assert len(points_of(chunk)) == len(points) and chunk.end == len(data)
    assert damaged(read(path, chunk.end, ended=True)) == 5000


def test_a_long_stretch_of_damage_is_stepped_over_while_the_script_still_writes(place):
    data, _, _ = write([(0, {"loss": 1.0})])
    layout = wire.Layout([0])
    tail = layout.frame(layout.pack(wire.POINTS, 9, 0.0, layout.ids, 9.0))
    garbage = os.urandom(900_000)
    path = place(data + garbage + tail)
    offset, found, bad = 0, [], 0
    for _ in range(20):
        chunk = read(path, offset, limit=1000)
        offset, found, bad = chunk.end, found + points_of(chunk), bad + damaged(chunk)
    assert [step for _, step, _ in found] == [0, 9] and bad == len(garbage)


def test_a_limit_smaller_than_the_file_gives_everything_in_several_chunks(place):
    data, _, points = write([(s, {"loss": float(s), "acc": 0.0}) for s in range(20_000)])
    path, offset, count, rounds = place(data), 0, 0, 0
    while (chunk := read(path, offset, limit=1000)).end > offset:
        offset, count, rounds = chunk.end, count + len(points_of(chunk)), rounds + 1
    assert count == len(points) and offset == len(data) and rounds > 2


def test_a_fragment_of_a_newer_version_is_left_for_a_newer_reader_and_said_at_the_end(place):
    data = bytearray(write([(0, {"loss": 1.0})])[0])
    data[len(wire.MAGIC)] = 9
    path = place(bytes(data))
    assert read(path).end == 0 and not read(path).batches
    last = read(path, ended=True)
    assert "version 9" in str(last.notes[0].values["reason"]) and last.end == len(data)


def test_files_that_are_missing_shrunken_or_no_files_at_all_give_empty_chunks(tmp_path, place):
    os.mkfifo(tmp_path / "pipe.frag")
    (tmp_path / "folder.frag").mkdir()
    (tmp_path / "lost.frag").symlink_to(tmp_path / "nowhere")
    short = place(b"SSHIFT")
    for path in (tmp_path / "pipe.frag", tmp_path / "folder.frag", tmp_path / "lost.frag", tmp_path / "none", short):
        chunk = read(path, 50, ended=True)
        assert (chunk.start, chunk.end, chunk.batches, chunk.notes) == (50, 50, (), ())
    assert collect_folder(tmp_path, {}, trial="t1", attempt="a", ended=True) == []
    assert collect_folder(tmp_path / "none", {}, trial="t1", attempt="a") == []


def test_a_replaced_fragment_is_read_with_its_own_names(place):
    path = place(write([(0, {"loss": 1.0})])[0])
    read(path)
    new = path.with_suffix(".new")
    new.write_bytes(write([(5, {"acc": 2.0})])[0])
    new.rename(path)
    assert by_metric(points_of(read(path))).keys() == {"acc"}


def test_a_folder_is_collected_within_the_limit_and_to_the_end_once_the_exit_is_recorded(tmp_path):
    data, _, points = write([(s, {"loss": 1.0}) for s in range(10)])
    for name in ("a.frag", "b.frag", "c.frag"):
        (tmp_path / name).write_bytes(data + b"torn")
    (tmp_path / "output.log").write_bytes(data)
    first = collect_folder(tmp_path, {}, trial="t1", attempt="t1.a1", limit=len(data) + 1)
    assert [c.fragment for c in first] == ["a.frag", "b.frag"]
    offsets = {c.fragment: c.end for c in first}
    (rest,) = collect_folder(tmp_path, offsets, trial="t1", attempt="t1.a1")
    assert len(points_of(rest)) == len(points) and rest.attempt == "t1.a1" and rest.batches[0].trial == "t1"
    offsets[rest.fragment] = rest.end
    (tmp_path / "exit.json").write_text("{}")
    assert [damaged(c) for c in collect_folder(tmp_path, offsets, trial="t1", attempt="t1.a1")] == [4, 4, 4]


def test_equal_drops_are_added_up_and_odd_notes_are_damage(place):
    notes = ['["dropped", {"points": 2, "reason": "x"}]', '["dropped", {"points": 3, "reason": "x"}]',
             '["dropped", {"points": 1, "reason": "y"}]', '["unheard", {}]', '["hello"]', '["hello", {"a": [1]}]',
             '["' + "[" * 5000]  # fmt: skip
    frames = [wire.frame(wire.NOTE, text.encode()) for text in notes]
    chunk = read(place(wire.HEADER + b"".join(frames)))
    assert [n.values.get("points") for n in chunk.notes if n.kind == "dropped"] == [5, 1]
    assert damaged(chunk) == sum(map(len, frames[3:]))
