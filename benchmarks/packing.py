#!/usr/bin/env python3
"""Circle packing (n = 26) through the ordinary loop, with a SIMULATED agent: a fixed library of edits, and no model.

python3 benchmarks/packing.py [--evaluations 48] [--kills 3] [--seed 0] [--minutes 60] [--keep FOLDER]

The study is examples/circle_packing in a repository of its own. The engine is killed by SIGKILL at evaluations spread over
the night, and the same command is run again until the shift ends. What counts is what check.py says: sums of exact
fractions, without tolerance. A mark is reached if the best program comes to 2.60 within the evaluations that were allowed.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import preparing

preparing.environment()

from secondshift.ledger.fold import fold  # noqa: E402  # the folders come first
from secondshift.ledger.opening import open_ledger  # noqa: E402
from secondshift.records.states import State  # noqa: E402
from secondshift.runtime.executors.processes import start_ticks  # noqa: E402
from secondshift.runtime.keepersight import lease_holder  # noqa: E402

HOUSE = Path(__file__).resolve().parents[1]
MARK = 2.60
PUBLISHED = {"AlphaEvolve (arXiv:2506.13131)": 2.635, "OpenEvolve (issue 156 of its repository)": 2.635977}


@dataclass
class Course:
    """What was seen of a night."""

    kills: list[int] = field(default_factory=list)  # evaluations there were when the engine was killed
    starts: int = 0  # of the command
    seconds: float = 0.0


def laid_out(folder: Path, evaluations: int, seed: int) -> None:
    """Make the study in a git repository of its own."""
    shutil.copytree(HOUSE / "examples" / "circle_packing", folder, dirs_exist_ok=True)
    study = folder / "secondshift.toml"
    text = study.read_text().replace("trials = 48", f"trials = {evaluations}").replace("turns = 60", f"turns = {2 * evaluations}")
    study.write_text(text.replace("[policy]\n", f"[policy]\nseed = {seed}\n"))
    (folder / ".gitignore").write_text(".secondshift/\n__pycache__/\n")
    who = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "the study")):
        subprocess.run(["git", *words], cwd=folder, check=True)


def read(folder: Path) -> State:
    """The state of the study; an empty one before there is a ledger."""
    private = folder / ".secondshift"
    if not (private / "ledger.db").exists():
        return State()
    ledger = open_ledger(private, readonly=True)
    try:
        return fold(State(), ledger.read())
    finally:
        ledger.close()


def engine_of(folder: Path) -> int:
    """The pid of the engine that holds the lease; 0 for none."""
    holder = lease_holder(folder / ".secondshift")
    return holder.pid if holder is not None and start_ticks(holder.pid) == holder.start_ticks else 0


def night(folder: Path, marks: list[int], minutes: float) -> Course:
    """Run the shift to its end, and kill its engine when so many evaluations are recorded as `marks` say."""
    course, began, left = Course(), time.monotonic(), list(marks)
    environment = {
        **os.environ, "PYTHONPATH": str(HOUSE / "src"), "SECONDSHIFT_HOST_DIR": str(folder.parent / "host"),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
    }  # fmt: skip
    command = [sys.executable, "-m", "secondshift", "run", "--for", f"{minutes:g}m"]
    log = open(folder.parent / "run.log", "ab")  # noqa: SIM115  # it lives as long as the night
    process: subprocess.Popen[bytes] | None = None
    while time.monotonic() - began < minutes * 60 + 120:
        if process is None or process.poll() is not None:
            state = read(folder)
            if process is not None and state.shift is None and state.shifts:
                break
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            course.starts += 1
        time.sleep(1.0)
        if not left:
            continue
        done = len(read(folder).evaluations)
        if done >= left[0] and (pid := engine_of(folder)):
            left.pop(0)
            os.kill(pid, signal.SIGKILL)
            course.kills.append(done)
    if process is not None and process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    log.close()
    course.seconds = time.monotonic() - began
    return course


def found(state: State, course: Course) -> dict[str, object]:
    """The figures of a night, in the order in which programs were judged."""
    searched = {name: one for name, one in state.evaluations.items() if state.trials[name].pair < 0}
    values = [(state.trials[name].candidate, one) for name, one in searched.items()]
    put_to_the_test = [(idea, state.verdicts.get(idea.id)) for idea in state.ideas.values() if not idea.canary]
    so_far, first, best = 0.0, 0, ""
    for number, (candidate, one) in enumerate(values, 1):
        if not one.problem and one.value > so_far:
            so_far, best = one.value, candidate
            if so_far >= MARK and not first:
                first = number
    faults = [one.fault for one in state.examinations.values() if one.fault]
    return {
        "agent": "SIMULATED: a fixed library of edits, no model", "evaluations": len(values), "best": so_far, "candidate": best,
        "reached 2.60 at evaluation": first or None, "of the study itself": next((o.value for _, o in values), None),
        "edits in the best program": state.candidates[best].code.count("+") + 1 if best else 0,
        "calls": len(state.calls), "never run": {fault: faults.count(fault) for fault in sorted(set(faults))},
        "came to no result": sum(bool(one.problem) for _, one in values),
        "engine killed at evaluations": course.kills, "starts of the command": course.starts, "seconds": round(course.seconds, 1),
        "calls without an end": len(state.calling), "charges unsettled": len(state.charges),
        "evaluated twice": len(values) - len({candidate for candidate, _ in values}),
        "put to the test": [(i.id, i.candidate, i.state, v and v.ending, v and v.pairs) for i, v in put_to_the_test],
        "published, by models": PUBLISHED,
    }  # fmt: skip


def main() -> int:
    """Run a night and print its figures; 0 if the mark was reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=48)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--keep", type=Path)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="packing-") as temporary:
        root = told.keep or Path(temporary)
        folder = root / "study"
        folder.mkdir(parents=True)
        laid_out(folder, told.evaluations, told.seed)
        marks = [told.evaluations * (n + 1) // (told.kills + 1) for n in range(told.kills)]
        course = night(folder, marks, told.minutes)
        figures = found(read(folder), course)
    print(json.dumps(figures, indent=1))
    return 0 if figures["reached 2.60 at evaluation"] else 1


if __name__ == "__main__":
    sys.exit(main())
