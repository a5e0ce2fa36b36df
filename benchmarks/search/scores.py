"""Tables of results: by the data's own score.py, beside its peers. Nothing is scored here in another way than there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from captain.parts import Reported

from search.purchases import Purchases, read
from search.runs import Place
from search.shop import by_path

PAIR = ("taskset", "lcbench")  # the geometric mean of these two is what binds
# README of the data: (what, budget) -> at least; ranks are to be the best.
TARGETS = {
    ("taskset", 2): 11.0, ("taskset", 5): 15.0, ("taskset", 10): 25.0, ("taskset", 20): 20.0,
    ("lcbench", 2): 6.0, ("lcbench", 5): 8.0, ("lcbench", 10): 8.0, ("lcbench", 20): 10.0,
    ("nmt", 2): 7.0, ("nmt", 5): 6.0,
    ("taskset and lcbench", 2): 8.0, ("taskset and lcbench", 5): 11.0, ("taskset and lcbench", 10): 14.0,
    ("taskset and lcbench", 20): 14.0,
}  # fmt: skip
RANKED = (1, 2, 5, 10, 20)
MEDIAN_MS = 50.0  # of a decision


@dataclass(frozen=True, kw_only=True)
class Board:
    """What the data's folder says of its instances and peers, cut to the instances that were played."""

    score: Any  # the module score.py
    instances: Mapping[str, Mapping[str, Any]]
    peers: Mapping[str, Mapping[str, Any]]  # method -> instance -> budget -> regrets

    @classmethod
    def of(cls, data: Path, names: Sequence[str]) -> "Board":
        """Read score.py, reference.json and peers.csv from the folder above the data."""
        above = data.resolve().parent
        score = by_path(above / "score.py", "searchbench_score")
        reference = json.loads((above / "reference.json").read_text())
        instances = {name: reference[name] for name in names}
        return cls(score=score, instances=instances, peers=score.read(above / "peers.csv", instances))

    def horizon(self, instance: str) -> int:
        """Epochs of a full training."""
        return int(self.instances[instance]["horizon"])

    def regret(self, instance: str, loss: float) -> float:
        """Regret of a loss, as score.py counts it."""
        reference = self.instances[instance]
        return min(max((loss - reference["best_loss"]) / (reference["reference_loss"] - reference["best_loss"]), 0.0), 1.0)


def scored(board: Board, out: Path, method: str, budget: float) -> dict[str, Any]:
    """One method beside all peers at one budget: method -> family -> regret, compression, instances; average rank."""
    mine = board.score.read(out, board.instances)
    table = {**board.peers, method: mine[method]}
    return board.score.summary(table, board.instances, budget)


def both(row: Mapping[str, Any]) -> float | None:
    """Geometric mean of the compression on taskset and lcbench; None where one was not played."""
    if not all(family in row for family in PAIR):
        return None
    return float(np.exp(np.mean([np.log(row[family][1]) for family in PAIR])))


def compression_of(row: Mapping[str, Any], what: str) -> float | None:
    """The compression of a family, or of both; None where there is none."""
    if what == "taskset and lcbench":
        return both(row)
    return row[what][1] if what in row else None


def report(board: Board, out: Path, method: str, budgets: Sequence[float]) -> Reported:
    """The method at every budget: regret and compression by family, rank, ratio to each peer, and the targets."""
    found = Reported()
    for budget in budgets:
        rows = scored(board, out, method, budget)
        found.lines += ["", f"{method}: {budget:g} full trainings", _head(rows)]
        for name, row in sorted(rows.items(), key=lambda item: item[1].get("average rank", 99)):
            found.lines.append(_line(name, row, rows[method], name == method))
        _ranks(found, method, rows, budget)
        _targets(found, method, rows, budget)
    return found


def _families(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return sorted({name for row in rows.values() for name, cell in row.items() if isinstance(cell, tuple)})


def _head(rows: Mapping[str, Mapping[str, Any]]) -> str:
    cells = "".join(f"{family + ' regret':>16}{'comp.':>8}" for family in _families(rows))
    return f"{'':>26}{'rank':>6}{cells}{'t+l comp.':>11}{'ours/it':>9}"


def _line(name: str, row: Mapping[str, Any], mine: Mapping[str, Any], own: bool) -> str:
    cells = ""
    for family in _families({"": mine}):
        cells += f"{row[family][0]:>16.3f}{row[family][1]:>7.1f}x" if family in row else f"{'':>24}"
    pair, ours = both(row), both(mine)
    ratio = f"{ours / pair:>8.2f}x" if pair and ours and not own else ""
    return f"{name[-26:]:>26}{row['average rank']:>6.2f}{cells}" + (f"{pair:>10.1f}x" if pair else f"{'':>11}") + ratio


def _ranks(found: Reported, method: str, rows: Mapping[str, Mapping[str, Any]], budget: float) -> None:
    if budget in RANKED:
        peers = {name: round(row["average rank"], 3) for name, row in rows.items() if name != method}
        rank = rows[method]["average rank"]
        best = bool(peers) and rank < min(peers.values())
        found.row(f"{method}: average rank at {budget:g}", rank, "rank", "best of all peers", best, peers)


def _targets(found: Reported, method: str, rows: Mapping[str, Mapping[str, Any]], budget: float) -> None:
    for (what, at), least in TARGETS.items():
        ours = compression_of(rows[method], what)
        if at == budget and ours is not None:
            peers = {name: round(c, 3) for name, row in rows.items()
                     if name != method and (c := compression_of(row, what)) is not None}  # fmt: skip
            found.row(f"{method}: {what} compression at {at:g}", ours, "x", f">= {least:g}", ours >= least, peers)


def pace(place: Place, label: str, asks: Sequence[Any]) -> Reported:
    """How long deciding took, and how many epochs each decision bought, over all nights of a method."""
    found, deciding, searching = Reported(), [], []
    ticks = wall = epochs = starts = 0.0
    for ask in asks:
        played = json.loads(place.log(ask).with_suffix(".json").read_text())
        deciding += played["deciding_s"]
        searching += played["searching_s"]
        ticks, wall = ticks + played["ticks"], wall + played["wall_s"]
        epochs, starts = epochs + played["epochs"], starts + played["starts"]
    if not starts:
        return found
    median, p99 = (1e3 * float(np.quantile(deciding, q)) for q in (0.5, 0.99))
    own, own99 = (1e3 * float(np.quantile(searching, q)) for q in (0.5, 0.99))
    loop = wall - sum(deciding)
    found.lines += [
        f"{label}: {len(asks)} nights, {starts:.0f} decisions, {epochs / starts:.2f} epochs each; deciding {median:.2f} ms median, "
        f"{p99:.2f} ms p99 (of it searcher, scheduler, forecaster {own:.2f} and {own99:.2f}); the loop besides "
        f"{1e3 * loop / ticks:.2f} ms a tick, {wall:.0f} s in all."
    ]  # fmt: skip
    found.row(f"{label}: time of a decision, median", median, "ms", f"<= {MEDIAN_MS:g}", median <= MEDIAN_MS)
    found.row(f"{label}: time of a decision, p99", p99, "ms", "", None)
    found.row(f"{label}: epochs of a decision", epochs / starts, "epochs", "", None)
    return found


def _regrets(board: Board, nights: Sequence[Purchases], instance: str, seconds: Sequence[float]) -> np.ndarray:
    """Mean regret over seeds at each time."""
    of_seeds = []
    for bought in nights:
        place = np.searchsorted(bought.at, seconds, side="right") - 1
        of_seeds.append([board.regret(instance, bought.best[i]) if i >= 0 else 1.0 for i in place.tolist()])
    return np.mean(of_seeds, axis=0)


def sooner(board: Board, place: Place, method: Sequence[Any], other: Sequence[Any], budget: float) -> tuple[float, int, int]:
    """How many times sooner than another a method reaches the quality that the other has after a budget.

    Simulated seconds, each with as many workers. The geometric mean over instances, on how many the method does not get
    there within its night (its whole night counts, so the ratio flatters it), and how many instances there are.
    """
    ratios, never = [], 0
    for instance in sorted({ask.instance for ask in method}):
        mine = [read(place.log(ask)) for ask in method if ask.instance == instance]
        theirs = [read(place.log(ask)) for ask in other if ask.instance == instance]
        end = max(bought.at[-1] for bought in [*mine, *theirs])
        seconds = np.arange(1.0, end + 1)
        ours, reference = (_regrets(board, nights, instance, seconds.tolist()) for nights in (mine, theirs))
        spent = budget * board.horizon(instance) / other[0].workers
        quality = reference[min(int(spent), len(seconds)) - 1] if spent >= 1 else 1.0
        when, there = np.flatnonzero(reference <= quality + 1e-12), np.flatnonzero(ours <= quality + 1e-12)
        never += not len(there)
        ratios.append(seconds[when[0]] / (seconds[there[0]] if len(there) else end))
    return float(np.exp(np.mean(np.log(ratios)))), never, len(ratios)
