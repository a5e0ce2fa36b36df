#!/usr/bin/env python3
"""What `secondshift.integrations.torch.watch` costs on a small transformer's step. See benchmarks/README.md for the contract.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.13.0
    /tmp/torch/bin/python benchmarks/layers.py [--quick] [--json]

Steps without a watch, steps between two samples and steps with a sample take turns in one process and one thread, and
the medians of their CPU time are compared: other load on the machine meets all alike. The whole cost is what a watch
adds between samples, and a hundredth of what one sample adds, for one sample each hundred steps, the default.
"""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src")]

try:
    import torch
except ImportError:
    sys.exit("torch is not installed here. Make an environment with it as the head of this script says, then run it there.")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import secondshift  # noqa: E402
from secondshift.integrations import torch as watching  # noqa: E402

LETTERS, LENGTH, BATCH, HEADS = 256, 64, 16, 4
TARGET = 2.0  # percent
EVERY = 100  # steps between two samples
ROW = f"watch a transformer, a sample each {EVERY} steps"


class Block(nn.Module):
    """Attention to what came before, then a small network; both added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.net = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, HEADS, width // HEADS).transpose(1, 2)
            for part in self.qkv(self.before(x)).chunk(3, 2)
        )
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, width))
        return x + self.net(self.between(x))


class Trainer:
    """One model with its optimiser, and its steps' CPU time."""

    def __init__(self, width: int, blocks: int) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Embedding(LETTERS, width), *(Block(width) for _ in range(blocks)), nn.Linear(width, LETTERS)
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.step = 0

    def step_s(self, run: secondshift.Run) -> float:
        """Train one step; return its CPU seconds."""
        batch = torch.randint(0, LETTERS, (BATCH, LENGTH + 1))
        began = time.thread_time()
        scores = self.model(batch[:, :-1])
        loss = functional.cross_entropy(scores.reshape(-1, LETTERS), batch[:, 1:].reshape(-1))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        run.log(self.step, loss=loss.item())
        self.step += 1
        return time.thread_time() - began


def medians(run: secondshift.Run, steps: int, width: int, blocks: int) -> dict[str, float]:
    """Return the CPU seconds of a step: plain, between samples, and with a sample."""
    trainers = {name: Trainer(width, blocks) for name in ("plain", "between", "sampled")}
    watching.SHARE = math.inf  # a sample whenever it is asked for, whatever it costs
    watches = [
        watching.watch(trainers["between"].model, run, every=10**9, every_s=0),
        watching.watch(trainers["sampled"].model, run, every=1, every_s=0),
    ]
    times: dict[str, list[float]] = {name: [] for name in trainers}
    names = list(trainers)
    for number in range(steps + 5):
        for name in names[number % 3 :] + names[: number % 3]:
            trainers[name].step = number
            took = trainers[name].step_s(run)
            if number >= 5:  # the first ones warm up
                times[name].append(took)
    for watch in watches:
        watch.close()
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--json", action="store_true")
    args = asked.parse_args()
    torch.set_num_threads(1)
    steps, width, blocks = (200, 64, 2) if args.quick else (600, 128, 4)
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "order.json").write_text(json.dumps({"attempt": "t1.a1", "trial": "t1", "horizon_steps": 10**9}))
        os.environ["SECONDSHIFT_ATTEMPT"] = place
        with secondshift.init() as run:
            found = medians(run, steps, width, blocks)
    between, sample = (found[name] / found["plain"] - 1 for name in ("between", "sampled"))
    whole = 100 * (max(0.0, between) + sample / EVERY)
    print(f"torch {torch.__version__}, one thread, {blocks} blocks of width {width}, medians of {steps} steps of each kind")
    plain_ms = found["plain"] * 1000
    print(f"      {plain_ms:.2f} ms of CPU a step; between samples {100 * between:+.2f} %; a sample {sample:.3f} steps")
    print(f"{'HOLDS' if whole <= TARGET else 'MISS '} {ROW}  {whole:.3f} %  <= {TARGET:g}")
    if args.json:
        row = {"ours": whole, "unit": "%", "peers": {}, "target": f"<= {TARGET:g}", "holds": whole <= TARGET}
        print(json.dumps({ROW: row}))


if __name__ == "__main__":
    main()
