"""Many nights: several at a time, each in a process with a shop of its own; what is done already is passed over."""

import atexit
import csv
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from search.buying import Counter
from search.nights import Ask, Played, play
from search.purchases import BUDGETS, anytime, read

COLUMNS = ("method", "instance", "seed", "budget", "best_loss")  # as score.py reads them
_COUNTERS: list[Counter] = []  # of this process


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the data are, who can read them, and where results go."""

    data: Path
    python: Path  # that the shop runs under
    out: Path  # results.csv

    def log(self, ask: Ask) -> Path:
        """The purchases of one night; beside it, under .json, what else is known of it."""
        return self.out.with_suffix(".nights") / ask.label() / f"{ask.instance}.{ask.seed}.csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One night as results.csv has it."""

    ask: Ask
    best: tuple[tuple[float, float], ...]  # budget in full trainings, best loss
    played: Played


def one(ask: Ask, place: Place, horizon: int) -> Result:
    """Play a night and count what it bought. Raises ValueError where the engine charged another time than was bought."""
    if not _COUNTERS:
        _COUNTERS.append(Counter(place.data, place.python))
        atexit.register(leave)
    log = place.log(ask)
    log.parent.mkdir(parents=True, exist_ok=True)
    played = play(ask, _COUNTERS[0], log)
    bought = read(log)
    if not bought.epochs == played.epochs == round(played.charged_s, 6):
        raise ValueError(f"{ask}: the log has {bought.epochs} epochs, the shop sold {played.epochs} and the engine charged "
                         f"{played.charged_s:g} s. Expected the same of all three.")  # fmt: skip
    budgets = [budget for budget in BUDGETS if budget <= ask.trainings]
    result = Result(ask=ask, best=tuple(anytime(bought, horizon, budgets)), played=played)
    played.save(log.with_suffix(".json"))
    return result


def leave() -> None:
    """Let this process's shop go."""
    while _COUNTERS:
        _COUNTERS.pop().close()


def done(out: Path) -> set[tuple[str, str, int]]:
    """Method, instance and seed of every night that results.csv has."""
    if not out.exists():
        return set()
    with out.open() as file:
        return {(row["method"], row["instance"], int(row["seed"])) for row in csv.DictReader(file)}


def every(asks: Iterable[Ask], place: Place, horizons: dict[str, int], jobs: int) -> Iterator[Result]:
    """Play what is not in results.csv yet, and write each night down as it ends."""
    known = done(place.out)
    waiting = [ask for ask in asks if (ask.label(), ask.instance, ask.seed) not in known]
    place.out.parent.mkdir(parents=True, exist_ok=True)
    fresh = not place.out.exists()
    with place.out.open("a", buffering=1) as file:
        if fresh:
            file.write(",".join(COLUMNS) + "\n")
        for result in _played(waiting, place, horizons, jobs):
            ask = result.ask
            rows = (f"{ask.label()},{ask.instance},{ask.seed},{budget:g},{loss!r}\n" for budget, loss in result.best)
            file.write("".join(rows))  # all of a night or nothing
            yield result


def _played(asks: Sequence[Ask], place: Place, horizons: dict[str, int], jobs: int) -> Iterator[Result]:
    if jobs <= 1:
        yield from (one(ask, place, horizons[ask.instance]) for ask in asks)
        leave()
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=jobs, mp_context=context, initializer=follow) as pool:
        futures = [pool.submit(one, ask, place, horizons[ask.instance]) for ask in asks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def follow() -> None:
    """Let this process end with the one that started it, however that ends; the shop then ends with its standard input."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def told(results: Iterable[Result], count: int) -> list[Result]:
    """Show on standard error how far it is, and give all results."""
    found, began = [], time.monotonic()
    for result in results:
        found.append(result)
        if sys.stderr.isatty() or len(found) % 20 == 0 or len(found) == count:
            took = time.monotonic() - began
            print(f"{len(found)} of {count} nights, {took:.0f} s; the last {result.ask.label()} on {result.ask.instance} "
                  f"seed {result.ask.seed}: {result.played.wall_s:.1f} s", file=sys.stderr, flush=True)  # fmt: skip
    return found
