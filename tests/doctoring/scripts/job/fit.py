"""Fit a two-layer regression network from a JSON config: SGD with momentum, MultiStepLR, one JSON line an epoch."""

import json
import os
import random
import sys
import time

import numpy as np


class MultiStepLR:
    def __init__(self, lr, milestones, gamma=0.2):
        self.lr, self.milestones, self.gamma, self.epoch = lr, milestones, gamma, 0

    def step(self):
        self.epoch += 1

    @property
    def value(self):
        return self.lr * self.gamma ** sum(self.epoch >= m for m in self.milestones)


class SGD:
    def __init__(self, params, momentum=0.9):
        self.params, self.momentum = params, momentum
        self.buffers = [np.zeros_like(p) for p in params]

    def step(self, grads, lr):
        for p, b, g in zip(self.params, self.buffers, grads, strict=True):
            b *= self.momentum
            b += g
            p -= lr * b


class Model:
    def __init__(self, width, seed):
        rng = np.random.default_rng(seed)
        self.params = [
            rng.normal(0, 0.4, (8, width)),
            np.zeros(width),
            rng.normal(0, width**-0.5, (width, 1)),
            np.zeros(1),
        ]

    def __call__(self, x):
        w1, b1, w2, b2 = self.params
        return np.maximum(x @ w1 + b1, 0) @ w2 + b2

    def grads(self, x, y):
        w1, b1, w2, b2 = self.params
        pre = x @ w1 + b1
        d = 2 * (np.maximum(pre, 0) @ w2 + b2 - y) / len(x)
        dh = (d @ w2.T) * (pre > 0)
        return [x.T @ dh, dh.sum(0), np.maximum(pre, 0).T @ d, d.sum(0)]


def friedman(n, rng):
    x = rng.uniform(0, 1, (n, 8))
    y = np.sin(np.pi * x[:, 0] * x[:, 1]) + 2 * (x[:, 2] - 0.5) ** 2 + x[:, 3] + 0.5 * x[:, 4]
    return (x - 0.5) * 3, (y + rng.normal(0, 0.1, n))[:, None]


def main():
    cfg = {"optimizer": {"lr": 0.003, "momentum": 0.9}, "model": {"width": 40}}
    for path in sys.argv[3:]:
        with open(path) as file:
            for section, values in json.load(file).items():
                cfg[section].update(values)
    epochs, seed = int(sys.argv[1]), int(sys.argv[2])
    random.seed(seed)

    data_rng = np.random.default_rng(11)
    train, test = friedman(480, data_rng), friedman(400, data_rng)
    model = Model(cfg["model"]["width"], seed)
    opt = SGD(model.params, cfg["optimizer"]["momentum"])
    sched = MultiStepLR(cfg["optimizer"]["lr"], [int(epochs * 0.7), int(epochs * 0.9)])
    epoch = 0
    folder = os.environ.get("CKPT_DIR", "")
    newest = os.path.join(folder, "newest.npy")
    if folder and os.path.isfile(newest):
        state = np.load(newest, allow_pickle=True).item()
        epoch, sched.epoch = state["epoch"], state["sched"]
        for p, saved in zip(model.params, state["model"], strict=True):
            p[...] = saved
        opt.buffers = state["buffers"]
        random.setstate(state["random"])

    while epoch < epochs:
        order = list(range(len(train[0])))
        random.shuffle(order)
        for i in range(0, len(order), 40):
            rows = order[i : i + 40]
            opt.step(model.grads(train[0][rows], train[1][rows]), sched.value)
        sched.step()
        time.sleep(0.03)
        losses = {name: float(np.mean((model(x) - y) ** 2)) for name, (x, y) in (("train", train), ("val", test))}
        print(json.dumps({"epoch": epoch, "loss": losses["train"], "val_loss": losses["val"]}), flush=True)
        epoch += 1
        if folder and epoch % 3 == 0:
            state = {"epoch": epoch, "model": model.params, "buffers": opt.buffers, "sched": sched.epoch}
            state["random"] = random.getstate()
            np.save(newest + ".tmp.npy", np.array(state, dtype=object), allow_pickle=True)
            os.replace(newest + ".tmp.npy", newest)


if __name__ == "__main__":
    main()
