"""The kinds of drill: what goes wrong, whether the captain may mend it, and what it should come to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Ends = Literal["mended", "asked", "not tried again", "noted", "given up", "ended at its best"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One thing that can be made to go wrong."""

    name: str
    ends: Ends  # what it should come to
    causes: frozenset[str]  # diagnoses that are right
    lasting: bool = False  # no remedy that is known here ends it: the run is not compared with its twin


def _kind(name: str, ends: Ends, causes: str, *, lasting: bool = False) -> Kind:
    return Kind(name=name, ends=ends, causes=frozenset(causes.split()), lasting=lasting)


# In the order of the issue; docs/captain/recoverable.md fixed which of them count as recoverable before any was tried.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind("nan_batch", "mended", "bad_numbers"),
        _kind("lr_hundredfold", "mended", "learning_rate_too_high bad_numbers"),
        _kind("lr_schedule_bug", "mended", "learning_rate_too_high bad_numbers"),
        _kind("weights_damaged", "mended", "damaged_weights bad_data"),
        _kind("wrong_labels", "asked", "bad_data damaged_weights", lasting=True),
        _kind("bad_shard", "mended", "bad_data damaged_weights bad_numbers"),
        _kind("dead_loader", "mended", "dead_loader"),
        _kind("frozen_logger", "asked", "dead_logger", lasting=True),
        _kind("leak", "mended", "memory_leak"),
        _kind("oom", "not tried again", "oom", lasting=True),
        _kind("sigkill", "mended", "killed"),
        _kind("segfault", "mended", "segfault"),
        _kind("lock_hang", "mended", "silent hang_lock"),
        _kind("busy_hang", "mended", "silent hang_busy"),
        _kind("stopped", "mended", "silent hang_stopped"),
        _kind("checkpoint_write_failure", "noted", "checkpoints_failing", lasting=True),
        _kind("corrupt_checkpoint", "mended", "killed"),
        _kind("crash_loop", "given up", "killed crash_loop", lasting=True),
        _kind("import_error", "not tried again", "launch_config_error", lasting=True),
        _kind("overfit", "ended at its best", "overfitting", lasting=True),
        _kind("remedy_not_applied", "asked", "remedy_not_applied bad_data bad_numbers", lasting=True),
    )
}  # fmt: skip
ENGINE_KILLED = "captain_killed"  # not of the training: the engine is ended by SIGKILL while an incident of `bad_shard` is open
