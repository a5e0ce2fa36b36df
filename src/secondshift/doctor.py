"""Examining a training command: which runs are tried, in which order, and what they prove (`secondshift doctor`)."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from secondshift import config, plugins
from secondshift.errors import SecondshiftError
from secondshift.policies.proofs.behaviour import unheard
from secondshift.policies.proofs.changes import Change, baseline, changes, elsewhere
from secondshift.policies.proofs.judging import judge
from secondshift.records.nights import Shift
from secondshift.records.orders import Order
from secondshift.records.proofs import Examination, Probe, Proof, Resumption
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.records.trials import Attempt, Candidate, Trial
from secondshift.runtime.acting import Hands, order_for
from secondshift.runtime.interrupting import OTHER_SEEDS, Course, Plan, interrupted
from secondshift.runtime.probejobs import Job, Leave, View
from secondshift.runtime.probestreams import up_to
from secondshift.runtime.probing import AT_ONCE, Bench
from secondshift.runtime.prooffiles import proof_digest, write_proof
from secondshift.runtime.scratching import interruptible, scratch
from secondshift.runtime.scriptmarks import script_files
from secondshift.runtime.secrecy import without_secrets

FEWEST = 4  # values of the objective that the first run shall log, even if that takes longer
PATIENCE, BLIND = 3.0, 2.0  # times `run_s`: the first run is ended then at the latest, and where no value has come
SLOWER, SLACK_S = 3.0, 10.0  # what a later run may take: so many times the first's length, and so many seconds more
SHARE = 6.0  # of the whole time, where it is limited, that the first run may take
MOST_PARAMETERS = 8  # that are changed, one at a time
MOST_SOURCE = 2 << 20  # bytes of a script that are read for hints
TOKEN = 1  # of the attempts: nobody else orders any in the doctor's folder
PARTS_OF_ALL = 0.6 * (2 + len(OTHER_SEEDS))  # whole runs that one interruption comes to: before it, after it, reseeded
INTERRUPTIONS: tuple[Leave, ...] = ("kill", "pause", "kill")

Tell = Callable[[str, Mapping[str, str | int | float]], None]  # key of a sentence in [doctor], its values


def silent(key: str, values: Mapping[str, str | int | float]) -> None:
    """Tell nobody how it goes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What an examination came to."""

    study: Study  # with the tier as its file names it
    examination: Examination
    proof: Proof
    untried: tuple[str, ...] = ()  # parameters that were not changed
    proof_file: Path | None = None  # where the proof is kept
    kept: Path | None = None  # the folder of the runs, if it was asked for


def examine(
    study_file: Path, *, run_s: float = 60.0, seeds: int = 3, longest_s: float = math.inf, keep: bool = False,
    tell: Tell = silent,
) -> Examined:
    """Try the command of a study and keep what that proves, for `secondshift run` to go by.

    run_s: how long the first run may take (s); what it came to by then is what the others are compared over.
    seeds: how many are tried, 2 at least. longest_s: about how long all of it may take (s); what is too long for that is
    left out, and counts as not proved. Raises ConfigInvalid that names every mistake, StudyMissing, FolderReadOnly,
    DeviceBusy.
    """
    study = config.load_study(study_file)
    study = replace(study, tier=study.tier_offered())
    before = proof_digest(study_file, study)
    limits = {"run_s": run_s, "seeds": seeds, "longest_s": longest_s}
    found = examine_study(study, study_file.resolve().parent, **limits, keep=keep, tell=tell)
    if proof_digest(study_file, study) != before:
        tell("doctor.changed_meanwhile", {"path": study_file.name})
        return found
    return replace(found, proof_file=write_proof(study_file, study, found.proof))


def examine_study(
    study: Study, place: Path, *, run_s: float = 60.0, seeds: int = 3, longest_s: float = math.inf, keep: bool = False,
    tell: Tell = silent,
) -> Examined:
    """Try a study's command without keeping what that proves; `place` is where its file lies, or would."""
    run_s = min(run_s, longest_s / SHARE)
    if run_s <= 0 or seeds < 2:
        raise SecondshiftError(
            f"The doctor was given {run_s:g} seconds a run and {seeds} seeds. Expected more than 0 seconds, and at least "
            "2 seeds: with one, nothing can be said of noise. Leave both out for 60 seconds and 3 seeds."
        )
    plain, secrets = without_secrets(study)
    with interruptible(), scratch(place, keep=keep) as folder:
        hands = Hands(folder=folder, place=place, secrets=secrets)
        visit = Visit(bench_for(plain, hands), run_s=run_s, seeds=seeds, longest_s=longest_s, tell=tell)
        examination = replace(visit.examination(), study=study)
    return Examined(
        study=study, examination=examination, proof=judge(examination), untried=visit.untried,
        kept=folder if keep else None,
    )  # fmt: skip


def bench_for(study: Study, hands: Hands) -> Bench:
    """Make the bench of a study: the executor is the local one, and orders are those that a night would write."""
    executor = plugins.executor("local")(hands.folder, study=study, fingerprint=lambda order: {})
    slots = study.launch.slots or len(executor.devices()) + len(executor.held()) or 1

    def order(job: Job, device: str) -> Order:
        return order_of(job, device, study, hands, slots)

    cwd = (hands.place / study.folder).resolve()
    return Bench(study, folder=hands.folder, cwd=cwd, slots=slots, executor=executor, order=order)


def order_of(job: Job, device: str, study: Study, hands: Hands, slots: int) -> Order:
    """Write the order that a night would write, for a trial that stands in no ledger."""
    state = State(
        study=study,
        shift=Shift(id="doctor", started_at=0.0, slots=slots),
        candidates={"c1": Candidate(id="c1", params=job.params)},
        trials={job.trial: Trial(id=job.trial, candidate="c1", seed=job.seed)},
        token=TOKEN,
    )
    attempt = Attempt(
        id=f"{job.trial}.a{job.number}", trial=job.trial, number=job.number, token=TOKEN, devices=(device,),
        from_step=job.from_step, until_step=study.horizon_steps,
    )  # fmt: skip
    order = order_for(state, attempt, hands)
    every_s = order.checkpoint_every_s if job.save_every_s is None else min(job.save_every_s, order.checkpoint_every_s)
    return replace(order, checkpoint_every_s=every_s)


class Visit:
    """One examination, round by round; the runs of a round are tried side by side."""

    def __init__(self, bench: Bench, *, run_s: float, seeds: int, longest_s: float, tell: Tell) -> None:
        self.bench, self.study, self.run_s, self.seeds, self.tell = bench, bench.study, run_s, seeds, tell
        self.until = time.monotonic() + longest_s
        self.untried: tuple[str, ...] = ()
        self.params = baseline(bench.study)
        self.wide = min(AT_ONCE, bench.slots)

    def examination(self) -> Examination:
        """Try all there is to try; only the first run if nothing can be made of it."""
        self.tell("doctor.doing_first", {"longest_s": self.run_s})
        first = self.bench.try_all([self._first()], done=self._told)[0].probe
        steps = first.curves[self.study.objective.metric].steps if self.study.objective.metric in first.curves else ()
        found = Examination(
            study=self.study, runs=(first,), slots=self.bench.slots, source=_source(self.study, self.bench.cwd),
            steps=steps[-1] + 1 if steps else 0,
        )  # fmt: skip
        if not steps or first.code not in (0, None):
            return found
        course = Course(
            first=steps[0], last=steps[-1], whole=first.ended, took_s=first.took_s,
            cap_s=SLOWER * first.took_s + SLACK_S,
        )  # fmt: skip
        first = first if first.ended else replace(first, curves=up_to(first.curves, course.last))
        made, self.untried = changes(self.study, self.params, first.resolved, MOST_PARAMETERS)
        plans = self._plans()
        self._say_estimate(course, len(made), len(plans))
        again = self._round("doctor.doing_seeds", [self._again(course), *self._seeds(course)[:1]])
        jobs = [*self._seeds(course)[1:], *(self._changed(course, change) for change in made)]
        jobs, late = jobs[: (held := self._held(course))], jobs[held:]
        self.untried = (*(job.changed for job in late if job.changed), *self.untried)
        others = self._round("doctor.doing_others", jobs)
        others += self._elsewhere(course, replace(found, runs=(first, *again)), others, made)
        others = [replace(probe, wrote=tuple(p for p in probe.wrote if p in first.wrote)) for probe in others]
        hurried = bool(plans) and self._held(course) < PARTS_OF_ALL * len(plans)
        resumptions = [] if hurried else self._resumptions(course, plans)
        runs = (first, *again, *(probe for probe in others if not probe.changed))
        return replace(
            found, runs=runs, varied=tuple(probe for probe in others if probe.changed), resumptions=tuple(resumptions),
            hurried=hurried,
        )

    def _elsewhere(self, course: Course, found: Examination, others: list[Probe], made: list[Change]) -> list[Probe]:
        """Try what changed nothing with another value: one end of an axis may be too near to the default to be seen."""
        silent = unheard(replace(found, varied=tuple(probe for probe in others if probe.changed)))
        further = (
            elsewhere(self.study, self.params, found.runs[0].resolved, change, len(made) + change.number)
            for change in made
            if change.name in silent
        )
        jobs = [self._changed(course, change) for change in further if change is not None]
        return self._round("doctor.doing_others", jobs[: self._held(course)])

    def _held(self, course: Course) -> int:
        """How many more runs as long as the first fit into the time that is left."""
        left = (self.until - time.monotonic()) / max(course.took_s, 0.01)
        return self.wide * int(min(max(left, 0.0), 1e6))

    def _round(self, key: str, jobs: list[Job]) -> list[Probe]:
        if jobs:
            self.tell(key, {"n": len(jobs), "names": ", ".join(map(_assigned, jobs))})
        return [tried.probe for tried in self.bench.try_all(jobs, done=self._told)]

    def _resumptions(self, course: Course, plans: list[Plan]) -> list[Resumption]:
        if plans:
            self.tell("doctor.doing_resumptions", {"n": len(plans)})
        return interrupted(self.bench, course, plans, self._told)

    def _first(self) -> Job:
        """The run that all others are compared with: to its own end, or as far as it comes in time."""

        def leave(view: View) -> Leave:
            longest = self.run_s * (PATIENCE if view.points else BLIND)
            enough = view.elapsed_s >= self.run_s and view.points >= FEWEST
            return "kill" if enough or view.elapsed_s >= longest else ""

        return Job(
            name="first", seed=0, trial="first", part="first", leave=leave, params=self.params, footprint=True,
            look_everywhere=True,
        )  # fmt: skip

    def _again(self, course: Course) -> Job:
        return replace(self._job(course, "again", 0, "again"), part="again")

    def _seeds(self, course: Course) -> list[Job]:
        """Other seeds. The files of the second are not looked at: it runs beside one that is the first once more."""
        return [
            self._job(course, f"seed {seed}", seed, f"seed{seed}", footprint=seed > 1) for seed in range(1, self.seeds)
        ]

    def _changed(self, course: Course, change: Change) -> Job:
        job = self._job(course, f"{change.name} = {change.params[change.name]}", 0, f"with-{change.number}")
        return replace(job, part="changed", params=change.params, changed=change.name, footprint=True)

    def _job(self, course: Course, name: str, seed: int, trial: str, *, footprint: bool = False) -> Job:
        return Job(
            name=name, seed=seed, trial=trial, leave=course.ends, params=self.params, until=course.until(),
            footprint=footprint,
        )  # fmt: skip

    def _plans(self) -> list[Plan]:
        if self.study.tier == "opaque":
            return []
        params = tuple(self.params.items())
        return [Plan(how=how, seed=seed % self.seeds, params=params) for seed, how in enumerate(INTERRUPTIONS)]

    def _say_estimate(self, course: Course, changed: int, plans: int) -> None:
        rounds = math.ceil(2 / self.wide) + math.ceil((self.seeds - 2 + changed) / self.wide)
        halves = math.ceil(plans / self.wide) + math.ceil(plans * (1 + len(OTHER_SEEDS)) / self.wide)
        left_s = min(course.took_s * (rounds + 0.6 * halves), max(0.0, self.until - time.monotonic()))
        self.tell("doctor.estimate", {"steps": course.last + 1, "took_s": course.took_s, "left_s": left_s})

    def _told(self, probe: Probe) -> None:
        value = str(probe.params.get(probe.changed, ""))
        told = {"seed": probe.seed, "name": probe.changed, "value": value, "took_s": probe.took_s}
        self.tell(f"doctor.did_{probe.part}", told)


def _assigned(job: Job) -> str:
    """What is changed in a run, as people of any language write it."""
    return f"{job.changed}={job.params[job.changed]}" if job.changed else f"seed={job.seed}"


def _source(study: Study, folder: Path) -> str:
    """The text of the Python files of one's own that the command runs; empty if there is none."""
    texts: list[str] = []
    for path in script_files(study.command, folder):
        try:
            texts.append(path.read_bytes()[:MOST_SOURCE].decode("utf-8", "replace") if path.suffix == ".py" else "")
        except OSError:
            continue
    return "\n".join(texts)[:MOST_SOURCE]
