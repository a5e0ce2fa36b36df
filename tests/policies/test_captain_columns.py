"""Which column is which stream: the names that trainers really write, and what a person says instead."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.captain.columns import Guess, guess
from secondshift.policies.captain.symptoms.following import STREAMS

SEEN = {  # what writes it -> its columns, and what they are
    "the live faults": (
        ["run", "step", "loss", "grad_norm", "lr", "step_time", "data_time", "rss_mb", "val_loss", "distinct"],
        {name: name for name in STREAMS[:8]}, "step", "min",
    ),
    "Hugging Face's TensorBoard": (
        ["train/epoch", "train/grad_norm", "train/learning_rate", "train/loss", "eval/loss", "eval/accuracy", "train/train_loss"],
        {"loss": "train/loss", "grad_norm": "train/grad_norm", "lr": "train/learning_rate", "val_loss": "eval/loss"},
        "train/epoch", "min",
    ),
    "Hugging Face's log history": (
        ["loss", "grad_norm", "learning_rate", "epoch", "step", "eval_loss", "eval_runtime", "train_loss"],
        {"loss": "loss", "grad_norm": "grad_norm", "lr": "learning_rate", "val_loss": "eval_loss"}, "step", "min",
    ),
    "Lightning's CSV": (
        ["epoch", "grad_2.0_norm_total", "lr-Adam", "step", "train_loss_epoch", "train_loss_step", "val_acc", "val_loss"],
        {"loss": "train_loss_step", "grad_norm": "grad_2.0_norm_total", "lr": "lr-Adam", "val_loss": "val_loss"}, "step", "min",
    ),
    "Keras's CSVLogger": (
        ["epoch", "accuracy", "loss", "learning_rate", "val_accuracy", "val_loss"],
        {"loss": "loss", "lr": "learning_rate", "val_loss": "val_loss"}, "epoch", "min",
    ),
    "W&B history": (
        ["_step", "_runtime", "_timestamp", "train/loss", "train/global_step", "val/loss", "lr", "mfu"],
        {"loss": "train/loss", "lr": "lr", "val_loss": "val/loss"}, "_step", "min",
    ),
    "NeMo": (
        ["epoch", "global_step", "grad_norm", "lr", "reduced_train_loss", "train_step_timing in s", "val_loss"],
        {"loss": "reduced_train_loss", "grad_norm": "grad_norm", "lr": "lr", "step_time": "train_step_timing in s",
         "val_loss": "val_loss"}, "global_step", "min",
    ),
    "Megatron's TensorBoard": (
        ["lm loss", "lm loss validation", "learning-rate", "grad-norm", "loss-scale", "iteration-time"],
        {"loss": "lm loss", "grad_norm": "grad-norm", "lr": "learning-rate", "step_time": "iteration-time",
         "val_loss": "lm loss validation"}, "", "min",
    ),
    "OLMo": (
        ["train/CrossEntropyLoss", "optim/total_grad_norm", "optim/learning_rate_group0", "eval/validation/CrossEntropyLoss"],
        {"loss": "train/CrossEntropyLoss", "grad_norm": "optim/total_grad_norm", "lr": "optim/learning_rate_group0",
         "val_loss": "eval/validation/CrossEntropyLoss"}, "", "min",
    ),
    "Stable-Baselines3": (
        ["rollout/ep_len_mean", "rollout/ep_rew_mean", "time/total_timesteps", "train/loss", "train/learning_rate",
         "eval/mean_reward"],
        {"loss": "rollout/ep_rew_mean", "lr": "train/learning_rate", "val_loss": "eval/mean_reward"},
        "time/total_timesteps", "max",
    ),
    "what a script says of its batches and its process": (
        ["step", "loss", "train/label_entropy", "amp/found_inf", "skipped_steps", "gpu/memory_allocated_gb", "disk_free_gb",
         "ckpt_failed", "policy_entropy", "skipped_samples", "buffer_overflow", "gpu_peak_mb"],
        {"loss": "loss", "label_entropy": "train/label_entropy", "skipped": "amp/found_inf", "skipped_total": "skipped_steps",
         "gpu_mb": "gpu/memory_allocated_gb", "disk_free_mb": "disk_free_gb", "checkpoint_failed": "ckpt_failed"}, "step", "min",
    ),
    "an accuracy alone": (["step", "accuracy", "val_accuracy"], {"loss": "accuracy", "val_loss": "val_accuracy"}, "step", "max"),
    "a validation beside a test": (["step", "test_loss", "val_loss"], {"val_loss": "val_loss"}, "step", "min"),
    "a table of something else": (["age", "height", "city"], {}, "", "min"),
}  # fmt: skip


@pytest.mark.parametrize("case", SEEN)
def test_columns_are_known_by_the_names_that_trainers_write(case: str) -> None:
    names, streams, step, goal = SEEN[case]
    found = guess(names)
    assert (dict(found.streams), found.step, found.goal) == (streams, step, goal)


def test_a_person_who_says_which_column_it_is_wins_over_every_guess() -> None:
    names = ["tick", "loss", "objective", "return", "note"]
    found = guess(names, told={"loss": "objective", "step": "tick", "event": "note"})
    assert (found.streams["loss"], found.step, found.event, found.goal) == ("objective", "tick", "note", "min")
    assert guess(names, told={"loss": "return"}).goal == "max"
    assert guess(names, told={"loss": "return"}, goal="min").goal == "min"


def test_a_goal_that_is_given_chooses_among_columns_that_go_both_ways() -> None:
    names = ["step", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert dict(guess(names, goal="max").streams) == {"loss": "accuracy", "val_loss": "val_accuracy"}
    assert dict(guess(names).streams) == {"loss": "loss", "val_loss": "val_loss"}


def test_a_column_that_comes_later_moves_no_stream_that_was_found() -> None:
    early = guess(["step", "loss", "eval_loss"])
    late = guess(["step", "loss", "eval_loss", "train_loss", "val_loss", "grad_norm"], kept=early)
    assert dict(late.streams) == {"loss": "loss", "val_loss": "eval_loss", "grad_norm": "grad_norm"}


@pytest.mark.parametrize(
    ("name", "stream", "factor"),
    [("rss_gb", "rss_mb", 1024.0), ("memory_mb", "rss_mb", 1.0), ("rss_bytes", "rss_mb", 2.0**-20),
     ("step_time_ms", "step_time", 1e-3), ("data_time", "data_time", 1.0)],
)  # fmt: skip
def test_a_unit_in_a_name_is_heeded(name: str, stream: str, factor: float) -> None:
    found = guess(["loss", name])
    assert found.streams[stream] == name and found.factors.get(stream, 1.0) == factor


@given(st.lists(st.text(max_size=30), max_size=12, unique=True))
@settings(max_examples=200, deadline=None)
def test_no_name_is_two_streams_and_none_is_made_up(names: list[str]) -> None:
    found = guess(names)
    assert isinstance(found, Guess) and set(found.streams.values()) <= set(names)
    assert len(set(found.streams.values())) == len(found.streams)


@pytest.mark.parametrize(
    ("column", "stream"),
    [
        ("skipped", "skipped"), ("train/step_skipped", "skipped"), ("overflow", "skipped"), ("num_skipped_steps", "skipped_total"),
        ("number_skipped", "skipped_total"), ("overflow_count", "skipped_total"), ("total_skipped_iterations", "skipped_total"),
        ("labels/entropy", "label_entropy"), ("class_entropy", "label_entropy"),
        ("vram_mb", "gpu_mb"), ("cuda_memory_bytes", "gpu_mb"),
    ],
)  # fmt: skip
def test_skipped_steps_label_entropy_and_device_memory_are_known_by_their_names(column: str, stream: str) -> None:
    assert dict(guess(["step", column]).streams) == {stream: column}


def test_sizes_are_turned_into_megabytes_by_their_unit() -> None:
    factors = guess(["gpu_memory_used_gb", "disk_free_bytes"]).factors
    assert factors == {"gpu_mb": 1024.0, "disk_free_mb": 1 / 1048576.0}


def test_time_and_processor_use_are_taken_only_from_who_names_them() -> None:
    assert guess(["loss", "cpu", "time_s"]).streams == {"loss": "loss"}
    told = guess(["loss", "cpu", "time_s"], told={"cpu": "cpu", "time_s": "time_s"})
    assert told.streams == {"loss": "loss", "cpu": "cpu", "time_s": "time_s"}
