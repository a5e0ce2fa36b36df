"""The network of train.py: two dense layers over numpy, with Adam beside it."""

from __future__ import annotations

import numpy as np


class Net:
    """Tanh network with a softmax on top."""

    def __init__(self, sizes: tuple[int, int, int], rng: np.random.Generator):
        inputs, hidden, classes = sizes
        self.params = {
            "w1": rng.normal(0, inputs**-0.5, (inputs, hidden)),
            "b1": np.zeros(hidden),
            "w2": rng.normal(0, hidden**-0.5, (hidden, classes)),
            "b2": np.zeros(classes),
        }

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = self.params
        hidden = np.tanh(x @ p["w1"] + p["b1"])
        logits = hidden @ p["w2"] + p["b2"]
        logits -= logits.max(axis=1, keepdims=True)
        return hidden, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def backward(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        hidden, logp = self.forward(x)
        d = np.exp(logp)
        d[np.arange(len(y)), y] -= 1
        d /= len(y)
        dh = (d @ self.params["w2"].T) * (1 - hidden**2)
        return {"w1": x.T @ dh, "b1": dh.sum(0), "w2": hidden.T @ d, "b2": d.sum(0)}


class Adam:
    """Adam with bias correction."""

    def __init__(self, params: dict[str, np.ndarray], betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        self.betas, self.eps, self.t = betas, eps, 0
        self.m = {k: np.zeros_like(v) for k, v in params.items()}
        self.v = {k: np.zeros_like(v) for k, v in params.items()}

    def update(self, params: dict[str, np.ndarray], grads: dict[str, np.ndarray], lr: float) -> None:
        self.t += 1
        b1, b2 = self.betas
        for k, g in grads.items():
            self.m[k] = b1 * self.m[k] + (1 - b1) * g
            self.v[k] = b2 * self.v[k] + (1 - b2) * g * g
            step = self.m[k] / (1 - b1**self.t) / (np.sqrt(self.v[k] / (1 - b2**self.t)) + self.eps)
            params[k] = params[k] - lr * step

    def state_dict(self) -> dict:
        return {"t": self.t, "m": self.m, "v": self.v}

    def load_state_dict(self, state: dict) -> None:
        self.t, self.m, self.v = state["t"], state["m"], state["v"]
