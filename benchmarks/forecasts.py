"""How often forecasts hold, and how wide they are: every trial of recorded nights, at the quarter of its horizon.

    python3 benchmarks/forecasts.py --data FOLDER --nights RESULTS.nights/METHOD [--instances ...] [--quick] [--json]

NIGHTS is what benchmarks/search.py leaves beside its results: the purchases of each night, in order. Each forecaster is given what
had been bought by the moment at which a trial passed a quarter of its horizon, and its 80 % interval is held against how the
curve really went on (the smallest loss up to its end, as the nights' objective counts it). Widths are in units of the study's
range then: median first loss minus best. "at 80 %": the mean width after all intervals of a family were stretched about their
medians until exactly 80 % hold, which is how sharpness is compared at equal coverage.
"""

import argparse
import csv
import json
import math
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import preparing

preparing.environment()

import numpy as np  # noqa: E402  # the folders come first
from search.buying import reader  # noqa: E402

from secondshift.policies.forecasters import analogues, last_value, power_law  # noqa: E402
from secondshift.policies.forecasters.foreseeing import Forecaster, Ground  # noqa: E402
from secondshift.policies.forecasters.foreseeing import Path as Losses  # noqa: E402

FORECASTERS: dict[str, Forecaster] = {module.NAME: module.expect for module in (analogues, power_law, last_value)}
SHARE = 0.25
TOLERANCE = 1e-4  # of the study's range: what counts as held


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One trial as it passed the quarter of its horizon."""

    family: str
    ground: Ground
    truth: float
    reach: float  # the study's range


def cases(night: Path, horizon: int, truths: dict[str, list[float]]) -> Iterator[Case]:
    """Walk through the purchases of one night."""
    mark, done, so_far = math.ceil(SHARE * horizon), set(), defaultdict(list)
    with night.open() as file:
        for row in csv.DictReader(file):
            trial = row["trial"]
            so_far[trial].append(float(row["loss"]))
            if len(so_far[trial]) == mark and trial not in done and len(truths[row["bought"]]) > mark:
                done.add(trial)
                yield _case(night.stem.split("-")[0], so_far, trial, horizon, truths[row["bought"]])


def _case(family: str, so_far: dict[str, list[float]], trial: str, horizon: int, truth: list[float]) -> Case:
    paths = {name: _path(values) for name, values in so_far.items()}
    others = [path for name, path in paths.items() if name != trial]
    best = min(float(path.losses[-1]) for path in paths.values())
    firsts = [path.losses[0] for path in paths.values() if np.isfinite(path.losses[0])]
    ground = Ground(own=paths[trial], others=others, horizon=horizon, best=best, falls_only=True)
    return Case(family=family, ground=ground, truth=float(np.nanmin(truth)), reach=max(float(np.median(firsts)) - best, 1e-9))


def _path(values: list[float]) -> Losses:
    losses = np.array(values)
    losses = np.minimum.accumulate(np.where(np.isfinite(losses), losses, np.inf))
    return Losses(steps=np.arange(1, len(losses) + 1, dtype=float), losses=losses)


def measured(found: list[Case], expect: Forecaster) -> dict[str, float]:
    """What one forecaster did on one family: how many it forecast, coverage, widths, and error of the median."""
    said = [(case, expect(case.ground)) for case in found]
    kept = [(case, one) for case, one in said if one is not None and math.isfinite(one.high - one.low)]
    if not kept:
        return {"cases": len(found), "said": 0}
    low, middle, high = (np.array([getattr(one, name) for _, one in kept]) for name in ("low", "middle", "high"))
    truth, reach = (np.array([getattr(case, name) for case, _ in kept]) for name in ("truth", "reach"))
    slack = TOLERANCE * reach
    held = (truth >= low - slack) & (truth <= high + slack)
    above, below = np.maximum(high - middle, slack), np.maximum(middle - low, slack)
    stretch = np.where(truth > middle, (truth - middle - slack) / above, (middle - truth - slack) / below)
    width = (high - low) / reach
    return {
        "cases": len(found), "said": len(kept), "held": float(held.mean()), "width": float(width.mean()),
        "at_80": float(width.mean() * max(float(np.quantile(stretch, 0.8)), 0.0)),
        "error": float(np.mean(np.abs(truth - middle) / reach)),
    }  # fmt: skip


def _truths(data: Path, wanted: dict[str, list[str]]) -> dict:
    surrogate = any(name.startswith("lcbench") for name in wanted)
    command = [str(reader(surrogate)), str(Path(__file__).resolve().parent / "search" / "truths.py"), str(data)]
    done = subprocess.run(command, input=json.dumps(wanted), capture_output=True, text=True, check=True, timeout=600)
    return json.loads(done.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of curves")
    parser.add_argument("--nights", type=Path, required=True, help="purchases of one method, as benchmarks/search.py leaves them")
    parser.add_argument("--instances", default="", help="beginnings of names, with commas between them; all of them")
    parser.add_argument("--quick", action="store_true", help="eight of the nights, spread over all")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    begin = tuple(arguments.instances.split(","))
    nights = [night for night in sorted(arguments.nights.glob("*.csv")) if night.name.startswith(begin)]
    nights = nights[:: max(1, len(nights) // 8)] if arguments.quick else nights
    bought: dict[str, dict[str, int]] = {}
    for night in nights:
        with night.open() as file:
            for row in csv.DictReader(file):
                known = bought.setdefault(row["instance"], {})
                known.setdefault(row["bought"], len(known))
    answers = _truths(arguments.data, {name: list(known) for name, known in bought.items()})
    found: dict[str, list[Case]] = defaultdict(list)
    for night in nights:
        name = night.name.rsplit(".", 2)[0]
        truths = {what: answers[name]["curves"][index] for what, index in bought[name].items()}
        for case in cases(night, answers[name]["horizon"], truths):
            found[case.family].append(case)
    table = {family: {name: measured(of, expect) for name, expect in FORECASTERS.items()} for family, of in found.items()}
    if arguments.json:
        print(json.dumps(table))
        return
    print(f"{len(nights)} nights\n{'':>10}{'forecaster':>14}{'said':>12}{'80 % held':>11}{'width':>8}{'at 80 %':>9}{'error':>8}")
    for family, by in sorted(table.items()):
        for name, row in by.items():
            numbers = f"{row['held']:>11.2f}{row['width']:>8.3f}{row['at_80']:>9.3f}{row['error']:>8.3f}" if row["said"] else ""
            print(f"{family:>10}{name:>14}{row['said']:>6} of {row['cases']:<3}{numbers}")


if __name__ == "__main__":
    main()
