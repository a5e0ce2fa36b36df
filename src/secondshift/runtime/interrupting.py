"""Interrupting runs in the middle and letting them go on: what a script's checkpoints are tried by."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from secondshift.records.metricnames import of_script
from secondshift.records.proofs import Probe, Resumption
from secondshift.records.studies import Value
from secondshift.runtime.probejobs import Job, Leave, Tried, Trying, View
from secondshift.tracking.checkpoints import MANIFEST, newest_verified

SAVES = 10.0  # checkpoints that a cooperative script is asked for over the compared steps
TRIES = 3  # to interrupt a run before it ends by itself
NOT_RESUMED = "not resumed"  # nothing was saved, or it came to its end too soon
PARTS = (0.5, 0.25, 0.0)  # of the course, after which each try interrupts
OTHER_SEEDS = (100, 200)  # added to a run's own, for two more that go on from the same checkpoint
SHORT_S = 30.0  # a longer run is not tried again: it was not too fast


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """How far the runs of a study go that are compared, as the first of them showed it."""

    first: int  # the first step with a value of the objective
    last: int  # the last step that is compared
    whole: bool  # it ended by itself there; else it was ended by us
    took_s: float
    cap_s: float  # no run may take longer

    def ends(self, view: View) -> Leave:
        """End a run that has done its part."""
        over = not self.whole and view.reached >= self.last
        return "kill" if over or view.elapsed_s > self.cap_s else ""

    def until(self) -> int | None:
        """The last step that is kept of a run; None: all."""
        return None if self.whole else self.last


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One interruption to try; no two have the same seed and way."""

    how: Leave  # kill or pause
    seed: int
    params: tuple[tuple[str, Value], ...] = ()


def interrupted(
    bench: Trying, course: Course, plans: Sequence[Plan], done: Callable[[Probe], None]
) -> list[Resumption]:
    """Interrupt a run for each plan, let it go on from what it had saved, and give both parts of each."""
    cuts: dict[Plan, Tried] = {}
    for attempt in range(TRIES if course.took_s <= SHORT_S else 1):
        # One that saved nothing at all was not too fast: it would save nothing at the next try either.
        left = [plan for plan in plans if plan not in cuts or (_missed(cuts[plan], course) and cuts[plan].probe.saved)]
        cuts |= zip(left, bench.try_all([_cut(bench, course, p, attempt) for p in left], done=done), strict=True)
    cooperative = bench.study.tier == "cooperative"
    steps = {plan: _checkpoint_step(bench, cut) if cooperative else None for plan, cut in cuts.items()}
    ready = [plan for plan, cut in cuts.items() if cut.probe.saved and not _missed(cut, course)]
    jobs = [_later(course, cuts[plan], steps[plan]) for plan in ready]
    others = [_reseeded(bench, job, more) for more in OTHER_SEEDS for job in jobs]  # copied before anything goes on
    tried = bench.try_all([*jobs, *others], done=done)
    later = dict(zip(ready, tried, strict=False))
    reseeded = {plan: tried[len(jobs) + place :: len(jobs)] for place, plan in enumerate(ready)}
    return [
        Resumption(
            how="pause" if plan.how == "pause" else "kill",
            cut=cuts[plan].probe,
            later=later[plan].probe if plan in later else Probe(name=NOT_RESUMED, seed=plan.seed),
            reseeded=tuple(other.probe for other in reseeded.get(plan, ())),
            left=plan.how == "kill" or _left(cuts[plan], bench.study.launch.grace_s),
            checkpoint_step=steps[plan],
        )
        for plan in plans
    ]


def _cut(bench: Trying, course: Course, plan: Plan, attempt: int) -> Job:
    """A run that is ended past half of its course, once it has saved something; at each further try, earlier."""
    enough = max(0.0, course.first + PARTS[attempt] * (course.last - course.first))
    asks_first = plan.how == "pause" and bench.study.tier == "cooperative"  # it saves when it is asked to

    def leave(view: View) -> Leave:
        if view.reached >= enough and (view.saved or asks_first):
            return plan.how
        return "kill" if view.elapsed_s > course.cap_s else ""

    return Job(
        name=f"seed {plan.seed}, to be interrupted", seed=plan.seed, trial=f"cut{plan.seed}-{plan.how}{attempt}",
        leave=leave, part="cut", params=dict(plan.params), save_every_s=course.took_s / SAVES, tense=True,
        stepped=attempt > 0,
    )  # fmt: skip


def _missed(cut: Tried, course: Course) -> bool:
    """Say whether a run came to its end before it could be interrupted."""
    steps = [step for name, curve in cut.probe.curves.items() if of_script(name) for step in curve.steps]
    return cut.probe.ended or max(steps, default=-1) >= course.last


def _later(course: Course, cut: Tried, step: int | None) -> Job:
    """The run that goes on in the trial of one that was interrupted."""
    return replace(
        cut.job, name=f"seed {cut.job.seed}, resumed", part="resumed", number=2, leave=course.ends, until=course.until(),
        from_step=cut.saved_at if step is None else step, save_every_s=None, tense=False, stepped=False,
    )  # fmt: skip


def _reseeded(bench: Trying, later: Job, more: int) -> Job:
    """The same again from a copy of the checkpoint with another seed: how much the order of the data alone changes."""
    trials = bench.folder / "trials"
    copy = replace(later, name=f"{later.name} with seed {later.seed + more}", seed=later.seed + more)
    copy = replace(copy, part="reseeded", trial=f"{later.trial}-and{more}", footprint=False)
    shutil.copytree(trials / later.trial / "checkpoints", trials / copy.trial / "checkpoints", symlinks=True)
    # A manifest names the seed, and the SDK does not take one of another seed.
    for manifest in (trials / copy.trial / "checkpoints").glob(f"*/{MANIFEST}"):
        try:
            said = json.loads(manifest.read_bytes())
            manifest.write_text(json.dumps({**said, "seed": copy.seed}))
        except (OSError, ValueError, TypeError):
            continue  # not ours, or damaged: the run says so
    return copy


def _checkpoint_step(bench: Trying, cut: Tried) -> int | None:
    """The step of the newest whole checkpoint that a cooperative script left; None if there is none."""
    newest = newest_verified(bench.folder / "trials" / cut.job.trial / "checkpoints")
    return int(newest[1]["step"]) if newest else None


def _left(cut: Tried, grace_s: float) -> bool:
    """Say whether a paused run left before it would have been ended by force."""
    return cut.exit.cause != "pause" or (cut.exit.signal != 9 and cut.after_s <= grace_s)
