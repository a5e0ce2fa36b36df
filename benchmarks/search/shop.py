"""The child process that holds the curves. It sells points epoch by epoch, and writes down every one that it sold.

    python shop.py FOLDER    # a JSON object a line: requests on standard input, answers on standard output

Whoever asks learns nothing of a curve but the points it bought: not how long it is, nor how it goes on.
"""

import importlib.util
import json
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import numpy as np

COLUMNS = ("instance", "seed", "method", "workers", "worker", "trial", "bought", "epoch", "at", "loss")


def by_path(file: Path, name: str) -> ModuleType:
    """Import a file that is no part of any package."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"There is no Python file {file}. Expected it in the folder above --data.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def place_of(parameter: Any, value: Any) -> float:  # Any: a Parameter of the data's own instances.py
    """Where a value lies in the unit cube; what `Parameter.decode` turns back."""
    if parameter.kind == "cat":
        return (parameter.choices.index(value) + 0.5) / len(parameter.choices)
    low, high, here = (log(x) if parameter.log else x for x in (parameter.lo, parameter.hi, float(value)))
    return (here - low) / (high - low)


def plain(value: Any) -> Any:  # Any: a number of numpy, or what is plain already
    """The same as JSON knows it."""
    return value.item() if isinstance(value, np.generic) else value


@dataclass(kw_only=True, slots=True)
class Bought:
    """One trial: the row or point it trains, and how its curve goes."""

    what: str  # the row's number, or the point's coordinates
    params: dict[str, Any]
    seen: list[float]  # what the script logs after each epoch
    true: list[float]  # the same without added noise


@dataclass(kw_only=True, slots=True)
class Session:
    """One night: one method with one seed on one instance."""

    instance: Any  # an Instance of instances.py
    head: str  # first columns of every line of its log
    file: TextIO
    noise: float
    seed: int
    trials: dict[str, Bought] = field(default_factory=dict)
    going: dict[str, list] = field(default_factory=dict)  # attempt -> trial, worker, epochs done
    used: set[int] = field(default_factory=set)
    epochs: int = 0

    def begin(self, attempt: str, trial: str, worker: str, params: Mapping[str, Any], from_step: int) -> dict[str, Any]:
        """Let an attempt begin; on a table, a new trial gets the nearest row that no other had."""
        bought = self.trials.get(trial)
        if bought is None:
            point = np.array([place_of(axis, params[axis.name]) for axis in self.instance.space])
            bought = self._on_row(point) if hasattr(self.instance, "points") else self._at(point, params)
            if bought is None:
                return {"refused": f"all {self.instance.n} rows of the table were run"}
            self.trials[trial] = bought
        self.going[attempt] = [trial, worker, from_step]
        return {"params": bought.params}

    def _on_row(self, point: np.ndarray) -> Bought | None:
        if len(self.used) >= self.instance.n:
            return None
        row = self.instance.nearest(point, self.used)
        self.used.add(row)
        params = {name: plain(value) for name, value in self.instance.decode(self.instance.points[row]).items()}
        return self._curve(str(row), params, self.instance.curve(row))

    def _at(self, point: np.ndarray, params: Mapping[str, Any]) -> Bought:
        return self._curve(" ".join(f"{x:.5g}" for x in point), dict(params), self.instance.curve(point))

    def _curve(self, what: str, params: dict[str, Any], curve: np.ndarray) -> Bought:
        true = np.asarray(curve, dtype=float)
        scale = self.noise * (self.instance.reference_loss - self.instance.best_loss)
        rng = np.random.default_rng([self.seed, zlib.crc32(what.encode())])
        seen = true + scale * rng.standard_normal(len(true)) if self.noise else true
        return Bought(what=what, params=params, seen=seen.tolist(), true=true.tolist())

    def train(self, steps: int, attempts: list[str], at: float) -> dict[str, Any]:
        """Let attempts train so many epochs side by side, or as many as it takes until the first of them is over.

        `at`: simulated seconds when they go on; an epoch takes one.
        """
        runs = {attempt: (self.going[attempt], self.trials[self.going[attempt][0]]) for attempt in attempts}
        steps = min([steps, *(len(bought.seen) - run[2] for run, bought in runs.values())])
        lines: list[str] = []
        for step in range(steps):
            for (trial, worker, done), bought in runs.values():
                epoch = done + step
                lines.append(f"{self.head},{worker},{trial},{bought.what},{epoch + 1},{at + step + 1:g},{bought.true[epoch]!r}\n")
        self.file.writelines(lines)
        self.epochs += len(lines)
        values, over = {}, []
        for attempt, (run, bought) in runs.items():
            values[attempt] = bought.seen[run[2] : run[2] + steps]
            run[2] += steps
            if run[2] >= len(bought.seen):
                over.append(attempt)
        return {"steps": steps, "values": values, "over": over}

    def close(self) -> dict[str, Any]:
        """End the night: everything sold is on disk."""
        self.file.close()
        return {"epochs": self.epochs}

    def finals(self) -> dict[str, Any]:
        """How every trial of a night that is over would have ended: its length, and what it would have logged last."""
        return {"finals": {trial: [len(bought.seen), bought.seen[-1]] for trial, bought in self.trials.items()}}


class Shop:
    """Answers requests, one after another."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.instances = by_path(data.resolve().parent / "instances.py", "searchbench_instances")
        self.known: dict[str, Any] = {}
        self.session: Session | None = None
        self.over: Session | None = None  # the newest that was closed

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; the first key is the verb."""
        verb = request.pop("do")
        if verb == "names":
            return {"names": self.instances.names(self.data)}
        if verb == "open":
            return self.open(**request)
        if verb == "finals" and self.session is None and self.over is not None:
            return self.over.finals()
        if self.session is None or verb == "finals":
            raise ValueError(f"{verb} was asked at the wrong time. Expected open; then begin and train; then close; then finals.")
        answer = {"begin": self.session.begin, "train": self.session.train, "close": self.session.close}[verb](**request)
        if verb == "close":
            self.session, self.over = None, self.session
        return answer

    def open(self, instance: str, seed: int, method: str, workers: int, log: str, noise: float, pool: bool) -> dict[str, Any]:
        """Open a night and its log; say what the space is, and with `pool` which configurations the table has."""
        if instance not in self.known:
            self.known = {instance: self.instances.load(instance, self.data)}
        found = self.known[instance]
        file = Path(log).open("w")  # noqa: SIM115  # Session.close closes it
        file.write(",".join(COLUMNS) + "\n")
        run_seed = zlib.crc32(f"{instance}/{seed}".encode())  # shared seeds would make the taskset instances one sample
        head = f"{instance},{seed},{method},{workers}"
        self.session = Session(instance=found, head=head, file=file, noise=noise, seed=run_seed)
        axes = [{"name": p.name, "kind": p.kind, "low": p.lo, "high": p.hi, "log": p.log, "choices": list(p.choices or ())}
                for p in found.space]  # fmt: skip
        rows = getattr(found, "n", 0)
        offered = [{n: plain(v) for n, v in found.decode(u).items()} for u in found.points] if pool and rows else []
        return {"horizon": found.horizon, "seed": run_seed, "axes": axes, "rows": rows, "pool": offered}


def main() -> None:
    """Answer until standard input ends."""
    sys.path.append(str(Path(__file__).resolve().parents[1]))  # for instances that are made up here: they share search/axes.py
    shop, answers = Shop(Path(sys.argv[1])), sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is no answer
    for line in sys.stdin:
        try:
            answer = shop.answer(json.loads(line))
        except Exception as error:  # told, so that the night that asked ends with a sentence
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
