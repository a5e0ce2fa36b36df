"""A character language model in one file, in the manner of nanoGPT: AdamW, warm-up, cosine, one checkpoint dictionary."""

import argparse
import math
import os
import pickle
import time

import numpy as np

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
CONTEXT, EMBED = 5, 8


def make_text(length: int) -> np.ndarray:
    """Letters of a random language in which a few of 24 may follow each."""
    rng = np.random.default_rng(7)
    follow = rng.dirichlet(np.full(24, 0.08), size=24).cumsum(axis=-1)
    codes = [0]
    for chance in rng.random(length):
        codes.append(min(int(np.searchsorted(follow[codes[-1]], chance)), 23))
    return np.array(codes)


def get_batch(data: np.ndarray, rng: np.random.Generator, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    at = rng.integers(len(data) - CONTEXT, size=batch_size)
    return data[at[:, None] + np.arange(CONTEXT)], data[at + CONTEXT]


def get_lr(it: int, args: argparse.Namespace) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    if it < args.warmup:
        return args.lr * (it + 1) / args.warmup
    ratio = (it - args.warmup) / max(1, args.steps - args.warmup)
    return args.lr * (0.1 + 0.45 * (1 + math.cos(math.pi * ratio)))


def loss_of(model: dict, x: np.ndarray, y: np.ndarray) -> tuple[float, dict]:
    """Mean cross entropy, and its gradients."""
    seen = model["wte"][x].reshape(len(x), -1)
    hidden = np.tanh(seen @ model["fc"] + model["fc_b"])
    logits = hidden @ model["head"]
    logits = logits - logits.max(axis=1, keepdims=True)
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -logp[np.arange(len(y)), y].mean()
    slope = np.exp(logp)
    slope[np.arange(len(y)), y] -= 1
    slope /= len(y)
    inner = (slope @ model["head"].T) * (1 - hidden**2)
    grads = {"head": hidden.T @ slope, "fc": seen.T @ inner, "fc_b": inner.sum(axis=0)}
    grads["wte"] = np.zeros_like(model["wte"])
    np.add.at(grads["wte"], x, (inner @ model["fc"].T).reshape(len(x), CONTEXT, EMBED))
    return float(loss), grads


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--ckpt-every", type=int, default=5)
    parser.add_argument("--ckpt-dir", default="")
    args = parser.parse_args()

    data = make_text(12000)
    train_data, val_data = data[:10000], data[10000:]
    val_x, val_y = get_batch(val_data, np.random.default_rng(0), 1000)
    rng = np.random.default_rng(args.seed)
    width = args.width
    model = {
        "wte": rng.normal(0, 0.5, (24, EMBED)),
        "fc": rng.normal(0, (CONTEXT * EMBED) ** -0.5, (CONTEXT * EMBED, width)),
        "fc_b": np.zeros(width),
        "head": rng.normal(0, width**-0.5, (width, 24)),
    }
    exp_avg = {name: np.zeros_like(value) for name, value in model.items()}
    exp_avg_sq = {name: np.zeros_like(value) for name, value in model.items()}
    updates, start = 0, 0
    path = os.path.join(args.ckpt_dir, "ckpt.pkl")
    if args.ckpt_dir and os.path.exists(path):
        with open(path, "rb") as file:
            checkpoint = pickle.load(file)
        model, start = checkpoint["model"], checkpoint["iter"]
        exp_avg, exp_avg_sq, updates = checkpoint["optimizer"]
        rng.bit_generator.state = checkpoint["rng"]

    for it in range(start, args.steps):
        lr = get_lr(it, args)
        x, y = get_batch(train_data, rng, args.batch_size)
        loss, grads = loss_of(model, x, y)
        updates += 1
        for name, grad in grads.items():
            exp_avg[name] = BETA1 * exp_avg[name] + (1 - BETA1) * grad
            exp_avg_sq[name] = BETA2 * exp_avg_sq[name] + (1 - BETA2) * grad**2
            mean = exp_avg[name] / (1 - BETA1**updates)
            scale = np.sqrt(exp_avg_sq[name] / (1 - BETA2**updates)) + EPS
            model[name] = model[name] * (1 - lr * args.weight_decay) - lr * mean / scale
        time.sleep(0.012)
        val_loss, _ = loss_of(model, val_x, val_y)
        print(f"step={it} train_loss={loss:.4f} val_loss={val_loss:.4f} lr={lr:.3e}", flush=True)
        if args.ckpt_dir and (it + 1) % args.ckpt_every == 0:
            os.makedirs(args.ckpt_dir, exist_ok=True)
            checkpoint = {"model": model, "iter": it + 1, "rng": rng.bit_generator.state}
            checkpoint["optimizer"] = exp_avg, exp_avg_sq, updates
            with open(path + ".tmp", "wb") as file:
                pickle.dump(checkpoint, file)
            os.replace(path + ".tmp", path)


if __name__ == "__main__":
    main()
