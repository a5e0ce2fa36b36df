"""How much training compute a search needs: our policies in the real engine on recorded curves, beside recorded peers.

    python3 benchmarks/search.py --data FOLDER [--methods random+halving,...] [--workers 1,4,16] [--quick] [--json [FILE]]

FOLDER holds the curves; instances.py, score.py, peers.csv and reference.json are taken from the folder above it. A method is
searcher+scheduler[+forecaster][:setting=value...], with the names and the [policy] settings of a study file. Results stand in
docs/benchmarks.md; how it is measured, in benchmarks/README.md.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import preparing

preparing.environment()

from captain.parts import Reported, shown  # noqa: E402  # the folders come first
from search import scores  # noqa: E402
from search.buying import Counter, reader  # noqa: E402
from search.nights import Ask, Method  # noqa: E402
from search.purchases import BUDGETS  # noqa: E402
from search.runs import Place, done, every, told  # noqa: E402

SEEDS, QUICK_SEEDS, QUICK_INSTANCES = 10, 2, 2
LATER = (5.0, 10.0, 20.0)  # budgets whose quality is to be reached sooner, with several workers


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of curves")
    parser.add_argument("--methods", default="random+halving", help="with commas between them")
    parser.add_argument("--instances", default="", help="names or beginnings of names, with commas between them; all of them")
    parser.add_argument("--seeds", type=int, default=0, help=f"number of seeds, from 0 ({SEEDS})")
    parser.add_argument("--workers", default="1", help="simulated slots, with commas between them")
    parser.add_argument("--against", default="random+halving", help="what several workers are compared with")
    parser.add_argument("--budget", type=float, default=20.0, help="in full trainings")
    parser.add_argument("--noise", type=float, default=0.0, help="added to what scripts log: a deviation, of the regret's scale")
    parser.add_argument("--pool", action="store_true", help="offer the rows of a table as the finite set they are")
    parser.add_argument("--at", choices=("best", "final"), default="best", help="which value of a run counts to the policies")
    parser.add_argument("--out", type=Path, help="results.csv, for score.py; what it has already is not played again")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_INSTANCES} instances a family, {QUICK_SEEDS} seeds")
    parser.add_argument("--json", nargs="?", const="", help="one JSON object: in this file, or as the last line")
    return parser.parse_args()


def chosen(every_name: Sequence[str], given: argparse.Namespace) -> list[str]:
    """The instances to play."""
    asked = [text for text in given.instances.split(",") if text]
    names = [name for name in every_name if not asked or any(name.startswith(text) for text in asked)]
    if not given.quick:
        return names
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(name.split("-")[0], []).append(name)
    return [name for of_family in families.values() for name in of_family[:QUICK_INSTANCES]]


def main() -> None:
    """Play what was asked for; print what came of it, and the rows of the contract."""
    given = options()
    methods = [Method.read(text).name for text in given.methods.split(",")]
    workers = [int(text) for text in given.workers.split(",")]
    with tempfile.TemporaryDirectory(prefix="secondshift-search-") as scratch:
        out = given.out or Path(scratch) / "results.csv"
        counter = Counter(given.data, Path(sys.executable))
        names = chosen(counter.ask("names")["names"], given)
        counter.close()
        if not names:
            sys.exit(f"No instance of {given.data} begins with {given.instances}. Leave --instances out to play them all.")
        place = Place(data=given.data, python=reader(any(name.startswith("lcbench") for name in names)), out=out)
        board = scores.Board.of(given.data, names)
        seeds = range(given.seeds or (QUICK_SEEDS if given.quick else SEEDS))
        base = [Ask(method="", instance=name, seed=seed, trainings=given.budget, noise=given.noise, pool=given.pool, at=given.at)
                for seed in seeds for name in names]  # fmt: skip
        wanted: dict[tuple[str, int], list[Ask]] = {
            (method, count): [replace(ask, method=method, workers=count) for ask in base]
            for count in workers
            for method in [*methods, *([given.against] if count > 1 and given.against not in methods else [])]
        }
        asks = [ask for of_method in wanted.values() for ask in of_method]
        known = done(out)
        count = sum((ask.label(), ask.instance, ask.seed) not in known for ask in asks)
        told(every(asks, place, {name: board.horizon(name) for name in names}, given.jobs), count)
        reported = reports(board, place, wanted, given, [b for b in BUDGETS if b <= given.budget])
    rows = {name: row for part in reported for name, row in part.rows.items()}
    table(rows)
    if given.json is not None:
        text = json.dumps(rows)
        print(text) if not given.json else Path(given.json).write_text(text + "\n")


def reports(
    board: scores.Board, place: Place, wanted: dict[tuple[str, int], list[Ask]], given: argparse.Namespace, budgets: list[float]
) -> list[Reported]:
    """What the nights came to, printed as it is found."""
    alone = [asks[0].label() for (_, count), asks in wanted.items() if count == 1]
    found = [scores.report(board, place.out, alone, budgets)] if alone else []
    for (method, count), asks in wanted.items():
        if count > 1 and method != given.against:
            found.append(time_of(board, place, asks, wanted[given.against, count], budgets))
        found.append(scores.pace(place, asks[0].label(), asks))
    for part in found:
        print(*part.lines, sep="\n", flush=True)
    return found


def time_of(board: scores.Board, place: Place, asks: list[Ask], others: list[Ask], budgets: list[float]) -> Reported:
    """How much sooner a method is where another comes to, with as many workers."""
    found = Reported()
    for budget in (budget for budget in LATER if budget in budgets):
        ratio, never, count = scores.sooner(board, place, asks, others, budget)
        found.lines.append(
            f"{asks[0].label()}: the quality of {others[0].label()} after {budget:g} full trainings {ratio:.2f} times as soon "
            f"({never} of {count} instances not at all)"
        )
        name = f"{asks[0].label()}: time to the quality of {others[0].label()} after {budget:g}, times as soon"
        found.row(name, ratio, "x", "> 1", ratio > 1.0)
    return found


def table(rows: dict[str, dict[str, object]]) -> None:
    """Print the rows of the contract."""
    print("\n| what | ours | unit | target | verdict | peers |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        peers = row["peers"]
        assert isinstance(peers, dict)
        beside = ", ".join(f"{peer} {shown(value)}" for peer, value in peers.items())
        verdict = "" if not row["target"] else "HOLDS" if row["holds"] else "**MISS**"
        print(f"| {name} | {shown(row['ours'])} | {row['unit']} | {row['target']} | {verdict} | {beside} |")


if __name__ == "__main__":
    main()
