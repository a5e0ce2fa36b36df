"""The doctor's judge, on small trainings that really train: what is wrong in them is known."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.proofs.behaviour import length_findings
from secondshift.policies.proofs.judging import judge
from secondshift.records.proofs import Curve, Examination, Probe, Proof, Resumption
from secondshift.records.studies import Objective, Study

RNG = np.random.default_rng(0)
X, TRUE = RNG.normal(size=(400, 10)), RNG.normal(size=10)
Y = X @ TRUE + 0.5 * RNG.normal(size=400)
X_VAL = RNG.normal(size=(200, 10))
Y_VAL = X_VAL @ TRUE + 0.5 * RNG.normal(size=200)
STEPS = 40


@dataclass
class Training:
    """A linear model by minibatches: Adam or momentum, a cosine schedule, and faults that can be switched on."""

    seed: int
    adam: bool = True
    restores_order: bool = True
    forgets: bool = False
    restarts_schedule: bool = False
    noise: float = 0.0
    state: dict[str, Any] = field(default_factory=dict)

    def begin(self) -> None:
        self.state = {
            "w": np.random.default_rng(self.seed).normal(size=10),
            "m": np.zeros(10),
            "v": np.zeros(10),
            "k": 0,
        }
        self.state |= {"t": 0, "offset": 0, "rng": np.random.default_rng(self.seed + 1)}

    def resumed(self, saved: dict[str, Any]) -> None:
        self.state = dict(saved)
        rng = np.random.default_rng(self.seed + 1)
        if self.restores_order:
            rng.bit_generator.state = saved["order"]
        self.state["rng"] = rng
        if self.forgets:
            self.state |= {"m": np.zeros(10), "v": np.zeros(10), "t": 0}
        if self.restarts_schedule:
            self.state["offset"] = saved["k"]

    def run(self, steps: int) -> dict[int, float]:
        out = {}
        while self.state["k"] < steps:
            s = self.state
            done = s["k"] - s["offset"]
            rate = 0.05 * 0.5 * (1 + math.cos(math.pi * done / STEPS)) * min(1.0, (done + 1) / 5)
            for _ in range(5):
                self._step(s, rate)
            jitter = 1 + self.noise * np.random.default_rng().normal()
            out[s["k"]] = float(np.mean((X_VAL @ s["w"] - Y_VAL) ** 2)) * jitter
            s["k"] += 1
        return out

    def _step(self, s: dict[str, Any], rate: float) -> None:
        batch = s["rng"].integers(0, 400, 16)
        slope = X[batch].T @ (X[batch] @ s["w"] - Y[batch]) / 16
        s["t"] += 1
        if self.adam:
            s["m"] = 0.9 * s["m"] + 0.1 * slope
            s["v"] = 0.999 * s["v"] + 0.001 * slope**2
            s["w"] = s["w"] - 2 * rate * s["m"] / (1 - 0.9 ** s["t"]) / (np.sqrt(s["v"] / (1 - 0.999 ** s["t"])) + 1e-8)
        else:
            s["m"] = 0.9 * s["m"] + slope
            s["w"] = s["w"] - 0.2 * rate * s["m"]

    def saved(self) -> dict[str, Any]:
        return {**self.state, "order": self.state["rng"].bit_generator.state}


def probe(name: str, seed: int, out: dict[int, float], **more: Any) -> Probe:
    known = {"ended": True, "code": 0, "took_s": 2.0, "first_point_s": 0.5, "seen": {"stdout": {"val_loss": len(out)}}}
    curves = {"val_loss": Curve(steps=tuple(out), values=tuple(out.values()))}
    return Probe(name=name, seed=seed, **{**known, "curves": curves, **more})


def study(**more: Any) -> Study:
    asked = {"objective": Objective(metric="val_loss"), "horizon_steps": STEPS, "tier": "resumable", **more}
    return Study(name="s", command="python train.py", folder=".", **asked)


def whole(training: Training) -> dict[int, float]:
    training.begin()
    return training.run(STEPS)


def exam(source: str = "", **faults: Any) -> Examination:
    """Four uninterrupted runs of three seeds, three interruptions, each resumed with two more seeds."""
    runs = tuple(probe(f"run {n}", seed, whole(Training(seed, **faults))) for n, seed in enumerate((0, 0, 1, 2)))
    resumptions = []
    for seed, at in zip((0, 1, 2), (20, 16, 24), strict=True):
        first = Training(seed, **faults)
        first.begin()
        cut = probe("cut", seed, first.run(at), saved=("state.npz",))
        later = []
        for other in (seed, seed + 100, seed + 200):
            again = Training(other, **faults)
            again.resumed(first.saved())
            later.append(probe("later", other, again.run(STEPS)))
        resumptions.append(Resumption(how="kill", cut=cut, later=later[0], reseeded=tuple(later[1:])))
    return Examination(study=study(), runs=runs, resumptions=tuple(resumptions), steps=STEPS, slots=2, source=source)


def codes(proof: Proof, level: str = "") -> set[str]:
    return {finding.code for finding in proof.findings if not level or finding.level == level}


HEALTHY = {
    "all restored": {},
    "another order": {"restores_order": False},
    "noisy": {"restores_order": False, "noise": 1e-3},
}


@pytest.mark.parametrize("adam", [True, False])
@pytest.mark.parametrize("what", HEALTHY)
def test_a_script_that_resumes_well_is_proved(adam: bool, what: str) -> None:
    proof = judge(exam(adam=adam, **HEALTHY[what]))
    assert proof.tier == "resumable"
    assert not proof.faults()
    assert codes(proof) & {"resume_exact", "resume_within_noise"}


@pytest.mark.parametrize("adam", [True, False])
def test_a_forgotten_optimiser_shows_when_the_order_is_restored(adam: bool) -> None:
    source = "def save(path, w, rng): np.savez(path, w=w, rng=rng)\nmomentum = 0.9"
    proof = judge(exam(source, adam=adam, forgets=True))
    assert codes(proof, "fault") == {"resume_forgets_optimiser"}
    assert proof.tier == "opaque"


def test_a_forgotten_adam_shows_even_when_the_order_of_data_is_not_restored() -> None:
    proof = judge(exam(forgets=True, restores_order=False))
    assert proof.faults() and proof.tier == "opaque"


@pytest.mark.parametrize("adam", [True, False])
def test_a_schedule_that_restarts_shows(adam: bool) -> None:
    source = "def cosine(step): ...\ndef save(path): np.savez(path, w=w, m=m, v=v)"
    proof = judge(exam(source, adam=adam, restarts_schedule=True))
    assert codes(proof, "fault") == {"resume_restarts_schedule"}


def test_a_logged_learning_rate_that_starts_over_names_the_schedule() -> None:
    good = exam()
    rates = {step: 0.1 * (1 - step / STEPS) for step in range(STEPS)}

    def with_rate(run: Probe, shift: int) -> Probe:
        steps = run.curves["val_loss"].steps
        rate = Curve(steps=steps, values=tuple(rates[step - shift] for step in steps))
        return replace(run, curves={**run.curves, "train/lr": rate})

    runs = tuple(with_rate(run, 0) for run in good.runs)
    later = [replace(r, later=with_rate(r.later, min(r.later.curves["val_loss"].steps))) for r in good.resumptions]
    proof = judge(replace(good, runs=runs, resumptions=tuple(later)))
    found = next(finding for finding in proof.findings if finding.level == "fault")
    assert (found.code, found.values["metric"]) == ("resume_restarts_schedule", "train/lr")


@settings(max_examples=12, deadline=None)
@given(scale=st.floats(1e-3, 1e6), shift=st.floats(-10, 10), fault=st.sampled_from([{}, {"forgets": True}]))
def test_the_unit_of_a_metric_changes_no_verdict(scale: float, shift: float, fault: dict[str, bool]) -> None:
    before = exam(**fault)

    def moved(run: Probe) -> Probe:
        curve = run.curves["val_loss"]
        values = tuple(scale * (value + shift) for value in curve.values)
        return replace(run, curves={"val_loss": replace(curve, values=values)})

    resumptions = tuple(
        replace(r, cut=moved(r.cut), later=moved(r.later), reseeded=tuple(map(moved, r.reseeded)))
        for r in before.resumptions
    )
    after = replace(before, runs=tuple(map(moved, before.runs)), resumptions=resumptions)
    assert codes(judge(before)) == codes(judge(after))


def test_beginning_again_leaving_steps_out_and_failing_are_told_apart() -> None:
    good = exam()
    first, *rest = good.resumptions

    def judged(**later: Any) -> set[str]:
        changed = replace(first, later=replace(first.later, **later))
        return codes(judge(replace(good, resumptions=(changed, *rest))), "fault")

    assert judged(curves=good.runs[0].curves) == {"resume_restarts"}
    gap = dict(zip(first.later.curves["val_loss"].steps, first.later.curves["val_loss"].values, strict=True))
    gap = {k: v for k, v in gap.items() if k > 25}
    assert judged(curves={"val_loss": Curve(steps=tuple(gap), values=tuple(gap.values()))}) == {"resume_skips"}
    assert judged(code=1, words="KeyError: 'opt'") == {"resume_fails"}


def test_a_flag_that_saves_nothing_is_told_from_one_that_had_no_time() -> None:
    good = exam()
    empty = tuple(replace(r, cut=replace(r.cut, saved=())) for r in good.resumptions)
    assert codes(judge(replace(good, resumptions=empty)), "fault") == {"checkpoint_ignored"}
    cut_off = tuple(replace(run, ended=False, code=None) for run in good.runs)
    proof = judge(replace(good, runs=cut_off, resumptions=empty))
    assert "checkpoint_late" in codes(proof, "note") and proof.tier == "opaque" and not proof.faults()
    cooperative = replace(good, study=study(tier="cooperative"), resumptions=empty)
    assert "checkpoint_none" in codes(judge(cooperative), "note")


def test_a_seed_that_does_nothing_is_a_fault_and_one_that_cannot_be_told_is_not() -> None:
    good = exam()
    same = tuple(replace(run, curves=good.runs[0].curves) for run in good.runs)
    assert "seed_ignored" in codes(judge(replace(good, runs=same)), "fault")
    wild = tuple(probe("r", s, {k: math.exp(-k / 9) + n * 0.01 * (-1) ** k for k in range(STEPS)}) for n, s in
                 zip((1, 3, 2, 4), (0, 0, 1, 2), strict=True))  # fmt: skip
    proof = judge(replace(good, runs=wild, resumptions=()))
    assert "seed_unsure" in codes(proof, "note") and not proof.faults()


def test_a_parameter_that_never_arrives_is_told_from_one_without_effect() -> None:
    good, name = exam(), "lr"
    idle = replace(good.runs[0], name="lr = 1", changed=name, params={name: 1.0})
    assert "param_absent" in codes(judge(replace(good, varied=(idle,))), "fault")
    assert "param_no_effect" in codes(judge(replace(good, varied=(replace(idle, echoed=True),))), "note")
    assert "param_no_effect" in codes(judge(replace(good, varied=(replace(idle, resolved={name: 1.0}),))), "note")
    other = replace(idle, curves=good.runs[2].curves)
    assert "param_arrives" in codes(judge(replace(good, varied=(other,))), "proved")
    broke = replace(idle, curves={}, code=1)
    assert "param_absent" not in codes(judge(replace(good, varied=(broke,))))


def test_a_missing_metric_names_the_nearest_and_where_it_is() -> None:
    run = probe("first", 0, {0: 1.0, 1: 0.5})
    lost = replace(run, curves={}, seen={"stdout": {"valid_loss": 2, "acc": 2}})
    proof = judge(Examination(study=study(), runs=(lost,)))
    found = next(f for f in proof.findings if f.code == "metric_absent")
    assert "valid_loss" in found.values["nearest"] and not proof.usable
    elsewhere = replace(lost, seen={"stdout": {"acc": 2}, "csv": {"val_loss": 2}})
    found = judge(Examination(study=study(), runs=(elsewhere,))).findings[0]
    assert (found.code, found.values["found_in"]) == ("metric_elsewhere", "csv")


@pytest.mark.parametrize("name", ["train_loss", "training.loss", "loss/train", "train-acc"])
def test_an_objective_named_after_the_training_set_is_a_fault(name: str) -> None:
    curve = Curve(steps=(0, 1, 2), values=(3.0, 2.0, 1.0))
    run = replace(probe("first", 0, {0: 1.0}), curves={name: curve, "val_loss": curve}, seen={"stdout": {name: 3}})
    proof = judge(Examination(study=study(objective=Objective(metric=name)), runs=(run,)))
    found = next(f for f in proof.findings if f.code == "metric_of_training")
    assert found.values["other"] == "val_loss"


def test_a_validation_that_equals_the_training_loss_is_a_fault_and_a_constant_is_not() -> None:
    curve = Curve(steps=(0, 1, 2), values=(3.0, 2.0, 1.0))
    run = replace(probe("first", 0, {0: 1.0}), curves={"val_loss": curve, "train_loss": curve})
    assert "metric_equals_training" in codes(judge(Examination(study=study(), runs=(run,))), "fault")
    flat = Curve(steps=(0, 1, 2), values=(1.0, 1.0, 1.0))
    run = replace(run, curves={"val_loss": flat, "train_loss": flat})
    assert "metric_equals_training" not in codes(judge(Examination(study=study(), runs=(run,))))


def test_a_file_that_two_runs_write_is_a_fault_and_a_store_made_to_be_shared_is_not() -> None:
    good = exam()
    runs = tuple(replace(run, wrote=("out/metrics.csv", "mlflow.db")) for run in good.runs[:2])
    found = next(f for f in judge(replace(good, runs=runs)).findings if f.code == "shared_file")
    assert found.values["path"] == "out/metrics.csv"
    once = (replace(good.runs[0], wrote=("cache/data.npz",)), *good.runs[1:])
    assert "shared_file" not in codes(judge(replace(good, runs=once)))


def test_a_night_is_reckoned_from_the_first_run() -> None:
    proof = judge(exam())
    assert proof.step_s == pytest.approx(1.5 / 39) and proof.trial_s == pytest.approx(0.5 + 1.5 / 39 * STEPS)
    assert proof.trials_a_night == int(8 * 3600 * 2 / proof.trial_s)
    assert proof.noise is not None and proof.noise_seeds == 3 and proof.noise_step == STEPS - 1


def test_no_run_at_all_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="holds no run"):
        judge(Examination(study=study(), runs=()))


@pytest.mark.parametrize(("last", "differs"), [(90, False), (100, False), (105, False), (110, True), (80, True)])
def test_a_last_step_within_one_stride_of_the_horizon_is_the_length_that_the_study_says(last: int, differs: bool) -> None:
    steps = [*range(0, last, 10), last]
    first = probe("run 0", 0, {step: 1.0 / (step + 1) for step in steps})
    found = list(length_findings(Examination(study=study(horizon_steps=100), runs=(first,), steps=last + 1)))
    assert [finding.code for finding in found] == ["horizon_differs"] * differs
