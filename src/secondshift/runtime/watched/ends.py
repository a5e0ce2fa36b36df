"""How a tracker says that a run ended: W&B by a record of its exit, MLflow by a status. Nothing else says that a run is over."""

from collections import deque
from pathlib import Path

from secondshift.records.pastruns import RunStatus
from secondshift.runtime.pastruns.mlflow_runs import folder_status
from secondshift.runtime.pastruns.wandb_runs import EXIT, exit_of
from secondshift.runtime.readers.columns import Columns
from secondshift.runtime.readers.offline_runs import read_run
from secondshift.runtime.readers.protobuf import BYTES, fields
from secondshift.runtime.watched.cells import End, end_of
from secondshift.runtime.watched.words import TAIL, Words

_PRINTED = (4, 13)  # numbers of the fields of a record that hold what was printed
_LINE = 3
TYPED = 255  # the exit code that W&B writes where somebody typed Ctrl-C
LATEST = 1 << 16  # bytes at the end of a log that are read


class WandbRun:
    """One W&B offline file: its history, and how it ended once that is written."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._words = Words()
        self._rest = ""
        self._code: int | None = None

    def read(self, path: str, offset: int, ended: bool) -> tuple[Columns, int]:
        """Give what is new from `offset` on, and the next offset."""
        return read_run(path, offset, ended=ended, limit=16 << 20, look=self._look)

    def end(self) -> End | None:
        """How it ended; None while no record says so."""
        if self._code is None:
            return None
        status: RunStatus = "finished" if self._code == 0 else "killed" if self._code == TYPED else "failed"
        if status == "failed":
            self._hear("\n")
            if not self._words.tail:
                for line in last_lines(self.file.parent / "files" / "output.log"):
                    self._words.hear(line)
        return End(status=status, code=self._code, head=tuple(self._words.head), tail=tuple(self._words.tail))

    def _look(self, record: bytes) -> None:
        try:
            for number, wire, value in fields(record):
                if wire != BYTES or not isinstance(value, bytes):
                    continue
                if number == EXIT:
                    self._code = exit_of(value)[0]
                elif number in _PRINTED:
                    lines = [text for inner, kind, text in fields(value) if inner == _LINE and kind == BYTES]
                    self._hear("".join(text.decode("utf-8", "replace") for text in lines if isinstance(text, bytes)))
        except ValueError:
            return

    def _hear(self, text: str) -> None:
        *lines, rest = (self._rest + text).replace("\r", "\n").split("\n")
        self._rest = rest[-LATEST:]
        for line in lines:
            self._words.hear(line)


class MlflowRun:
    """One run of a file store: how it ended, once its `meta.yaml` says so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp = (0, 0)  # when `meta.yaml` changed, and its size
        self._status: RunStatus = "running"

    def end(self) -> End | None:
        """How it ended; None while it goes on, or nothing is known."""
        try:
            status = (self.folder / "meta.yaml").stat()
        except OSError:
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            self._stamp, self._status = stamp, folder_status(self.folder)
        return end_of(self._status)


def last_lines(path: Path) -> list[str]:
    """The last lines of a log; none if it cannot be read."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LATEST))
            text = file.read(LATEST).decode("utf-8", "replace")
    except OSError:
        return []
    return list(deque(text.replace("\r", "\n").splitlines(), maxlen=2 * TAIL))
