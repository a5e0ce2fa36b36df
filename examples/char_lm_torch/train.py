"""A small character transformer in PyTorch, of the nanoGPT kind, with the SDK: it resumes to the very same numbers.

`python train.py` works on its own, on a GPU where there is one. Weights, optimiser and the state of chance are in each
checkpoint; one machine and one kind of device gives the same numbers again, a CPU and a GPU do not give each other's.
"""

import os
import random

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA starts; without it its sums differ from run to run

import torch
from torch import nn
from torch.nn import functional

import secondshift

LINES = {
    "who": ["the guard", "a student", "our model", "the old engine", "a cat"],
    "does": ["watches", "waits for", "repairs", "counts", "forgets"],
    "what": ["the moon", "each seed", "a checkpoint", "the curve", "the dawn"],
}
BLOCK, BATCH = 32, 16

run = secondshift.init(horizon=27)
p = run.params(lr=3e-3, width=32, layers=1, dropout=0.0)

chance = random.Random(0)  # the text is the same for every seed
text = "".join(" ".join(chance.choice(words) for words in LINES.values()) + ".\n" for _ in range(600))
letters = sorted(set(text))
device = "cuda" if torch.cuda.is_available() else "cpu"
codes = torch.tensor([letters.index(c) for c in text], device=device)
train, val = codes[: len(codes) * 9 // 10], codes[len(codes) * 9 // 10 :]

torch.manual_seed(run.seed)
torch.use_deterministic_algorithms(True)


class Block(nn.Module):
    """Attention to what came before, then a small network; both added to what came in."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.net = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, 4, width // 4).transpose(1, 2) for part in self.qkv(self.before(x)).chunk(3, dim=2)
        )
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, width))
        return x + self.net(self.between(x))


class Model(nn.Module):
    """Characters in, scores of the next character out."""

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.letters, self.places = nn.Embedding(len(letters), width), nn.Embedding(BLOCK, width)
        self.blocks = nn.Sequential(*(Block(width, dropout) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, len(letters))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.letters(x) + self.places(torch.arange(x.shape[1], device=x.device))
        return self.head(self.norm(self.blocks(seen)))


def loss_of(model: Model, source: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    """Nats per character on the blocks that begin at `starts`."""
    x = torch.stack([source[s : s + BLOCK] for s in starts])
    y = torch.stack([source[s + 1 : s + BLOCK + 1] for s in starts])
    return functional.cross_entropy(model(x).flatten(0, 1), y.flatten())


model = Model(p.width, p.layers, p.dropout).to(device)
optimiser = torch.optim.AdamW(model.parameters(), lr=p.lr)
fixed, start = torch.arange(0, len(val) - BLOCK - 1, BLOCK), 0
if checkpoint := run.restore():  # newest verified checkpoint, or None
    saved = torch.load(checkpoint.path / "state.pt", weights_only=True, map_location="cpu")
    model.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    torch.set_rng_state(saved["chance"])  # of the CPU, which draws the blocks
    torch.cuda.set_rng_state_all(saved["cuda"])  # draws dropout; nothing where there is no GPU
    start = checkpoint.step

for step in range(start, run.horizon):
    model.train()
    for _ in range(8):
        loss = loss_of(model, train, torch.randint(len(train) - BLOCK - 1, (BATCH,)))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    run.log(step, train_loss=loss.item())
    if run.eval_due(step):
        model.eval()
        with torch.no_grad():
            run.log(step, val_loss=loss_of(model, val, fixed).item())
    if run.checkpoint_due(step):  # interval, pause request, SIGTERM
        with run.checkpoint(step + 1) as folder:  # atomic; checksummed; old ones pruned
            state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
            state |= {"chance": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
            torch.save(state, folder / "state.pt")
        if run.stopping:
            break
run.close()
