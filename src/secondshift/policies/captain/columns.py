"""Which column of a foreign table is which stream: guessed by its name, corrected by whoever knows better."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from secondshift.policies.captain.symptoms.following import STREAMS

Goal = Literal["min", "max"]
ASKED = ("cpu", "time_s")  # streams that are never guessed: their names mean too much
HASHED = "batch_hash"  # stands for `distinct` where that is not logged
PLACES = ("step", "event", "run")  # what a column may be beside a stream
NAMED = (*PLACES, *STREAMS, HASHED, *ASKED)  # what `--map` may name
STEPS = (  # in this order of trust
    "step", "global_step", "trainer_global_step", "train_global_step", "steps", "iteration", "iter", "iterations", "it",
    "total_timesteps", "time_total_timesteps", "timesteps_total", "num_timesteps", "timesteps", "env_steps", "updates",
    "epoch", "train_epoch",
)  # fmt: skip
EPOCHS = frozenset({"epoch", "train_epoch"})
RUNS = ("run", "run_id", "run_name", "trial", "trial_id", "experiment_id")
HELD_OUT = ("val", "valid", "validation", "eval", "evaluation", "evaluator", "dev", "heldout", "holdout", "test")
_SETS = frozenset(HELD_OUT)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_TRAINED: tuple[str, ...] = (  # the metric that training improves, most telling first
    r"loss", r"(?:train(?:ing)?|tr)_loss|loss_train(?:ing)?", r"(?:train(?:ing)?_)?loss_step|train_step_loss",
    r"(?:train_)?(?:lm|total|reduced_train|avg|mean|overall|epoch)_loss|loss_total", r"(?:\w+_)?(?:cross_?entropy|ce)_?loss",
    r"(?!.*(?:scale|scaler|weight|best|ema|lr|time))(?:\w+_)?loss(?:_\w+)?",
    r"(?:train_)?(?:nll|perplexity|ppl|cross_?entropy|xent|mse|rmse|mae|bpb|bpc)",
)  # fmt: skip
_REWARDED: tuple[str, ...] = (
    r"(?:\w+_)?(?:ep|episode|episodic)_?(?:rew|reward|return|ret)(?:_mean)?", r"(?:\w+_)?(?:mean|avg)_(?:reward|return)",
    r"(?:train_)?(?:reward|return|returns|rewards)(?:_mean)?",
)  # fmt: skip
_RISING: tuple[str, ...] = (
    r"(?:train(?:ing)?_)?(?:acc|accuracy)(?:_\w+)?", r"(?:\w+_)?(?:acc|accuracy|top1|f1|auc|score|success_rate|win_rate)",
)  # fmt: skip
_STEP, _SIZE = r"(?:step|update|iter|iteration)", r"mb|mib|gb|gib|kb|bytes"
_BESIDE: Mapping[str, tuple[str, ...]] = {
    "grad_norm": (
        r"grad_norm", r"(?:train_)?(?:grad|gradient)s?_norm|gnorm|gradnorm", r"(?:\w+_)?(?:total|global)_grad(?:ient)?_norm",
        r"(?:train_)?grad_[0-9_]*norm_total", r"(?:\w+_)?grad(?:ient)?_?norm(?:_total|_global)?",
    ),
    "lr": (
        r"lr", r"(?:train_)?learning_rate", r"train_lr", r"lr_(?:\w+)", r"(?:\w+_)?learning_rate(?:_group_?0|_0)?", r"\w+_lr",
    ),
    "step_time": (
        r"step_time(?:_s|_sec|_ms)?", r"(?:train_)?(?:step|iter|iteration|batch)_(?:time|duration|timing)(?:_\w{1,5})?",
        r"train_step_timing(?:_in_s)?", r"(?:time|s|sec|secs|seconds)_per_(?:step|iter|iteration|batch)",
        r"\w+_step_time",
    ),
    "data_time": (
        r"data_time(?:_s|_sec|_ms)?",
        r"(?:\w+_)?(?:data|load|loader|dataloader|loading|fetch)(?:_load(?:ing)?)?_time(?:_s|_ms)?",
    ),
    "rss_mb": (
        r"rss_mb", r"(?:\w+_)?rss(?:_(?:mb|mib|gb|gib|kb|bytes))?",
        r"(?:host_|cpu_|process_|proc_)?(?:mem|memory)(?:_used|_usage)?_(?:mb|mib|gb|gib)",
    ),
    "distinct": (r"distinct", r"(?:distinct|new|unique)_(?:samples|examples)"),
    HASHED: (r"batch_hash", r"(?:\w+_)?(?:batch|data)_(?:hash|digest|checksum|crc32?)"),
    "label_entropy": (r"label_entropy", r"(?:\w+_)?(?:labels?|targets?|class|classes)_entropy(?:_\w+)?"),
    "skipped": (
        r"skipped", rf"(?:\w+_)?(?:{_STEP}_skipped|(?:is_)?skipped_{_STEP}|is_skipped)",
        r"(?:\w+_)?found_inf|(?:train_|optim_|amp_)?(?:grad_|gradient_|loss_scale_)?overflow(?:ed)?",
    ),
    "skipped_total": (
        r"skipped_total", rf"(?:\w+_)?skipped_{_STEP}s(?:_total)?",
        rf"(?:\w+_)?(?:num|total|number|n|count)_skipped(?:_{_STEP}s?)?",
        r"(?:train_|optim_|amp_)?(?:num_|total_)?(?:grad_|gradient_|loss_scale_)?overflow(?:s|_count|_steps)",
    ),
    "gpu_mb": (
        r"gpu_mb", r"(?!.*(?:peak|max))(?:\w+_)?(?:gpu|cuda|device|vram)(?:_\d+)?_(?:mem(?:ory)?_)?(?:used_|allocated_|reserved_)?"
        rf"(?:{_SIZE})",
    ),
    "disk_free_mb": (r"disk_free_mb", rf"(?:disk_free|free_disk|disk_space_free|free_disk_space)_(?:{_SIZE})"),
    "checkpoint_failed": (r"checkpoint_failed", r"(?:checkpoint|ckpt|save)_(?:failed|failure|error)"),
}  # fmt: skip
_MEGABYTES = {"gb": 1024.0, "gib": 1024.0, "kb": 1 / 1024.0, "bytes": 1 / 1048576.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """Which column of a run is which stream. Empty: no column is known."""

    streams: Mapping[str, str] = field(default_factory=dict)  # stream -> column
    step: str = ""  # column; empty: rows are counted
    event: str = ""  # column whose cell `announce ...` marks a planned change
    run: str = ""  # column that names the run
    goal: Goal = "min"  # of loss and val_loss
    factors: Mapping[str, float] = field(default_factory=dict)  # stream -> what its values are multiplied by


def spelled(name: str) -> str:
    """A column's name as the rules know it: "train/learningRate" is train_learning_rate."""
    return _OTHER.sub("_", _CAMEL.sub("_", name).lower()).strip("_")


def guess(
    names: Sequence[str], *, told: Mapping[str, str] | None = None, goal: Goal | None = None, kept: Guess | None = None
) -> Guess:
    """Guess what the columns of a run are.

    told: stream -> column, by a person; kept: what was guessed before more columns came. A stream once found keeps its
    column, so that no later name moves it.
    """
    told = {key: name for key, name in (told or {}).items() if name in names}
    free = {name: spelled(name) for name in names if name not in told.values()}
    kept = kept or Guess()
    found = {**kept.streams, **{key: name for key, name in told.items() if key not in PLACES}}
    direction = goal or kept.goal
    if "loss" not in found:
        column, guessed = _trained(free, goal)
        if column:
            found["loss"] = column
            direction = goal or guessed
    elif "loss" in told and not kept.streams:
        direction = goal or _goal_of(spelled(told["loss"]))
    if "val_loss" not in found:
        column = _held_out(free, direction if "loss" in found else goal)
        if column:
            found["val_loss"] = column
            direction = direction if "loss" in found else goal or _goal_of(free[column])
    for stream, patterns in _BESIDE.items():
        if stream not in found and (column := _first(free, patterns)):
            found[stream] = column
    return Guess(
        streams={stream: found[stream] for stream in (*STREAMS, HASHED, *ASKED) if stream in found},
        step=told.get("step") or kept.step or _exact(free, STEPS),
        event=told.get("event") or kept.event or _exact(free, ("event",)),
        run=told.get("run") or kept.run or _exact(free, RUNS),
        goal=direction,
        factors=_factors(found),
    )


def counts_epochs(guessed: Guess) -> bool:
    """Whether the column of steps counts epochs: then several rows may have one."""
    return spelled(guessed.step) in EPOCHS


def _trained(free: Mapping[str, str], goal: Goal | None) -> tuple[str, Goal]:
    """The metric of training: an episode's return before a loss, which says little there; a loss before an accuracy."""
    own = {name: text for name, text in free.items() if not _SETS & set(text.split("_"))}
    if goal != "min" and {"r", "l", "t"} <= set(
        own.values()
    ):  # reward, length, time of an episode, as Gym's monitor writes
        return next(name for name, text in own.items() if text == "r"), "max"
    rising, falling = (_REWARDED, _RISING), (_TRAINED,)
    groups = {"max": (*rising, *falling), "min": (*falling, *rising)}.get(goal or "", (_REWARDED, _TRAINED, _RISING))
    for patterns in groups:
        if column := _first(own, patterns):
            return column, "min" if patterns is _TRAINED else "max"
    return "", goal or "min"


def _held_out(free: Mapping[str, str], goal: Goal | None) -> str:
    own = {
        name: "_".join(token for token in text.split("_") if token not in _SETS)
        for held_out in HELD_OUT  # the test set last: it is looked at least
        for name, text in free.items()
        if held_out in text.split("_")
    }
    falling, rising = (_TRAINED,), (_REWARDED, _RISING)
    groups = {"min": falling, "max": rising}.get(goal or "", (*falling, *rising))
    return next((column for patterns in groups if (column := _first(own, patterns))), "")


def _goal_of(text: str) -> Goal:
    text = "_".join(token for token in text.split("_") if token not in _SETS)
    rises = any(re.fullmatch(pattern, text) for pattern in (*_REWARDED, *_RISING))
    return "max" if rises and not any(re.fullmatch(pattern, text) for pattern in _TRAINED) else "min"


def _first(free: Mapping[str, str], patterns: Iterable[str]) -> str:
    """The first column that fits the most telling pattern."""
    for pattern in patterns:
        fits = re.compile(pattern)
        for name, text in free.items():
            if fits.fullmatch(text):
                return name
    return ""


def _exact(free: Mapping[str, str], wanted: Sequence[str]) -> str:
    return next((name for text in wanted for name, spelling in free.items() if spelling == text), "")


def _factors(streams: Mapping[str, str]) -> dict[str, float]:
    factors: dict[str, float] = {}
    for stream in ("rss_mb", "gpu_mb", "disk_free_mb"):
        if times := _MEGABYTES.get(spelled(streams.get(stream, "")).rpartition("_")[2]):
            factors[stream] = times
    for stream in ("step_time", "data_time"):
        if spelled(streams.get(stream, "")).endswith("_ms"):
            factors[stream] = 1e-3
    return factors
