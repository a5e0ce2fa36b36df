"""Simulated returns of reinforcement learning: heavy noise, dips that come back, sparse rewards, forgetting. All of it healthy."""

import numpy as np

KINDS = ("reinforcement_noise", "reinforcement_sparse", "reinforcement_forgetting")


def returns(rng: np.random.Generator, kind: str) -> tuple[list[float], str]:
    """One return an episode, and what was drawn, for people."""
    horizon, scale = int(rng.integers(800, 1400)), float(10 ** rng.uniform(0, 3))
    if kind == "reinforcement_sparse":  # nothing but failures for long, then more and more successes
        begin, worth = int(rng.integers(20, horizon // 2)), scale if rng.random() < 0.5 else 1.0
        chances = 0.01 + 0.9 / (1 + np.exp(-(np.arange(horizon) - begin * 1.5) / 80.0))
        offset = -worth if rng.random() < 0.5 else 0.0
        return [float(offset + worth * (rng.random() < chance)) for chance in chances], f"worth {worth:.3g}"
    if kind == "reinforcement_forgetting":  # loses what it had for hundreds of episodes, and does not always come back
        at, lasts = int(rng.integers(300, horizon - 200)), int(rng.integers(60, 600))
        depth, noise = float(rng.uniform(0.4, 1.0)), float(rng.uniform(0.02, 0.15))
        levels = [1 - np.exp(-step / horizon * 5) - depth * (at <= step < at + lasts) for step in range(horizon)]
        return [float(scale * (level + noise * rng.normal() - 0.5)) for level in levels], f"scale {scale:.3g}"
    values, dip = [], 0.0
    for step in range(horizon):
        dip = dip * 0.97 + (float(rng.uniform(0.1, 0.5)) if rng.random() < 0.004 else 0.0)
        level = 1 - np.exp(-step / horizon * 4) - dip
        values.append(float(scale * (level + float(rng.standard_t(3)) * 0.12 - 0.4)))
    return values, f"scale {scale:.3g}"
