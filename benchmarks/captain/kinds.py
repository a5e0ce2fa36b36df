"""The kinds of the generator: which are faults, what finds them, and which were held out (docs/captain/recoverable.md)."""

from dataclasses import dataclass

RISES = frozenset({"spike", "step_up", "slow_divergence"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of stream that the generator makes."""

    name: str
    fault: bool
    acceptable: frozenset[str] = frozenset()  # symptoms that count as a hit
    right: frozenset[str] = frozenset()  # symptoms that are right as the first finding
    causes: frozenset[str] = frozenset()  # diagnoses that are right; empty: not judged
    held_out: bool = False  # never seen while tuning
    slow: bool = False  # 400 steps to be found instead of 200
    announced: bool = False  # the change is announced
    whole: bool = False  # may be found until the run ends


def _fault(name: str, acceptable: set[str] | frozenset[str], right: set[str] | frozenset[str] | None = None, *,
           causes: set[str] | None = None, held_out: bool = False, slow: bool = False, whole: bool = False) -> Kind:  # fmt: skip
    return Kind(name=name, fault=True, acceptable=frozenset(acceptable), right=frozenset(right or acceptable),
                causes=frozenset(causes or ()), held_out=held_out, slow=slow, whole=whole)  # fmt: skip


def _lookalike(name: str, *, held_out: bool = False, announced: bool = False) -> Kind:
    return Kind(name=name, fault=False, held_out=held_out, announced=announced)


JUMP = RISES | {"gradient_explosion"}
FAULTS = (
    _fault("nan_batch", {"non_finite"}, causes={"bad_numbers"}),
    _fault("lr_jump", JUMP | {"non_finite"}, {"gradient_explosion", "spike", "step_up"}, causes={"learning_rate_too_high"}),
    _fault("lr_bad_from_start", JUMP | {"not_learning", "gradient_vanishing", "plateau", "non_finite"},
           {"not_learning", "slow_divergence", "non_finite"}, causes={"learning_rate_too_high", "bad_numbers", "wrong_set_up"}),
    _fault("bad_shard", RISES, {"spike", "step_up"}, causes={"bad_data"}, held_out=True),
    _fault("labels_wrong", RISES, {"spike", "step_up"}, causes={"bad_data"}),
    _fault("weights_damaged", JUMP, {"spike", "step_up", "gradient_explosion"}, causes={"damaged_weights", "bad_data"}),
    _fault("weights_saturated", JUMP | {"gradient_vanishing"}, causes={"damaged_weights", "dead_units", "bad_data"}, held_out=True),
    _fault("bit_flip", JUMP | {"non_finite"}, causes={"damaged_weights", "bad_data", "bad_numbers"}, held_out=True),
    _fault("gradient_spike", JUMP, {"spike", "gradient_explosion", "step_up"}, causes={"bad_data", "damaged_weights"}),
    _fault("drifting_apart", RISES, causes={"learning_rate_too_high", "bad_data"}, slow=True),
    _fault("random_labels_from_start", {"not_learning", "plateau"}, causes={"wrong_set_up"}, slow=True),
    _fault("gradient_lost", {"gradient_vanishing", "no_update"}, causes={"dead_units", "no_learning"}),
    _fault("dead_units", {"gradient_vanishing", "step_up", "spike"}, causes={"dead_units", "damaged_weights"}),
    _fault("overflow_skipping", {"overflow_skipping"}, causes={"overflow"}),
    _fault("loss_scale_lost", {"gradient_vanishing", "no_update", "plateau"}, causes={"dead_units", "no_learning"}, held_out=True),
    _fault("frozen_logger", {"frozen_metrics"}, causes={"dead_logger"}),
    _fault("lr_zero", {"no_update"}, causes={"no_learning"}),
    _fault("detached_optimiser", {"no_update"}, causes={"no_learning"}),
    _fault("repeated_batch", {"dead_loader"}, causes={"dead_loader"}, held_out=True),
    _fault("unshuffled_loader", {"unshuffled_loader", "dead_loader"}, {"unshuffled_loader"}, causes={"unshuffled_loader"},
           held_out=True),
    _fault("straggler", {"slow_steps"}, causes={"slow_device"}, held_out=True),
    _fault("throttled", {"slow_steps"}, causes={"slow_device"}),
    _fault("slow_loader", {"slow_loader"}, causes={"slow_loader"}),
    _fault("memory_leak", {"memory_leak"}, causes={"memory_leak"}, slow=True),
    _fault("overfit", {"overfitting"}, causes={"overfitting"}, slow=True),
    _fault("ended_elevated", JUMP | {"non_finite"}, whole=True),
    _fault("ended_short", JUMP | {"non_finite"}, whole=True),
    _fault("evaluation_shift", {"evaluation_shift"}, causes={"evaluation_changed"}),
)  # fmt: skip
LOOKALIKES = (
    _lookalike("healthy"),
    _lookalike("warmup_bump"),
    _lookalike("lr_drop", announced=True),
    _lookalike("schedule"),
    _lookalike("curriculum", announced=True),
    _lookalike("batch_size_down", announced=True),
    _lookalike("eval_spike"),
    _lookalike("noisy_evaluation"),
    _lookalike("slow_start"),
    _lookalike("gc_pauses", held_out=True),
    _lookalike("evaluation_steps"),
    _lookalike("noisy_small_batch"),
    _lookalike("restart"),
    _lookalike("double_descent", held_out=True),
    _lookalike("small_data_epochs"),
    _lookalike("memory_warmup"),
    _lookalike("memory_sawtooth"),
    _lookalike("loss_scale_search"),
    _lookalike("recovered_bump"),
    _lookalike("bumps_short"),
    _lookalike("recurrent_spikes"),
    _lookalike("planned_restart", announced=True),
    _lookalike("reinforcement_noise"),
    _lookalike("reinforcement_sparse"),
    _lookalike("reinforcement_forgetting"),
)
KINDS = {kind.name: kind for kind in (*FAULTS, *LOOKALIKES)}
