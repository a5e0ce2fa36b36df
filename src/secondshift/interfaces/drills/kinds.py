"""The kinds of drill: what goes wrong, whether the captain may mend it, and what it should come to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Ends = Literal["mended", "asked", "not tried again", "noted", "given up"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One thing that can be made to go wrong."""

    name: str
    sentence: str
    ends: Ends  # what it should come to
    causes: frozenset[str]  # diagnoses that are right
    lasting: bool = False  # no remedy that is known here ends it: the run is not compared with its twin


def _kind(name: str, ends: Ends, causes: str, sentence: str, *, lasting: bool = False) -> Kind:
    return Kind(name=name, sentence=sentence, ends=ends, causes=frozenset(causes.split()), lasting=lasting)


# In the order of the issue; docs/captain/recoverable.md fixed which of them count as recoverable before any was tried.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind("nan_batch", "mended", "bad_numbers", "one batch with labels that are not numbers"),
        _kind("lr_x100", "mended", "learning_rate_too_high bad_numbers", "the learning rate of this process is 100 times too high"),
        _kind("lr_schedule_bug", "mended", "learning_rate_too_high bad_numbers",
              "the schedule is 100 times too high from a step on, in every attempt"),
        _kind("weights_damaged", "mended", "damaged_weights bad_data", "noise is added to the first layer's weights"),
        _kind("wrong_labels", "asked", "bad_data damaged_weights", "labels are shuffled from a step on, for good", lasting=True),
        _kind("bad_shard", "mended", "bad_data damaged_weights bad_numbers", "60 steps of data that is noise"),
        _kind("dead_loader", "mended", "dead_loader", "the loader gives the same batch again and again, until it is started afresh"),
        _kind("frozen_logger", "asked", "dead_logger", "the logger repeats the same numbers", lasting=True),
        _kind("leak", "mended", "memory_leak", "each step keeps 0.4 MB"),
        _kind("oom", "not tried again", "oom", "memory runs out at the same step in every attempt", lasting=True),
        _kind("sigkill", "mended", "killed", "the process is ended by SIGKILL"),
        _kind("segfault", "mended", "segfault", "the process reads where it must not"),
        _kind("lock_hang", "mended", "silent", "the process waits for a lock that it holds itself"),
        _kind("busy_hang", "mended", "silent", "the process runs in a circle"),
        _kind("stopped", "mended", "silent", "the process is stopped by SIGSTOP"),
        _kind("checkpoint_write_failure", "noted", "checkpoints_failing", "checkpoints cannot be written any more", lasting=True),
        _kind("corrupt_checkpoint", "mended", "killed", "the newest checkpoint is damaged, and the process killed"),
        _kind("crash_loop", "given up", "killed crash_loop", "the process is killed at the same step in every attempt", lasting=True),
        _kind("import_error", "not tried again", "launch_config_error", "a library is missing", lasting=True),
        _kind("remedy_not_applied", "asked", "remedy_not_applied bad_data bad_numbers",
              "a bad shard, and a script that does not skip what it is told to", lasting=True),
    )
}  # fmt: skip
ENGINE_KILLED = "captain_killed"  # not of the training: the engine is ended by SIGKILL while an incident of `bad_shard` is open
