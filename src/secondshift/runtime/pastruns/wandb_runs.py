"""Reads W&B offline runs without W&B: history, configuration and exit from the records of the run's `.wandb` file."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from secondshift.records.pastruns import PastRun, RunStatus
from secondshift.runtime.pastruns.gathering import LIMIT, Gathered, flattened
from secondshift.runtime.pastruns.plain_yaml import read_yaml
from secondshift.runtime.readers.offline_runs import read_run
from secondshift.runtime.readers.protobuf import BYTES, VARINT, fields

_CONFIG, _RUN, EXIT = 5, 17, 18  # numbers of the fields of a record


@dataclass(slots=True)
class _Told:
    """What the records of one file say beside points."""

    config: dict[str, object] = field(default_factory=dict)
    run: str = ""
    name: str = ""
    started_at: float = 0.0
    code: int | None = None  # of the script's exit; None: not written
    runtime_s: int = 0

    def look(self, record: bytes) -> None:
        """Take in one record; what makes no sense is left out."""
        try:
            for number, wire, value in fields(record):
                if wire != BYTES or not isinstance(value, bytes):
                    continue
                if number == _CONFIG:
                    self._config(value)
                elif number == _RUN:
                    self._run(value)
                elif number == EXIT:
                    self._exit(value)
        except (ValueError, RecursionError):
            return

    def _config(self, content: bytes) -> None:
        for number, _, value in fields(content):
            if number not in (1, 2) or not isinstance(value, bytes):
                continue
            names, text = [], ""
            for inner, _, part in fields(value):
                if inner in (1, 2) and isinstance(part, bytes):
                    names.append(part.decode("utf-8", "replace"))
                elif inner == 16 and isinstance(part, bytes):
                    text = part.decode("utf-8", "replace")
            name = ".".join(part for part in names if part)
            if number == 2:
                self.config.pop(name, None)
            elif name and not name.startswith("_"):
                self.config[name] = json.loads(text)

    def _run(self, content: bytes) -> None:
        for number, wire, value in fields(content):
            if wire != BYTES or not isinstance(value, bytes):
                continue
            if number == 1:
                self.run = value.decode("utf-8", "replace")
            elif number == 4:
                self._config(value)
            elif number == 8:
                self.name = value.decode("utf-8", "replace")
            elif number == 17:
                parts = {inner: part for inner, kind, part in fields(value) if kind == VARINT and isinstance(part, int)}
                self.started_at = parts.get(1, 0) + parts.get(2, 0) / 1e9

    def _exit(self, content: bytes) -> None:
        self.code, self.runtime_s = exit_of(content)


def exit_of(content: bytes) -> tuple[int, int]:
    """The code of a record of an exit, and how long the run lasted (s). Raises ValueError if it is none."""
    found = {number: value for number, wire, value in fields(content) if wire == VARINT and isinstance(value, int)}
    return found.get(1, 0), found.get(2, 0)


def wandb_run(file: Path) -> PastRun:
    """Read one run. A file without the record of its end is that of a run that goes on, or was killed with its logger."""
    told, gathered = _Told(), Gathered()
    gathered.drain(lambda start: read_run(str(file), start, ended=True, limit=LIMIT, look=told.look))
    run = told.run or file.stem.removeprefix("run-")
    config = flattened(told.config) or _file(file.parent / "files" / "config.yaml")
    status: RunStatus = "running" if told.code is None else "finished" if told.code == 0 else "failed"
    ended = told.started_at + told.runtime_s if told.started_at and told.code is not None else 0.0
    return PastRun(
        source="wandb", run=run, name=told.name or run, status=status, params=config, columns=gathered.columns,
        started_at=told.started_at, ended_at=ended, damaged=gathered.damaged,
    )  # fmt: skip


def _file(path: Path) -> dict:
    """Read the configuration as an online run keeps it: each name has its value under `value`."""
    found = read_yaml(path)
    return {
        name.removesuffix(".value"): value
        for name, value in found.items()
        if not name.startswith(("_", "wandb_version"))
    }
