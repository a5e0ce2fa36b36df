"""What trackers write about the end of a run: W&B's record of the exit with what was printed, MLflow's status."""

import json
import shutil
import struct
from pathlib import Path
from zlib import crc32

import pytest

from secondshift.runtime.watched.cells import End, Source
from secondshift.runtime.watched.finding import find_sources
from secondshift.runtime.watched.words import TAIL

PAST = Path(__file__).resolve().parents[1] / "pastruns" / "fixtures"
LIBRARY = Path(__file__).resolve().parents[1] / "readers" / "fixtures" / "wandb"
HEAD = b":W&B\xe1\xbe\x00"


def part(number: int, body: bytes) -> bytes:
    """A field of bytes of a message."""
    size = len(body)
    return bytes([number << 3 & 0x7F | 2 | (0x80 if number > 15 else 0), *([number >> 4] if number > 15 else []),
                  *([size] if size < 128 else [size & 0x7F | 0x80, size >> 7])]) + body  # fmt: skip


def framed(record: bytes) -> bytes:
    """A record as W&B frames it, where it fits into a block."""
    return struct.pack("<IHB", crc32(record, crc32(b"\x01")), len(record), 1) + record


def history(step: int, **values: float) -> bytes:
    """A record of the history."""
    items = [part(1, part(1, name.encode()) + part(16, json.dumps(value).encode())) for name, value in values.items()]
    return framed(part(2, b"".join(items) + part(2, bytes([8, step]))))


def printed(text: str, number: int = 13) -> bytes:
    """A record of what a script printed."""
    return framed(part(number, part(3, text.encode())))


def exited(code: int) -> bytes:
    """The record of the exit; a code of zero is not written, as protocol buffers do it."""
    number = bytes([code]) if code < 128 else bytes([code & 0x7F | 0x80, code >> 7])
    return framed(part(18, b"\x08" + number if code else b""))


def wandb_file(folder: Path, *records: bytes) -> Path:
    """An offline run."""
    path = folder / "run-abc.wandb"
    path.write_bytes(HEAD + b"".join([history(step, loss=1.0) for step in range(3)]) + b"".join(records))
    return path


def only(path: Path) -> Source:
    """The one source under a path."""
    [source] = find_sources([path]).sources
    return source


def ends(source: Source) -> dict[str, End | None]:
    """How the runs of a source ended, by one look."""
    return {cells.run: cells.end for cells in source.poll(ended=True)}


TRACEBACK = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\nMemoryError\n'


def test_an_exit_that_went_badly_is_told_with_what_was_printed(tmp_path: Path) -> None:
    path = wandb_file(tmp_path, printed("step 1\nTraceb"), printed(TRACEBACK[6:]), printed("last", number=4), exited(1))
    end = ends(only(path))[""]
    assert end is not None and (end.status, end.code) == ("failed", 1)
    assert end.tail == ("step 1", *TRACEBACK.splitlines(), "last") and end.head[0].startswith("Traceback")


@pytest.mark.parametrize(("code", "status"), [(0, "finished"), (255, "killed"), (3, "failed")])
def test_the_code_of_the_exit_says_how_it_ended(code: int, status: str, tmp_path: Path) -> None:
    end = ends(only(wandb_file(tmp_path, exited(code))))[""]
    assert end is not None and (end.status, end.code) == (status, code)


def test_lines_that_are_not_in_the_file_are_read_from_the_log_beside_it(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "output.log").write_text("x\n" * 90_000 + TRACEBACK)
    end = ends(only(wandb_file(tmp_path, exited(1))))[""]
    assert end is not None and end.tail[-1] == "MemoryError" and len(end.tail) == TAIL


@pytest.mark.parametrize("file", sorted(LIBRARY.glob("*.wandb")) + sorted(PAST.rglob("*.wandb")), ids=lambda file: file.stem)
def test_runs_that_the_library_wrote_to_their_end_are_finished(file: Path) -> None:
    end = ends(only(file))[""]
    assert end is not None and (end.status, end.code) == ("finished", 0)


def test_a_run_without_a_record_of_its_end_is_not_over(tmp_path: Path) -> None:
    source = only(wandb_file(tmp_path, printed(TRACEBACK)))
    assert ends(source) == {"": None} and source.poll(ended=True) == []


def test_an_end_that_comes_later_is_told_once_with_the_row_that_waited(tmp_path: Path) -> None:
    path = wandb_file(tmp_path)
    source = only(path)
    assert [cells.count for cells in source.poll(ended=False)] == [2]
    path.write_bytes(path.read_bytes() + exited(1))
    [cells] = source.poll(ended=False)
    assert cells.count == 1 and cells.end is not None and cells.end.status == "failed"
    assert source.poll(ended=False) == []


def test_the_status_of_mlflow_is_told_from_its_files_and_from_its_database_alike() -> None:
    found = find_sources([PAST / "mlruns"]).sources
    files = [cells.end.status if cells.end else "" for source in found for cells in source.poll(ended=True)]
    base = [end.status if end else "" for end in ends(only(PAST / "mlflow.db")).values()]
    assert sorted(files) == sorted(base) and {"finished", "killed"} <= set(files)


def test_a_run_of_mlflow_that_fails_while_it_is_watched_is_told_then(tmp_path: Path) -> None:
    run = next(meta.parent for meta in (PAST / "mlruns").rglob("meta.yaml") if (meta.parent / "metrics").is_dir())
    shutil.copytree(run, tmp_path / "0" / run.name)
    meta = tmp_path / "0" / run.name / "meta.yaml"
    text = "\n".join(line for line in meta.read_text().splitlines() if not line.startswith("status"))
    meta.write_text(f"{text}\nstatus: 1\n")
    source = only(tmp_path)
    assert [cells.end for cells in source.poll(ended=False) if cells.end] == []
    meta.write_text(f"{text}\nstatus: FAILED\n")
    [cells] = source.poll(ended=False)
    assert cells.end == End(status="failed")
