"""Tables and trackers' files as they grow: cut, rotated, truncated, resumed, and full of what does not belong there."""

import json
import math
import os
import struct
import sys
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.errors import SecondshiftError
from secondshift.runtime.readers.checksums import masked_crc32c
from secondshift.runtime.watched import tables
from secondshift.runtime.watched.cells import Cells, Source, numbers_of, split
from secondshift.runtime.watched.finding import find_sources
from secondshift.runtime.watched.joining import Joiner
from secondshift.runtime.watched.outputs import Log
from secondshift.runtime.watched.tables import Table
from secondshift.runtime.watched.trackers import Parquet

FIXTURES = Path(__file__).resolve().parents[1]


def column(parts: list[Cells], name: str) -> list[float | None]:
    return [value for part in parts for value in numbers_of(part.columns[name])]


def table(path: Path) -> Table:
    return Table(path, path.name)


def test_a_growing_table_gives_each_whole_line_once_and_waits_for_the_end_of_a_cut_one(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n0,1.5\n1,1.")
    reading = table(path)
    assert column(reading.poll(ended=False), "loss") == [1.5]
    with path.open("a") as file:
        file.write("25\n2,1\n")
    assert column(reading.poll(ended=False), "loss") == [1.25, 1.0]
    assert reading.poll(ended=False) == []


def test_a_line_that_was_cut_when_its_writer_was_killed_is_not_taken_for_a_number(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n0,1.5\n1,1234")  # it might have become 1234e-9
    assert column(table(path).poll(ended=True), "loss") == [1.5]
    lines = tmp_path / "log.jsonl"
    lines.write_text('{"step": 0, "loss": 1.5}\n{"step": 1, "loss": 2.5}')  # whole, but for its end of line
    assert column(table(lines).poll(ended=True), "loss") == [1.5, 2.5]
    lines.write_text('{"step": 0, "loss": 1.5}\n{"step": 1, "lo')
    [part] = table(lines).poll(ended=True)
    assert (column([part], "loss"), part.lost) == ([1.5], 1)


def test_a_truncated_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n0,1\n1,2\n2,3\n")
    reading = table(path)
    reading.poll(ended=False)
    path.write_text("step,loss\n0,9\n")
    assert column(reading.poll(ended=False), "loss") == [9.0]


@pytest.mark.parametrize("again", [True, False], ids=["with its header again", "without one"])
def test_a_rotated_file_is_read_to_its_end_before_the_new_one(tmp_path: Path, again: bool) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n0,1\n")
    reading = table(path)
    reading.poll(ended=False)
    with path.open("a") as file:
        file.write("1,2\n")
    path.rename(tmp_path / "log.csv.1")
    path.write_text(("step,loss\n" if again else "") + "2,3\n")
    parts = reading.poll(ended=False)
    assert (column(parts, "step"), column(parts, "loss")) == ([1, 2], [2, 3])


def test_parts_that_were_put_aside_before_anybody_looked_belong_to_the_run(tmp_path: Path) -> None:
    for age, (name, text) in enumerate(
        [("log.csv", "4,5\n"), ("log.csv.1", "2,3\n3,4\n"), ("log.csv.2", "step,loss\n0,1\n1,2\n")]
    ):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    (tmp_path / "log.csv.lock").write_text("9,9\n")
    found = find_sources([tmp_path])
    [source] = found.sources
    assert column(source.poll(ended=True), "loss") == [1, 2, 3, 4, 5]


def test_a_header_that_a_resumed_run_writes_again_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n0,1\n1,2\nstep,loss\n1,2\n2,3\n")
    assert column(table(path).poll(ended=True), "step") == [0, 1, 1, 2]


@pytest.mark.parametrize("quote", ["", '"'])
def test_names_of_more_columns_further_on_are_no_row_and_what_follows_stands_under_them(tmp_path: Path, quote: str) -> None:
    """A run that is resumed into the same file may have more to tell. Its line of names is text, and no loss that is NaN."""
    path = tmp_path / "log.csv"
    more = ",".join(f"{quote}{name}{quote}" for name in ("step", "lr", "loss", "val_loss"))
    path.write_text(f"step,loss\n0,1.5\n1,1.25\n{more}\n2,0.1,1.0,9\n3,0.1,0.5,8\n")
    before, after = table(path).poll(ended=True)
    assert column([before], "loss") == [1.5, 1.25] and "val_loss" not in before.columns
    assert column([before, after], "loss") == [1.5, 1.25, 1.0, 0.5] and column([after], "val_loss") == [9.0, 8.0]


def test_rows_that_are_too_long_or_too_short_and_names_that_stand_twice_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss,loss,\n0,1,7,8\n1\n2,3,7,8,9,10\n\n3,oops,7,8\n")
    parts = table(path).poll(ended=True)
    assert (column(parts, "step"), column(parts, "loss")) == ([0, 1, 2, 3], [1, None, 3, None])
    assert set(parts[0].columns) == {"step", "loss"}


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_cells_may_stand_between_any_of_the_usual_marks(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"# made by hand\nstep{mark}loss\n0{mark}1\n")
    assert column(table(path).poll(ended=True), "loss") == [1]


def test_a_table_without_names_says_why_it_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("1,2,3\n4,5,6\n")
    reading = table(path)
    assert [part.count for part in reading.poll(ended=True)] == [0]
    assert "names no columns: '1,2,3'" in reading.problem


def test_json_lines_may_nest_name_one_metric_a_line_hold_nan_and_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = [
        '{"step": 0, "train": {"loss": 1.5, "more": {"lr": 0.1}}}', '{"step": 1, "name": "val_loss", "value": 2.0}',
        '{"step": 2, "train": {"loss": NaN}}', "not json", "[1]", '{"step": 3, "big": 1e999, "flag": true, "text": "x"}',
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    [part] = table(path).poll(ended=True)
    assert (part.count, part.lost) == (4, 2)
    loss = numbers_of(part.columns["train/loss"])
    assert loss[0] == 1.5 and loss[1] is None and loss[2] != loss[2]
    assert numbers_of(part.columns["train/more/lr"])[0] == 0.1 and numbers_of(part.columns["val_loss"])[1] == 2.0
    assert numbers_of(part.columns["flag"]) == [None] * 4


@given(st.binary(max_size=300), st.sampled_from([".csv", ".jsonl"]), st.integers(0, 300))
@settings(max_examples=150, deadline=None)
def test_no_bytes_make_reading_raise_or_columns_unequal(tmp_path_factory, data: bytes, ending: str, cut: int) -> None:
    path = tmp_path_factory.mktemp("any") / f"log{ending}"
    reading = table(path)
    for piece in (data[:cut], data):
        path.write_bytes(piece)
        for part in reading.poll(ended=piece is data):
            assert {len(values) for values in part.columns.values()} <= {part.count}
            for values in part.columns.values():
                numbers_of(values)


def test_a_table_of_many_runs_is_taken_apart_whether_their_rows_stand_together_or_not() -> None:
    mixed = Cells(count=4, columns={"run": ["a", "b", "a", "b"], "loss": [1, 2, 3, 4]})
    assert {part.run: list(part.columns["loss"]) for part in split(mixed, "run")} == {"a": [1, 3], "b": [2, 4]}
    sorted_ = Cells(count=4, columns={"run": [7, 7, 8, 8], "loss": [1, 2, 3, 4]})
    assert {part.run: list(part.columns["loss"]) for part in split(sorted_, "run")} == {"7": [1, 2], "8": [3, 4]}


def event(step: int, tag: str, value: float) -> bytes:
    """One framed TensorBoard event with one scalar, as its writer frames it."""
    summary = b"\x0a" + bytes([len(tag)]) + tag.encode() + b"\x15" + struct.pack("<f", value)
    body = b"\x09" + struct.pack("<d", 1e9 + step) + b"\x10" + varint(step)
    body += b"\x2a" + bytes([len(summary) + 2]) + b"\x0a" + bytes([len(summary)]) + summary
    head = struct.pack("<Q", len(body))
    return head + struct.pack("<I", masked_crc32c(head)) + body + struct.pack("<I", masked_crc32c(body))


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def test_scalars_of_tensorboard_become_rows_by_step_and_a_resumed_run_goes_back(tmp_path: Path) -> None:
    file = tmp_path / "events.out.tfevents.1"
    file.write_bytes(b"".join(event(s, tag, s + add) for s in range(4) for tag, add in (("loss", 0.5), ("lr", 0.25))))
    [source] = find_sources([tmp_path]).sources
    [part] = source.poll(ended=False)
    assert (part.steps, list(part.columns["loss"])) == ([0, 1, 2], [0.5, 1.5, 2.5])  # the newest may not be whole yet
    (tmp_path / "events.out.tfevents.2").write_bytes(event(2, "loss", 9.0) + event(3, "loss", 8.0))
    [part] = source.poll(ended=True)
    assert (part.steps, list(part.columns["loss"])) == ([3, 2, 3], [3.5, 9.0, 8.0])
    assert source.poll(ended=True) == []


def test_a_metric_that_comes_late_is_no_step_back() -> None:
    joiner = Joiner()
    joiner.add({"loss": (array("q", range(6)), array("d", range(6)))})
    first = joiner.take(ended=False)
    assert first is not None and first.steps == [0, 1, 2, 3, 4]
    joiner.add({"val_loss": (array("q", [2]), array("d", [7.0])), "loss": (array("q", [6]), array("d", [6.0]))})
    later = joiner.take(ended=True)
    assert later is not None and later.steps == [4, 5, 6] and later.columns["val_loss"][0] == 7.0


@pytest.mark.parametrize(
    ("folder", "about", "runs"),
    [("readers/fixtures/tensorboard", "tensorboard", 1), ("readers/fixtures/wandb", "wandb", 1),
     ("pastruns/fixtures/wandb", "wandb", 5), ("pastruns/fixtures/mlruns", "mlflow", 7),
     ("pastruns/fixtures/mlflow.db", "mlflow", 1), ("pastruns/fixtures/tensorboard", "tensorboard", 5)],
)  # fmt: skip
def test_what_trackers_themselves_wrote_is_found_and_read(folder: str, about: str, runs: int) -> None:
    sources: list[Source] = find_sources([FIXTURES / folder]).sources
    assert [source.about for source in sources] == [about] * runs
    for source in sources:
        parts = source.poll(ended=True)
        assert sum(part.count for part in parts) > 0 and all(part.columns for part in parts if part.count)
        assert source.poll(ended=True) == []


def test_each_run_of_an_mlflow_database_is_one(tmp_path: Path) -> None:
    [source] = find_sources([FIXTURES / "pastruns" / "fixtures" / "mlflow.db"]).sources
    parts = source.poll(ended=True)
    assert len({part.run for part in parts}) == len(parts) >= 5


def test_a_folder_that_may_not_be_read_is_said_kindly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "log.csv").write_text("step,loss\n0,1\n")
    scan = os.scandir
    shut = {str(tmp_path / "inner")}

    def refuse(place="."):
        if os.fspath(place) in shut:
            raise PermissionError(13, "Permission denied", os.fspath(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)  # permissions do not bind root, who may run the tests
    found = find_sources([tmp_path])
    assert len(found.sources) == 1 and found.unreadable == [f"{tmp_path / 'inner'}: Permission denied"]
    shut.add(str(tmp_path))
    with pytest.raises(SecondshiftError, match=r"may not be read: Permission denied\. Give this user read permission"):
        find_sources([tmp_path])


def test_parquet_without_its_package_names_the_command_that_installs_it(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "runs.parquet"
    path.write_bytes(b"PAR1")
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SecondshiftError, match=r"pip install 'secondshift\[parquet\]'"):
        Parquet(path, "runs.parquet").poll(ended=True)


def test_a_parquet_table_is_read_again_when_it_grew(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "runs.parquet"
    rows = {"run": ["a", "a", "b"], "step": [0, 1, 0], "loss": [1.0, None, float("nan")], "tags": [["x"], None, []]}
    parquet.write_table(pyarrow.table(rows), path)
    source = Parquet(path, "runs.parquet")
    [part] = source.poll(ended=False)
    loss = numbers_of(part.columns["loss"])
    assert loss[:2] == [1.0, None] and loss[2] != loss[2] and source.poll(ended=False) == []
    parquet.write_table(pyarrow.table({name: values + values[:1] for name, values in rows.items()}), path)
    [part] = source.poll(ended=False)
    assert (part.count, list(part.columns["run"])) == (1, ["a"])
    path.write_bytes(b"PAR1 half of one")
    assert source.poll(ended=False) == [] and "could not be read as parquet" in source.problem


def test_a_text_log_is_read_where_it_is_named_and_left_alone_in_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "slurm-7.out"
    path.write_text("INFO Epoch [1/9] Step [0/300] Loss: 2.5\nINFO Epoch [1/9] Step [1/300] Loss: 2.4\n")
    assert find_sources([tmp_path], log=Log).sources == []
    [log] = find_sources([path], log=Log).sources
    assert column(log.poll(ended=False), "Loss") == [2.5]  # the newest row may still grow
    with path.open("a") as file:
        file.write("INFO Epoch [1/9] Step [2/300] Loss: nan\nINFO Epoch [1/9] Step [3/300] Lo")
    assert column(log.poll(ended=False), "Loss") == [2.4]
    path.write_text("INFO Epoch [1/9] Step [0/300] Loss: 9.5\n")
    [cut, anew] = log.poll(ended=True)
    assert math.isnan(column([cut], "Loss")[0] or 0.0) and column([anew], "Loss") == [9.5]  # type: ignore[arg-type]


def test_what_is_no_text_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "weights.out").write_bytes(b"loss=1\0\1\2")
    (tmp_path / "config.json").write_text('{"loss": 1}')
    assert not [source for name in ("weights.out", "config.json") for source in find_sources([tmp_path / name], log=Log).sources]


def test_what_no_tracker_wrote_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("loss=3\n")
    (tmp_path / "config.json").write_text(json.dumps({"lr": 1}))
    assert find_sources([tmp_path]).sources == []
    with pytest.raises(SecondshiftError, match="There is no"):
        find_sources([tmp_path / "none"])
    assert find_sources([tmp_path / "none"], missing_ok=True).sources == []


@settings(deadline=None)
@given(
    st.lists(st.text(alphabet='a1.,;"\r \t\0#-', max_size=9) | st.just("0.5,1") | st.just("loss,a"), max_size=12),
    st.sampled_from([["loss", "a"], ["loss"], ["loss", "", "a"]]),
)
def test_a_plain_table_is_cut_in_one_go_exactly_as_line_by_line(lines: list[str], header: list[str]) -> None:
    at_once = tables._plain(lines, header, ",")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables, "_plain", lambda *_: None)
        alone = tables._table(lines, header, ",")
    if at_once is not None:
        assert (at_once.count, at_once.lost) == (alone.count, alone.lost)
        assert {name: list(cells) for name, cells in at_once.columns.items()} == {
            name: list(cells) for name, cells in alone.columns.items()
        }


def test_a_table_without_quotes_is_cut_in_one_go() -> None:
    cells = tables._plain(["0,1.5", "", "1,2.5"], ["step", "loss"], ",")
    assert cells is not None and cells.columns == {"step": ["0", "1"], "loss": ["1.5", "2.5"]}


def test_what_was_lost_in_a_table_of_many_runs_is_told_once() -> None:
    parts = split(Cells(count=2, columns={"run": ["a", "b"]}, lost=3), "run")
    assert [part.lost for part in parts] == [3, 0]


@given(st.lists(st.sampled_from(["a", "b", " a", None, ""]), max_size=30))
def test_each_run_of_a_table_keeps_the_order_of_its_rows(names: list[str | None]) -> None:
    cells = Cells(count=len(names), columns={"run": names, "row": list(range(len(names)))}, steps=list(range(len(names))))
    parts = split(cells, "run")
    wanted: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        wanted.setdefault((name or "").strip(), []).append(row)
    assert {part.run: list(part.columns["row"]) for part in parts if part.count} == wanted
    assert {part.run: part.steps for part in parts if part.count} == wanted
    assert all(part.count == len(part.columns["row"]) for part in parts)
