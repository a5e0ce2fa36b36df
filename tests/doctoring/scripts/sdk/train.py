"""A cooperative script: the SDK gives parameters, seed and checkpoints; Adam with warm-up and cosine."""

import json
import math
import time

import numpy as np

import secondshift


class Job:
    """A softmax over random features of two rings and a blob."""

    def __init__(self, lr, features, seed, horizon):
        self.base_lr, self.horizon = lr, horizon
        data = np.random.default_rng(99)
        self.x, self.y = self.make(data, 800)
        self.val_x, self.val_y = self.make(data, 400)
        self.rng = np.random.default_rng(seed)
        self.project = self.rng.normal(0, 1.0, (2, features))
        self.w = self.rng.normal(0, 0.1, (features, 3))
        self.m, self.v, self.t = np.zeros_like(self.w), np.zeros_like(self.w), 0
        self.scheduled = 0

    @staticmethod
    def make(rng, n):
        y = rng.integers(3, size=n)
        angle = rng.uniform(0, 2 * math.pi, n)
        radius = np.array([0.3, 1.2, 2.0])[y] + rng.normal(0, 0.25, n)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), y

    def probabilities(self, x):
        scores = np.tanh(x @ self.project) @ self.w
        scores -= scores.max(axis=1, keepdims=True)
        p = np.exp(scores)
        return p / p.sum(axis=1, keepdims=True)

    def loss(self, x, y):
        return float(-np.log(self.probabilities(x)[np.arange(len(y)), y] + 1e-12).mean())

    def rate(self):
        warm = min(1.0, (self.scheduled + 1) / 5)
        return self.base_lr * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, self.scheduled / self.horizon)))

    def train_step(self):
        lr = self.rate()
        self.scheduled += 1
        rows = self.rng.integers(len(self.x), size=64)
        p = self.probabilities(self.x[rows])
        p[np.arange(64), self.y[rows]] -= 1
        grad = np.tanh(self.x[rows] @ self.project).T @ p / 64
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * grad
        self.v = 0.999 * self.v + 0.001 * grad**2
        self.w = self.w - lr * (self.m / (1 - 0.9**self.t)) / (np.sqrt(self.v / (1 - 0.999**self.t)) + 1e-8)
        time.sleep(0.015)

    def save(self, folder):
        np.savez(folder / "weights.npz", w=self.w, project=self.project)
        np.savez(folder / "adam.npz", m=self.m, v=self.v, t=self.t)
        state = {"scheduled": self.scheduled, "rng": self.rng.bit_generator.state}
        (folder / "state.json").write_text(json.dumps(state))

    def load(self, folder):
        weights, adam = np.load(folder / "weights.npz"), np.load(folder / "adam.npz")
        self.w, self.project = weights["w"], weights["project"]
        self.m, self.v, self.t = adam["m"], adam["v"], int(adam["t"])
        state = json.loads((folder / "state.json").read_text())
        self.scheduled, self.rng.bit_generator.state = state["scheduled"], state["rng"]


run = secondshift.init(horizon=60)
p = run.params(lr=0.05, features=40)
job = Job(p.lr, p.features, run.seed, run.horizon)
start = 0
if checkpoint := run.restore():
    job.load(checkpoint.path)
    start = checkpoint.step
for step in range(start, run.horizon):
    job.train_step()
    run.log(step, train_loss=job.loss(job.x, job.y))
    if run.eval_due(step):
        run.log(step, val_loss=job.loss(job.val_x, job.val_y))
    if run.checkpoint_due(step):
        with run.checkpoint(step + 1) as folder:
            job.save(folder)
        if run.stopping:
            break
run.close()
