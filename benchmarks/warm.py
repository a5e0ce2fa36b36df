#!/usr/bin/env python3
"""Starting from an earlier study of the same space: how much sooner is it good, and how much later where that one misleads?

    python3 benchmarks/warm.py [--earlier near,kin,elsewhere,opposite] [--seeds 10] [--json]

Every seed is a study of now (benchmarks/warming/instances.py), played without anything and with the curves of an earlier
one imported: a freeze-thaw night of its own, of ten full trainings, fitted into the study as `secondshift import` does it.
The real engine decides, and every epoch is bought. Regret is the least loss that was bought, above the least there is.
Results: docs/search/warm.md.
"""

import argparse
import csv
import json
import sys
import tempfile
from array import array
from pathlib import Path

import preparing

preparing.environment()
preparing.one_thread()

import numpy as np  # noqa: E402  # the folders come first
from search.buying import METRIC, Counter  # noqa: E402
from search.nights import Ask, play  # noqa: E402
from warming.instances import EARLIER, HORIZON, NOW, load  # noqa: E402

from secondshift.records.pastruns import PastRun  # noqa: E402

CURVES = Path(__file__).with_name("warming") / "curves"  # it need not exist: instances.py beside it does
METHOD = "model+freezethaw:warm_start=true"
BUDGETS = (1.0, 2.0, 5.0)  # full trainings
BEFORE = 10.0  # full trainings of the earlier study
RESAMPLES = 4000


def bought(log: Path) -> list[tuple[str, str, int, float]]:
    """Trial, coordinates, epoch and loss of every epoch that was paid for."""
    with log.open() as file:
        return [(row["trial"], row["bought"], int(row["epoch"]), float(row["loss"])) for row in csv.DictReader(file)]


def pasts(log: Path) -> list[PastRun]:
    """The trials of a night as past runs."""
    found: dict[str, tuple[str, array, array]] = {}
    for trial, point, epoch, loss in bought(log):
        _, steps, values = found.setdefault(trial, (point, array("q"), array("d")))
        steps.append(epoch - 1)
        values.append(loss)
    return [
        PastRun(source="csv", run=f"earlier#{trial}", name=trial, columns={METRIC: (steps, values)},
                params={f"x{place}": float(x) for place, x in enumerate(point.split())})
        for trial, (point, steps, values) in found.items()
    ]  # fmt: skip


def regrets(log: Path, optimum: float) -> list[float]:
    """The least loss bought within each budget, above the least there is."""
    losses = [loss for _, _, _, loss in bought(log)]
    return [min(losses[: int(budget * HORIZON)]) - optimum for budget in BUDGETS]


def measured(kinds: list[str], seeds: int, folder: Path) -> dict[str, np.ndarray]:
    """Regrets of all nights, [seeds, budgets], by what was imported."""
    counter, found = Counter(CURVES, Path(sys.executable)), {kind: [] for kind in (NOW, *kinds)}
    try:
        for seed in range(seeds):
            now = Ask(method=METHOD, instance=f"{NOW}-{seed}", seed=seed, trainings=BUDGETS[-1])
            play(now, counter, folder / "cold.csv")
            optimum = load(now.instance, CURVES).optimum()
            found[NOW].append(regrets(folder / "cold.csv", optimum))
            for kind in kinds:
                play(Ask(method=METHOD, instance=f"{kind}-{seed}", seed=seed, trainings=BEFORE), counter, folder / "earlier.csv")
                play(now, counter, folder / "warm.csv", past=pasts(folder / "earlier.csv"))
                found[kind].append(regrets(folder / "warm.csv", optimum))
            print(f"{seed + 1} of {seeds} seeds", file=sys.stderr, flush=True)
    finally:
        counter.close()
    return {kind: np.array(rows) for kind, rows in found.items()}


def main() -> None:
    """Play what was asked for, and print how it compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--earlier", default=",".join(EARLIER), help="with commas between them")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args()
    kinds = given.earlier.split(",")
    if wrong := [kind for kind in kinds if kind not in EARLIER]:
        sys.exit(f"{wrong[0]} is no earlier study; expected some of {', '.join(EARLIER)}.")
    with tempfile.TemporaryDirectory(prefix="secondshift-warm-") as scratch:
        found = measured(kinds, given.seeds, Path(scratch))
    rng, rows = np.random.default_rng(0), {}
    print("| earlier study | full trainings | regret without | with it | difference, 95% | better in |\n|---|---|---|---|---|---|")
    for kind in kinds:
        for place, budget in enumerate(BUDGETS):
            cold, warm = found[NOW][:, place], found[kind][:, place]
            means = (warm - cold)[rng.integers(len(cold), size=(RESAMPLES, len(cold)))].mean(axis=1)
            low, high = np.quantile(means, [0.025, 0.975])
            better = f"{int(np.sum(warm < cold))} of {len(cold)}"
            print(f"| {kind} | {budget:g} | {cold.mean():.3f} | {warm.mean():.3f} | {(warm - cold).mean():+.3f} "
                  f"({low:+.3f} to {high:+.3f}) | {better} |")  # fmt: skip
            rows[f"{kind}, {budget:g} full trainings"] = {"ours": warm.mean(), "unit": "regret", "peers": {"without": cold.mean()}}
    if given.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
