"""A real, small training whose best learning rate falls while it trains: noisy gradients of a linear model, by numpy.

Far from the optimum a large rate is right; close to it the noise of small batches keeps a large rate from getting closer.
"""

import sys

import numpy as np

DIMENSIONS, ROWS, BATCH = 30, 2000, 4


class Job:
    """A linear model trained on small batches; the same seed and step give the same batch, whatever came before."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(11)
        scales = np.geomspace(1.0, 0.3, DIMENSIONS)
        self.inputs = rng.standard_normal((ROWS, DIMENSIONS)) * scales
        truth = rng.standard_normal(DIMENSIONS) / scales
        self.targets = self.inputs @ truth + 0.5 * rng.standard_normal(ROWS)
        self.best = float(np.mean((self.targets - self.inputs @ np.linalg.lstsq(self.inputs, self.targets, rcond=None)[0]) ** 2))
        self.seed, self.weights = seed, np.zeros(DIMENSIONS)

    def step(self, step: int, rate: float) -> None:
        """One step of plain gradient descent."""
        rows = np.random.default_rng([self.seed, step]).integers(0, ROWS, BATCH)
        inputs = self.inputs[rows]
        self.weights = self.weights - rate * inputs.T @ (inputs @ self.weights - self.targets[rows]) / BATCH

    def loss(self) -> float:
        """How far the error on all rows is above the least there is."""
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.mean((self.targets - self.inputs @ self.weights) ** 2)) - self.best


def main() -> None:
    """Train as the study says, from the newest checkpoint."""
    import secondshift

    run = secondshift.init()
    rate = float(run.params(lr=0.01).lr)
    job, start = Job(run.seed), 0
    if checkpoint := run.restore():
        job.weights, start = np.load(checkpoint.path / "weights.npy"), checkpoint.step
        run.log(start, taken_over=job.loss())
    for step in range(start, run.horizon):
        job.step(step, rate)
        run.log(step, loss=job.loss())
        if run.checkpoint_due(step):
            with run.checkpoint(step + 1) as folder:
                np.save(folder / "weights.npy", job.weights)
            if run.stopping:
                break
    run.close()


if __name__ == "__main__":
    sys.exit(main())
