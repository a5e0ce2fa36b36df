"""Watching the layers of a PyTorch model: the figures are right, and the training is the same as without."""

import json
import math
from typing import Any

import pytest

import secondshift

torch: Any = pytest.importorskip("torch")

from secondshift.integrations import torch as watching  # noqa: E402  # it needs torch
from secondshift.integrations.torch import watch  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def often(monkeypatch):
    """Samples are taken however long they take beside steps as short as these."""
    monkeypatch.setattr(watching, "SHARE", math.inf)


def model_of(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))


def train(model: Any, steps: int, run: Any = None, optimizer: Any = None, lr: float = 0.1) -> list[float]:
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for step in range(steps):
        x = torch.randn(16, 4)
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if run is not None:
            run.log(step, loss=losses[-1])
    return losses


def test_the_training_is_bit_for_bit_the_same_as_without(attempt, often):
    plain = train(model_of(), 40)
    model, run = model_of(), secondshift.init()
    watched = watch(model, every=3, every_s=0)
    assert train(model, 40, run) == plain
    watched.close()
    assert [step for step, _ in attempt.points("layer/0/grad_norm")] == list(range(1, 40, 3))


def test_gradients_and_updates_are_what_the_step_had_and_did(attempt, often):
    model, run = model_of(), secondshift.init()
    watched = watch(model, run, every=1, every_s=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    wanted: dict[int, dict[str, float]] = {}
    for step in range(3):
        loss = model(torch.randn(16, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        layer = [p for name, p in model.named_parameters() if name.startswith("0.")]
        grad = math.sqrt(sum(p.grad.square().sum().item() for p in layer))
        size = math.sqrt(sum(p.detach().square().sum().item() for p in layer))
        wanted[step] = {"grad_norm": grad, "update_ratio": 0.5 * grad / size}
        optimizer.step()
        run.log(step, loss=loss.item())
    watched.close()
    for name in ("grad_norm", "update_ratio"):
        found = dict(attempt.points(f"layer/0/{name}"))
        assert found.keys() == {1, 2}  # the first step is like no other
        assert all(value == pytest.approx(wanted[step][name], rel=1e-4) for step, value in found.items())


def test_dead_units_and_the_scale_of_activations_are_seen(attempt, often):
    model, run = model_of(), secondshift.init()
    with torch.no_grad():
        model[0].weight[:2].zero_()
        model[0].bias[:2] = -1.0  # two of eight units never fire
    watch(model, every=1, every_s=0).close()
    watched = watch(model, every=1, every_s=0)
    seen = []
    model[3].register_forward_hook(lambda part, args, output: seen.append(output.detach().square().mean().sqrt().item()))
    train(model, 2, run)
    watched.close()
    assert dict(attempt.points("layer/0/dead"))[1] == pytest.approx(0.25)
    assert dict(attempt.points("layer/3/dead"))[1] == 0.0
    assert dict(attempt.points("layer/3/activation_rms"))[1] == pytest.approx(seen[1], rel=1e-5)


def test_evaluation_and_other_models_are_not_taken_for_the_watched_one(attempt, often):
    model, run = model_of(), secondshift.init()
    watched = watch(model, every=1, every_s=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, 1, run, optimizer)
    model.eval()
    with torch.no_grad():
        model(torch.full((4, 4), 1e6))
    train(model_of(1), 5)
    model.train()
    train(model, 2, run, optimizer)
    watched.close()
    assert all(value < 100 for _, value in attempt.points("layer/3/activation_rms"))
    assert [step for step, _ in attempt.points("layer/3/activation_rms")] == [1]


def test_samples_that_take_long_beside_the_steps_are_taken_more_rarely(attempt, monkeypatch):
    monkeypatch.setattr(watching, "SHARE", 1e-9)
    model, run = model_of(), secondshift.init()
    watched = watch(model, every=1, every_s=0)
    train(model, 30, run)
    watched.close()
    assert [step for step, _ in attempt.points("layer/0/grad_norm")] == [1]


def test_between_two_samples_lie_seconds_too(attempt, often):
    model, run = model_of(), secondshift.init()
    watched = watch(model, every=1, every_s=3600.0)
    train(model, 30, run)
    watched.close()
    assert [step for step, _ in attempt.points("layer/0/grad_norm")] == [1]


def test_what_the_model_is_made_of_is_told_once(attempt):
    model, run = model_of(), secondshift.init()
    watch(model, run).close()
    (note,) = attempt.notes("described")
    assert json.loads(note["layers"]) == [
        {"name": "0", "kind": "Linear", "parameters": 40, "shapes": {"weight": [8, 4], "bias": [8]}},
        {"name": "3", "kind": "Linear", "parameters": 9, "shapes": {"weight": [1, 8], "bias": [1]}},
    ]
    attempt.order(horizon_steps=100, from_step=5)
    watch(model, secondshift.init()).close()
    assert len(attempt.notes("described")) == 1


def test_no_hook_stays_between_two_samples_or_after_the_end(attempt):
    model, run = model_of(), secondshift.init()
    watched = watch(model, every=1000, every_s=0)
    train(model, 5, run)
    assert all(not part._forward_hooks for part in model.modules())
    watched.close()
    train(model, 5, run)
    assert len(attempt.points("layer/0/grad_norm")) <= 1


def test_mixed_precision_shared_parameters_and_no_gradients_do_no_harm(attempt, often, capsys):
    model, run = model_of().to(torch.bfloat16), secondshift.init()
    model[3].weight = torch.nn.Parameter(model[3].weight)
    model.again = model[3]
    model[0].weight.requires_grad_(False)
    watched = watch(model, every=1, every_s=0)
    optimizer = torch.optim.AdamW(model.parameters())
    for step in range(4):
        model[:4](torch.randn(2, 4).to(torch.bfloat16)).square().mean().backward()
        optimizer.step()
        run.log(step, loss=1.0)
    watched.close()
    assert attempt.notes("dropped") == [] and capsys.readouterr().err == ""
    assert math.isfinite(dict(attempt.points("layer/0/grad_norm"))[1])


def test_what_fails_is_said_once_and_training_goes_on(attempt, often, monkeypatch):
    model, run = model_of(), secondshift.init()
    watched = watch(model, every=1, every_s=0)
    monkeypatch.setattr(torch, "_foreach_norm", lambda *_, **__: 1 / 0)
    assert len(train(model, 5, run)) == 5
    (note,) = attempt.notes("dropped")
    assert "watching the layers failed: ZeroDivisionError" in note["reason"]
    assert all(not part._forward_hooks for part in model.modules()) and watched._removals == []


def test_outside_a_study_nothing_is_hooked_and_without_a_run_the_cure_is_said(monkeypatch):
    monkeypatch.delenv("SECONDSHIFT_ATTEMPT", raising=False)
    monkeypatch.setattr(secondshift.tracking.runs, "_current", None)
    model = model_of()
    with pytest.raises(RuntimeError, match=r"secondshift\.init\(\) before watch"):
        watch(model)
    run = secondshift.init(horizon=5)
    assert watch(model)._removals == []
    with pytest.raises(ValueError, match="1 or more"):
        watch(model, every=0)
    run.close()
