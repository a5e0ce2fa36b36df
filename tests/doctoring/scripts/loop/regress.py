"""Fit a small network to a wavy function: plain SGD with momentum, the learning rate divided at milestones."""

import argparse
import sys
import time
from pathlib import Path

import numpy as np


def make_data(rng, n):
    x = rng.uniform(-2, 2, (n, 4))
    y = np.sin(2 * x[:, 0]) * x[:, 1] + 0.5 * np.cos(3 * x[:, 2]) + 0.3 * x[:, 3]
    return x, (y + rng.normal(0, 0.1, n))[:, None]


def forward(w, x):
    h1 = np.tanh(x @ w[0] + w[1])
    return h1, h1 @ w[2] + w[3]


def gradients(w, x, y):
    h1, out = forward(w, x)
    d = 2 * (out - y) / len(x)
    dh = (d @ w[2].T) * (1 - h1**2)
    return [x.T @ dh, dh.sum(0), h1.T @ d, d.sum(0)]


def mse(w, x, y):
    return float(np.mean((forward(w, x)[1] - y) ** 2))


def get_args():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.05)
    p.add_argument("--momentum", type=float, default=0.9)
    p.add_argument("--hidden", type=int, default=32, help="hidden units")
    p.add_argument("--batch", type=int, default=100)
    p.add_argument("--steps", type=int, default=50, help="steps of 4 batches")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--ckpt-dir", type=Path, help="keep a checkpoint here, and go on from it")
    args, _ = p.parse_known_args()
    return args


def main():
    args = get_args()
    data_rng = np.random.default_rng(42)
    x, y = make_data(data_rng, 1500)
    x_val, y_val = make_data(data_rng, 500)
    rng = np.random.default_rng(args.seed)
    w = [rng.normal(0, 0.5, (4, args.hidden)), rng.normal(0, 0.5, args.hidden)]
    w += [rng.normal(0, args.hidden**-0.5, (args.hidden, 1)), np.zeros(1)]
    velocity = [np.zeros_like(p) for p in w]
    first = 0

    ckpt = args.ckpt_dir / "state.npz" if args.ckpt_dir else None
    if ckpt and ckpt.exists():
        saved = np.load(ckpt, allow_pickle=True)
        w = [saved[f"w{i}"] for i in range(4)]
        velocity = [saved[f"v{i}"] for i in range(4)]
        first = int(saved["step"])
        rng.bit_generator.state = saved["rng"].item()
        print(f"resuming from {ckpt.name} at {first}", file=sys.stderr)

    for step in range(first, args.steps):
        lr = args.lr * 0.3 ** ((step >= 0.6 * args.steps) + (step >= 0.85 * args.steps))
        for _ in range(4):
            rows = rng.choice(len(x), args.batch, replace=False)
            for i, g in enumerate(gradients(w, x[rows], y[rows])):
                velocity[i] = args.momentum * velocity[i] - lr * g
                w[i] = w[i] + velocity[i]
        time.sleep(0.015)
        print(f"step={step} train_loss={mse(w, x, y):.5f} val_loss={mse(w, x_val, y_val):.5f}", flush=True)
        if ckpt and step % 4 == 3:
            ckpt.parent.mkdir(parents=True, exist_ok=True)
            arrays = {f"w{i}": p for i, p in enumerate(w)} | {f"v{i}": v for i, v in enumerate(velocity)}
            half = ckpt.with_name("half.npz")
            np.savez(half, step=step + 1, rng=np.array(rng.bit_generator.state, dtype=object), **arrays)
            half.replace(ckpt)


if __name__ == "__main__":
    main()
