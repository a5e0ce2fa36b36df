"""The scripts by which `secondshift doctor` is judged: planted faults, each beside its healthy twin, and healthy oddities.

A faulty study is a healthy script with one exact text replaced by another, so twins differ in one thing and no comment
in the script gives it away. What is expected stands beside it. Nothing here imports secondshift.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent / "scripts"
Edits = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Base:
    """A healthy script, and the study file that goes with it."""

    script: str  # below scripts/
    style: str  # "loop", "config", "sklearn", "sdk", "own"
    also: tuple[str, ...] = ()  # files beside it that it imports
    top: str  # of secondshift.toml: above the first table
    metric: str = "val_loss"
    goal: str = "min"
    steps: int
    search: Mapping[str, str]  # parameter -> TOML
    tables: Mapping[str, str] = field(default_factory=dict)  # table -> its lines
    tier: str = "resumable"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One study of the battery, with what the doctor must say of it."""

    name: str
    base: Base
    fault: str = ""  # the finding of level "fault" that must be there; "" for a healthy one
    edits: Edits = ()  # of the script: (text, that which stands there instead), each found exactly once
    renames: Mapping[str, str] = field(default_factory=dict)  # of names in the script as edited, and in its neighbours
    also_fine: tuple[str, ...] = ()  # further findings of level "fault" that are right here too
    instead: tuple[str, ...] = ()  # findings of any level that say the same as `fault` does
    tiers: tuple[str, ...] = ()  # what may be proved; (): that of the base if healthy, anything if faulty
    notes: tuple[str, ...] = ()  # findings of any level that must be there too
    changed: Mapping[str, object] = field(default_factory=dict)  # fields of the base that differ
    extra: bool = False  # beyond the eight faults in three styles

    @property
    def style(self) -> str:
        """How its script is written."""
        return self.base.style


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the doctor said of one study, held against what it should."""

    right: bool
    caught: bool  # a fault was found where one is planted; none where none is
    wrong: tuple[str, ...] = ()  # what was missed or said in error, as words
    found: tuple[str, ...] = ()  # codes of level fault
    tier: str = ""


LOOP_RESUME = {"resume": 'flag = "--ckpt-dir {checkpoint_dir}"'}
CHARGPT = Base(
    script="loop/chargpt.py", style="loop", steps=60,
    top='command = "python chargpt.py --lr {lr} --width {width} --steps {horizon} --seed {seed}"',
    search={"lr": "{ low = 1e-3, high = 3e-2, log = true, default = 1e-2 }", "width": "[24, 48, 96]"},
    tables=LOOP_RESUME,
)  # fmt: skip
REGRESS = Base(
    script="loop/regress.py", style="loop", steps=50,
    top='command = "python regress.py --lr {lr} --hidden {hidden} --steps {horizon} --seed {seed}"',
    search={"lr": "{ low = 0.01, high = 0.1, log = true, default = 0.05 }", "hidden": "[16, 32, 64]"},
    tables=LOOP_RESUME,
)  # fmt: skip
TRAIN = Base(
    script="job/train.py", also=("job/networks.py",), style="config", steps=24,
    top='command = "python train.py epochs={horizon} seed={seed} out={out} checkpoints={checkpoint_dir}"\n'
    'tier = "resumable"',
    search={"lr": "{ low = 1e-3, high = 5e-2, log = true, default = 0.01 }", "hidden": "[16, 32, 64]"},
    tables={"params": 'via = "hydra"', "metrics": 'source = "csv"'},
)  # fmt: skip
FIT = Base(
    script="job/fit.py", style="config", steps=20,
    top='command = "python fit.py {horizon} {seed} {params_file}"',
    search={
        '"optimizer.lr"': "{ low = 5e-4, high = 5e-3, log = true, default = 0.002 }",
        '"model.width"': "{ low = 20, high = 60, default = 40 }",
    },
    tables={"params": 'via = "file"', "metrics": 'source = "jsonl"', "resume": 'env = "CKPT_DIR"'},
)  # fmt: skip
PARTIAL = Base(
    script="sk/partial.py", style="sklearn", steps=24,
    top='command = "python partial.py --alpha {alpha} --eta0 {eta0} --epochs {horizon} --seed {seed}"',
    search={
        "alpha": "{ low = 1e-5, high = 1e-1, log = true, default = 1e-3 }",
        "eta0": "{ low = 0.01, high = 0.5, log = true, default = 0.05 }",
    },
    tables={"resume": 'flag = "--model-dir {checkpoint_dir}"'},
)  # fmt: skip
MLP = Base(
    script="sk/mlp.py", style="sklearn", steps=20,
    top='command = "python mlp.py --learning-rate {lr} --hidden {hidden} --epochs {horizon} --seed {seed}"',
    search={"lr": "{ low = 5e-4, high = 1e-2, log = true, default = 0.002 }", "hidden": "[16, 32, 64]"},
    tables={"resume": 'flag = "--save {checkpoint_dir}"'},
)  # fmt: skip
SDK = Base(
    script="sdk/train.py", style="sdk", steps=60, tier="cooperative", top='command = "python train.py"',
    search={"lr": "{ low = 0.005, high = 0.2, log = true, default = 0.05 }", "features": "[20, 40, 80]"},
)  # fmt: skip
BANDIT = Base(
    script="own/bandit.py", style="own", steps=80, metric="mean_return", goal="max",
    top='command = "python bandit.py --lr {lr} --iterations {horizon} --seed {seed}"',
    search={"lr": "{ low = 0.05, high = 1.0, log = true, default = 0.3 }"},
    tables={"resume": 'flag = "--checkpoint-dir {checkpoint_dir}"', "metrics": 'step = "iteration"'},
)  # fmt: skip
BAR = Base(
    script="own/bar.py", style="own", steps=15, metric="rmse", tier="opaque",
    top='command = "python bar.py --rank {rank} --lr {lr} --epochs {horizon} --seed {seed}"\ntier = "opaque"',
    search={"rank": "[3, 6, 9]", "lr": "{ low = 0.005, high = 0.05, log = true, default = 0.02 }"},
)  # fmt: skip
PARITY = Base(
    script="own/parity.py", style="own", steps=70, metric="val_acc", goal="max",
    top='command = "python parity.py --lr {lr} --units {units} --steps {horizon} --seed {seed}"',
    search={"lr": "{ low = 0.3, high = 1.0, default = 0.5 }", "units": "[12, 16, 32]"}, tables=LOOP_RESUME,
)  # fmt: skip
FOLDERS = Base(
    script="own/folders.py", style="own", steps=60, metric="val_nll",
    top='command = "python folders.py --lr {lr} --l2 {l2} --steps {horizon} --seed {seed}"',
    search={
        "lr": "{ low = 0.01, high = 0.2, log = true, default = 0.05 }",
        "l2": "{ low = 1e-5, high = 1e-2, log = true, default = 1e-3 }",
    },
    tables={"resume": 'flag = "--resume-dir {checkpoint_dir}"'},
)  # fmt: skip

QUIET_LR: Edits = ((" lr={lr:.3e}", ""),)  # a script that does not print its learning rate
NO_RNG: Edits = (('        rng.bit_generator.state = saved["rng"].item()\n', ""),)  # the data order is another after it
LARGE_BATCH: Edits = (('"--batch", type=int, default=100', '"--batch", type=int, default=1000'),)
STALE_ORDER: Edits = (('        random.setstate(state["random"])\n', ""),)

# Optimiser forgotten: what stands in the checkpoint is the weights, the position and the random numbers.
ADAM_LOST: Edits = (
    ('        exp_avg, exp_avg_sq, updates = checkpoint["optimizer"]\n', ""),
    ("            checkpoint[\"optimizer\"] = exp_avg, exp_avg_sq, updates\n", ""),
)  # fmt: skip
VELOCITY_LOST: Edits = (('        velocity = [saved[f"v{i}"] for i in range(4)]\n', ""),)
MLP_LOST: Edits = (
    ("            start, model = pickle.load(file)\n",
     "            start, coefs, intercepts = pickle.load(file)\n"
     "        model.partial_fit(x[train[:50]], y[train[:50]], classes=np.arange(10))  # builds the layers\n"
     "        for layer, saved in zip(model.coefs_ + model.intercepts_, coefs + intercepts, strict=True):\n"
     "            layer[...] = saved\n"
     "        model._optimizer = type(model._optimizer)(\n"
     "            model.coefs_ + model.intercepts_, args.learning_rate\n"
     "        )\n"),
    ("pickle.dump((epoch + 1, model), file)", "pickle.dump((epoch + 1, model.coefs_, model.intercepts_), file)"),
)  # fmt: skip
# Schedule restarted: its counter is not restored, while the optimiser is.
COSINE_AGAIN: Edits = (("lr = get_lr(it, args)", "lr = get_lr(it - start, args)"),)
SCHEDULE_LOST: Edits = (('        self.schedule.last = state["schedule"]\n', ""),)
COEF_ONLY: Edits = (
    ("        model, done = pickle.loads(saved.read_bytes())\n",
     "        model.coef_, model.intercept_, model.classes_, done = pickle.loads(saved.read_bytes())\n"),
    ("pickle.dumps((model, epoch + 1))", "pickle.dumps((model.coef_, model.intercept_, model.classes_, epoch + 1))"),
)  # fmt: skip

LOOP_RENAMED = {
    "exp_avg": "slow", "exp_avg_sq": "wide", "updates": "n", "checkpoint": "blob", "optimizer": "extra", "get_lr": "pace",
    "warmup": "ramp", "BETA1": "KEEP", "BETA2": "HOLD", "it": "turn", "start": "begun",
}  # fmt: skip
JOB_RENAMED = {
    "Adam": "Stepper", "optimizer": "stepper", "state_dict": "packed", "load_state_dict": "unpack", "Trainer": "Course",
    "trainer": "course", "m": "drift", "v": "width", "CosineSchedule": "CosineDecay", "schedule": "decay",
}  # fmt: skip

FAULTS = (
    Case(name="forget-loop", base=CHARGPT, fault="resume_forgets_optimiser", edits=ADAM_LOST),
    Case(
        name="forget-config", base=FIT, fault="resume_forgets_optimiser",
        edits=(('        opt.buffers = state["buffers"]\n', ""),),
    ),
    Case(name="forget-sklearn", base=MLP, fault="resume_forgets_optimiser", edits=MLP_LOST),
    Case(name="schedule-loop", base=CHARGPT, fault="resume_restarts_schedule", edits=COSINE_AGAIN),
    Case(name="schedule-config", base=TRAIN, fault="resume_restarts_schedule", edits=SCHEDULE_LOST),
    Case(name="schedule-sklearn", base=PARTIAL, fault="resume_restarts_schedule", edits=COEF_ONLY),
    Case(
        name="seed-loop", base=CHARGPT, fault="seed_ignored",
        edits=(("rng = np.random.default_rng(args.seed)", "rng = np.random.default_rng(1337)"),),
    ),
    Case(
        name="seed-config", base=TRAIN, fault="seed_ignored",
        edits=(("self.rng = np.random.default_rng(cfg.seed)",
                "np.random.seed(cfg.seed)\n        self.rng = np.random.default_rng(0)"),),
    ),
    Case(
        name="seed-sdk", base=SDK, fault="seed_ignored",
        edits=(("job = Job(p.lr, p.features, run.seed, run.horizon)", "job = Job(p.lr, p.features, 0, run.horizon)"),),
    ),
    Case(
        name="param-loop", base=REGRESS, fault="param_absent",  # --hidden goes to the unknown ones
        edits=(('p.add_argument("--hidden"', 'p.add_argument("--hidden-units", dest="hidden"'),
               ("p = argparse.ArgumentParser()", "p = argparse.ArgumentParser(allow_abbrev=False)")),
    ),
    Case(
        name="param-config", base=FIT, fault="param_absent",
        edits=(('MultiStepLR(cfg["optimizer"]["lr"],', 'MultiStepLR(cfg.get("lr", 0.002),'),),
    ),
    Case(
        name="param-sklearn", base=PARTIAL, fault="param_absent",
        edits=(('loss="log_loss", alpha=args.alpha,', 'loss="log_loss",'),),
    ),
    Case(
        name="elsewhere-loop", base=REGRESS, fault="metric_elsewhere",  # below the working folder, by process
        edits=((' val_loss={mse(w, x_val, y_val):.5f}", flush=True)',
                '", flush=True)\n'
                '        with open(curve, "a") as file:\n'
                '            file.write(f"{step},{mse(w, x_val, y_val):.6f}\\n")'),
               ("    for step in range(first, args.steps):",
                '    curve = Path("logs") / f"{time.time_ns()}.csv"\n'
                "    curve.parent.mkdir(exist_ok=True)\n"
                '    curve.write_text("step,val_loss\\n")\n'
                "    for step in range(first, args.steps):")),
    ),
    Case(
        name="elsewhere-config", base=TRAIN, fault="metric_elsewhere",
        changed={"tables": {"params": 'via = "hydra"'}},  # read from what is printed, and it prints "done"
    ),
    Case(
        name="elsewhere-sdk", base=SDK, fault="metric_elsewhere",  # the SDK is used, so only what it logs is read
        edits=(("run.log(step, val_loss=job.loss(job.val_x, job.val_y))",
                'print(f"step={step} val_loss={job.loss(job.val_x, job.val_y):.5f}", flush=True)'),),
    ),
    Case(name="training-loop", base=CHARGPT, fault="metric_of_training", changed={"metric": "train_loss"}),
    Case(
        name="training-config", base=TRAIN, fault="metric_equals_training",
        edits=(("self.evaluate(self.val)", "self.evaluate(self.train)"),),
    ),
    Case(
        name="training-sdk", base=SDK, fault="metric_of_training",
        edits=(("run.log(step, train_loss=job.loss(job.x, job.y))",
                'run.log(step, **{"train/loss": job.loss(job.x, job.y)})'),
               ("run.log(step, val_loss=job.loss(job.val_x, job.val_y))",
                'run.log(step, **{"val/loss": job.loss(job.val_x, job.val_y)})')),
        changed={"metric": "train/loss"},
    ),
    Case(
        name="ignored-loop", base=REGRESS, fault="checkpoint_ignored",
        edits=(('ckpt = args.ckpt_dir / "state.npz" if args.ckpt_dir else None', "ckpt = None"),),
    ),
    Case(
        name="ignored-config", base=FIT, fault="checkpoint_ignored",
        edits=(('os.environ.get("CKPT_DIR", "")', 'os.environ.get("CHECKPOINT_DIR", "")'),),
    ),
    Case(
        name="ignored-sklearn", base=PARTIAL, fault="checkpoint_ignored",
        edits=(('saved = args.model_dir / "model.pkl" if args.model_dir else None', "saved = None"),),
    ),
    Case(
        name="shared-loop", base=CHARGPT, fault="shared_file",
        edits=(("    for it in range(start, args.steps):",
                '    log = open("train.log", "w")\n    for it in range(start, args.steps):'),
               ("        if args.ckpt_dir and (it + 1) %",
                '        log.write(f"{it} {val_loss}\\n")\n        if args.ckpt_dir and (it + 1) %')),
    ),
    Case(
        name="shared-config", base=TRAIN, fault="shared_file",
        edits=(('        print("done", flush=True)',
                '        Path("outputs").mkdir(exist_ok=True)\n'
                '        np.savez("outputs/best_model.npz", **self.net.params)\n        print("done", flush=True)'),),
    ),
    Case(
        name="shared-sklearn", base=MLP, fault="shared_file",
        edits=(("        if args.save:\n",
                '        with open("model.pkl", "wb") as file:\n            pickle.dump(model, file)\n'
                "        if args.save:\n"),),
    ),
)  # fmt: skip

EXTRA = (
    Case(name="forget-loop-velocity", base=REGRESS, fault="resume_forgets_optimiser", edits=VELOCITY_LOST, extra=True),
    Case(
        name="forget-loop-reordered", base=REGRESS, fault="resume_forgets_optimiser", extra=True,
        edits=(*VELOCITY_LOST, *NO_RNG, *LARGE_BATCH),
    ),
    Case(
        name="forget-config-adam", base=TRAIN, fault="resume_forgets_optimiser", extra=True,
        edits=(('        self.optimizer.load_state_dict(state["optimizer"])\n', ""),),
    ),
    Case(
        name="forget-sdk", base=SDK, fault="resume_forgets_optimiser", extra=True,
        edits=(('        self.m, self.v, self.t = adam["m"], adam["v"], int(adam["t"])\n', ""),),
    ),
    Case(
        name="schedule-loop-quiet", base=CHARGPT, fault="resume_restarts_schedule", extra=True,
        edits=(*QUIET_LR, *COSINE_AGAIN),
    ),
    Case(
        name="schedule-sdk", base=SDK, fault="resume_restarts_schedule", extra=True,
        edits=(("self.scheduled, self.rng.bit_generator.state = state[\"scheduled\"], state[\"rng\"]",
                'self.rng.bit_generator.state = state["rng"]'),),
    ),
    # The same faults in scripts that call everything otherwise.
    Case(
        name="forget-loop-renamed", base=CHARGPT, fault="resume_forgets_optimiser", extra=True,
        edits=(*ADAM_LOST, *QUIET_LR), renames=LOOP_RENAMED,
    ),
    Case(
        name="schedule-loop-renamed", base=CHARGPT, fault="resume_restarts_schedule", extra=True,
        edits=(*QUIET_LR, *COSINE_AGAIN), renames=LOOP_RENAMED,
    ),
    Case(
        name="forget-config-renamed", base=TRAIN, fault="resume_forgets_optimiser", extra=True, renames=JOB_RENAMED,
        edits=(('        self.optimizer.load_state_dict(state["optimizer"])\n', ""),),
    ),
    Case(
        name="schedule-config-renamed", base=TRAIN, fault="resume_restarts_schedule", extra=True, renames=JOB_RENAMED,
        edits=SCHEDULE_LOST,
    ),
    Case(
        name="param-sdk", base=SDK, fault="param_absent", instead=("param_no_effect",), extra=True,
        edits=(("job = Job(p.lr, p.features,", "job = Job(p.lr, 40,"),),
    ),
    Case(
        name="ignored-sdk", base=SDK, fault="checkpoint_ignored", instead=("checkpoint_none",), extra=True,
        edits=(("        with run.checkpoint(step + 1) as folder:\n            job.save(folder)\n", ""),),
    ),
    Case(
        name="restarts-sklearn", base=MLP, fault="resume_restarts", extra=True,  # it saves and never loads
        edits=(("if args.save and os.path.exists(path):", 'if os.path.exists("mlp.pkl"):'),),
    ),
    Case(
        name="skips-loop", base=CHARGPT, fault="resume_skips", extra=True,
        edits=(("model, start = checkpoint[\"model\"], checkpoint[\"iter\"]",
                'model, start = checkpoint["model"], checkpoint["iter"] + 8'),),
    ),
    Case(
        name="fails-config", base=FIT, fault="resume_fails", extra=True,
        edits=(("np.load(newest, allow_pickle=True).item()", "np.load(newest).item()"),),
    ),
)  # fmt: skip

HEALTHY = (
    Case(name="well-chargpt", base=CHARGPT),
    Case(name="well-regress", base=REGRESS),
    Case(name="well-train", base=TRAIN),
    Case(name="well-fit-env", base=FIT),
    Case(name="well-partial", base=PARTIAL),
    Case(name="well-mlp", base=MLP),
    Case(name="well-sdk", base=SDK),
    Case(
        name="unseeded-shuffle", base=TRAIN,
        edits=(("self.rng.permutation(len(x))", "np.random.default_rng().permutation(len(x))"),),
    ),
    Case(name="reordered-on-resume", base=REGRESS, edits=NO_RNG),
    Case(name="reordered-on-resume-large-batch", base=REGRESS, edits=(*NO_RNG, *LARGE_BATCH)),
    Case(
        name="reordered-on-resume-adam", base=CHARGPT,
        edits=(('        rng.bit_generator.state = checkpoint["rng"]\n', ""),),
    ),
    Case(name="reordered-on-resume-epochs", base=FIT, edits=STALE_ORDER),
    Case(
        name="rounding-noise", base=REGRESS,  # as sums over threads differ in their last digits
        edits=(("    return [x.T @ dh, dh.sum(0), h1.T @ d, d.sum(0)]",
                "    exact = [x.T @ dh, dh.sum(0), h1.T @ d, d.sum(0)]\n"
                "    return [g * (1 + 1e-7 * np.random.default_rng().normal(size=g.shape)) for g in exact]"),),
    ),
    Case(name="noisy-return", base=BANDIT, tiers=("resumable", "opaque")),
    Case(name="accuracy-max", base=PARTIAL, changed={"metric": "val_acc", "goal": "max"}),
    Case(
        name="every-tenth", base=CHARGPT, changed={"steps": 120},
        edits=(("        print(f\"step=", "        if it % 10 == 0:\n            print(f\"step="),
               ("time.sleep(0.012)", "time.sleep(0.006)")),
    ),
    Case(
        name="epochs-from-one", base=TRAIN,
        edits=(("writer.writerow([epoch, logs[", "writer.writerow([epoch + 1, logs["),),
    ),
    Case(name="progress-bar", base=BAR),
    Case(name="early-plateau", base=PARITY),
    Case(
        name="little-effect", base=CHARGPT,
        changed={"top": CHARGPT.top.replace("--width {width}", "--weight-decay {wd}"),
                 "search": {"lr": CHARGPT.search["lr"], "wd": "{ low = 1e-4, high = 1e-2, log = true, default = 1e-3 }"}},
        edits=(("val_loss={val_loss:.4f}", "val_loss={val_loss:.7f}"), ),
    ),
    Case(
        name="no-effect-but-echoed", base=REGRESS,
        changed={"top": REGRESS.top.replace("--hidden {hidden}", "--eps {eps}"),
                 "search": {"lr": REGRESS.search["lr"], "eps": "[1e-9, 1e-8]"}},
        edits=(('p.add_argument("--batch",',
                'p.add_argument("--eps", type=float, default=1e-8)\n    p.add_argument("--batch",'),
               ("    args = get_args()", "    args = get_args()\n    print(args)"),
               ("velocity[i] = args.momentum * velocity[i] - lr * g",
                "velocity[i] = args.momentum * velocity[i] - lr * g * (1 + args.eps)")),
    ),
    Case(
        name="saves-rarely", base=CHARGPT,
        edits=(('"--ckpt-every", type=int, default=5', '"--ckpt-every", type=int, default=15'),),
    ),
    Case(name="versioned-folders-cache-sigterm", base=FOLDERS),
    Case(
        name="opaque-no-checkpoint", base=REGRESS,
        changed={"top": REGRESS.top + '\ntier = "opaque"', "tables": {}, "tier": "opaque"},
    ),
    Case(
        name="far-from-training", base=REGRESS,
        edits=(("val_loss={mse(w, x_val,", "val_loss={1000 * mse(w, x, y) + 50 * mse(w, x_val,"),),
    ),
    Case(
        name="near-training", base=REGRESS,  # the same distribution: equal to two digits, here and there to all
        edits=(("make_data(data_rng, 1500)", "make_data(data_rng, 9000)"),
               ("make_data(data_rng, 500)", "make_data(data_rng, 9000)"),
               ("train_loss={mse(w, x, y):.5f} val_loss={mse(w, x_val, y_val):.5f}",
                "train_loss={mse(w, x, y):.3f} val_loss={mse(w, x_val, y_val):.3f}")),
    ),
    Case(
        name="fast", base=REGRESS, tiers=("resumable", "opaque"),
        edits=(("        time.sleep(0.015)\n", ""),),
    ),
    Case(
        name="long", base=CHARGPT, changed={"steps": 30000},
        edits=(('"--warmup", type=int, default=5', '"--warmup", type=int, default=50'),
               ('"--ckpt-every", type=int, default=5', '"--ckpt-every", type=int, default=20')),
    ),
)  # fmt: skip
SLOW_WAYS = {"long": ("--run-seconds", "3")}  # options of the doctor that a study needs: one that would take minutes

CASES: tuple[Case, ...] = (*FAULTS, *EXTRA, *HEALTHY)


def base_of(case: Case) -> Base:
    """The base with what the case changes in it."""
    return Base(**{**{name: getattr(case.base, name) for name in Base.__dataclass_fields__}, **case.changed})


def script_text(case: Case) -> str:
    """The script as the case has it. Raises ValueError if an edit does not fit its base exactly once."""
    text = (SCRIPTS / case.base.script).read_text("utf-8")
    for old, new in case.edits:
        if text.count(old) != 1:
            raise ValueError(
                f"{case.name}: the text {old!r} stands {text.count(old)} times in {case.base.script}; expected once. "
                "Adapt the edit in tests/doctoring/battery.py to the script."
            )
        text = text.replace(old, new)
    return _renamed(case, text)


def _renamed(case: Case, text: str) -> str:
    """A text with other names in it, whole words only. Raises ValueError if a new name is there already."""
    words = set(re.findall(r"\w+", text))
    if clash := words.intersection(case.renames.values()):
        raise ValueError(
            f"{case.name}: {', '.join(sorted(clash))} stand in the script already. Choose other new names."
        )
    return re.sub(r"\w+", lambda word: case.renames.get(word[0], word[0]), text)


def study_text(case: Case) -> str:
    """The secondshift.toml of a case."""
    base = base_of(case)
    lines = [base.top, "", "[objective]", f"metric = {json.dumps(base.metric)}", f'goal = "{base.goal}"', ""]
    lines += ["[horizon]", f"steps = {base.steps}", "", "[search]"]
    lines += [f"{name} = {_with_default(value)}" for name, value in base.search.items()]
    for table, text in base.tables.items():
        lines += ["", f"[{table}]", text]
    return "\n".join([*lines, ""])


def _with_default(value: str) -> str:
    """A plain list with its middle one as the default."""
    if not value.startswith("["):
        return value
    choices = value.strip("[]").split(", ")
    return f"{{ choices = {value}, default = {choices[len(choices) // 2]} }}"


def lay_out(case: Case, folder: Path) -> Path:
    """Write the script, its neighbours and the study file into a folder; give back the study file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / Path(case.base.script).name).write_text(script_text(case), "utf-8")
    for neighbour in case.base.also:
        text = (SCRIPTS / neighbour).read_text("utf-8")
        (folder / Path(neighbour).name).write_text(_renamed(case, text), "utf-8")
    file = folder / "secondshift.toml"
    file.write_text(study_text(case), "utf-8")
    return file


def judged(case: Case, answer: Mapping[str, object]) -> Judged:
    """Hold what `secondshift doctor --json` printed against what is expected of it."""
    findings: Sequence[Mapping[str, object]] = answer["findings"]  # type: ignore[assignment]  # parsed JSON
    faults = tuple(dict.fromkeys(str(found["code"]) for found in findings if found["level"] == "fault"))
    codes = {str(found["code"]) for found in findings}
    tier = str(answer["tier"])
    wrong = []
    said = case.fault in faults or bool(codes.intersection(case.instead))
    if case.fault and not said:
        wrong.append(f"{case.fault} not said")
    wrong += [f"{code} said in error" for code in faults if code not in (case.fault, *case.also_fine, *case.instead)]
    wrong += [f"{code} not said" for code in case.notes if code not in codes]
    tiers = case.tiers or (() if case.fault else (base_of(case).tier,))
    if tiers and tier not in tiers:
        wrong.append(f"tier {tier} proved, not {' or '.join(tiers)}")
    if case.fault.startswith(("resume_", "checkpoint_")) and tier != "opaque":
        wrong.append(f"tier {tier} proved in spite of it")
    caught = bool(faults or said) if case.fault else not faults
    return Judged(right=not wrong, caught=caught, wrong=tuple(wrong), found=faults, tier=tier)
