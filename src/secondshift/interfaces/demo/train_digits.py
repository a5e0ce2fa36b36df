"""Train a small network on 8x8 images of handwritten digits: what the demo's night is made of.

Everything that shapes the curve is in the checkpoint (weights, momentum, the random generator), so a run that was
paused or killed ends with the very numbers of one that was not. One step is PASSES passes over the training images,
each shifted by up to one pixel at random.
"""

import gzip
import json
import os
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np

import secondshift

HORIZON = 27  # steps, where no study says otherwise
PASSES = 6
TRAINED, JUDGED = 1200, 597  # images; the split is the same for every seed
PIXELS, DIGITS = 64, 10
DEFAULTS = {"lr": 0.02, "width": 128, "momentum": 0.8, "batch": 40, "l2": 1e-4, "activation": "relu"}
DRILL = "DIGITS_DRILL"  # names a file with a step in it: the first run that gets there takes the file and crashes


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return 1797 images (n, 64) in 0..1 and their digits (n,), from the file that scikit-learn ships.

    The file is read directly, because importing scikit-learn takes longer than training here.
    """
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("scikit-learn is not installed, and the digits are in it: pip install scikit-learn")
    with gzip.open(Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    table = table[np.random.default_rng(0).permutation(len(table))]
    return table[:, :PIXELS] / 16.0, table[:, PIXELS].astype(np.int64)


def shift_maps() -> np.ndarray:
    """Return the pixels (9, 64) of a 10x10 padded image that a shift by -1, 0 or 1 in each direction shows."""
    grid = np.arange(100).reshape(10, 10)
    return np.stack([grid[dy : dy + 8, dx : dx + 8].ravel() for dy in range(3) for dx in range(3)])


class Job:
    """A network of two hidden layers, trained by stochastic gradient descent with momentum."""

    def __init__(
        self, *, lr: float, width: int, momentum: float, batch: int, l2: float, activation: str, seed: int
    ) -> None:
        images, digits = load_digits()
        self.lr, self.momentum, self.batch, self.l2, self.activation = lr, momentum, batch, l2, activation
        self.random = np.random.default_rng(seed)
        self.padded = np.pad(images[:TRAINED].reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1))).reshape(TRAINED, 100)
        self.targets, self.maps = digits[:TRAINED], shift_maps()
        self.judged, self.answers = images[TRAINED : TRAINED + JUDGED], digits[TRAINED : TRAINED + JUDGED]
        sizes = [PIXELS, width, width, DIGITS]
        self.weights: list[np.ndarray] = []
        for wide, narrow in pairwise(sizes):
            self.weights += [self.random.normal(0, np.sqrt(2 / wide), (wide, narrow)), np.zeros(narrow)]
        self.speeds = [np.zeros_like(weight) for weight in self.weights]

    def activate(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the activation and its slope."""
        if self.activation == "tanh":
            y = np.tanh(x)
            return y, 1 - y * y
        slope = (x > 0).astype(x.dtype) if self.activation == "relu" else np.where(x > 0, 1.0, 0.1)
        return x * slope, slope

    def forward(self, x: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
        """Return the layers' inputs, the activations' slopes, and the log probabilities (n, 10)."""
        w, inputs, slopes = self.weights, [x], []
        for layer in (0, 2):
            y, slope = self.activate(inputs[-1] @ w[layer] + w[layer + 1])
            inputs.append(y)
            slopes.append(slope)
        scores = inputs[-1] @ w[4] + w[5]
        scores = scores - scores.max(axis=1, keepdims=True)
        return inputs, slopes, scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    def descend(self, x: np.ndarray, digits: np.ndarray) -> float:
        """Do one update on a batch and return its loss in nats."""
        inputs, slopes, logs = self.forward(x)
        rows = np.arange(len(digits))
        error = np.exp(logs)
        error[rows, digits] -= 1
        error /= len(digits)
        for layer in (4, 2, 0):
            gradients = (inputs[layer // 2].T @ error + self.l2 * self.weights[layer], error.sum(axis=0))
            if layer:
                error = (error @ self.weights[layer].T) * slopes[layer // 2 - 1]
            for at, gradient in zip((layer, layer + 1), gradients, strict=True):
                self.speeds[at] = self.momentum * self.speeds[at] - self.lr * gradient
                self.weights[at] = self.weights[at] + self.speeds[at]
        return float(-logs[rows, digits].mean())

    def train_step(self) -> float:
        """Do one step and return the mean loss in nats."""
        losses = []
        for _ in range(PASSES):
            order = self.random.permutation(TRAINED)
            shown = self.padded[order[:, None], self.maps[self.random.integers(0, 9, TRAINED)]]
            for at in range(0, TRAINED - self.batch + 1, self.batch):
                here = slice(at, at + self.batch)
                losses.append(self.descend(shown[here], self.targets[order[here]]))
        return float(np.mean(losses))

    def evaluate(self) -> tuple[float, float]:
        """Return the loss in nats and the share of mistakes on images it was not trained on."""
        logs = self.forward(self.judged)[2]
        loss = float(-logs[np.arange(JUDGED), self.answers].mean())
        return loss, float((logs.argmax(axis=1) != self.answers).mean())

    def save(self, folder: Path) -> None:
        """Write everything that shapes the rest of the curve."""
        np.savez(Path(folder) / "arrays.npz", *self.weights, *self.speeds)
        (Path(folder) / "random.json").write_text(json.dumps(self.random.bit_generator.state))

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote."""
        with np.load(Path(folder) / "arrays.npz") as arrays:
            loaded = [arrays[f"arr_{n}"] for n in range(12)]
        self.weights, self.speeds = loaded[:6], loaded[6:]
        self.random.bit_generator.state = json.loads((Path(folder) / "random.json").read_text())


def crash_if_drilled(step: int) -> None:
    """Crash where the demo's drill says so, once: whoever takes the file away is the one that crashes."""
    file = os.environ.get(DRILL)
    try:
        if not file or step < int(Path(file).read_text()):
            return
        os.unlink(file)
    except (OSError, ValueError):
        return
    raise RuntimeError(f"This crash at step {step} is a drill: the demo asked for one failing trial.")


def main() -> None:
    """Train to the horizon, or until asked to leave."""
    run = secondshift.init(horizon=HORIZON)
    p = run.params(**DEFAULTS)
    job, start = Job(**p, seed=run.seed), 0
    if checkpoint := run.restore():
        job.load(checkpoint.path)
        start = checkpoint.step
    for step in range(start, run.horizon):
        if p["lr"] != DEFAULTS["lr"]:  # the baseline is spared: the brief compares the others with it
            crash_if_drilled(step)
        with np.errstate(all="ignore"):  # a rate that is too high gives NaN: that is a result, and it is logged
            run.log(step, train_loss=job.train_step())
            loss, mistakes = job.evaluate()
        if run.eval_due(step):
            run.log(step, val_loss=loss, val_error=mistakes)
        if run.checkpoint_due(step):
            with run.checkpoint(step + 1) as folder:
                job.save(folder)
            if run.stopping:
                break
    run.close()


if __name__ == "__main__":
    main()
