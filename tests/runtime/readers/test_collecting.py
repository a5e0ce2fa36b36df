"""What an attempt says, collected from wherever its order says: printed lines, files of its own, the SDK's stream."""

import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from secondshift.records.orders import Chunk, Order
from secondshift.records.studies import MetricsFrom
from secondshift.runtime.executors.attempt_files import to_json
from secondshift.runtime.executors.folders import write_order
from secondshift.runtime.readers import texts
from secondshift.runtime.readers.collecting import collect_attempt, seen
from secondshift.runtime.readers.sources import environment_of
from secondshift.tracking import wire

FIXTURES = Path(__file__).with_name("fixtures")
Points = dict[str, list[tuple[int, float]]]


class Folder:
    """One attempt's folder, and an engine that collects from it and commits what it got."""

    def __init__(self, place: Path, metrics: MetricsFrom) -> None:
        self.place, self.cwd = place / "attempts" / "t1.a1", place / "work"
        self.cwd.mkdir()
        self.order = Order(
            attempt="t1.a1", trial="t1", number=1, token=1, command=("x",), cwd=str(self.cwd), folder=str(self.place),
            checkpoints="", metrics=metrics,
        )  # fmt: skip
        write_order(self.order)
        self.out = self.place / "out"
        self.log = self.place / "output.log"
        self.offsets: dict[str, int] = {}

    def end(self) -> None:
        """Let the attempt end."""
        (self.place / "exit.json").write_text(to_json({"code": 0}))

    def chunks(self) -> list[Chunk]:
        """Collect once, and commit."""
        found = collect_attempt(self.place, self.offsets, trial="t1", attempt="t1.a1")
        self.offsets.update({chunk.fragment: chunk.end for chunk in found})
        return found

    def points(self) -> Points:
        """Collect until nothing is left."""
        found: Points = {}
        while chunks := self.chunks():
            for batch in (batch for chunk in chunks for batch in chunk.batches):
                found.setdefault(batch.metric, []).extend(zip(batch.steps, batch.values, strict=True))
        return found


@pytest.fixture
def attempt(tmp_path: Path):
    texts.forget()
    return lambda source="auto", **keys: Folder(tmp_path, MetricsFrom(source=source, **keys))


def test_what_a_script_prints_is_read_while_it_runs_and_to_the_last_byte_when_it_ended(attempt) -> None:
    folder = attempt()
    assert folder.points() == {}
    folder.log.write_text("step=1 loss=0.5\nstep=2 lo")
    assert folder.points() == {"loss": [(1, 0.5)]}
    with folder.log.open("a") as file:
        file.write("ss=0.25")
    assert folder.points() == {}
    folder.end()
    assert folder.points() == {"loss": [(2, 0.25)]}
    assert folder.offsets == {"output.log": folder.log.stat().st_size}


def test_a_resumed_script_that_prints_no_steps_counts_on_from_where_it_resumed(attempt) -> None:
    folder = attempt()
    write_order(replace(folder.order, from_step=5))
    folder.log.write_text("loss=0.5\nloss=0.4\n")
    assert folder.points() == {"loss": [(5, 0.5), (6, 0.4)]}
    texts.forget()  # another engine
    with folder.log.open("a") as file:
        file.write("loss=0.3\n")
    assert folder.points() == {"loss": [(7, 0.3)]}


def test_lines_without_numbers_make_no_chunk(attempt) -> None:
    folder = attempt()
    folder.log.write_text("hello\n" * 1000)
    assert folder.chunks() == []
    folder.end()
    assert folder.chunks() == []


def test_a_script_that_uses_the_sdk_is_not_read_twice(attempt) -> None:
    folder = attempt()
    layout = wire.Layout([0])
    body = layout.pack(wire.POINTS, 4, 0.0, layout.ids, 0.5)
    (folder.place / "1-a.frag").write_bytes(wire.HEADER + wire.name_frame(0, b"loss") + layout.frame(body))
    folder.log.write_text("step=4 loss=0.49\n")
    assert folder.points()["loss"] == [(4, 0.5)]
    assert "output.log" not in folder.offsets
    order = replace(folder.order, metrics=MetricsFrom(source="stdout"))
    (folder.place / "order.json").write_text(to_json(asdict(order)))
    assert folder.points() == {"loss": [(4, 0.49)]}
    assert seen(folder.place) == {"sdk": {"loss": 1}, "stdout": {"loss": 1}}


@pytest.mark.parametrize(
    ("source", "file", "names"),
    [
        ("tensorboard", "tensorboard", {"loss", "val/acc", "odd", "validation/loss"}),
        ("wandb", "wandb", {"loss", "eval.acc", "odd"}),
        ("mlflow", "mlflow/mlruns", {"loss", "val/acc", "odd"}),
        ("mlflow", "mlflow/mlflow.db", {"loss", "val/acc", "odd"}),
    ],
)
def test_files_of_a_library_below_out_are_followed(attempt, source: str, file: str, names: set[str]) -> None:
    folder = attempt(source)
    to = folder.out / "runs" / Path(file).name
    to.parent.mkdir()
    copy(FIXTURES / file, to)
    found = folder.points()
    assert set(found) == names
    assert [step for step, _ in found["loss"]] == list(range(12))
    assert folder.points() == {}
    assert names <= set(seen(folder.place)[source])


def copy(source: Path, to: Path) -> None:
    for path in [source, *source.rglob("*")]:
        if path.is_file():
            target = to / path.relative_to(source) if path != source else to
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())


def test_a_rotated_file_is_read_to_its_end_and_the_new_one_from_its_beginning(attempt) -> None:
    folder = attempt("jsonl", path="{out}/log.jsonl")
    log = folder.out / "log.jsonl"
    log.write_text('{"step": 1, "a": 1}\n')
    assert folder.points() == {"a": [(1, 1.0)]}
    with log.open("a") as file:
        file.write('{"step": 2, "a": 2}\n')
    log.rename(folder.out / "log.jsonl.1")
    log.write_text('{"step": 3, "a": 3}\n')
    assert folder.points() == {"a": [(2, 2.0), (3, 3.0)]}
    assert folder.points() == {}


def test_a_file_of_the_working_folder_counts_only_if_it_was_made_after_the_order(attempt) -> None:
    folder = attempt("csv", path="*.csv")
    old, new = folder.cwd / "old.csv", folder.cwd / "new.csv"
    old.write_text("step,a\n1,1\n")
    now = time.time()
    os.utime(folder.place / "order.json", (now + 5, now + 5))
    os.utime(old, (now + 9, now + 9))  # somebody still writes there, which makes it no younger
    assert folder.points() == {}
    old.unlink()
    os.utime(folder.place / "order.json", (now - 5, now - 5))
    new.write_text("step,a\n2,2\n")
    assert folder.points() == {"a": [(2, 2.0)]}


def test_csv_without_a_path_is_looked_for_in_the_output_and_below_out(attempt) -> None:
    folder = attempt("csv")
    folder.log.write_text("loading\nstep,a\n1,1\n")
    (folder.out / "metrics.csv").write_text("step,b\n1,2\n")
    assert folder.points() == {"a": [(1, 1.0)], "b": [(1, 2.0)]}


def test_damaged_orders_and_odd_folders_give_what_is_printed_or_nothing(attempt) -> None:
    folder = attempt()
    folder.log.write_text("step=1 a=1\n")
    for text in ("", "{", "[]", '{"metrics": 3}', '{"metrics": {"source": 4, "nonsense": 1}}'):
        (folder.place / "order.json").write_text(text)
        assert collect_attempt(folder.place, {}, trial="t", attempt="a")[0].end == 11
    assert collect_attempt(folder.place / "none", {}, trial="t", attempt="a") == []
    assert seen(folder.place / "none") == {}


def test_libraries_are_sent_to_the_attempts_own_folder_unless_the_study_says_otherwise() -> None:
    assert environment_of(MetricsFrom(source="wandb"), {"A": "{out}/a", "WANDB_MODE": "online"}, "/o") == {
        "WANDB_MODE": "online", "WANDB_DIR": "/o", "A": "/o/a",
    }  # fmt: skip
    assert environment_of(MetricsFrom(), {}, "/o") == {}
