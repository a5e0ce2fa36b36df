"""Streams of the captain's benchmark, one run at a time, and which part of each source may be looked at while tuning.

The split is that of docs/captain/recoverable.md: `tuning` may be looked at, `judging` may not.
"""

import csv
import json
import pickle
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

from captain import bumps, generator, kinds, returns, trainings
from captain.kinds import KINDS, RISES
from captain.scoring import Expected

Part = Literal["tuning", "judging"]
Row = dict[str, float | None]
HERE = Path(__file__).resolve().parents[2]
CACHE = HERE / ".benchmarks" / "captain"  # ignored by git
LIVE_HELD_OUT = frozenset({"bad_shard60", "weights_saturated", "dead_loader_same_batch", "straggler_x1.6",
                           "small_bump", "ckpt_pause"})  # fmt: skip
FIRST_JUDGING_SEED = 1_300_000  # those from 100,000 to 500,000 and from 700,000 to 1,200,000 judged before, and were seen
HEALTHY = Expected(kind="healthy", fault=False, onset=-1, acceptable=frozenset(), right=frozenset(), causes=frozenset(),
                   slow=False, held_out=False)  # fmt: skip

JUMPS = RISES | {"gradient_explosion"}
# kind of `live_faults` -> acceptable symptoms, right first symptoms (docs/captain/recoverable.md), and right causes
LIVE: dict[str, tuple[frozenset[str], frozenset[str], frozenset[str]]] = {
    name: (frozenset(acceptable), frozenset(right), frozenset(causes))
    for name, acceptable, right, causes in (
        ("nan_batch", {"non_finite"}, {"non_finite"}, {"bad_numbers"}),
        ("lr_x100", JUMPS | {"non_finite"}, {"gradient_explosion", "spike", "step_up"}, {"learning_rate_too_high"}),
        ("lr_bad_from_start", JUMPS | {"not_learning", "gradient_vanishing", "plateau"}, {"not_learning", "slow_divergence"},
         {"learning_rate_too_high", "wrong_set_up"}),
        ("bad_shard60", RISES, {"spike", "step_up"}, {"bad_data"}),
        ("labels_permuted", RISES, {"spike", "step_up"}, {"bad_data"}),
        ("weights_saturated", JUMPS | {"gradient_vanishing"}, (JUMPS | {"gradient_vanishing"}) - {"slow_divergence"},
         {"damaged_weights", "dead_units", "bad_data"}),
        ("grad_overflow_skip", {"overflow_skipping"}, {"overflow_skipping"}, {"overflow"}),
        ("dead_loader_same_batch", {"dead_loader"}, {"dead_loader"}, {"dead_loader"}),
        ("frozen_logger", {"frozen_metrics"}, {"frozen_metrics"}, {"dead_logger"}),
        ("straggler_x1.6", {"slow_steps"}, {"slow_steps"}, {"slow_device"}),
        ("slow_loader", {"slow_loader"}, {"slow_loader"}, {"slow_loader"}),
        ("mem_leak", {"memory_leak"}, {"memory_leak"}, {"memory_leak"}),
        ("overfit", {"overfitting"}, {"overfitting"}, {"overfitting"}),
        ("lr_zero_bug", {"no_update"}, {"no_update"}, {"no_learning"}),
        ("dead_relu", RISES | {"gradient_vanishing", "not_learning"}, {"gradient_vanishing", "step_up", "spike"},
         {"dead_units", "damaged_weights"}),
        ("no_grad_clip_spike", {"spike", "gradient_explosion", "step_up"}, {"spike", "gradient_explosion"},
         {"bad_data", "damaged_weights", "learning_rate_too_high"}),  # the rate column shows it ten times as high for four steps
    )
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One run as a detector may see it, and apart from it what is right to say."""

    name: str
    part: Part
    expected: Expected  # never given to a detector
    rows: Sequence[Mapping[str, float | None]]
    goal: Literal["min", "max"] = "min"
    announced: tuple[int, ...] = ()
    hours: float = 0.0  # that the run took; 0 = not known


def tables(path: Path, *columns: str) -> dict[str, list]:
    """Columns of a parquet file; pyarrow is fetched into a folder of its own at first need, it is no dependency."""
    try:
        from pyarrow import parquet
    except ModuleNotFoundError:
        place = CACHE / f"pyarrow-{sys.version_info[0]}.{sys.version_info[1]}"
        if not place.exists():  # the interpreter that made this environment has a pip
            pip = [str(Path(sys.base_prefix) / "bin" / "python3"), "-m", "pip"]
            subprocess.run([*pip, "install", "-q", "--root-user-action=ignore", "--target", place, "pyarrow"], check=True)
        sys.path.append(str(place))
        from pyarrow import parquet
    return parquet.read_table(path, columns=list(columns) or None).to_pydict()


def live(data: Path) -> Iterator[Stream]:
    """The 130 small trainings of `live_faults`: seeds 0 and 1 tune, without the kinds that are held out."""
    columns = ("loss", "grad_norm", "lr", "step_time", "data_time", "rss_mb", "val_loss", "distinct")
    table = tables(data / "live_faults" / "streams.parquet")
    rows: dict[int, list[Row]] = {}
    for index, run in enumerate(table["run"]):
        row: Row = {"step": table["step"][index]} | {name: table[name][index] for name in columns}
        if row["loss"] is None and row["grad_norm"] is None:
            row["loss"] = float("nan")  # so this table writes it; a follower of raw rows sees it too, peers would not
        rows.setdefault(run, []).append(row)
    with (data / "live_faults" / "truth.csv").open() as file:
        for truth in csv.DictReader(file):
            kind, fault = truth["kind"], truth["fault"] == "True"
            held_out = kind in LIVE_HELD_OUT
            acceptable, right, causes = LIVE[kind] if fault else (frozenset(), frozenset(), frozenset())
            expected = Expected(kind=kind, fault=fault, onset=int(truth["onset"]), acceptable=acceptable, right=right,
                                causes=causes, slow=kind in ("mem_leak", "overfit"), held_out=held_out)  # fmt: skip
            tunes = int(truth["seed"]) < 2 and not held_out
            yield Stream(name=f"live {kind} {truth['seed']}", part="tuning" if tunes else "judging", expected=expected,
                         rows=rows[int(truth["run"])], announced=tuple(json.loads(truth["announced"])))  # fmt: skip


def generated(part: Part, seeds: int, *, held_out: int = 0, names: Sequence[str] = ()) -> Iterator[Stream]:
    """Runs of our own generator, kept for the next call; kinds that are held out never tune.

    held_out: how many seeds of those kinds, where it is not the same; names: only these kinds.
    """
    sources = (generator.__file__, kinds.__file__, trainings.__file__, bumps.__file__, returns.__file__)
    key = zlib.crc32(b"".join(Path(source).read_bytes() for source in sources))
    place = CACHE / f"generated-{key:08x}"
    place.mkdir(parents=True, exist_ok=True)
    first = 0 if part == "tuning" else FIRST_JUDGING_SEED
    for kind in KINDS.values():
        if (part == "tuning" and kind.held_out) or (names and kind.name not in names):
            continue
        for seed in range(first, first + (held_out if kind.held_out and held_out else seeds)):
            file = place / f"{kind.name}-{seed}.pickle"
            if not file.exists():
                file.write_bytes(pickle.dumps(generator.generate(kind.name, seed)))
            run, truth = pickle.loads(file.read_bytes())  # written above, by this program
            expected = Expected(kind=kind.name, fault=kind.fault, onset=truth.onset, acceptable=kind.acceptable,
                                right=kind.right, causes=kind.causes, slow=kind.slow,
                                held_out=kind.held_out, whole=kind.whole)  # fmt: skip
            yield Stream(name=f"generated {kind.name} {seed}", part=part, expected=expected, rows=run.rows, goal=run.goal,
                         announced=run.announced)  # fmt: skip


def _parity(names: Sequence[int]) -> dict[int, Part]:
    return {name: "tuning" if index % 2 == 0 else "judging" for index, name in enumerate(sorted(names))}


def algoperf(data: Path) -> Iterator[Stream]:
    """The 1,680 real runs; their labels were made by a rule that uses the future, and are no gold."""
    place = data / "algoperf"
    with (place / "labels.csv").open() as file:
        labels = {int(row["run"]): row for row in csv.DictReader(file)}
    parts = _parity(list(labels))
    rows: dict[int, dict[int, Row]] = {run: {} for run in labels}
    hours = dict.fromkeys(labels, 0.0)
    curves = tables(place / "curves.parquet")
    for run, step, loss, norm in zip(*(curves[c] for c in ("run", "step", "loss", "grad_norm")), strict=True):
        # An empty cell beside a gradient norm that is there is missing; else, or beside one that is infinite, it is a NaN.
        value = float("nan") if loss is None and (norm is None or not isfinite(norm)) else loss
        rows[run].setdefault(step, {"step": float(step)}).update(loss=value, grad_norm=norm)
    evaluations = tables(place / "evals.parquet")
    for run, step, value, seconds in zip(*(evaluations[c] for c in ("run", "step", "val_loss", "total_duration")),
                                         strict=True):  # fmt: skip
        if run not in rows:
            continue
        hours[run] = max(hours[run], (seconds or 0.0) / 3600)
        if value is not None:
            rows[run].setdefault(step, {"step": float(step)}).update(val_loss=value)
    for run, label in labels.items():
        kind = label["label"]
        onset = float(label["onset_step"] or -1) if kind != "diverged_nonfinite" else float(label["first_nonfinite_step"])
        announced = (int(onset),) if kind == "planned_restart" else ()
        fault = kind in ("ended_elevated", "diverged_nonfinite")
        acceptable = RISES | {"non_finite", "not_learning"} if kind == "ended_elevated" else frozenset({"non_finite"})
        expected = Expected(kind=kind, fault=fault, onset=int(onset), acceptable=acceptable, right=acceptable,
                            causes=frozenset(), slow=False, held_out=False)  # fmt: skip
        ordered = [rows[run][step] for step in sorted(rows[run])]
        yield Stream(name=f"algoperf {run}", part=parts[run], expected=expected, rows=ordered, announced=announced,
                     hours=hours[run])  # fmt: skip


def nanogpt(data: Path) -> Iterator[Stream]:
    """584 language-model trainings that ended as they should."""
    table = tables(data / "nanogpt" / "curves.parquet")
    rows: dict[int, dict[int, Row]] = {}
    hours: dict[int, float] = {}
    for run, kind, step, loss, seconds in zip(*(table[c] for c in ("run", "kind", "step", "loss", "train_time_s")),
                                              strict=True):  # fmt: skip
        row = rows.setdefault(run, {}).setdefault(step, {"step": float(step)})
        row["loss" if kind == "train" else "val_loss"] = loss
        hours[run] = max(hours.get(run, 0.0), (seconds or 0.0) / 3600)
    parts = _parity(tables(data / "nanogpt" / "runs.parquet", "run")["run"])
    for run, found in sorted(rows.items()):
        yield Stream(name=f"nanogpt {run}", part=parts[run], expected=HEALTHY, rows=[found[s] for s in sorted(found)],
                     hours=hours[run])  # fmt: skip


def rl(data: Path) -> Iterator[Stream]:
    """77 reinforcement-learning runs of published agents: the return of each episode is the metric, higher is better."""
    table = tables(data / "rl" / "episodes.parquet")
    rows: dict[int, list[Row]] = {}
    hours: dict[int, float] = {}
    for run, value, seconds in zip(table["run"], table["ep_return"], table["t"], strict=True):
        found = rows.setdefault(run, [])
        found.append({"step": float(len(found)), "loss": value})
        hours[run] = max(hours.get(run, 0.0), seconds / 3600)
    parts = _parity(tables(data / "rl" / "runs.parquet", "run")["run"])
    for run, found in sorted(rows.items()):
        yield Stream(name=f"rl {run}", part=parts[run], expected=HEALTHY, rows=found, goal="max", hours=hours[run])


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """The end of one real job log and how it was classed by hand."""

    name: str
    part: Part
    head: Sequence[str]
    tail: Sequence[str]
    signs: frozenset[str]  # classes whose lines its maker found in the whole log, which the excerpt leaves out
    right: str


def excerpts(data: Path) -> Iterator[Excerpt]:
    """The dossiers of real job logs; even lines tune."""
    with (data / "crash_logs" / "index.csv").open() as file:
        classes = {row["log"]: row["class"] for row in csv.DictReader(file)}
    for index, line in enumerate((data / "crash_logs" / "excerpts.jsonl").read_text().splitlines()):
        found = json.loads(line)
        head = found["error_head"]
        yield Excerpt(name=found["log"], part="tuning" if index % 2 == 0 else "judging", head=head,
                      tail=[*found["last_metric_lines"], *found["tail"]],
                      signs=frozenset(TAGS[tag] for tag in found["tags"] if tag in TAGS), right=classes[found["log"]])  # fmt: skip


DETERMINISTIC = frozenset({"launch_config_error", "oom", "nan_in_optimizer_state"})  # will happen again: never retried
# tags of the dossiers -> what `crashes.signs_in` calls the same
TAGS = {"cuda_oom_torch": "oom", "oom_jax": "oom", "nccl_watchdog_timeout": "nccl_timeout", "sigabrt": "sigabrt"}
