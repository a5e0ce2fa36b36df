"""Train a spiral classifier from `key=value` overrides, with callbacks as Keras has them."""

from __future__ import annotations

import csv
import math
import os
import pickle
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from networks import Adam, Net


@dataclass
class Config:
    lr: float = 0.01
    hidden: int = 32
    epochs: int = 24
    batch_size: int = 50
    seed: int = 0
    out: str = "outputs"
    checkpoints: str = ""

    @classmethod
    def from_overrides(cls, overrides: list[str]) -> Config:
        kinds = {f.name: type(f.default) for f in fields(cls)}
        pairs = (text.split("=", 1) for text in overrides)
        return cls(**{key: kinds[key](value) for key, value in pairs})


def spirals(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y = rng.integers(3, size=n)
    radius = rng.uniform(0.1, 1, n)
    angle = 4.5 * radius + y * 2 * math.pi / 3 + rng.normal(0, 0.25, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1) * 3, y


class CosineSchedule:
    """One cosine from `base` to nothing over `total` batches."""

    def __init__(self, base: float, total: int):
        self.base, self.total, self.last = base, total, 0

    def step(self) -> float:
        lr = 0.5 * self.base * (1 + math.cos(math.pi * min(1.0, self.last / self.total)))
        self.last += 1
        return lr


class CSVLogger:
    def __init__(self, folder: str):
        os.makedirs(folder, exist_ok=True)
        self.file = open(os.path.join(folder, "history.csv"), "a", newline="")  # noqa: SIM115
        self.writer = csv.writer(self.file)
        if self.file.tell() == 0:
            self.writer.writerow(["epoch", "train_loss", "val_loss", "val_accuracy"])

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict) -> None:
        self.writer.writerow([epoch, logs["train_loss"], logs["val_loss"], logs["val_accuracy"]])
        self.file.flush()


class ModelCheckpoint:
    def __init__(self, folder: str, every: int = 2):
        self.path, self.every = Path(folder) / "last.ckpt", every

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict) -> None:
        if (epoch + 1) % self.every == 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft = self.path.with_suffix(".part")
            draft.write_bytes(pickle.dumps(trainer.state_dict(epoch + 1)))
            draft.rename(self.path)


class Trainer:
    def __init__(self, cfg: Config):
        self.cfg = cfg
        data = np.random.default_rng(0)
        self.train, self.val = spirals(1000, data), spirals(500, data)
        self.rng = np.random.default_rng(cfg.seed)
        self.net = Net((2, cfg.hidden, 3), self.rng)
        self.optimizer = Adam(self.net.params)
        self.schedule = CosineSchedule(cfg.lr, cfg.epochs * (1000 // cfg.batch_size))
        self.callbacks: list = [CSVLogger(cfg.out)]
        self.first_epoch = 0
        if cfg.checkpoints:
            self.callbacks.append(ModelCheckpoint(cfg.checkpoints))

    def state_dict(self, epoch: int) -> dict:
        return {
            "epoch": epoch,
            "net": self.net.params,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.last,
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict) -> None:
        self.first_epoch, self.net.params = state["epoch"], state["net"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.last = state["schedule"]
        self.rng.bit_generator.state = state["rng"]

    def evaluate(self, split: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
        logp = self.net.forward(split[0])[1]
        return float(-logp[np.arange(len(logp)), split[1]].mean()), float((logp.argmax(1) == split[1]).mean())

    def train_epoch(self) -> None:
        x, y = self.train
        for rows in np.array_split(self.rng.permutation(len(x)), len(x) // self.cfg.batch_size):
            self.optimizer.update(self.net.params, self.net.backward(x[rows], y[rows]), self.schedule.step())
        time.sleep(0.03)

    def fit(self) -> None:
        for epoch in range(self.first_epoch, self.cfg.epochs):
            self.train_epoch()
            train_loss, _ = self.evaluate(self.train)
            val_loss, val_accuracy = self.evaluate(self.val)
            logs = {"train_loss": train_loss, "val_loss": val_loss, "val_accuracy": val_accuracy}
            for callback in self.callbacks:
                callback.on_epoch_end(self, epoch, logs)
        print("done", flush=True)


if __name__ == "__main__":
    config = Config.from_overrides(sys.argv[1:])
    trainer = Trainer(config)
    newest = Path(config.checkpoints or ".") / "last.ckpt"
    if config.checkpoints and newest.exists():
        trainer.load_state_dict(pickle.loads(newest.read_bytes()))
    trainer.fit()
