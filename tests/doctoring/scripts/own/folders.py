"""Logistic regression with house customs: a data cache made once, runs/version_N, and a clean leave on SIGTERM."""

import argparse
import json
import signal
import time
from pathlib import Path

import numpy as np


def cached_data() -> dict:
    """Make the data once, and read it from the working folder from then on."""
    cache = Path("cache") / "data.npz"
    if not cache.exists():
        rng = np.random.default_rng(8)
        x = rng.normal(0, 1, (1200, 30))
        y = (x @ rng.normal(0, 1, 30) + rng.normal(0, 2, 1200) > 0).astype(float)
        cache.parent.mkdir(exist_ok=True)
        np.savez(cache, x=x, y=y)
    return dict(np.load(cache))


def version_folder() -> Path:
    """A folder that no other run has: runs/version_0, runs/version_1, ..."""
    for number in range(10000):
        folder = Path("runs") / f"version_{number}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
    raise SystemExit("runs/ is full")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--l2", type=float, default=1e-3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume-dir", type=Path)
    args = parser.parse_args()
    asked_to_leave = []
    signal.signal(signal.SIGTERM, lambda *_: asked_to_leave.append(True))

    data, folder = cached_data(), version_folder()
    (folder / "hparams.json").write_text(json.dumps(vars(args), default=str))
    x, y, x_val, y_val = data["x"][:900], data["y"][:900], data["x"][900:], data["y"][900:]
    rng = np.random.default_rng(args.seed)
    w, m, step = rng.normal(0, 0.3, 30), np.zeros(30), 0
    saved = args.resume_dir / "resume.npz" if args.resume_dir else None
    if saved and saved.exists():
        found = np.load(saved)
        w, m, step = found["w"], found["m"], int(found["step"])
    log = (folder / "metrics.log").open("w")
    while step < args.steps and not asked_to_leave:
        rows = np.random.default_rng([args.seed, step]).integers(900, size=50)
        p = 1 / (1 + np.exp(-x[rows] @ w))
        m = 0.9 * m + x[rows].T @ (p - y[rows]) / 50 + args.l2 * w
        w = w - args.lr * m
        p_val = np.clip(1 / (1 + np.exp(-x_val @ w)), 1e-9, 1 - 1e-9)
        val = -np.mean(y_val * np.log(p_val) + (1 - y_val) * np.log(1 - p_val))
        time.sleep(0.015)
        print(f"[{step}] val_nll: {val:.5f} step: {step}", flush=True)
        log.write(f"{step}\t{val}\n")
        step += 1
        if saved and (step % 10 == 0 or asked_to_leave):
            np.savez(saved.with_name("new.npz"), w=w, m=m, step=step)
            saved.with_name("new.npz").rename(saved)


if __name__ == "__main__":
    main()
