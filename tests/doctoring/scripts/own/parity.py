"""Learn the parity of two signs: the accuracy stays at chance for a third of the run, whatever the seed, then climbs."""

import argparse
import os
import pickle
import time

import numpy as np


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.5)
    parser.add_argument("--units", type=int, default=16)
    parser.add_argument("--steps", type=int, default=70)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ckpt-dir", default="")
    args = parser.parse_args()

    world = np.random.default_rng(1)
    x = world.normal(0, 1, (600, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(float)
    # a few classes of the test set in blocks, so that a constant answer scores exactly one half
    test = np.concatenate([x[y == 1][:120], x[y == 0][:120]])
    labels = np.repeat([1.0, 0.0], 120)
    rng = np.random.default_rng(args.seed)
    state = {
        "w": rng.normal(0, 0.01, (2, args.units)), "b": rng.normal(0, 0.01, args.units),
        "o": np.zeros(args.units), "c": 1.5, "step": 0,
    }  # fmt: skip
    path = os.path.join(args.ckpt_dir, "parity.pkl")
    if args.ckpt_dir and os.path.exists(path):
        with open(path, "rb") as file:
            state = pickle.load(file)

    for step in range(state["step"], args.steps):
        for _ in range(4):
            hidden = np.tanh(x @ state["w"] + state["b"])
            p = 1 / (1 + np.exp(-(hidden @ state["o"] + state["c"])))
            d = (p - y) / len(y)
            back = np.outer(d, state["o"]) * (1 - hidden**2)
            state["o"] -= args.lr * 3 * (hidden.T @ d)
            state["c"] -= args.lr * 0.05 * d.sum()
            state["w"] -= args.lr * 3 * (x.T @ back)
            state["b"] -= args.lr * 3 * back.sum(axis=0)
        scores = np.tanh(test @ state["w"] + state["b"]) @ state["o"] + state["c"]
        accuracy = float(((scores > 0) == (labels > 0.5)).mean())
        time.sleep(0.01)
        print(f"step {step}: val_acc {accuracy:.4f}", flush=True)
        state["step"] = step + 1
        if args.ckpt_dir and step % 5 == 4:
            with open(path + ".tmp", "wb") as file:
                pickle.dump(state, file)
            os.replace(path + ".tmp", path)


if __name__ == "__main__":
    main()
