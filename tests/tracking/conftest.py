"""An attempt's folder as an executor makes it, and a way to read back what a script left in it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import secondshift
from secondshift.records.orders import Chunk
from secondshift.runtime.readers.fragments import collect_folder
from secondshift.tracking import runs

SOURCE = Path(secondshift.__file__).parents[1]


class Attempt:
    """A study's private folder with one attempt ordered in it."""

    def __init__(self, private: Path) -> None:
        self.folder = private / "attempts" / "t1.a1"
        self.checkpoints = private / "trials" / "t1" / "checkpoints"
        self.folder.mkdir(parents=True)
        self.order(horizon_steps=100)

    def order(self, **values: object) -> None:
        """Write order.json anew."""
        order = {"attempt": "t1.a1", "trial": "t1", "seed": 7, "checkpoints": str(self.checkpoints), **values}
        (self.folder / "order.json").write_text(json.dumps(order))

    def chunks(self, *, ended: bool = False) -> list[Chunk]:
        """Everything in the fragments, from their beginning on."""
        return collect_folder(self.folder, {}, trial="t1", attempt="t1.a1", ended=ended)

    def points(self, metric: str, *, ended: bool = False) -> list[tuple[int, float]]:
        """Steps and values of one metric over all fragments."""
        batches = [b for chunk in self.chunks(ended=ended) for b in chunk.batches if b.metric == metric]
        return [pair for batch in batches for pair in zip(batch.steps, batch.values, strict=True)]

    def notes(self, kind: str, *, ended: bool = False) -> list[dict]:
        """The values of all notes of a kind."""
        return [dict(n.values) for chunk in self.chunks(ended=ended) for n in chunk.notes if n.kind == kind]

    def spawn(self, script: str, **env: str) -> subprocess.Popen[str]:
        """Start a training script in the attempt; its standard output is a pipe."""
        variables = {**os.environ, "PYTHONPATH": str(SOURCE), "SECONDSHIFT_ATTEMPT": str(self.folder), **env}
        return subprocess.Popen(
            [sys.executable, "-c", script],
            env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def play(self, script: str, **env: str) -> tuple[int, str, str]:
        """Run a training script to its end; return exit code, output, errors."""
        child = self.spawn(script, **env)
        try:
            out, err = child.communicate(timeout=60)
        finally:
            child.kill()
            child.wait()
        return child.returncode, out, err


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attempt]:
    made = Attempt(tmp_path / ".secondshift")
    monkeypatch.setenv("SECONDSHIFT_ATTEMPT", str(made.folder))
    monkeypatch.setattr(runs, "_current", None)
    yield made
    if runs._current is not None:
        runs._current.close()
