"""Digits with scikit-learn's MLPClassifier and partial_fit; Adam lives inside the estimator."""

import argparse
import os
import pickle
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier


def batches(n, size, seed):
    order = np.random.default_rng(seed).permutation(n)
    return [order[i : i + size] for i in range(0, n, size)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--alpha", type=float, default=1e-4)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", default="")
    args = parser.parse_args()

    x, y = load_digits(return_X_y=True)
    x = x / 16.0
    rows = np.random.default_rng(5).permutation(len(x))
    train, test = rows[:1000], rows[1000:]
    model = MLPClassifier(
        (args.hidden,), alpha=args.alpha, learning_rate_init=args.learning_rate, random_state=args.seed
    )
    start = 0
    path = os.path.join(args.save, "mlp.pkl")
    if args.save and os.path.exists(path):
        with open(path, "rb") as file:
            start, model = pickle.load(file)

    for epoch in range(start, args.epochs):
        for batch in batches(len(train), 50, [args.seed, epoch]):
            model.partial_fit(x[train[batch]], y[train[batch]], classes=np.arange(10))
        time.sleep(0.02)
        train_loss = log_loss(y[train], model.predict_proba(x[train]))
        val_loss = log_loss(y[test], model.predict_proba(x[test]))
        accuracy = model.score(x[test], y[test])
        print(
            f"Epoch {epoch + 1}/{args.epochs} train_loss: {train_loss:.4f} val_loss: {val_loss:.4f} acc: {accuracy:.3f}",
            flush=True,
        )
        if args.save:
            with open(path + "~", "wb") as file:
                pickle.dump((epoch + 1, model), file)
            os.replace(path + "~", path)


if __name__ == "__main__":
    main()
