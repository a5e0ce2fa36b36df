"""Tables of results: by the data's own score.py, beside its peers. Nothing is scored here in another way than there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from captain.parts import Reported

from search.nights import DECISIONS
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


def report(board: Board, out: Path, methods: Sequence[str], budgets: Sequence[float]) -> Reported:
    """Every method at every budget: regret and compression by family, rank beside all peers, ratio to each peer, targets."""
    found = Reported()
    mine = board.score.read(out, board.instances)
    for budget in budgets:
        rows = {method: scored(board, out, method, budget) for method in methods}
        families = _families(next(iter(rows.values())))
        head = "".join(f"{family + ' regret':>16}{'comp.':>8}" for family in families)
        found.lines += ["", f"{budget:g} full trainings", f"{'':>34}{'rank':>6}{head}{'t+l comp.':>11}  80% interval"]
        for method, table in rows.items():
            interval = "" if both(table[method]) is None else "{:.1f} to {:.1f}".format(*spread(board, mine[method], budget))
            found.lines.append(_line(method, table[method], families) + f"  {interval}")
            _ranks(found, method, table, budget)
            _targets(found, method, table, budget)
        peers = {name: row for name, row in next(iter(rows.values())).items() if name != methods[0]}
        for name, row in sorted(peers.items(), key=lambda item: -(both(item[1]) or 0.0)):
            found.lines.append(_line(name, row if len(methods) == 1 else {**row, "average rank": None}, families))
        found.lines += _ratios(rows)
    return found


def _families(table: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return sorted({name for row in table.values() for name, cell in row.items() if isinstance(cell, tuple)})


def _line(name: str, row: Mapping[str, Any], families: Sequence[str]) -> str:
    """A peer's rank depends on whom it stands beside, so it is shown where that is one method."""
    cells = "".join(f"{row[f][0]:>16.3f}{row[f][1]:>7.1f}x" if f in row else f"{'':>24}" for f in families)
    rank, pair = row["average rank"], both(row)
    shown = f"{'':>6}" if rank is None else f"{rank:>6.2f}"
    return f"{name[-34:]:>34}{shown}{cells}" + (f"{pair:>10.1f}x" if pair else f"{'':>11}")


def _ratios(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Compression of each method over that of each peer, on taskset and lcbench together."""
    lines = []
    for method, table in rows.items():
        ours = both(table[method])
        if ours is not None:
            peers = {name: pair for name, row in table.items() if name != method and (pair := both(row))}
            lines.append(f"{method} over peers: " + ", ".join(f"{name} {ours / pair:.2f}x" for name, pair in sorted(peers.items())))
    return lines


def spread(board: Board, regrets: Mapping[str, Mapping[float, Sequence[float]]], budget: float) -> tuple[float, float]:
    """How far the compression on taskset and lcbench would lie apart with other seeds: 80 % of 400 resamples of the seeds."""
    rng, of_family = np.random.default_rng(7), []
    for family in PAIR:
        logs = []
        for name in (name for name in board.instances if name.startswith(family) and budget in regrets[name]):
            seeds = np.array(regrets[name][budget])
            means = seeds[rng.integers(0, len(seeds), (400, len(seeds)))].mean(axis=1)
            reference = board.instances[name]
            logs.append([np.log(board.score.compression(float(mean), budget, reference)) for mean in means])
        of_family.append(np.mean(logs, axis=0))
    low, high = np.quantile(np.exp(np.mean(of_family, axis=0)), (0.1, 0.9))
    return float(low), float(high)


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
    found = Reported()
    nights = [json.loads(place.log(ask).with_suffix(".json").read_text()) for ask in asks]
    names = ("ticks", "epochs", "starts", "wall_s", "cpu_s", "deciding_cpu_s")
    total = {name: sum(night[name] for night in nights) for name in names}
    if not total["starts"]:
        return found
    times = {name: 1e3 * np.concatenate([night[name] for night in nights]) for name in DECISIONS}
    (median, p99), (own, own99), (cpu, cpu99) = (np.quantile(times[name], (0.5, 0.99)).tolist() for name in DECISIONS)
    each = total["epochs"] / total["starts"]
    deciders: dict[str, float] = {}
    for name, took in (item for night in nights for item in night["of_decider_s"].items()):
        deciders[name] = deciders.get(name, 0.0) + took
    most = ", ".join(f"{name} {took:.1f} s" for name, took in sorted(deciders.items(), key=lambda item: -item[1])[:4])
    loop = 1e3 * (total["cpu_s"] - total["deciding_cpu_s"]) / total["ticks"]
    found.lines = [
        f"{label}: {len(nights)} nights, {total['starts']} decisions, {each:.2f} epochs each; a decision {median:.2f} ms median, "
        f"{p99:.2f} ms p99 (searcher, scheduler and forecaster alone {own:.2f} and {own99:.2f}); of CPU {cpu:.2f} and {cpu99:.2f} "
        f"ms, {1e3 * total['deciding_cpu_s'] / total['starts']:.2f} on average; the loop besides {loop:.2f} ms of CPU a tick; "
        f"{total['cpu_s'] / len(nights):.2f} s of CPU a night, {total['wall_s']:.0f} s of waiting for all; most of it in {most}"
    ]  # fmt: skip
    found.row(f"{label}: time of a decision, median", median, "ms", f"<= {MEDIAN_MS:g}", median <= MEDIAN_MS)
    found.row(f"{label}: time of a decision, p99", p99, "ms", "", None)
    found.row(f"{label}: CPU of a decision, median", cpu, "ms", f"<= {MEDIAN_MS:g}", cpu <= MEDIAN_MS)
    found.row(f"{label}: CPU of a decision, p99", cpu99, "ms", "", None)
    found.row(f"{label}: epochs of a decision", each, "epochs", "", None)
    found.row(f"{label}: the loop besides, CPU of a tick", loop, "ms", "", None)
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
