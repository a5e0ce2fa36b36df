"""Doing what is recorded and not yet done. Every act is idempotent by the attempt's id."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from secondshift import plugins
from secondshift.config import calling, evaluator_hash, filled, given, judging
from secondshift.errors import DeviceBusy
from secondshift.records import events as facts
from secondshift.records.orders import Order, Sign
from secondshift.records.protection import guarded
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Attempt, Exit, Trial
from secondshift.runtime import branching, gating, inheriting, promoting, pruning, trying, workspaces
from secondshift.runtime.devices import fair_threads
from secondshift.runtime.executors.protocol import Executor
from secondshift.runtime.ingest import end_facts
from secondshift.runtime.readers.sources import environment_of
from secondshift.runtime.repositories import TryLater
from secondshift.runtime.secrecy import revealed

if TYPE_CHECKING:
    from secondshift.runtime.agents.calling import Caller
    from secondshift.runtime.examining import Examiner
    from secondshift.runtime.refereeing import Referee


@dataclass(kw_only=True, slots=True)
class Hands:
    """What this engine has already passed on. Lost in a crash, on purpose: the next engine passes it on again."""

    folder: Path  # the study's private folder
    place: Path  # where the study file lies
    secrets: dict[str, str] = field(default_factory=dict)  # variables of the study file that are never recorded
    submitted: dict[str, tuple[float, int]] = field(default_factory=dict)  # attempt -> grant, until_step
    cancelled: dict[str, tuple[str, bool]] = field(default_factory=dict)  # attempt -> mode, now
    suites: gating.Suites = field(default_factory=gating.Suites)
    examined: set[str] = field(default_factory=set)  # changes that were looked at
    late: dict[str, int] = field(default_factory=dict)  # trial or change -> how often git or Python gave no answer
    examiner: "Examiner | None" = None  # made when a call of a search first left something
    caller: "Caller | None" = None  # made when an agent is first called
    referee: "Referee | None" = None  # made when a study first has something to judge


def act(state: State, executor: Executor, hands: Hands) -> list[facts.Payload]:
    """Submit what is ordered, extend what was granted more, cancel what was asked to leave."""
    inherited = inheriting.bequeath(state, executor)  # before any trial goes on that another is to begin from
    looks = hands.caller.looks if hands.caller is not None else None
    outcomes = [*inherited, *trying.newcomers(state, hands.folder, hands.place, hands.examined, hands.late, looks)]
    for attempt in state.attempts.values():
        wanted = (attempt.grant_s, attempt.until_step)
        if hands.submitted.get(attempt.id) != wanted:
            try:
                pruning.set_aside(hands.folder, attempt)
                executor.submit(order_for(state, attempt, hands))
            except DeviceBusy as busy:
                outcomes.extend(_not_started(attempt, str(busy)))
                continue
            except (*trying.REFUSALS, TryLater) as problem:
                why = trying.final(problem, attempt.trial, hands.late)
                if why is None:
                    continue
                outcomes.extend(_not_started(attempt, str(why).splitlines()[0]))
                outcomes.extend(trying.not_placed(state, attempt.trial, why))
                continue
            hands.submitted[attempt.id] = wanted
        asked = (attempt.asked, attempt.asked_now)
        if attempt.asked and hands.cancelled.get(attempt.id) != asked:
            grace_s = state.study.launch.grace_s if state.study else 10.0
            mode = "kill" if attempt.asked_now else attempt.asked
            executor.cancel(attempt.id, mode=mode, token=state.token, grace_s=grace_s)
            hands.cancelled[attempt.id] = asked
    return [*outcomes, *branch(state, hands), *called(state, hands), *examine(state, hands), *evaluate(state, hands)]


def branch(state: State, hands: Hands) -> list[facts.Payload]:
    """Make branches of changes that held up."""
    if state.study is None or next(branching.due(state), None) is None:
        return []
    folder = (hands.place / state.study.folder).resolve()
    return branching.work(state, hands.folder, folder, lambda problem, about: trying.final(problem, about, hands.late))


def examine(state: State, hands: Hands) -> list[facts.Payload]:
    """Look at what calls of a search for programs left."""
    if state.study is None or (hands.examiner is None and not state.to_examine()):
        return []
    path = state.study.launch.env.get("PATH")
    examiner = hands.examiner = hands.examiner or plugins.examiner()(
        private=hands.folder, place=hands.place, words=lambda command: with_python(command, path), secrets=hands.secrets
    )
    return examiner.work(state, hands.late)


def called(state: State, hands: Hands) -> list[facts.Payload]:
    """Let the agent be called as it is recorded, and take in how calls ended."""
    if not state.calling:
        return []

    def command(study: Study, home: Path, brief: str) -> tuple[str, ...]:
        return with_python(calling(study, home, brief), study.launch.env.get("PATH"))

    caller = hands.caller = hands.caller or plugins.caller()(private=hands.folder, place=hands.place, command=command)
    return caller.work(state)


def evaluate(state: State, hands: Hands) -> list[facts.Payload]:
    """Let the study's evaluator judge what trials left, one after another, and clear away trees that nobody needs."""
    study = state.study
    workspaces.clear(hands.folder, [name for name in workspaces.standing(hands.folder) if name not in state.open])
    if study is None or not study.evaluate or (hands.referee is None and not state.to_evaluate()):
        return []
    referee = hands.referee = hands.referee or plugins.referee()(private=hands.folder, place=hands.place, secrets=hands.secrets)

    def command_for(trial: Trial, artefact: Path) -> tuple[str, ...]:
        params, checkpoints = state.candidates[trial.candidate].params, hands.folder / "trials" / trial.id / "checkpoints"
        command = judging(study, params, seed=trial.seed, checkpoint_dir=str(checkpoints), artefact=str(artefact))
        return with_python(command, study.launch.env.get("PATH"))

    patterns = guarded(study.read_only, study.evaluate, study.folder)
    return referee.work(state, command_for, lambda: evaluator_hash(hands.place, patterns, study.evaluate))


def leave(hands: Hands) -> None:
    """End what works for this engine alone; the next one does it again. Attempts go on by themselves."""
    if hands.caller is not None:
        hands.caller.close()
    if hands.referee is not None:
        hands.referee.close()
    if hands.examiner is not None:
        hands.examiner.close()


def measured(state: State, hands: Hands) -> list[facts.Payload]:
    """Measure what a suite of the gate asks for, and release what is to be released; what came of it.

    Raises OSError on a full disk: it is tried again once there is space.
    """
    study = state.study
    if study is None or not (state.gates or state.promotions):
        return []

    def command(template: Sequence[str], artefact: Path) -> tuple[str, ...]:
        return with_python(filled(study, template, artefact), study.launch.env.get("PATH"))

    bench = gating.Bench(
        folder=hands.folder, cwd=(hands.place / study.folder).resolve(), command=command,
        variables=lambda: revealed(dict(study.launch.env), hands.secrets),
    )  # fmt: skip
    return gating.act(state, bench, hands.suites) or promoting.act(state, bench, hands.suites, hands.place)


def _not_started(attempt: Attempt, why: str) -> list[facts.Payload]:
    exit = Exit(cause="refused", message=why)
    return end_facts(attempt, Sign(attempt=attempt.id, kind="ended", exit=exit))


def order_for(state: State, attempt: Attempt, hands: Hands) -> Order:
    """Write out everything an executor needs for this attempt; the same facts give the same order.

    That of a code candidate is in a tree of its own. Raises one of trying.REFUSALS where it may not run, TryLater.
    """
    study = state.study
    if study is None:
        raise ValueError(
            f"{attempt.id} belongs to no study. Expected study.opened before it; the ledger is out of order."
        )
    trial = state.trials[attempt.trial]
    params = state.candidates[trial.candidate].params
    checkpoints = hands.folder / "trials" / trial.id / "checkpoints"
    if attempt.alone:
        checkpoints = pruning.own_folder(hands.folder, attempt.id)
    folder = str(hands.folder / "attempts" / attempt.id)
    start = given(study, params, seed=trial.seed, checkpoint_dir=str(checkpoints), folder=folder)
    order = Order(
        attempt=attempt.id,
        trial=trial.id,
        number=attempt.number,
        token=state.token,
        command=with_python(start.command, study.launch.env.get("PATH")),
        cwd=str((hands.place / study.folder).resolve()),
        folder=folder,
        checkpoints=str(checkpoints),
        seed=trial.seed,
        params=params,
        horizon_steps=study.horizon_steps,
        from_step=attempt.from_step,
        # A cooperative script would leave at a rung to come back; one that cannot come back must not.
        until_step=study.horizon_steps if attempt.alone else attempt.until_step,
        devices=attempt.devices,
        grant_s=attempt.grant_s,
        grace_s=study.launch.grace_s,
        output_cap_mb=study.launch.output_cap_mb,
        sample_every_s=study.launch.sample_every_s,
        eval_every_steps=study.launch.eval_every_steps,
        checkpoint_every_s=study.launch.checkpoint_every_s,
        keep_checkpoints=study.launch.keep_checkpoints,
        directives=attempt.directives,
        keep_older=study.older_kept(),
        objective=study.objective.metric,
        keep_best=study.objective.goal if study.launch.keep_best else "",
        threads=study.launch.threads or fair_threads(state.shift.slots if state.shift else 1),
        env=revealed(
            {**environment_of(study.metrics, study.launch.env, f"{folder}/out"), **start.env}, hands.secrets
        ),
        files=start.files,
        metrics=study.metrics,
    )
    return trying.placed(state, order, hands.folder, hands.place) if state.candidates[trial.candidate].code else order


def with_python(command: tuple[str, ...], path: str | None) -> tuple[str, ...]:
    """Run "python ..." where there is no such name, as on a fresh Debian, by python3, or else by our own interpreter.

    path: where programs are looked for, as in PATH; None: in this process's own.
    """
    if command[:1] != ("python",) or shutil.which("python", path=path):
        return command
    return (shutil.which("python3", path=path) or sys.executable, *command[1:])


def forget(state: State, hands: Hands) -> Hands:
    """Drop the notes on attempts that have ended, so that a long night does not fill the memory."""
    live = state.attempts
    return replace(
        hands,
        submitted={k: v for k, v in hands.submitted.items() if k in live},
        cancelled={k: v for k, v in hands.cancelled.items() if k in live},
    )
