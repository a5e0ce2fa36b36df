"""Studies to measure on: attempt folders as an executor makes them, and a past of thousands of trials as the engine records it."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import secondshift
from secondshift.ledger.fold import fold
from secondshift.ledger.leases import Holder
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.decisions import propose, start
from secondshift.records.nights import Shift
from secondshift.records.orders import Order
from secondshift.records.states import State
from secondshift.records.studies import Launch, Objective, Parameter, Policy, Space, Study
from secondshift.records.trials import Candidate, Checkpoint, Exit, Summary, Trial
from secondshift.runtime.executors.folders import write_order

SOURCE = Path(secondshift.__file__).resolve().parents[1]
HORIZON = 1000  # steps
METRICS = ("val_loss", "train_loss", "accuracy")
_BATCH = 2000  # facts recorded at a time


def attempt_folder(private: Path, trial: str, *, steps: int) -> Path:
    """Make the folder of a trial's first attempt, ordered as an executor orders it; return it."""
    folder = private / "attempts" / f"{trial}.a1"
    write_order(
        Order(
            attempt=f"{trial}.a1", trial=trial, number=1, token=1, command=("true",), cwd=str(private), folder=str(folder),
            checkpoints=str(private / "trials" / trial / "checkpoints"), horizon_steps=steps, until_step=steps,
        )
    )  # fmt: skip
    return folder


def study(*, trials: int | None = None, slots: int = 2, scheduler: str = "halving") -> Study:
    """A study of three parameters; random search."""
    space = Space(
        parameters=(
            Parameter(name="lr", kind="float", low=1e-5, high=1e-1, log=True),
            Parameter(name="width", kind="int", low=16, high=512),
            Parameter(name="activation", kind="categorical", choices=("relu", "gelu", "tanh")),
        )
    )
    found = Study(
        name="overhead", command="python train.py --lr {lr} --width {width}", folder=".",
        objective=Objective(metric="val_loss"), horizon_steps=HORIZON, space=space,
        policy=Policy(searcher="random", scheduler=scheduler), launch=Launch(executor="simulated", slots=slots),
    )  # fmt: skip
    return replace(found, budget=replace(found.budget, trials=trials))


def take_lease(ledger: Ledger) -> int:
    """Take the lease of a ledger of ours; return its token."""
    return ledger.take_lease(Holder(host="here", pid=1, boot_id="boot"), how_dead=lambda lease: True).token


def with_past(ledger: Ledger, trials: int, *, opened: Study, end_shift: bool = True, token: int = 1) -> State:
    """Record a shift in which `trials` trials were proposed, run and ended, fact by fact; return the folded state."""
    state, waiting = State(), list[facts.Payload]()
    for payload in _past(trials, opened, token=token, end_shift=end_shift):
        waiting.append(payload)
        if len(waiting) >= _BATCH:
            state = _recorded(ledger, state, waiting, token)
            waiting = []
    return _recorded(ledger, state, waiting, token)


def _recorded(ledger: Ledger, state: State, payloads: list[facts.Payload], token: int) -> State:
    return fold(state, ledger.append(payloads, at=state.last_at + 1.0, token=token))


def _past(trials: int, opened: Study, *, token: int, end_shift: bool) -> Iterator[facts.Payload]:
    draw = random.Random(0)
    yield facts.StudyOpened(study=opened)
    yield facts.LeaseTaken(token=token, holder="here:1", how="first", boot_id="boot")
    yield facts.ShiftStarted(shift=Shift(id="s1", started_at=1.0, slots=opened.launch.slots, boot_id="boot"))
    for number in range(1, trials + 1):
        yield from _trial(number, draw, opened, token)
    if end_shift:
        yield facts.ShiftEnded(shift="s1", reason="the night is over")


def _trial(number: int, draw: random.Random, opened: Study, token: int) -> Iterator[facts.Payload]:
    """One trial from its proposal to its end, as the engine records it: nine in ten pause at the first rung of a halving."""
    trial, attempt = f"t{number}", f"t{number}.a1"
    params = {
        "lr": draw.random(),
        "width": draw.randrange(16, 512),
        "activation": draw.choice(("relu", "gelu", "tanh")),
    }
    wish = propose(
        params=params,
        reason="Drawn at random from the search space; 1 of 1 free slots has nothing to run.",
        by="random",
    )
    order = start(trial, until_step=HORIZON, reason=f"{trial} is next in line; it runs all {HORIZON} steps.", by="fifo")
    first, second = f"d{2 * number - 1}", f"d{2 * number}"
    yield facts.TickDecided(tick=number, now_s=float(number), stage="decide", policy="1", digest="0" * 64, decisions=8)
    yield facts.DecisionMade(decision=replace(wish, id=first))
    yield facts.CandidateProposed(candidate=Candidate(id=f"c{number}", params=params, by="random"), decision=first)
    yield facts.TrialQueued(trial=Trial(id=trial, candidate=f"c{number}", seed=0, reason=wish.reason), decision=first)
    yield facts.DecisionMade(decision=replace(order, id=second))
    yield facts.ChargeReserved(charge=attempt, trial=trial, device_s=600.0, decision=second)
    yield facts.AttemptOrdered(
        attempt=attempt, trial=trial, number=1, token=token, devices=("cpu-0",), from_step=0, until_step=HORIZON,
        grant_s=600.0, decision=second,
    )  # fmt: skip
    yield facts.AttemptStarted(attempt=attempt, supervisor=10, pid=11, fingerprint={"python": "3.11"})
    yield facts.ParamsResolved(trial=trial, params=params)
    for part in range(4):
        yield _logged(trial, attempt, part, draw)
    saved = Checkpoint(
        trial=trial, step=HORIZON, folder=f"trials/{trial}/checkpoints/step-{HORIZON}", bytes=1000, attempt=attempt
    )
    yield facts.CheckpointSaved(checkpoint=saved)
    yield facts.AttemptClosed(attempt=attempt, clean=True, stopping=False, steps_done=HORIZON)
    yield facts.AttemptEnded(attempt=attempt, exit=Exit(code=0, elapsed_s=60.0))
    yield facts.ChargeSettled(charge=attempt, trial=trial, device_s=60.0)


def _logged(trial: str, attempt: str, part: int, draw: random.Random) -> facts.MetricsLogged:
    steps = HORIZON // 4
    last = (part + 1) * steps - 1
    found = {}
    for metric in METRICS:
        value = draw.random()
        found[metric] = Summary(
            points=steps, first_step=part * steps, last_step=last, last=value, low=value / 2, low_step=last - 1, high=value * 2,
            high_step=part * steps,
        )  # fmt: skip
    return facts.MetricsLogged(
        attempt=attempt, trial=trial, fragment="11-1.frag", start=part * 1000, end=part * 1000 + 1000,
        points=steps * len(METRICS), crc=0, metrics=found,
    )  # fmt: skip
