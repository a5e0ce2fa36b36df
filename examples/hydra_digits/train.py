"""Classify handwritten digits with numpy, configured by Hydra: `python train.py optimizer.lr=0.2 model=hidden`.

A script as people have them: a configuration with a group, overrides on the command line, numbers that go to the log.
"""

import logging
from itertools import pairwise

import hydra
import numpy as np
from omegaconf import DictConfig
from sklearn.datasets import load_digits

log = logging.getLogger(__name__)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Turn scores (rows, classes) into probabilities."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """Train on a fixed part of the digits, say how well the rest is told after each epoch."""
    pixels, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))  # the same parts for every seed
    pixels, digits = pixels[order] / 16.0, digits[order]
    x, y, val_x, val_y = pixels[:1300], digits[:1300], pixels[1300:], digits[1300:]

    rng = np.random.default_rng(cfg.seed)
    sizes = [64, cfg.model.hidden, 10] if cfg.model.hidden else [64, 10]
    layers = [rng.normal(0, a**-0.5, (a, b)) for a, b in pairwise(sizes)]
    for epoch in range(1, cfg.epochs + 1):
        for rows in np.array_split(rng.permutation(len(x)), 20):
            inputs = [x[rows]]
            for layer in layers[:-1]:
                inputs.append(np.tanh(inputs[-1] @ layer))
            error = softmax(inputs[-1] @ layers[-1])
            error[np.arange(len(rows)), y[rows]] -= 1
            for number in reversed(range(len(layers))):
                step = inputs[number].T @ error / len(rows) + cfg.optimizer.decay * layers[number]
                error = error @ layers[number].T * (1 - inputs[number] ** 2)
                layers[number] -= cfg.optimizer.lr * step
        values = val_x
        for layer in layers[:-1]:
            values = np.tanh(values @ layer)
        chances = softmax(values @ layers[-1])
        loss = -np.log(chances[np.arange(len(val_y)), val_y] + 1e-12).mean()
        log.info("epoch=%d val_loss=%.5f val_acc=%.4f", epoch, loss, (chances.argmax(axis=1) == val_y).mean())


if __name__ == "__main__":
    main()
