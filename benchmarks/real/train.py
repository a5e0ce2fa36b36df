"""Train a small network on 8x8 images of handwritten digits, one epoch a step, and witness every epoch that is trained.

The script of a study: it pauses and resumes by secondshift's SDK. Beside that, and without it, each process appends a line
for every epoch to a log of its own in the folder that WITNESS names: what was really trained, whatever a ledger says.
Everything random in an epoch comes from the seed and the epoch's number, so a resumed run ends as an unbroken one.
"""

import json
import os
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

import secondshift

HORIZON = 30  # epochs, where no study says otherwise
DATA = "digits.npz"  # in the working folder; see studies.py
WITNESS = "WITNESS"  # names a folder
NOISE = "NOISE"  # set: nothing is trained, and every loss is drawn by chance
DEFAULTS = {
    "lr": 0.01, "batch": 32, "width": 64, "momentum": 0.5, "weight_decay": 1e-5, "init_scale": 1.0, "dropout": 0.1,
    "activation": "relu",
}  # fmt: skip


class Job:
    """A network of two hidden layers, trained by stochastic gradient descent with momentum, weight decay and dropout."""

    def __init__(
        self, data: dict[str, np.ndarray], *, lr: float, batch: int, width: int, momentum: float, weight_decay: float,
        init_scale: float, dropout: float, activation: str, seed: int,
    ) -> None:  # fmt: skip
        self.data, self.lr, self.batch, self.momentum, self.decay = data, lr, batch, momentum, weight_decay
        self.dropout, self.activation, self.seed = dropout, activation, seed
        random, sizes = np.random.default_rng([seed, 0]), (data["x"].shape[1], width, width, 10)
        self.weights: list[np.ndarray] = []
        for wide, narrow in pairwise(sizes):
            self.weights += [random.normal(0, init_scale / np.sqrt(wide), (wide, narrow)), np.zeros(narrow)]
        self.speeds = [np.zeros_like(weight) for weight in self.weights]

    def _activate(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.activation == "tanh":
            y = np.tanh(x)
            return y, 1 - y * y
        if self.activation == "logistic":
            y = 1 / (1 + np.exp(-x))
            return y, y * (1 - y)
        slope = (x > 0).astype(x.dtype)
        return x * slope, slope

    def _forward(self, x: np.ndarray, random: np.random.Generator | None = None) -> tuple[list, list, np.ndarray]:
        """Inputs of the layers, slopes behind them, and log probabilities [n, 10]; with dropout where `random` is given."""
        w, inputs, slopes = self.weights, [x], []
        for layer in (0, 2):
            y, slope = self._activate(inputs[-1] @ w[layer] + w[layer + 1])
            if random is not None and self.dropout:
                kept = (random.random(y.shape) >= self.dropout) / (1 - self.dropout)
                y, slope = y * kept, slope * kept
            inputs.append(y)
            slopes.append(slope)
        scores = inputs[-1] @ w[4] + w[5]
        scores = scores - scores.max(axis=1, keepdims=True)
        return inputs, slopes, scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    def train_epoch(self, epoch: int) -> None:
        """One pass over the training images."""
        random = np.random.default_rng([self.seed, 1 + epoch])
        order = random.permutation(len(self.data["x"]))
        for at in range(0, len(order) - self.batch + 1, self.batch):
            rows = order[at : at + self.batch]
            self._descend(self.data["x"][rows], self.data["y"][rows], random)

    def _descend(self, x: np.ndarray, digits: np.ndarray, random: np.random.Generator) -> None:
        inputs, slopes, logs = self._forward(x, random)
        error = np.exp(logs)
        error[np.arange(len(digits)), digits] -= 1
        error /= len(digits)
        for layer in (4, 2, 0):
            gradients = (inputs[layer // 2].T @ error + self.decay * self.weights[layer], error.sum(axis=0))
            if layer:
                error = (error @ self.weights[layer].T) * slopes[layer // 2 - 1]
            for at, gradient in zip((layer, layer + 1), gradients, strict=True):
                self.speeds[at] = self.momentum * self.speeds[at] - self.lr * gradient
                self.weights[at] = self.weights[at] + self.speeds[at]

    def loss(self, part: str) -> float:
        """Mean loss in nats on the images kept back: "val", by which a search goes, or "test", which it never sees."""
        logs = self._forward(self.data[f"{part}_x"])[2]
        return float(-logs[np.arange(len(logs)), self.data[f"{part}_y"]].mean())

    def save(self, folder: Path) -> None:
        """Write what shapes the rest of the curve."""
        np.savez(Path(folder) / "arrays.npz", *self.weights, *self.speeds)

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote."""
        with np.load(Path(folder) / "arrays.npz") as arrays:
            loaded = [arrays[f"arr_{n}"] for n in range(12)]
        self.weights, self.speeds = loaded[:6], loaded[6:]


class Witness:
    """A log of this process alone, one line an epoch, each a single write to a file opened for appending."""

    def __init__(self, folder: str | None, params: dict[str, object], seed: int, start: int) -> None:
        self.file, self.known = -1, {"params": params, "seed": seed}
        if folder:
            path = Path(folder) / f"{os.getpid()}-{time.time_ns()}.log"
            self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            self.write({"began": time.time(), "from": start})

    def write(self, line: dict[str, object]) -> None:
        """Append a line."""
        if self.file >= 0:
            os.write(self.file, (json.dumps({**line, **self.known}) + "\n").encode())


def noise(params: dict[str, object], seed: int, epoch: int) -> float:
    """A loss that says nothing of its parameters: drawn anew for each of them, each seed and each epoch."""
    drawn = np.random.default_rng([*json.dumps(params, sort_keys=True).encode(), seed, epoch])
    return float(1.0 + 0.1 * drawn.standard_normal())


def main() -> None:
    """Go on from the newest checkpoint if there is one, and train until told to leave."""
    run = secondshift.init(horizon=HORIZON)
    params, only_noise = dict(run.params(**DEFAULTS)), NOISE in os.environ
    job, start = None, 0
    if not only_noise:
        with np.load(DATA) as arrays:
            job = Job(dict(arrays), **params, seed=run.seed)
    if checkpoint := run.restore():
        start = checkpoint.step
        if job is not None:
            job.load(checkpoint.path)
    witness = Witness(os.environ.get(WITNESS), params, run.seed, start)
    for epoch in range(start, run.horizon):
        began, val, test = time.perf_counter(), noise(params, run.seed, epoch), float("nan")
        if job is not None:
            with np.errstate(all="ignore"):  # a rate that is too high diverges: that is a result
                job.train_epoch(epoch)
                val, test = job.loss("val"), job.loss("test")
        took = time.perf_counter() - began
        run.log(epoch, val_loss=val)
        witness.write({"epoch": epoch, "loss": val, "test": test, "took_s": took, "at": time.time()})
        if run.checkpoint_due(epoch):
            with run.checkpoint(epoch + 1) as folder:
                if job is not None:
                    job.save(folder)
                else:
                    (Path(folder) / "nothing").write_text("noise has no weights")
        if run.stopping:
            break
    run.close()


if __name__ == "__main__":
    main()
