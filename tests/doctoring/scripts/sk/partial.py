"""Linear text-like classification with scikit-learn's SGDClassifier, one partial_fit after the other."""

import argparse
import pickle
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


def load_data():
    x, y = make_classification(
        n_samples=2500, n_features=40, n_informative=25, n_classes=4, class_sep=0.8, flip_y=0.05, random_state=3
    )
    x, x_val, y, y_val = train_test_split(x, y, test_size=0.3, random_state=3)
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), y, scaler.transform(x_val), y_val


def make_model(args):
    return SGDClassifier(
        loss="log_loss", alpha=args.alpha, learning_rate="invscaling", eta0=args.eta0, power_t=0.5,
        random_state=args.seed,
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alpha", type=float, default=1e-4, help="strength of the penalty")
    parser.add_argument("--eta0", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model-dir", type=Path)
    args = parser.parse_args()

    x, y, x_val, y_val = load_data()
    classes = np.unique(y)
    model, done = make_model(args), 0
    saved = args.model_dir / "model.pkl" if args.model_dir else None
    if saved is not None and saved.exists():
        model, done = pickle.loads(saved.read_bytes())

    for epoch in range(done, args.epochs):
        order = np.random.RandomState(1000 * args.seed + epoch).permutation(len(x))
        for rows in np.array_split(order, 10):
            model.partial_fit(x[rows], y[rows], classes=classes)
        time.sleep(0.02)
        val = log_loss(y_val, model.predict_proba(x_val), labels=classes)
        print(f"epoch: {epoch}  val_loss: {val:.4f}  val_acc: {model.score(x_val, y_val):.4f}", flush=True)
        if saved is not None:
            saved.parent.mkdir(parents=True, exist_ok=True)
            fresh = saved.with_name("model.pkl.new")
            fresh.write_bytes(pickle.dumps((model, epoch + 1)))
            fresh.replace(saved)


if __name__ == "__main__":
    main()
