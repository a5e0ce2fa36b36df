"""Runs that ended before a study, or outside of it: as a reader found them, and as they stand in the study."""

import hashlib
import json
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from secondshift.records.studies import Value
from secondshift.records.trials import Trial

Origin = Literal["mlflow", "tensorboard", "wandb", "csv", "secondshift"]
RunStatus = Literal["finished", "failed", "killed", "running", "deleted", "unknown"]
Columns = Mapping[str, tuple[array, array]]  # metric -> steps ('q') and values ('d') in the order of logging


@dataclass(frozen=True, kw_only=True, slots=True)
class PastRun:
    """One run as its tracker wrote it down: nothing is mapped or judged yet."""

    source: Origin
    run: str  # the tracker's own id; where it gives none, the path relative to the study
    name: str  # for people
    status: RunStatus = "unknown"  # as the tracker says; unknown: it says nothing
    params: Mapping[str, Value] = field(default_factory=dict)  # nested names joined by dots
    hints: Mapping[str, Value] = field(
        default_factory=dict
    )  # tags and the like: may name a parameter, tell no runs apart
    columns: Columns = field(default_factory=dict)
    started_at: float = 0.0  # UTC seconds; 0: not said
    ended_at: float = 0.0
    damaged: int = 0  # lines, rows or bytes that could not be read, and points that no ledger could hold


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """A past run taken over as a finished trial: it cost the study nothing, and where it ran is unknown."""

    trial: Trial  # its id is p1, p2, ...; it is in no budget, count or schedule
    source: str
    run: str
    name: str
    digest: str  # of what was taken over
    seed_known: bool = False
    others: Mapping[str, Value] = field(default_factory=dict)  # its parameters outside the search space
    started_at: float = 0.0
    ended_at: float = 0.0
    seq: int = 0  # of the fact


def settings_id(params: Mapping[str, Value], others: Mapping[str, Value]) -> str:
    """Name all that was set in a run but its seed: runs of one name differ in nothing else that is known."""
    text = json.dumps([sorted(params.items()), sorted(others.items())])
    return "past-" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
