"""Makes live trainings with and without faults: real small trainings, simulated times and memory.

`generate(kind, seed)` gives nine streams like `shared/incidents/live_faults`, the metric's direction, the steps at
which a change was announced, and, apart from them, the truth. Everything is drawn from the kind and the seed.
step_time, data_time and rss_mb are SIMULATED (drawn, not measured); returns (`reinforcement_*`) are simulated as a whole.
Distinct = different samples in the batch; 0 = this very batch was seen before.

    python benchmarks/captain/generator.py KIND SEED     # prints CSV
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import sys  # noqa: E402  # one thread for linear algebra is set before numpy loads
import zlib  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from captain import bumps, returns  # noqa: E402
from captain.kinds import KINDS  # noqa: E402
from captain.trainings import (  # noqa: E402
    SCHEDULES,
    TASKS,
    Array,
    Network,
    Task,
    forward,
    gradients,
    loss_of,
    make_network,
    make_task,
    norm_of,
    rate_at,
    update,
)  # fmt: skip

COLUMNS = ("step", "loss", "grad_norm", "lr", "step_time", "data_time", "rss_mb", "val_loss", "distinct")
Row = tuple[float, ...]  # one value for each of COLUMNS; val_loss is None between evaluations


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What was done to a run; never given to a detector."""

    kind: str
    seed: int
    onset: int  # first step that the fault could show; -1 without a fault
    task: str
    detail: str  # what was drawn, for people


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a detector may see of a run."""

    rows: list[dict[str, float | None]]  # by COLUMNS; None = an empty cell
    goal: str  # "min" or "max", of loss and val_loss
    announced: tuple[int, ...]


@dataclass(kw_only=True)
class Plan:
    """All that was drawn for one training."""

    rng: np.random.Generator
    kind: str
    task: Task
    horizon: int
    onset: int
    batch: int
    base: float
    optimiser: str
    schedule: str
    warmup: int
    every: int  # steps between evaluations
    metric: str  # "loss", "accuracy" or "score" (minus loss): what the loss columns carry
    factor: float  # how strong the fault is
    step_s: float  # simulated
    data_s: float
    memory_mb: float
    announced: list[int] = field(default_factory=list)
    thin: int = 1  # every so many steps are logged
    lasts: int = 0  # steps of a bump; 0 = to the end
    rises: list[bumps.Bump] = field(default_factory=list)


def generate(kind: str, seed: int) -> tuple[Run, Truth]:
    """Train one small network with what `kind` does to it. The same kind and seed give the same run."""
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    if kind in returns.KINDS:
        return _reinforcement(rng, kind, seed)
    plan = _draw(rng, kind)
    with np.errstate(all="ignore"):
        rows = _train(plan)
        while kind == "ended_elevated" and not _elevated(rows, plan) and plan.factor < 3.0:
            plan.factor += 0.7  # until it is what its name says
            rows = _train(plan)
        while kind == "recovered_bump" and _elevated(rows, plan) and plan.factor > -1.2:
            plan.factor -= 0.6
            rows = _train(plan)
        if plan.rises:
            rows = _as_named(rows, plan)
    goal = "min" if plan.metric == "loss" else "max"
    rows = [{**row, **_simulated(plan, index)} for index, row in enumerate(rows)]
    if plan.thin > 1 or kind in ("ended_elevated", "recovered_bump", *bumps.KINDS):
        rows = _thinned(rows, plan.thin)
    if kind == "frozen_logger":
        kept = {name: rows[plan.onset - 1][name] for name in ("loss", "grad_norm")}
        rows = [row if index < plan.onset else {**row, **kept} for index, row in enumerate(rows)]
    run = Run(rows=rows, goal=goal, announced=tuple(plan.announced))
    onset = plan.onset if KINDS[kind].fault else -1
    detail = (
        f"{plan.optimiser} {plan.base:g} {plan.schedule} batch {plan.batch} metric {plan.metric} x{plan.factor:.3g}"
    )
    return run, Truth(kind=kind, seed=seed, onset=onset, task=plan.task.name, detail=detail)


def _as_named(rows: list[dict[str, float | None]], plan: Plan) -> list[dict[str, float | None]]:
    """Train again until the rises are what the kind's name says."""
    sign = 1.0 if plan.metric == "loss" else -1.0
    stays = plan.kind == "ended_short"
    for _ in range(12):
        standing = bumps.stands([sign * (row["loss"] or 0.0) for row in rows], plan.onset)
        if (standing > 1.0) if stays else (standing < 0.0):
            break
        if stays and plan.rises[-1][1] < plan.horizon:  # it had gone away before the log ended
            begin, _, strong = plan.rises[-1]
            plan.rises[-1] = (begin, plan.horizon, strong)
        else:
            plan.rises = bumps.weaker(plan.rises, 1.6 if stays else 0.6)
        rows = _train(plan)
    return rows


def _draw(rng: np.random.Generator, kind: str) -> Plan:
    name = str(rng.choice(TASKS))
    if kind in ("dead_units", "slow_start", "weights_saturated", "lr_bad_from_start", "overfit") and name == "logistic":
        name = "classifier"  # needs hidden units
    if kind in ("labels_wrong", "random_labels_from_start", "lr_bad_from_start", "overfit") and name == "regression":
        name = "characters"
    metric = "loss"
    if rng.random() < 0.3:
        metric = "score" if name == "regression" or rng.random() < 0.5 else "accuracy"
    if kind == "drifting_apart" or (kind == "overfit" and metric == "accuracy"):
        metric = "loss"
    samples = 12000 if name == "characters" else 30000  # enough not to be learned by heart
    if kind in ("overfit", "double_descent"):
        samples = 150
    elif kind == "small_data_epochs":
        samples = 900
    task = make_task(rng, name=name, samples=samples, scale=float(10 ** rng.uniform(-2, 2)))
    if kind == "overfit":  # wrong labels are what is learned by heart
        wrong = rng.random(samples) < 0.3
        task.targets[wrong] = rng.permutation(task.targets[wrong])
    horizon = int(rng.integers(900, 1500))
    optimiser = str(rng.choice(["sgd", "adam"]))
    if name == "regression":
        optimiser = "adam"  # targets of any scale
    base = float(10 ** rng.uniform(-3.1, -2.4)) * (1.0 if optimiser == "adam" else 6.0)
    if name == "regression":
        base *= max(1.0, task.scale**0.5)
    if kind in ("slow_start", "double_descent"):
        base *= 0.25
    if kind == "overfit":
        base *= 3.0
    plan = Plan(
        rng=rng, kind=kind, task=task, horizon=horizon, onset=int(rng.integers(300, int(horizon * 0.7))),
        batch=int(rng.choice([16, 32, 64])), base=base, optimiser=optimiser, schedule=str(rng.choice(SCHEDULES)),
        warmup=int(rng.choice([0, 0, 30, 100])), every=int(rng.choice([20, 25, 40])), metric=metric,
        factor=float(rng.uniform(0.0, 1.0)), step_s=float(10 ** rng.uniform(-3, 0.5)),
        data_s=0.0, memory_mb=float(10 ** rng.uniform(2.2, 4.5)),
    )  # fmt: skip
    plan.data_s = plan.step_s * float(rng.uniform(0.02, 0.25))
    _set_kind(plan)
    return plan


def _set_kind(plan: Plan) -> None:
    """What a kind changes in the plan itself."""
    kind, rng = plan.kind, plan.rng
    if kind in ("lr_zero", "detached_optimiser", "gradient_lost", "loss_scale_lost"):
        plan.onset = int(rng.integers(80, 250))
        plan.schedule = "constant"
    if kind in ("overfit", "small_data_epochs", "double_descent", "lr_jump", "drifting_apart"):
        plan.schedule = "constant"
    if kind == "overfit":
        plan.onset = 0  # set by the run itself: where the evaluation was best
    if kind in ("lr_bad_from_start", "random_labels_from_start"):
        plan.onset = 1
        plan.warmup = 0
    if kind in ("ended_elevated", "recovered_bump"):
        _set_bump(plan)
    if kind in bumps.KINDS:
        _set_bumps(plan)
    if kind == "warmup_bump":
        plan.warmup = 120
        plan.base *= 3.0
    if kind == "schedule":
        plan.schedule = str(rng.choice(["cosine", "linear", "steps"]))
    if kind == "noisy_small_batch":
        plan.batch = int(rng.choice([2, 4]))
        plan.base *= 0.4
    if KINDS[kind].announced:
        plan.announced = [plan.onset]
        if kind == "lr_drop":
            plan.schedule = "constant"


def _set_bump(plan: Plan) -> None:
    """As public logs are: every few steps, without the learning rate, or nothing but the first hundred steps."""
    rng = plan.rng
    plan.schedule, plan.warmup = "constant", 0
    if rng.random() < 0.4:
        plan.horizon, plan.every, plan.base = 100, 1000, plan.base * 4.0
        plan.onset, plan.lasts = int(rng.integers(30, 63)), int(rng.integers(1, 4))
    else:
        plan.thin = int(rng.choice([3, 5, 10]))
        plan.lasts = plan.thin * int(rng.integers(1, 6))
    if plan.kind == "ended_elevated":
        plan.lasts = plan.horizon


def _set_bumps(plan: Plan) -> None:
    """The same logs as public runs of the captain's benchmark are: short ones of every step, or long ones that are thinned."""
    rng = plan.rng
    plan.warmup, plan.schedule = 0, "constant"
    if plan.kind in bumps.SHORT:
        plan.horizon, plan.every, plan.base = 100, 1000, plan.base * 4.0
    else:
        plan.horizon, plan.thin = int(rng.integers(2400, 4800)), int(rng.choice([1, 2, 4]))
        plan.schedule = str(rng.choice(["constant", "linear", "cosine"]))
        plan.every = int(rng.choice([40, 100]))
        plan.onset = plan.thin * int(rng.integers(plan.horizon // 3, int(plan.horizon * 0.7)) // plan.thin)
    plan.rises = bumps.drawn(rng, plan.kind, plan.horizon)
    if plan.rises:
        plan.onset = plan.rises[-1 if plan.kind == "ended_short" else 0][0]


def _elevated(rows: list[dict[str, float | None]], plan: Plan) -> bool:
    """Whether the last tenth is above the best by a third of what was gained, or was not finite."""
    sign = 1.0 if plan.metric == "loss" else -1.0
    values = [sign * (row["loss"] or 0.0) for row in rows]
    if not np.isfinite(values).all():
        return True
    wide = max(4, len(values) // 20)
    levels = [float(np.median(values[i : i + wide])) for i in range(0, len(values) - wide + 1, wide)]
    best = min(levels[: max(1, plan.onset // wide)])
    noise = float(np.std(np.diff(values[: plan.onset]))) / 1.4
    return min(levels[-2:]) > best + max(0.35 * (levels[0] - best), 4.0 * noise)


def _thinned(rows: list[dict[str, float | None]], thin: int) -> list[dict[str, float | None]]:
    kept = []
    for index, row in enumerate(rows):
        if index % thin and row["val_loss"] is None:
            continue
        cells = ("step", "loss", "grad_norm", "val_loss") if index % thin == 0 else ("step", "val_loss")
        kept.append({name: row[name] if name in cells else None for name in COLUMNS})
    return kept


def _train(plan: Plan) -> list[dict[str, float | None]]:
    network = make_network(plan.rng, plan.task)
    if plan.kind == "slow_start":
        for weight in network.weights:
            weight *= 0.05
    rows: list[dict[str, float | None]] = []
    history: list[tuple[Network, int]] = []
    step, seen = 0, set[bytes]()
    fixed = plan.rng.integers(len(plan.task.inputs), size=plan.batch)
    went_back = plan.kind != "restart"
    while step < plan.horizon:
        if not went_back and step == plan.onset and history:
            network, step, went_back = history[-1][0].copy(), history[-1][1], True
        if step % 60 == 0:
            history = [(network.copy(), step)]
        chosen = _choose(plan, step, fixed)
        key = chosen.tobytes()
        distinct = 0 if key in seen and plan.batch > 4 else len(np.unique(chosen))
        seen.add(key)
        row = _step(plan, network, step, chosen)
        row |= {"step": float(step), "distinct": float(distinct), "val_loss": None}
        if step % plan.every == plan.every - 1:
            row["val_loss"] = _evaluate(plan, network, step)
        rows.append(row)
        step += 1
    if plan.kind == "overfit":
        values = [(row["val_loss"], i) for i, row in enumerate(rows) if row["val_loss"] is not None]
        best = min if plan.metric == "loss" else max
        plan.onset = best(values)[1]
    return rows


def _choose(plan: Plan, step: int, fixed: Array) -> Array:
    """The numbers of the samples in this step's batch."""
    rng, count = plan.rng, len(plan.task.inputs)
    after = step >= plan.onset
    batch = plan.batch
    if plan.kind == "batch_size_down" and after:
        batch = max(4, batch // 4)
    drawn = rng.integers(count, size=batch)
    if plan.kind == "repeated_batch" and after:
        return fixed
    if plan.kind == "unshuffled_loader" and after:
        order = np.argsort(plan.task.targets.reshape(-1), kind="stable")
        begin = (step - plan.onset) * batch % max(1, min(count, 40 * batch) - batch)
        return order[begin : begin + batch]
    if plan.kind == "small_data_epochs":
        per = count // batch
        order = np.random.default_rng([step // per, 7]).permutation(count)
        return order[(step % per) * batch : (step % per + 1) * batch]
    return drawn


def _step(plan: Plan, network: Network, step: int, chosen: Array) -> dict[str, float | None]:
    rng, kind, after = plan.rng, plan.kind, step >= plan.onset
    inputs, targets = plan.task.inputs[chosen], plan.task.targets[chosen]
    inputs, targets = _spoil(plan, step, inputs, targets)
    if step == plan.onset:
        _damage(plan, network)
    if kind == "planned_restart" and step == plan.onset - plan.thin:  # seen one point before it was announced
        fresh = make_network(rng, plan.task)
        network.weights, network.biases, network.moments = fresh.weights, fresh.biases, []
        network.updates = 0
    layers = forward(network, inputs)
    loss, accuracy, at_output = loss_of(layers[-1], targets, plan.task.outputs)
    grads = gradients(network, layers, at_output)
    if after and kind == "gradient_lost":
        grads = [g * 10 ** (-3 - 2 * plan.factor) for g in grads]
    if after and kind == "loss_scale_lost":
        grads = [g / 65536 for g in grads]
    norm = norm_of(grads)
    rate = _rate(plan, step)
    skipped = (kind == "overflow_skipping" and after) or (
        kind == "loss_scale_search" and (step < 5 or rng.random() < 0.004)
    )
    if skipped:
        norm = float("inf")
    elif not (kind == "detached_optimiser" and after):
        update(network, grads, rate=rate, optimiser="sgd" if kind == "loss_scale_lost" and after else plan.optimiser)
    value = {"loss": loss, "score": -loss, "accuracy": accuracy}[plan.metric]
    if plan.metric != "loss" and not np.isfinite(loss):
        value = float("nan")
    return {"loss": value, "grad_norm": norm, "lr": rate}


def _rate(plan: Plan, step: int) -> float:
    rate = rate_at(step, base=plan.base, schedule=plan.schedule, warmup=plan.warmup, horizon=plan.horizon)
    after = step >= plan.onset
    if plan.kind == "lr_jump" and after:
        rate *= 10 ** (1.8 + 0.7 * plan.factor)
    elif plan.kind in ("ended_elevated", "recovered_bump") and 0 <= step - plan.onset < plan.lasts:
        rate *= 10 ** (1.3 + 0.9 * plan.factor)
    elif plan.rises:
        rate *= bumps.times(plan.rises, step)
    elif plan.kind == "lr_bad_from_start":
        rate *= 10 ** (2.7 + plan.factor)
    elif plan.kind == "lr_zero" and after:
        rate = 0.0
    elif plan.kind == "lr_drop" and after:
        rate *= 0.1
    elif plan.kind == "drifting_apart" and after:
        rate *= min(3000.0, 1.03 ** (step - plan.onset))
    return rate


def _spoil(plan: Plan, step: int, inputs: Array, targets: Array) -> tuple[Array, Array]:
    """What a kind does to this step's batch."""
    rng, kind, since = plan.rng, plan.kind, step - plan.onset
    after = since >= 0
    classes = plan.task.outputs
    if kind == "nan_batch" and since == 0:
        inputs = inputs * np.nan
    elif kind == "bad_shard" and 0 <= since < 60:
        inputs = rng.normal(size=inputs.shape) * 3.0
    elif kind == "labels_wrong" and after:
        targets = (targets + 1 + int(plan.factor * (classes - 2))) % classes
    elif kind == "random_labels_from_start":
        targets = rng.integers(classes, size=len(targets)).astype(float)
    elif kind == "gradient_spike" and 0 <= since < 4:
        inputs = inputs * (30 + 70 * plan.factor)
    elif kind == "curriculum" and after:
        inputs = inputs + rng.normal(size=inputs.shape) * (0.3 + plan.factor)
    return inputs, targets


def _damage(plan: Plan, network: Network) -> None:
    """What a kind does to the weights, once."""
    rng, kind = plan.rng, plan.kind
    if kind == "weights_damaged":
        for weight in network.weights:
            weight += rng.normal(size=weight.shape) * weight.std() * (1.5 + 2 * plan.factor)
    elif kind == "weights_saturated":
        for weight in network.weights:
            weight *= 8 + 12 * plan.factor
    elif kind == "bit_flip":
        layer = network.weights[int(rng.integers(len(network.weights)))]
        place = tuple(int(rng.integers(size)) for size in layer.shape)
        layer[place] = 2.0 ** (10 + 8 * plan.factor)
    elif kind == "dead_units":
        for bias in network.biases[:-1]:
            bias -= 40.0


def _evaluate(plan: Plan, network: Network, step: int) -> float:
    rng, kind, after = plan.rng, plan.kind, step >= plan.onset
    inputs, targets = plan.task.held_inputs[:600], plan.task.held_targets[:600]
    if kind == "noisy_evaluation":
        some = rng.integers(len(inputs), size=24)
        inputs, targets = inputs[some], targets[some]
    if kind == "evaluation_shift" and after:
        inputs = np.roll(inputs, 1 + int(plan.factor * 4), axis=1)  # columns in another order
    if kind == "eval_spike" and rng.random() < 0.05:
        inputs = inputs * 3.0
    loss, accuracy, _ = loss_of(forward(network, inputs)[-1], targets, plan.task.outputs)
    if kind == "double_descent":  # simulated: a hump in the middle that goes away
        loss *= 1 + 0.35 * np.exp(-(((step - plan.horizon * 0.45) / (plan.horizon * 0.08)) ** 2))
    return {"loss": loss, "score": -loss, "accuracy": accuracy}[plan.metric] if np.isfinite(loss) else float("nan")


def _simulated(plan: Plan, index: int) -> dict[str, float | None]:
    """Drawn, not measured: step time, data time and memory."""
    rng, kind, since = plan.rng, plan.kind, index - plan.onset
    step_s = plan.step_s * float(np.exp(rng.normal() * 0.04))
    data_s = plan.data_s * float(np.exp(rng.normal() * 0.2))
    if rng.random() < 0.01:
        step_s *= float(rng.uniform(3, 30))  # wall clocks are spiky
    if kind == "straggler" and since >= 0:
        step_s *= 1.4 + 0.8 * plan.factor
    elif kind == "throttled" and since >= 0:
        step_s *= 1 + min(1.0, since / 40) * (0.5 + plan.factor)
    elif kind == "slow_loader" and since >= 0:
        data_s += plan.step_s * (0.6 + 2.0 * plan.factor) * float(np.exp(rng.normal() * 0.3))
    elif kind == "gc_pauses" and index % 97 == 96:
        step_s *= 8
    elif kind == "evaluation_steps" and index % plan.every == 0:
        step_s *= 12
    elif kind == "batch_size_down" and since >= 0:
        step_s *= 0.5
    memory = plan.memory_mb * (1 + 0.0005 * float(rng.normal()) + 0.03 * (1 - np.exp(-index / 15)))
    if kind == "memory_leak" and since >= 0:
        memory += plan.memory_mb * 10 ** (-3.6 + 1.4 * plan.factor) * since
    elif kind == "memory_warmup":
        memory += plan.memory_mb * 0.3 * (1 - np.exp(-index / 60))
    elif kind == "memory_sawtooth":
        memory += plan.memory_mb * 0.15 * (index % 120) / 120
    return {"step_time": step_s + data_s, "data_time": data_s, "rss_mb": float(memory)}


def _reinforcement(rng: np.random.Generator, kind: str, seed: int) -> tuple[Run, Truth]:
    values, detail = returns.returns(rng, kind)
    rows: list[dict[str, float | None]] = []
    for step, value in enumerate(values):
        row: dict[str, float | None] = dict.fromkeys(COLUMNS)
        rows.append(row | {"step": float(step), "loss": value, "lr": 3e-4})
    return Run(rows=rows, goal="max", announced=()), Truth(kind=kind, seed=seed, onset=-1, task="returns", detail=detail)


if __name__ == "__main__":
    made, told = generate(sys.argv[1], int(sys.argv[2]))
    print(",".join(COLUMNS))
    for line in made.rows:
        print(",".join("" if line[name] is None else f"{line[name]:.8g}" for name in COLUMNS))
    print(told, made.goal, made.announced, file=sys.stderr)
