"""The benchmark of search counts what was bought and nothing else, and shows policies no point before it is bought."""

import csv
import json
import os
import subprocess
import sys
import time
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]

from search import buying, nights, purchases, runs  # noqa: E402  # the folder comes first
from search.buying import METRIC, Counter, reader  # noqa: E402

from secondshift.policies.schedulers import fifo  # noqa: E402
from secondshift.records.events import CandidateProposed, Event, MetricsLogged  # noqa: E402
from secondshift.records.states import State  # noqa: E402

DATA = Path(os.environ.get("SEARCHBENCH", ROOT.parent / "shared" / "searchbench" / "data"))
recorded = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded curves in {DATA} (SEARCHBENCH names another folder)")

# A table of 30 runs with two parameters, of which every third ends early. No two numbers in it are equal.
INSTANCES = '''
from types import SimpleNamespace
import numpy as np

HORIZON = 9

class Axis(SimpleNamespace):
    def decode(self, u):
        if self.kind == "cat":
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        return self.lo * (self.hi / self.lo) ** u

class Table:
    def __init__(self, name):
        self.name, self.horizon, self.n, self.best_loss, self.reference_loss = name, HORIZON, 30, 0.0, 1.0
        self.space = (Axis(name="1-beta", kind="float", lo=1e-3, hi=1.0, log=True, choices=None),
                      Axis(name="kind", kind="cat", lo=0, hi=1, log=False, choices=("a", "b")))
        rng = np.random.default_rng(5)
        self.points = np.column_stack([rng.random(30), np.tile([0.25, 0.75], 15)])
        self.loss = 1.0 + self.points[:, :1] + np.sort(rng.random((30, HORIZON)))[:, ::-1]

    def decode(self, u):
        return {axis.name: axis.decode(x) for axis, x in zip(self.space, u)}

    def nearest(self, u, used=()):
        distance = ((self.points - u) ** 2).sum(1)
        distance[list(used)] = np.inf
        return int(np.argmin(distance))

    def curve(self, row):
        return self.loss[row, : 5 if row % 3 == 0 else HORIZON]

def names(folder):
    return ["toy-1", "toy-2"]

def load(name, folder):
    return Table(name)
'''


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "bench" / "data").mkdir(parents=True)
    (tmp_path / "bench" / "instances.py").write_text(INSTANCES)
    return tmp_path / "bench" / "data"


@pytest.fixture
def table(data: Path) -> Any:
    there: dict[str, Any] = {}
    exec(INSTANCES, there)
    return there["load"]("toy-1", data)


@pytest.fixture
def counter(data: Path):
    made = Counter(data, Path(sys.executable))
    yield made
    made.close()


def lines(log: Path) -> list[dict[str, str]]:
    with log.open() as file:
        return list(csv.DictReader(file))


ASK = nights.Ask(method="random+halving:min_steps=1", instance="toy-1", seed=3, trainings=8.0)


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("method", ["random+halving:min_steps=1", "sobol+fifo"])
def test_the_log_has_as_many_epochs_as_the_engine_charged(method: str, workers: int, counter: Counter, tmp_path: Path) -> None:
    played = nights.play(replace(ASK, method=method, workers=workers), counter, tmp_path / "log.csv")
    bought = lines(tmp_path / "log.csv")
    assert len(bought) == played.epochs == played.charged_s <= 8 * 9
    assert played.reason
    once = Tally((row["trial"], row["epoch"]) for row in bought)
    assert set(once.values()) == {1}  # what was paused goes on where it was
    assert max(float(row["at"]) for row in bought) >= len(bought) / workers
    if workers == 1:
        assert [float(row["at"]) for row in bought] == [1.0 + n for n in range(len(bought))]


def test_a_point_is_in_no_answer_of_the_shop_before_it_is_bought(
    counter: Counter, table: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    ask = counter.ask
    monkeypatch.setattr(counter, "ask", lambda verb, **request: (told.append(json.dumps(a := ask(verb, **request))), a)[1])
    log = tmp_path / "log.csv"
    seen: list[tuple[int, int]] = []
    watched = fifo.decide

    def watching(state: State) -> list:
        points = sum(trial.metrics[METRIC].points for trial in state.trials.values() if METRIC in trial.metrics)
        seen.append((points, int(state.now_s - nights.EVENING)))
        return watched(state)

    monkeypatch.setattr(fifo, "decide", watching)
    nights.play(replace(ASK, method="random+fifo", trainings=3.0), counter, log)
    assert "searchbench_instances" not in sys.modules  # the curves are in another process
    everything = {repr(float(loss)): (str(row), str(epoch)) for (row, epoch), loss in np.ndenumerate(table.loss)}
    assert len(everything) == table.loss.size
    bought = {(row["bought"], str(int(row["epoch"]) - 1)) for row in lines(log)}
    crossed = {everything[number] for answer in told for number in everything if number in answer}
    assert crossed == bought
    assert max(points for points, _ in seen) > 9
    assert all(points <= seconds for points, seconds in seen)  # one worker: an epoch a second


def test_a_run_that_ends_before_the_horizon_is_complete_and_costs_what_it_took(
    counter: Counter, table: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last: list[State] = []
    watched = fifo.decide

    def watching(state: State) -> list:
        last.append(state)
        return watched(state)

    monkeypatch.setattr(fifo, "decide", watching)
    nights.play(replace(ASK, method="random+fifo"), counter, tmp_path / "log.csv")
    state = last[-1]
    rows = {row["trial"]: int(row["bought"]) for row in lines(tmp_path / "log.csv")}
    ended = [trial for trial in state.trials.values() if trial.status == "complete"]
    short = [trial for trial in ended if rows[trial.id] % 3 == 0]
    assert len(short) >= 2 and len(ended) > len(short)
    for trial in ended:
        length = len(table.curve(rows[trial.id]))
        assert (trial.logged_step + 1, trial.steps_done, trial.device_s) == (length, length, length)
        assert trial.objective(nights.Objective(metric=METRIC)) == table.curve(rows[trial.id])[-1]
        own = table.decode(table.points[rows[trial.id]])
        assert trial.params == {"p_1_beta": own["1-beta"], "kind": own["kind"]}  # the row's own point, as the script says it


def test_no_row_is_run_twice_and_a_night_ends_when_there_are_no_more(counter: Counter, tmp_path: Path) -> None:
    played = nights.play(replace(ASK, method="random+fifo", trainings=60.0), counter, tmp_path / "log.csv")
    of_trial = {row["trial"]: row["bought"] for row in lines(tmp_path / "log.csv")}
    assert sorted(map(int, of_trial.values())) == list(range(30))
    assert played.epochs == 10 * 5 + 20 * 9
    bought = purchases.read(tmp_path / "log.csv")
    assert purchases.anytime(bought, 9, (20.0, 60.0))[1][1] == bought.best[-1]


@pytest.mark.parametrize("method", ["random+fifo", "model+freezethaw"])
def test_of_a_pool_only_rows_are_proposed_and_no_two_trials_have_the_same(
    method: str, counter: Counter, table: Any, tmp_path: Path
) -> None:
    offered: list[dict[str, Any]] = []

    def judge(events: Sequence[Event], finals: nights.Finals) -> dict[str, Any]:
        offered.extend(dict(e.payload.candidate.params) for e in events if isinstance(e.payload, CandidateProposed))
        return {}

    nights.play(replace(ASK, method=method, pool=True, trainings=4.0), counter, tmp_path / "log.csv", judge)
    rows = [{nights.placeholder(name): value for name, value in table.decode(point).items()} for point in table.points]
    assert offered and all(params in rows for params in offered)
    numbers = [rows.index(params) for params in offered]
    assert len(set(numbers)) == len(numbers)
    assert {row["bought"] for row in lines(tmp_path / "log.csv")} <= {str(number) for number in numbers}


def test_a_shop_that_does_not_answer_is_killed_and_said(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data.parent / "instances.py").write_text("import time\ndef names(folder):\n    time.sleep(600)\n")
    stuck = Counter(data, Path(sys.executable))
    monkeypatch.setattr(buying, "PATIENCE_S", 0.5)
    with pytest.raises(RuntimeError, match=r"did not answer within 0\.5 s, and was killed"):
        stuck.ask("names")
    assert stuck._shop.poll() == -9
    stuck.close()


def test_what_is_run_again_from_the_start_is_paid_for_again(counter: Counter, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    counter.ask("open", instance="toy-1", seed=0, method="by hand", workers=1, log=str(log), noise=0.0, pool=False)
    begin: dict[str, Any] = {"trial": "t1", "worker": "slot-0", "params": {"1-beta": 0.1, "kind": "a"}}
    counter.ask("begin", attempt="t1.a1", from_step=0, **begin)
    first = counter.ask("train", steps=3, attempts=["t1.a1"], at=0.0)
    counter.ask("begin", attempt="t1.a2", from_step=0, **begin)
    again = counter.ask("train", steps=3, attempts=["t1.a2"], at=3.0)
    assert first["values"]["t1.a1"] == again["values"]["t1.a2"]
    assert counter.ask("close") == {"epochs": 6}
    assert [row["epoch"] for row in lines(log)] == ["1", "2", "3", "1", "2", "3"]


def test_how_curves_would_have_ended_is_said_once_the_night_is_over(counter: Counter, table: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    counter.ask("open", instance="toy-1", seed=0, method="by hand", workers=1, log=str(log), noise=0.0, pool=False)
    counter.ask("begin", attempt="t1.a1", trial="t1", worker="slot-0", params={"1-beta": 0.1, "kind": "a"}, from_step=0)
    with pytest.raises(RuntimeError, match="wrong time"):
        counter.ask("finals")
    counter.ask("close")

    def judge(events: Sequence[Event], finals: nights.Finals) -> dict[str, Any]:
        return {"facts": len(events), "finals": dict(finals)}

    played = nights.play(ASK, counter, log, judge)
    rows = {row["trial"]: int(row["bought"]) for row in lines(log)}
    assert played.judged["facts"] > 100
    assert played.judged["finals"] == {t: (len(table.curve(row)), table.curve(row)[-1]) for t, row in rows.items()}


def test_added_noise_is_what_the_policy_sees_and_not_what_counts(counter: Counter, table: Any, tmp_path: Path) -> None:
    logged: dict[str, float] = {}

    def judge(events: Sequence[Event], finals: nights.Finals) -> dict[str, Any]:
        for event in events:
            if isinstance(event.payload, MetricsLogged):
                logged[event.payload.trial] = min(logged.get(event.payload.trial, 9.0), event.payload.metrics[METRIC].low)
        return {}

    nights.play(replace(ASK, noise=0.05), counter, tmp_path / "log.csv", judge)
    true: dict[str, float] = {}
    for row in lines(tmp_path / "log.csv"):
        assert float(row["loss"]) == table.loss[int(row["bought"]), int(row["epoch"]) - 1]
        true[row["trial"]] = min(true.get(row["trial"], 9.0), float(row["loss"]))
    apart = np.array([logged[trial] - true[trial] for trial in true])
    assert len(apart) > 10 and 0.01 < apart.std() < 0.1


def test_the_best_at_a_budget_is_that_of_the_epochs_bought_until_then(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("at,loss\n1,0.9\n2,0.7\n3,0.8\n3,0.2\n4,0.5\n")
    bought = purchases.read(log)
    assert purchases.anytime(bought, 2, (0.5, 1.0, 2.0, 5.0)) == [(0.5, 0.9), (1.0, 0.7), (2.0, 0.2), (5.0, 0.2)]
    assert [bought.best_at(second) for second in (0.5, 2.0, 3.0)] == [float("inf"), 0.7, 0.2]


def test_a_night_is_the_same_again_and_another_with_another_seed_or_instance(counter: Counter, tmp_path: Path) -> None:
    def log(name: str, **changes: Any) -> list[str]:
        nights.play(replace(ASK, **changes), counter, tmp_path / name)
        return [row["bought"] for row in lines(tmp_path / name)]

    assert log("a") == log("b")
    assert log("a") != log("c", seed=4)
    assert log("a") != log("d", instance="toy-2")  # the same table under another name: shared seeds would make it one sample


def test_what_is_in_the_results_is_not_played_again(data: Path, tmp_path: Path) -> None:
    place = runs.Place(data=data, python=Path(sys.executable), out=tmp_path / "out" / "results.csv")
    asks = [replace(ASK, seed=seed) for seed in range(2)]
    assert [result.ask for result in runs.every(asks[:1], place, {"toy-1": 9}, 1)] == asks[:1]
    before = place.out.read_text()
    assert [result.ask for result in runs.every(asks, place, {"toy-1": 9}, 1)] == asks[1:]
    after = place.out.read_text()
    assert after.startswith(before) and len(after.splitlines()) == 1 + 2 * 4  # a head, and two nights with four budgets


LONG = """
import sys
sys.path[:0] = {folders!r}
from pathlib import Path
from search import nights, runs
if __name__ == "__main__":
    place = runs.Place(data=Path({data!r}), python=Path(sys.executable), out=Path({out!r}))
    asks = [nights.Ask(method="random+fifo", instance="toy-1", seed=seed, trainings=8.0) for seed in range(10_000)]
    for result in runs.every(asks, place, {{"toy-1": 9}}, 2):
        print(result.ask.seed, flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_process_outlives_the_benchmark_however_it_ends(data: Path, tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    folders = [str(ROOT / "benchmarks"), str(ROOT / "src")]
    script.write_text(LONG.format(folders=folders, data=str(data), out=str(tmp_path / "out" / "results.csv")))
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None and running.stdout.readline().strip().isdigit()
        below = psutil.Process(running.pid).children(recursive=True)
        running.kill()
    assert len(below) >= 4  # two workers, a shop each
    assert psutil.wait_procs(below, timeout=30)[1] == []


def test_time_in_deciders_is_what_is_measured(counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = fifo.decide

    def slow(state: State) -> list:
        time.sleep(0.01)
        return watched(state)

    monkeypatch.setattr(fifo, "decide", slow)
    played = nights.play(replace(ASK, method="random+fifo", trainings=3.0), counter, tmp_path / "log.csv")
    assert len(played.searching_s) == len(played.deciding_s) == played.starts
    assert min(played.searching_s) >= 0.01
    assert all(ours <= every for ours, every in zip(played.searching_s, played.deciding_s, strict=True))


def test_a_policy_that_decides_for_ever_is_told_of(counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from secondshift.records.decisions import remember

    monkeypatch.setattr(fifo, "decide", lambda state: [remember("x", memo=str(state.ticks), reason="It cannot stop.")])
    with pytest.raises(nights.NightStuck, match="without a step"):
        nights.play(replace(ASK, method="random+fifo"), counter, tmp_path / "log.csv")


def test_a_policy_that_raises_ends_the_benchmark_rather_than_being_passed_over(
    counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(state: State) -> list:
        raise KeyError("t7")

    monkeypatch.setattr(fifo, "decide", broken)
    with pytest.raises(nights.PolicyRaised, match="KeyError: 't7'"):
        nights.play(replace(ASK, method="random+fifo"), counter, tmp_path / "log.csv")


def test_a_method_names_policies_and_their_settings() -> None:
    method = nights.Method.read("sobol+halving:min_steps=3:eta=4")
    policy = method.policy
    assert (policy.searcher, policy.scheduler, policy.min_steps, policy.eta) == ("sobol", "halving", 3, 4)
    for wrong in ("random", "random+halving:colour=red", "a+b+c+d"):
        with pytest.raises(ValueError, match="expected searcher"):
            nights.Method.read(wrong)


@recorded
@pytest.mark.slow
def test_random_search_with_full_trainings_is_as_good_as_the_reference_says(tmp_path: Path) -> None:
    reference = json.loads((DATA.parent / "reference.json").read_text())
    names = [name for name in reference if name.startswith("taskset")]
    apart = _regrets_apart("random+fifo", names, 6, 5.0, tmp_path, lambda name, budget: _of_random(reference[name], budget))
    error = apart.std() / np.sqrt(len(apart))
    assert abs(apart.mean()) < max(3.5 * error, 0.02), f"{apart.mean():.3f} +- {error:.3f}"


@recorded
@pytest.mark.slow
def test_halving_is_about_as_good_as_the_peer_of_the_same_rungs(tmp_path: Path) -> None:
    reference = json.loads((DATA.parent / "reference.json").read_text())
    names = [name for name in reference if name.startswith("taskset")]
    with (DATA.parent / "peers.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "asha" and row["instance"] in names]

    def peer(name: str, budget: float) -> float:
        losses = [float(row["best_loss"]) for row in rows if row["instance"] == name and float(row["budget"]) == budget]
        return float(np.mean([_regret(reference[name], loss) for loss in losses]))

    apart = _regrets_apart("random+halving:min_steps=1", names, 3, 10.0, tmp_path, peer)
    error = apart.std() / np.sqrt(len(apart))
    assert abs(apart.mean()) < 3.5 * error + 0.05, f"{apart.mean():.3f} +- {error:.3f}"


def _regret(reference: dict[str, Any], loss: float) -> float:
    return min(max((loss - reference["best_loss"]) / (reference["reference_loss"] - reference["best_loss"]), 0.0), 1.0)


def _of_random(reference: dict[str, Any], budget: float) -> float:
    return float(np.interp(budget, reference["random_budget"], reference["random_regret"]))


def _regrets_apart(method: str, names: list[str], seeds: int, budget: float, folder: Path, other: Any) -> np.ndarray:
    """Regret of a method minus that of another, for each instance and seed."""
    reference = json.loads((DATA.parent / "reference.json").read_text())
    counter = Counter(DATA, reader(False))
    apart = []
    for name in names:
        for seed in range(seeds):
            ask = nights.Ask(method=method, instance=name, seed=seed, trainings=budget)
            nights.play(ask, counter, folder / "log.csv")
            best = purchases.read(folder / "log.csv").best_after(budget * reference[name]["horizon"])
            apart.append(_regret(reference[name], best) - other(name, budget))
    counter.close()
    return np.array(apart)
