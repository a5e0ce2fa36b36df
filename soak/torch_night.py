"""Plays a real night of the PyTorch example with SIGKILLs at random moments, and audits it to the last digit.

    python soak/torch_night.py [--minutes 10] [--quick] [--record] [--json] [--seed N] [--device cpu|cuda]

Needs torch in the environment that runs it. The script that trains is examples/char_lm_torch/train.py as it stands.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from drill.audit import Findings, audit  # noqa: E402
from drill.stage import Stage  # noqa: E402
from drill.storm import KINDS, Storm, blow, changed, rows_of  # noqa: E402
from drill.table import Row, at_least, last_line, machine, markdown, none_of, put_into, show  # noqa: E402
from drill.torch_study import EXAMPLE, METRICS, Observer, Reference, TorchPlan, prove, torch_stage  # noqa: E402

from secondshift.records.events import ShiftEnded, ShiftStarted  # noqa: E402
from secondshift.records.states import State  # noqa: E402

CPU_STEPS, CUDA_STEPS = 81, 243


def pace(stage: Stage, storm: Storm) -> float:
    """Seconds to the next kill: about four a minute, so that there is something to lose."""
    return storm.rng.uniform(4.0, 26.0) if storm.patience_s > 400 else storm.rng.uniform(3.0, 8.0)


def over(stage: Stage) -> bool:
    """Say whether the night has ended and nothing of it is open."""
    state = stage.state()
    return bool(state.shifts) and state.shift is None and not state.attempts and not state.charges


def untrue(stage: Stage, state: State, reference: Reference) -> list[str]:
    """What the night's brief says otherwise than the facts and the uninterrupted runs."""
    brief = json.loads((stage.private / "briefs" / "s1.json").read_text())
    said = {s["key"]: s["values"] for section in brief["sections"] for s in section["statements"]}
    wrong = []
    ends = {}
    for trial in state.trials.values():
        if trial.status == "complete":
            params = {name: float(value) for name, value in trial.params.items()}
            ends[trial.id] = list(reference.curve(params, trial.seed, reference.plan.steps))[-1][1]
    best = min(ends, key=lambda name: ends[name]) if ends else ""
    if best and (said["found.best"]["trial"], said["found.best"]["value"]) != (best, ends[best]):
        wrong.append(f"the best is {best} with {ends[best]}, said was {said['found.best']}")
    counts = {status: sum(t.status == status for t in state.trials.values()) for status in ("complete", "paused", "failed")}
    wrong += [f"{n} {status}, said were {said['found.counts'][status]}" for status, n in counts.items()
              if said["found.counts"][status] != n]  # fmt: skip
    if abs(said["spent.device_now"]["used_s"] - state.spend.settled_device_s) > 1e-6:
        wrong.append(f"{state.spend.settled_device_s} device-seconds, said were {said['spent.device_now']['used_s']}")
    for section in brief["sections"]:
        for statement in section["statements"]:
            if not statement["facts"] or not all(1 <= seq <= state.last_seq for seq in statement["facts"]):
                wrong.append(f"{statement['key']} does not rest on recorded facts")
    return wrong


def length_s(stage: Stage) -> float:
    """How long the night was, by its recorded beginning and end."""
    ledger = stage.ledger()
    try:
        began = [e.payload.shift.started_at for e in ledger.read() if isinstance(e.payload, ShiftStarted)]
        ended = [e.at for e in ledger.read() if isinstance(e.payload, ShiftEnded)]
    finally:
        ledger.close()
    return ended[0] - began[0] if began and ended else 0.0


def table(asked: argparse.Namespace, stage: Stage, storm: Storm, found: Findings, more: dict[str, object]) -> list[Row]:
    """What was seen, as rows."""
    by_kind = ", ".join(f"{storm.done[kind]} {kind}" for kind in KINDS)
    minutes, kills = (1.0, 6) if asked.quick else (asked.minutes, asked.minutes * 2)
    state, reference = stage.state(), more["reference"]
    assert isinstance(reference, Reference)
    halted = sum(t.status == "paused" for t in state.trials.values())
    return [
        at_least("length of the night", round(length_s(stage) / 60, 2), round(minutes * 0.99, 2), "minutes",
                 f"on {asked.device}; {more['proof']}"),
        at_least("SIGKILLs", storm.total, kills, "kills",
                 f"{by_kind}; {storm.bursts} bursts of two, {storm.reruns} reruns of the command"),
        at_least("trials", found.trials, 4, "trials",
                 f"{state.statuses.get('complete', 0)} complete, {halted} paused at a rung, {found.attempts} attempts, "
                 f"{found.resumed} trials of more than one process"),
        at_least("results witnessed", found.points, 1, "points"),
        at_least("curves compared with uninterrupted runs, to the last digit", found.compared * len(METRICS), 2, "curves"),
        *rows_of(found),
        none_of("facts seen on the way that changed", changed(stage, storm.samples), "facts"),
        none_of("statements of the brief that are not true", untrue(stage, state, reference), "statements"),
        Row(
            name="charged beyond what the witness lived, worst attempt", ours=round(found.worst_over_s, 2), unit="s",
            target="<= 2.5", holds=found.worst_over_s <= 2.5,
            note=f"in all {found.charged_s:.1f} s charged, {found.lived_s:.1f} s lived; worst below: {found.worst_under_s:.2f} s",
        ),
        Row(name="the night came to its end", ours=float(bool(more["over"])), target="1", holds=bool(more["over"]),
            note=f"exit codes of the command: {dict(storm.codes)}"),
    ]  # fmt: skip


def play(asked: argparse.Namespace) -> tuple[list[Row], str]:
    """Play the night and audit it; return the rows, and the folder that was kept because something was wrong in it."""
    steps = 27 if asked.quick else CUDA_STEPS if asked.device == "cuda" else CPU_STEPS
    minutes = 1.0 if asked.quick else asked.minutes
    plan = TorchPlan(
        name="torch", trials=400, steps=steps, slots=2, seed=asked.seed, grant="60s", script=EXAMPLE / "train.py",
        metrics=METRICS, device=asked.device,
    )  # fmt: skip
    stage = torch_stage(plan)
    kills = 8 if asked.quick else round(minutes * 4)
    storm = Storm(kills=kills, patience_s=minutes * 60 + 300, rng=random.Random(asked.seed))
    try:
        proof = prove(stage)
        print(f"{time.strftime('%H:%M:%S')} the script is {proof}", flush=True)
        flags = ("--for", f"{minutes * 60:.0f}s")
        with Observer(stage):
            ended = blow(stage, storm, over=over, delay=pace, first=flags, again=("--resume",))
        print(f"{time.strftime('%H:%M:%S')} {storm.total} kills; now everything once more without one", flush=True)
        if not ended:
            stage.strike()  # what still runs would go on past what is compared
        reference = Reference(plan, stage.root)
        reference.train(stage.state())
        found = audit(stage, finished=False, uninterrupted=reference.curve)
        rows = table(asked, stage, storm, found, {"proof": proof, "over": ended, "reference": reference})
    except BaseException:
        stage.close(keep=True)
        print(f"The night could not be played to its end; its folder is {stage.root}", file=sys.stderr)
        raise
    wounded = not all(row.holds for row in rows)
    stage.close(keep=wounded or asked.keep)
    return rows, str(stage.root) if wounded or asked.keep else ""


def record(rows: list[Row], asked: argparse.Namespace, took_s: float) -> None:
    """Put the table into docs/benchmarks.md."""
    asking = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asking, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    probe = "import torch; print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    torch = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False).stdout.strip()
    heading = (
        f"`python soak/torch_night.py --minutes {asked.minutes:g} --seed {asked.seed} --device {asked.device}`: "
        f"{took_s:.0f} s on {machine()}, torch {torch}; {time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit}.",
        "A real night of [examples/char_lm_torch](../examples/char_lm_torch), unchanged, by halving, with kills at random "
        "moments. Afterwards every trial is trained once more in one piece and all curves are compared bit by bit.",
    )
    name = "torch night" if asked.device == "cpu" else f"torch night on {asked.device}"
    title = f"A night of a language model, with kills ({asked.device.upper()})"
    put_into(ROOT / "docs" / "benchmarks.md", markdown(rows, heading, section=name, title=title))


def main() -> int:
    """Play what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the night is")
    parser.add_argument("--quick", action="store_true", help="a night of one minute")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where it trains")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000, help="the same draws again")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the night")
    parser.add_argument("--record", action="store_true", help="put the table into docs/benchmarks.md")
    asked = parser.parse_args()
    if find_spec("torch") is None:
        print("torch is not installed in this environment. Install it: pip install torch==2.13.0", file=sys.stderr)
        return 1
    print(f"seed {asked.seed}", flush=True)
    began = time.monotonic()
    rows, kept = play(asked)
    print(show(rows))
    print(f"{time.monotonic() - began:.0f} s")
    if kept:
        print(f"kept {kept}")
    if asked.record:
        record(rows, asked, time.monotonic() - began)
    if asked.json:
        print(last_line(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
