#!/usr/bin/env python3
"""Curves that are made to mislead: is our search ever worse than successive halving of random candidates?

    python3 benchmarks/adversarial.py [--cases crossing,...] [--methods model+freezethaw,...] [--seeds N] [--jobs 1] [--json]

Six cases (benchmarks/adversarial/instances.py), each seed with an optimum of its own, played in the real engine with every
epoch paid for, as benchmarks/search.py does. Regrets are true ones, without noise, of what looks best: `seen` of the best
point of any run, `finished` of the best run that came to its end. Results: docs/search/adversarial.md.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import preparing

preparing.environment()
preparing.one_thread()

from adversarial.instances import CASES, HORIZON, load  # noqa: E402  # the folders come first
from adversarial.regrets import FACTOR, MARGIN, Row, beside, finished, read, seen  # noqa: E402
from search.nights import Ask, Method  # noqa: E402
from search.runs import Place, done, every, told  # noqa: E402

CURVES = Path(__file__).with_name("adversarial") / "curves"  # it need not exist: instances.py beside it does
AGAINST = "random+halving"
BUDGETS = (2.0, 5.0, 10.0)  # full trainings
SEEDS = dict.fromkeys(CASES, 30) | {"noise": 100, "needle": 150}  # noise takes more to see through, and luck more still
MEASURES = {"seen": seen, "finished": finished}


def ask(case: str, seed: int, method: str, trainings: float = BUDGETS[-1]) -> Ask:
    """A night on one of the cases; where no run has a last value, the best one counts."""
    return Ask(method=method, instance=f"{case}-{seed}", seed=seed, trainings=trainings,
               at="best" if case == "diverging" else "final")  # fmt: skip


def regrets(asks: list[Ask], place: Place, measure: str, budget: float) -> list[float]:
    """Of each night, after so many full trainings."""
    return [MEASURES[measure](load(one.instance, CURVES), read(place.log(one))[: int(budget * HORIZON)]) for one in asks]


def compared(case: str, method: str, seeds: int, place: Place) -> dict[tuple[str, float], Row]:
    """A method beside halving, by measure and budget; without `finished` where no run has a last value."""
    ours, theirs = ([ask(case, seed, name) for seed in range(seeds)] for name in (method, AGAINST))
    return {
        (measure, budget): beside(regrets(ours, place, measure, budget), regrets(theirs, place, measure, budget))
        for measure in MEASURES if (case, measure) != ("diverging", "finished")
        for budget in BUDGETS
    }  # fmt: skip


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES), help="with commas between them")
    parser.add_argument("--methods", default="model+freezethaw,model+halving", help="with commas between them")
    parser.add_argument("--seeds", type=int, default=0, help="of every case (30; 100 of noise, 150 of needle)")
    parser.add_argument("--out", type=Path, help="results.csv; what it has already is not played again")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser.parse_args()


def main() -> None:
    """Play what was asked for, and print how it compares."""
    given = options()
    cases, methods = given.cases.split(","), [Method.read(text).name for text in given.methods.split(",")]
    if wrong := [case for case in cases if case not in CASES]:
        sys.exit(f"{wrong[0]} is no case; expected some of {', '.join(CASES)}.")
    counts = {case: given.seeds or SEEDS[case] for case in cases}
    with tempfile.TemporaryDirectory(prefix="secondshift-adversarial-") as scratch:
        place = Place(data=CURVES, python=Path(sys.executable), out=given.out or Path(scratch) / "results.csv")
        asks = [ask(case, seed, name) for case in cases for seed in range(counts[case]) for name in [AGAINST, *methods]]
        known = done(place.out)
        waiting = sum((one.label(), one.instance, one.seed) not in known for one in asks)
        told(every(asks, place, {one.instance: HORIZON for one in asks}, given.jobs), waiting)
        found = {(case, name): compared(case, name, counts[case], place) for case in cases for name in methods}
    table(found, counts)
    if given.json:
        print(json.dumps({f"{name} on {case}, {measure}, {budget:g} full trainings": as_json(row)
                          for (case, name), rows in found.items() for (measure, budget), row in rows.items()}))  # fmt: skip


def as_json(row: Row) -> dict[str, object]:
    """A row as the contract of benchmarks has it."""
    return {"ours": row.ours, "unit": "regret", "peers": {AGAINST: row.theirs}, "holds": row.holds,
            "target": f"<= {FACTOR:g} x {AGAINST} + {MARGIN:g}"}  # fmt: skip


def table(found: dict[tuple[str, str], dict[tuple[str, float], Row]], counts: dict[str, int]) -> None:
    """Print all rows."""
    print(f"| case | seeds | method | measure | full trainings | regret | {AGAINST} | difference, 95% | verdict |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (case, name), rows in found.items():
        for (measure, budget), row in rows.items():
            verdict = "HOLDS" if row.holds else "**MISS**"
            print(f"| {case} | {counts[case]} | {name} | {measure} | {budget:g} | {row.ours:.3f} | {row.theirs:.3f} | "
                  f"{row.ours - row.theirs:+.3f} ({row.low:+.3f} to {row.high:+.3f}) | {verdict} |")  # fmt: skip


if __name__ == "__main__":
    main()
