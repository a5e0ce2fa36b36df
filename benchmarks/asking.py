#!/usr/bin/env python3
"""What asking and telling cost a model-based search at 100, 300 and 1,000 trials of one study; fits apart.

    python3 benchmarks/asking.py [--trials 100,300,1000] [--times 15] [--json]

A study of 50 steps over eight parameters, most trials looked at for two steps and some far deeper. Asked is what a free slot
asks in a night: all deciders of the second stage on one state, then arbitration. Told is one point of one trial: fold and
curves. CPU time of one thread, so that other work on the machine does not count. Results stand in docs/benchmarks.md.
"""

import argparse
import json
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace

import preparing

preparing.environment()
preparing.one_thread()

import numpy as np  # noqa: E402  # the folders and the threads come first
from captain.parts import Reported  # noqa: E402

from secondshift import plugins  # noqa: E402
from secondshift.arbitrate import arbitrate  # noqa: E402
from secondshift.ledger.fold import fold  # noqa: E402
from secondshift.ledger.summaries import summarise  # noqa: E402
from secondshift.policies.models.curvekeeping import Curvekeeper  # noqa: E402
from secondshift.policies.models.outlook import MEMO, fitted, job  # noqa: E402
from secondshift.records import events as facts  # noqa: E402
from secondshift.records.nights import Shift  # noqa: E402
from secondshift.records.orders import Batch  # noqa: E402
from secondshift.records.states import State  # noqa: E402
from secondshift.records.studies import Budget, Launch, Objective, Parameter, Policy, Space, Study  # noqa: E402
from secondshift.records.trials import Candidate, Trial  # noqa: E402

METRIC, STEPS, WIDE, SEED = "loss", 50, 8, 7
MEDIAN_MS = 50.0
FLAT = 2.0  # times what it costs at the fewest trials
# What is asked for, one trial in how many went on before that, and a fact that says it was decided.
KINDS = (("which trial goes on", 7, facts.AttemptOrdered), ("a new candidate", 3, facts.CandidateProposed))


def study() -> Study:
    """A study that is searched by the model, an epoch a second."""
    axes = tuple(Parameter(name=f"x{n}", kind="float", low=0.0, high=1.0) for n in range(WIDE))
    return Study(
        name="asking", command="train " + " ".join(f"--{axis.name} {{{axis.name}}}" for axis in axes), folder=".",
        objective=Objective(metric=METRIC, at="best"), horizon_steps=STEPS, space=Space(parameters=axes), tier="cooperative",
        budget=Budget(device_s=1e6), policy=Policy(searcher="model", scheduler="freezethaw"), seed=SEED,
        launch=Launch(executor="simulated", slots=1),
    )  # fmt: skip


def state_of(count: int, deep: int) -> tuple[State, Curvekeeper]:
    """The state after so many trials, and their curves: a first look for most, and one in `deep` went on."""
    rng, asked, keeper = np.random.default_rng(SEED), study(), Curvekeeper()
    candidates, trials = {}, {}
    for n in range(1, count + 1):
        params = {f"x{axis}": float(value) for axis, value in enumerate(rng.random(WIDE))}
        floor = sum((params[f"x{axis}"] - 0.4) ** 2 for axis in range(WIDE))
        done = int(rng.integers(3, STEPS)) if n % deep == 0 else 2
        steps = range(done)
        values = [floor + 1.0 / (step + 1) + 0.01 * float(rng.standard_normal()) for step in steps]
        batch = Batch(trial=f"t{n}", attempt=f"t{n}.a1", metric=METRIC, steps=array("q", steps), values=array("d", values))
        keeper.take(asked, [batch])
        candidates[f"c{n}"] = Candidate(id=f"c{n}", params=params, by="model")
        trials[f"t{n}"] = Trial(
            id=f"t{n}", candidate=f"c{n}", seed=0, status="paused", steps_done=done, logged_step=done - 1, until_step=done,
            metrics={METRIC: summarise(steps, values)}, device_s=float(done), attempts=1,
        )  # fmt: skip
    state = State(
        study=asked, shift=Shift(id="s1", started_at=0.0, slots=1), shifts=1, now_s=1.0, trials=trials, candidates=candidates,
        open=dict.fromkeys(trials, True), statuses={"paused": count}, free_devices=("slot-0",), decisions=2 * count,
    )  # fmt: skip
    return replace(state, curves=keeper.curves()), keeper


def took(act: Callable[[], object]) -> float:
    """Milliseconds of this thread's CPU."""
    began = time.thread_time()
    act()
    return 1e3 * (time.thread_time() - began)


def asked(state: State, wanted: type) -> None:
    """All deciders of the second stage, and arbitration."""
    assert state.study is not None
    made = arbitrate(state, [wish for _, decider in plugins.deciders(state.study) for wish in decider(state)])
    if not any(isinstance(fact, wanted) for fact in made):
        raise RuntimeError(f"Expected {wanted.__name__} among what was decided, so that it is measured; got {made}")


def told(state: State, keeper: Curvekeeper, number: int) -> None:
    """One point of one trial."""
    name = f"t{number}"
    step = state.trials[name].logged_step + 1
    batch = Batch(trial=name, attempt=f"{name}.a1", metric=METRIC, steps=array("q", [step]), values=array("d", [0.5]))
    logged = facts.MetricsLogged(
        attempt=f"{name}.a1", trial=name, fragment="f", start=0, end=1, points=1, crc=0, metrics={METRIC: summarise([step], [0.5])}
    )
    event = facts.Event(seq=state.last_seq + 1, at=1.0, token=1, kind=facts.KIND_OF[type(logged)], payload=logged)
    fold(state, [event])
    keeper.take(state.study, [batch])
    keeper.curves()


def measured(counts: Sequence[int], times: int) -> Reported:
    """A line for each number of trials."""
    found = Reported()
    found.lines = ["| asked | trials | asking, median, longest, ms | telling | a fit |", "|---|---|---|---|---|"]
    for what, deep, wanted in KINDS:
        rows(found, counts, times, what, deep, wanted)
    return found


def rows(found: Reported, counts: Sequence[int], times: int, what: str, deep: int, wanted: type) -> None:
    """The lines of one kind of decision."""
    medians = []
    for count in counts:
        state, keeper = state_of(count, deep)
        fits = [took(lambda state=state: fitted(job(state))) for _ in range(2)]
        state = replace(state, memos={MEMO: fitted(job(state))})
        asked(state, wanted)  # loads what is loaded once
        # Another number of decisions is another stretch of chance.
        later = [replace(state, decisions=state.decisions + n) for n in range(times)]
        asks = [took(lambda one=one: asked(one, wanted)) for one in later]
        tells = [took(lambda n=n, state=state, keeper=keeper: told(state, keeper, n + 1)) for n in range(times)]
        medians.append(float(np.median(asks) + np.median(tells)))
        found.lines.append(
            f"| {what} | {count:,} | {np.median(asks):.1f}, {max(asks):.1f} | {np.median(tells):.2f}, {max(tells):.2f} | "
            f"{min(fits):.0f} |"
        )
        name = f"{what}: ask and tell at {count:,} trials, median CPU"
        found.row(name, medians[-1], "ms", f"<= {MEDIAN_MS:g}", medians[-1] <= MEDIAN_MS)
    growth = medians[-1] / medians[0]
    found.row(f"{what}: ask and tell at {counts[-1]:,} trials over {counts[0]:,}", growth, "x", f"<= {FLAT:g}", growth <= FLAT)


def main(argv: Sequence[str]) -> int:
    """Measure and print; the exit code says only whether it was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", default="100,300,1000", help="with commas between them")
    parser.add_argument("--times", type=int, default=15, help="how often each is measured")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    found = measured([int(text) for text in given.trials.split(",")], given.times)
    print(*found.lines, "", sep="\n")
    for name, row in found.rows.items():
        print(f"{name}: {row['ours']:.2f} {row['unit']} ({row['target']}: {'HOLDS' if row['holds'] else 'MISS'})")
    if given.json:
        print(json.dumps(found.rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
