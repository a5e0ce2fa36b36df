"""Classify handwritten digits with scikit-learn, one epoch of partial_fit after the other.

A script as people have them: flags, a printed line for each epoch, and a checkpoint folder of its own that it goes on from.
"""

import argparse
import os
import pickle
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split


def main() -> None:
    """Read the flags, go on from the checkpoint if there is one, train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alpha", type=float, default=1e-4, help="strength of the penalty")
    parser.add_argument("--penalty", choices=["l2", "l1", "elasticnet"], default="l2")
    parser.add_argument("--eta0", type=float, default=0.01, help="constant step size")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ckpt-dir", type=Path, help="folder to keep a checkpoint in")
    args = parser.parse_args()

    pixels, digits = load_digits(return_X_y=True)
    x, val_x, y, val_y = train_test_split(pixels / 16.0, digits, test_size=0.3, random_state=0)
    model, start = None, 0
    saved = args.ckpt_dir / "last.pkl" if args.ckpt_dir else None
    if saved and saved.exists():
        model, start = pickle.loads(saved.read_bytes())  # our own file
        print(f"resumed after {start} epochs", flush=True)
    if model is None:
        model = SGDClassifier(
            loss="log_loss", alpha=args.alpha, penalty=args.penalty, learning_rate="constant", eta0=args.eta0,
            random_state=args.seed,
        )  # fmt: skip
    for epoch in range(start, args.epochs):
        order = np.random.default_rng([args.seed, epoch]).permutation(len(x))
        for rows in np.array_split(order, 20):
            model.partial_fit(x[rows], y[rows], classes=np.arange(10))
        if saved:
            saved.parent.mkdir(parents=True, exist_ok=True)
            draft = saved.with_suffix(".tmp")
            draft.write_bytes(pickle.dumps((model, epoch + 1)))
            os.replace(draft, saved)
        loss = log_loss(val_y, model.predict_proba(val_x), labels=np.arange(10))
        print(f"epoch={epoch} val_loss={loss:.5f} val_acc={model.score(val_x, val_y):.4f}", flush=True)


if __name__ == "__main__":
    main()
