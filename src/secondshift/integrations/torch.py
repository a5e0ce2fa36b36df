"""Watches the layers of a PyTorch model: gradients, updates, dead units and activations, as evidence for a diagnosis.

    from secondshift.integrations.torch import watch
    watch(model)

Nothing of the training changes: no random number is drawn, no value written. Between two samples there are two Python
calls at each step of an optimiser; for a sample, forward hooks are set for one step and removed again.
"""

# Types are checked with torch installed and without it, and torch keeps the fast norms of many tensors under private names.
# pyright: reportUnnecessaryTypeIgnoreComment=false, reportPrivateImportUsage=false

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch  # pyright: ignore[reportMissingImports]  # optional: whoever imports this module trains with it
from torch.optim.optimizer import (  # pyright: ignore[reportMissingImports]
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from secondshift.integrations.layers import ROOT, described, grouped
from secondshift.tracking.runs import Run, current

MOST_LAYERS = 32  # recorded one by one; of a larger model parts of it are
MOST_DESCRIBED = 200
SHARE = 0.01  # of the steps' time, at most, spent on samples
AGE_SHARE = 0.01  # of the run's age, at least, between two samples: a night's samples are hundreds, not thousands
ELEMENTS = 2048  # of each parameter that are compared before and after a step
COLUMNS = 16  # of a weight's gradient that are looked at for dead units
MOST_CALLS = 8  # of one layer in one step whose activations are looked at


def watch(model: torch.nn.Module, run: Run | None = None, *, every: int = 100, every_s: float = 10.0) -> Watch:
    """Record statistics of a model's layers now and then, and what it is made of, once.

    `run`: default the one that `secondshift.init()` gave last. `every`: steps of an optimiser between two samples, at
    least; more, where a sample takes over 1 % of the time of the steps between. `every_s`: seconds between them, at least,
    and 1 % of the run's age. Recorded at the next step that the script logs, NAME being the layer's name in the model:

    - `layer/NAME/grad_norm`: norm of the gradients as the optimiser gets them, so after clipping
    - `layer/NAME/update_ratio`: norm of what a step changed, in that of the parameters; of up to 2,048 elements of each
    - `layer/NAME/dead`: share of units of a linear or convolutional layer whose weights got no gradient at all
    - `layer/NAME/activation_rms`: root mean square of what the layer gives in training

    Outside a study nothing is watched. Raises RuntimeError if there is no run, ValueError for an `every` below 1.
    """
    run = run or current()
    if run is None:
        raise RuntimeError("There is no run to record the layers in. Call secondshift.init() before watch(model).")
    if every < 1:
        raise ValueError(f"watch got every={every}, expected 1 or more: steps of the optimiser between two samples.")
    return Watch(getattr(model, "_orig_mod", model), run, every, every_s)


class Watch:
    """What `watch` returns. `close()` ends it; so does the end of the process."""

    def __init__(self, model: torch.nn.Module, run: Run, every: int, every_s: float) -> None:
        self._run, self._every, self._every_s = run, every, every_s
        self._modules: dict[str, list[torch.nn.Module]] = {}
        self._layer_of: dict[torch.nn.Parameter, str] = {}
        self._rows: set[torch.nn.Parameter] = set()  # whose first dimension is units
        self._shares: WeakKeyDictionary[torch.optim.Optimizer, _Share] = WeakKeyDictionary()
        self._began = time.monotonic()
        self._hooks: list = []
        self._scales: dict[str, list[torch.Tensor]] = {}
        self._removals: list[Callable[[], object]] = []
        if run.recording:
            self._take_in(model)
            self._removals = [
                register_optimizer_step_pre_hook(self._before).remove,
                register_optimizer_step_post_hook(self._after).remove,
            ]

    def close(self) -> None:
        """Stop watching."""
        self._disarm()
        for remove in self._removals:
            remove()
        self._removals = []

    def _take_in(self, model: torch.nn.Module) -> None:
        """Find the layers: the modules that hold parameters themselves. A parameter used twice belongs to the first."""
        own = [(name, part, dict(part.named_parameters(recurse=False))) for name, part in model.named_modules()]
        own = [layer for layer in own if layer[2]]
        under = grouped([name for name, _, _ in own], MOST_LAYERS)
        for name, part, parameters in own:
            self._modules.setdefault(under[name], []).append(part)
            for which, parameter in parameters.items():
                self._layer_of.setdefault(parameter, under[name])
                if which == "weight" and parameter.dim() >= 2 and not isinstance(part, _NO_ROWS):
                    self._rows.add(parameter)
        layers = [
            {"name": name or ROOT, "kind": type(part).__name__, "parameters": sum(p.numel() for p in parameters.values()),
             "shapes": {which: list(p.shape) for which, p in parameters.items()}}
            for name, part, parameters in own
        ]  # fmt: skip
        self._run.describe(described(layers, MOST_DESCRIBED))

    # Around each step of each optimiser. Nothing of ours may end a training: what fails is said, and ends the watch.

    def _before(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        try:
            share = self._shares.get(optimizer)
            if share is None:
                share = self._shares[optimizer] = _Share(optimizer, self._layer_of)
            if share.parameters and share.steps == share.due and time.monotonic() >= share.due_at:
                share.take(self._rows)
            elif share.steps == share.due:
                share.due += 1  # too early by the clock
        except Exception as problem:
            self._give_up(problem)

    def _after(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        try:
            share = self._shares.get(optimizer)
            if share is None or not share.parameters:
                return
            if share.taken is not None:
                self._record(share)
            share.steps += 1
            if share.steps == share.due and time.monotonic() >= share.due_at:
                self._arm()
        except Exception as problem:
            self._give_up(problem)

    def _record(self, share: _Share) -> None:
        began = time.perf_counter()
        found = share.measured()
        scales = _numbers([scale for scales in self._scales.values() for scale in scales])
        for name, calls in self._scales.items():
            values = [scales.pop(0) for _ in calls]
            found[f"layer/{name}/activation_rms"] = math.fsum(values) / len(values)
        self._disarm()
        self._run.log_next(found)
        now = time.perf_counter()
        cost_s = share.cost_s + now - began
        step_s = (now - share.sampled_at - cost_s) / max(1, share.steps - share.sampled_step)
        apart = max(self._every, math.ceil(cost_s / SHARE / step_s) if step_s > 0 else 0)
        share.due, share.sampled_at, share.sampled_step = share.steps + apart, now, share.steps
        at = time.monotonic()
        share.due_at = at + max(self._every_s, AGE_SHARE * (at - self._began) if self._every_s else 0.0)

    def _arm(self) -> None:
        """Look at the activations of the next step."""
        if not self._hooks:
            for name, parts in self._modules.items():
                self._hooks += [part.register_forward_hook(self._seeing(name)) for part in parts]

    def _disarm(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._scales = {}

    def _seeing(self, name: str) -> Callable[[torch.nn.Module, object, object], None]:
        def see(part: torch.nn.Module, args: object, output: object) -> None:
            if torch.compiler.is_compiling() or not part.training or not torch.is_grad_enabled():
                return
            found = _tensor(output)
            if found is not None and len(self._scales.get(name, ())) < MOST_CALLS:
                scale = torch.linalg.vector_norm(found.detach(), dtype=torch.float32) / math.sqrt(found.numel())
                self._scales.setdefault(name, []).append(scale)

        return see

    def _give_up(self, problem: Exception) -> None:
        self.close()
        self._run._swallow("watching the layers", problem)


class _Share:
    """What one optimiser has of the watched model."""

    def __init__(self, optimizer: torch.optim.Optimizer, layer_of: dict[torch.nn.Parameter, str]) -> None:
        mine = [p for group in optimizer.param_groups for p in group["params"] if p in layer_of]
        self.parameters = [(p, layer_of[p]) for p in mine]
        self.steps = 0
        self.due = 1  # the first step is like no other
        self.due_at = 0.0
        self.sampled_at, self.sampled_step = time.perf_counter(), 0
        self.cost_s = 0.0
        self.taken: tuple | None = None  # what was seen before the step

    def take(self, rows: set[torch.nn.Parameter]) -> None:
        """Look at gradients and parameters before the step."""
        began = time.perf_counter()
        with torch.no_grad():
            seen = [(p, name, p.grad) for p, name in self.parameters if p.grad is not None and not p.grad.is_sparse]
            if seen:
                norms = torch._foreach_norm([grad for _, _, grad in seen], 2, dtype=torch.float32)
                dead = [(name, _dead(grad)) for p, name, grad in seen if p in rows]
                before = [_sample(p).clone() for p, _, _ in seen]
                self.taken = ([(p, name) for p, name, _ in seen], list(norms), dead, before)
        self.cost_s = time.perf_counter() - began

    def measured(self) -> dict[str, float]:
        """Look at the parameters after the step and give the layers' metrics; one wait for the device."""
        if self.taken is None:
            return {}
        seen, norms, dead, before = self.taken
        self.taken = None
        with torch.no_grad():
            changed = torch._foreach_sub([_sample(p) for p, _ in seen], before)
            sizes = torch._foreach_norm(before, 2, dtype=torch.float32)
            changes = torch._foreach_norm(changed, 2, dtype=torch.float32)
            values = _numbers([*norms, *changes, *sizes, *(share for _, share in dead)])
        count = len(seen)
        sums: dict[str, list[float]] = {}
        for index, (p, name) in enumerate(seen):
            weight = p.numel() / max(1, before[index].numel())
            layer = sums.setdefault(name, [0.0, 0.0, 0.0])
            layer[0] += values[index] ** 2
            layer[1] += weight * values[count + index] ** 2
            layer[2] += weight * values[2 * count + index] ** 2
        found = {f"layer/{name}/grad_norm": math.sqrt(grad) for name, (grad, _, _) in sums.items()}
        found |= {f"layer/{n}/update_ratio": math.sqrt(d / size) for n, (_, d, size) in sums.items() if size}
        shares: dict[str, list[float]] = {}
        for (name, _), share in zip(dead, values[3 * count :], strict=True):
            shares.setdefault(name, []).append(share)
        return found | {f"layer/{name}/dead": math.fsum(parts) / len(parts) for name, parts in shares.items()}


_NO_ROWS = (torch.nn.Embedding, torch.nn.EmbeddingBag)  # a word that did not occur is not dead


def _sample(parameter: torch.Tensor) -> torch.Tensor:
    """Return up to ELEMENTS elements of a parameter, evenly spread."""
    return parameter.detach().reshape(-1)[:: parameter.numel() // ELEMENTS + 1]


def _dead(grad: torch.Tensor) -> torch.Tensor:
    """Return the share of rows of a weight's gradient in which nothing but zeros was found."""
    flat = grad.reshape(grad.shape[0], -1)
    return (flat[:, :: flat.shape[1] // COLUMNS + 1] == 0).all(dim=1).float().mean()


def _numbers(scalars: list[torch.Tensor]) -> list[float]:
    """Fetch scalars from their devices, with one wait for each device."""
    places: dict[torch.device, list[int]] = {}
    for index, scalar in enumerate(scalars):
        places.setdefault(scalar.device, []).append(index)
    found = [0.0] * len(scalars)
    for indices in places.values():
        stacked = torch.stack([scalars[index].detach().float().reshape(()) for index in indices])
        for index, value in zip(indices, stacked.tolist(), strict=True):
            found[index] = value
    return found


def _tensor(output: Any) -> torch.Tensor | None:
    """Return the first tensor of real numbers in what a layer gave."""
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else (output,)
    floats = (p for p in parts if isinstance(p, torch.Tensor) and p.is_floating_point() and p.numel())
    return next(floats, None)
