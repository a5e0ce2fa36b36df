"""Matrix factorisation with a progress bar that overwrites its line, as tqdm and Keras do."""

import argparse
import sys
import time

import numpy as np


def bar(epoch, epochs, done, of, text):
    filled = "#" * (10 * done // of)
    sys.stderr.write(f"\rEpoch {epoch}/{epochs}: {100 * done // of:3d}%|{filled:<10}| {done}/{of} [{text}]")
    sys.stderr.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", type=int, default=6)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    world = np.random.default_rng(17)
    users, items, n = 80, 60, 2400
    truth = world.normal(0, 1, (users, 4)) @ world.normal(0, 0.7, (4, items))
    pairs = np.stack([world.integers(users, size=n), world.integers(items, size=n)], axis=1)
    ratings = truth[pairs[:, 0], pairs[:, 1]] + world.normal(0, 0.2, n)
    train, held = np.arange(n) < 2000, np.arange(n) >= 2000

    rng = np.random.default_rng(args.seed)
    u, v = rng.normal(0, 0.3, (users, args.rank)), rng.normal(0, 0.3, (items, args.rank))
    known, scores = pairs[train], ratings[train]
    for epoch in range(1, args.epochs + 1):
        order = rng.permutation(len(known))
        for number, rows in enumerate(np.array_split(order, 40), start=1):
            for row in rows:
                i, j = known[row]
                wrong = u[i] @ v[j] - scores[row]
                u[i], v[j] = u[i] - args.lr * wrong * v[j], v[j] - args.lr * wrong * u[i]
            if number % 10 == 0:
                bar(epoch, args.epochs, number, 40, f"loss={abs(wrong):.3f}")
        guess = (u[pairs[held][:, 0]] * v[pairs[held][:, 1]]).sum(axis=1)
        rmse = float(np.sqrt(np.mean((guess - ratings[held]) ** 2)))
        sys.stderr.write("\n")
        print(f"epoch={epoch} rmse={rmse:.4f}", flush=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
