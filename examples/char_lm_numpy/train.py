"""Train a character language model in plain numpy. It knows nothing of secondshift: it has flags, and prints its loss.

The text is made here: small sentences about a night in a lab, so that there is something to learn and nothing to download.
"""

import argparse
import random

import numpy as np

SUBJECTS = ["the cat", "a student", "the old engine", "our model", "the night guard", "a small trial"]
VERBS = ["watches", "waits for", "repairs", "forgets", "counts", "dreams of"]
OBJECTS = ["the moon", "every seed", "a checkpoint", "the long curve", "the last step", "a quiet morning"]
WHEN = ["at dusk", "all night", "until eight", "once more", "before the dawn", "while nobody looks"]


def make_text(sentences: int) -> str:
    """Write sentences; the same ones each time, whatever the training seed is."""
    chance = random.Random(0)
    parts = (SUBJECTS, VERBS, OBJECTS, WHEN)
    return "".join(" ".join(chance.choice(words) for words in parts) + ". " for _ in range(sentences))


def windows(codes: np.ndarray, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Each run of `context` characters, and the character after it."""
    view = np.lib.stride_tricks.sliding_window_view(codes, context + 1)
    return view[:, :-1], view[:, -1]


def main() -> None:
    """Read the flags, train, and print the validation loss (nats per character) after each step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lr", type=float, default=0.3, help="step size of gradient descent with momentum")
    parser.add_argument("--width", type=int, default=48, help="hidden units")
    parser.add_argument("--context", type=int, default=6, help="characters that the model sees")
    parser.add_argument("--steps", type=int, default=18, help="steps of 12 batches each")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    text = make_text(700)
    letters = sorted(set(text))
    codes = np.array([letters.index(c) for c in text])
    cut = len(codes) * 9 // 10
    (x, y), (val_x, val_y) = windows(codes[:cut], args.context), windows(codes[cut:], args.context)

    rng = np.random.default_rng(args.seed)
    inputs = args.context * 8
    weights = {
        "embed": rng.normal(0, 0.3, (len(letters), 8)),
        "in": rng.normal(0, inputs**-0.5, (inputs, args.width)),
        "in_bias": np.zeros(args.width),
        "out": rng.normal(0, args.width**-0.5, (args.width, len(letters))),
        "out_bias": np.zeros(len(letters)),
    }
    speed = {name: np.zeros_like(value) for name, value in weights.items()}

    def forward(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        seen = weights["embed"][batch].reshape(len(batch), -1)
        hidden = np.tanh(seen @ weights["in"] + weights["in_bias"])
        scores = hidden @ weights["out"] + weights["out_bias"]
        scores -= scores.max(axis=1, keepdims=True)
        return seen, hidden, scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    for step in range(args.steps):
        for _ in range(12):
            rows = rng.integers(len(x), size=128)
            seen, hidden, logs = forward(x[rows])
            slope = np.exp(logs)
            slope[np.arange(len(rows)), y[rows]] -= 1
            slope /= len(rows)
            inner = (slope @ weights["out"].T) * (1 - hidden**2)
            slopes = {"out": hidden.T @ slope, "out_bias": slope.sum(0), "in": seen.T @ inner, "in_bias": inner.sum(0)}
            slopes["embed"] = np.zeros_like(weights["embed"])
            np.add.at(slopes["embed"], x[rows], (inner @ weights["in"].T).reshape(len(rows), args.context, -1))
            for name, value in slopes.items():
                speed[name] = 0.9 * speed[name] - args.lr * 0.1 * value
                weights[name] += speed[name]
        val_loss = -forward(val_x)[2][np.arange(len(val_y)), val_y].mean()
        print(f"step={step} val_loss={val_loss:.4f}", flush=True)


if __name__ == "__main__":
    main()
