"""Small real trainings in numpy: four tasks, two optimisers, schedules; nothing in here knows of faults but the hooks it offers."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TASKS = ("logistic", "classifier", "regression", "characters")
SCHEDULES = ("constant", "cosine", "linear", "steps")


@dataclass(kw_only=True)
class Task:
    """Data and the shape of the network that learns it."""

    name: str
    inputs: Array  # (samples, features)
    targets: Array  # (samples,) classes, or (samples, 1) numbers for regression
    held_inputs: Array  # for evaluation
    held_targets: Array
    outputs: int  # classes; 0 for regression
    hidden: tuple[int, ...]
    scale: float = 1.0  # of a regression's targets


@dataclass(kw_only=True)
class Network:
    """A fully connected network with ReLU: weights and biases, layer by layer."""

    weights: list[Array]
    biases: list[Array]
    outputs: int
    moments: list[Array] = field(default_factory=list)
    squares: list[Array] = field(default_factory=list)
    updates: int = 0

    def parameters(self) -> list[Array]:
        return [*self.weights, *self.biases]

    def copy(self) -> "Network":
        return Network(
            weights=[w.copy() for w in self.weights], biases=[b.copy() for b in self.biases], outputs=self.outputs,
            moments=[m.copy() for m in self.moments], squares=[s.copy() for s in self.squares], updates=self.updates,
        )  # fmt: skip


def make_task(rng: np.random.Generator, *, name: str, samples: int, scale: float) -> Task:
    """Draw a data set; half as many samples again are kept for evaluation."""
    total = samples + samples // 2
    if name == "characters":
        inputs, targets, outputs = _characters(rng, total)
        hidden: tuple[int, ...] = (48,)
    elif name == "regression":
        inputs = rng.normal(size=(total, 12))
        teacher = rng.normal(size=(12, 6))
        targets = np.tanh(inputs @ teacher) @ rng.normal(size=(6, 1)) + 0.1 * rng.normal(size=(total, 1))
        targets, outputs, hidden = targets * scale, 0, (32,)
    else:
        outputs, features = (6, 16) if name == "logistic" else (10, 24)
        centres = rng.normal(size=(outputs, features)) * (0.9 if name == "logistic" else 1.1)
        classes = rng.integers(outputs, size=total)
        inputs = centres[classes] + rng.normal(size=(total, features))
        targets, hidden = classes.astype(float), (() if name == "logistic" else (48, 32))
    return Task(
        name=name, inputs=inputs[:samples], targets=targets[:samples], held_inputs=inputs[samples:],
        held_targets=targets[samples:], outputs=outputs, hidden=hidden, scale=scale,
    )  # fmt: skip


def _characters(rng: np.random.Generator, total: int) -> tuple[Array, Array, int]:
    """Text of a second-order Markov chain over 12 characters: the last three predict the next."""
    letters, context = 12, 3
    table = rng.dirichlet(np.full(letters, 0.12), size=(letters, letters)).cumsum(axis=2)
    draws = rng.random(total + context + 1)
    text = np.zeros(total + context + 1, dtype=int)
    for i in range(2, len(text)):
        text[i] = min(int(np.searchsorted(table[text[i - 2], text[i - 1]], draws[i])), letters - 1)
    inputs = np.zeros((total, letters * context))
    for back in range(context):
        inputs[np.arange(total), back * letters + text[back : back + total]] = 1.0
    order = rng.permutation(total)
    return inputs[order], text[context : context + total].astype(float)[order], letters


def make_network(rng: np.random.Generator, task: Task) -> Network:
    """He initialisation."""
    sizes = [task.inputs.shape[1], *task.hidden, max(task.outputs, 1)]
    weights = [rng.normal(size=(a, b)) * np.sqrt(2.0 / a) for a, b in pairwise(sizes)]
    weights[-1] *= 0.3
    return Network(weights=weights, biases=[np.zeros(b) for b in sizes[1:]], outputs=task.outputs)


def forward(network: Network, inputs: Array) -> list[Array]:
    """Activations of every layer, the input first and the raw output last."""
    layers = [inputs]
    last = len(network.weights) - 1
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        out = layers[-1] @ weight + bias
        layers.append(out if index == last else np.maximum(out, 0.0))
    return layers


def loss_of(raw: Array, targets: Array, outputs: int) -> tuple[float, float, Array]:
    """Mean loss, accuracy (0 for regression), and the gradient at the raw output."""
    count = len(raw)
    if outputs == 0:
        error = raw - targets
        return float(np.mean(error**2)), 0.0, 2.0 * error / count
    shifted = raw - raw.max(axis=1, keepdims=True)
    exponents = np.exp(shifted)
    chances = exponents / exponents.sum(axis=1, keepdims=True)
    rows, classes = np.arange(count), targets.astype(int)
    loss = float(np.mean(np.log(exponents.sum(axis=1)) - shifted[rows, classes]))
    accuracy = float(np.mean(raw.argmax(axis=1) == classes))
    chances[rows, classes] -= 1.0
    return loss, accuracy, chances / count


def gradients(network: Network, layers: list[Array], at_output: Array) -> list[Array]:
    """Backpropagation: gradients in the order of `Network.parameters`."""
    weights: list[Array] = []
    biases: list[Array] = []
    flowing = at_output
    for index in range(len(network.weights) - 1, -1, -1):
        weights.insert(0, layers[index].T @ flowing)
        biases.insert(0, flowing.sum(axis=0))
        if index:
            flowing = (flowing @ network.weights[index].T) * (layers[index] > 0)
    return [*weights, *biases]


def norm_of(arrays: list[Array]) -> float:
    """The Euclidean norm of all arrays together."""
    return float(np.sqrt(sum(float((a * a).sum()) for a in arrays)))


def update(network: Network, grads: list[Array], *, rate: float, optimiser: str, decay: float = 0.0) -> None:
    """One step of SGD with momentum 0.9, or of Adam."""
    if not network.moments:
        network.moments = [np.zeros_like(p) for p in network.parameters()]
        network.squares = [np.zeros_like(p) for p in network.parameters()]
    network.updates += 1
    for p, g, m, s in zip(network.parameters(), grads, network.moments, network.squares, strict=True):
        m *= 0.9
        if optimiser == "sgd":
            m += g
            p -= rate * (m + decay * p)
            continue
        m += 0.1 * g
        s *= 0.999
        s += 0.001 * g * g
        tall = np.sqrt(s / (1 - 0.999**network.updates)) + 1e-8
        p -= rate * (m / (1 - 0.9**network.updates) / tall + decay * p)


def rate_at(step: int, *, base: float, schedule: str, warmup: int, horizon: int) -> float:
    """The planned learning rate."""
    ramp = min(1.0, (step + 1) / warmup) if warmup else 1.0
    share = step / horizon
    shape = {
        "constant": 1.0, "cosine": 0.5 * (1 + np.cos(np.pi * min(share, 1.0))), "linear": max(0.02, 1.0 - share),
        "steps": 0.2 if share > 0.6 else 1.0,
    }[schedule]  # fmt: skip
    return float(base * ramp * shape)
