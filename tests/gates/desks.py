"""Small real studies whose training is over: two candidates with real artefacts on disk, and real checks to run on them."""

import json
from pathlib import Path

from secondshift.engine import Engine
from secondshift.records import events as facts
from secondshift.records.ideas import Idea
from secondshift.records.trials import Candidate, Trial
from secondshift.runtime.opening import open_night

STUDY = """
command = "python train.py"
[objective]
metric = "loss"
[horizon]
steps = 3
[search]
lr = { low = 0.01, high = 1.0, log = true, default = 0.1 }
[gate]
repeats = 3
timeout = "20s"
sealed = { command = ["python", "sealed.py", "{artefact}"], metric = "acc" }
[[gate.suite]]
name = "slices"
command = ["python", "check.py", "{artefact}"]
require = ["acc >= baseline", "acc/slice_* >= baseline - 0.02", "failures <= 0"]
"""
CHECK = """
import json, os, sys, time
found = json.load(open(os.path.join(sys.argv[1], "model.json")))
time.sleep(found.pop("takes_s", 0))
if found.pop("crash", 0):
    sys.exit("it cannot be loaded")
print(" ".join(f"{name}={value}" for name, value in found.items()))
"""
SEALED = """
import json, os, sys
with open(os.path.join(os.environ["TMPDIR"], "openings.txt"), "a") as seen:
    seen.write("opened\\n")
print("acc=%s" % json.load(open(os.path.join(sys.argv[1], "model.json")))["acc"])
"""
BEFORE = {"acc": 0.8, "acc/slice_a": 0.85, "acc/slice_b": 0.75, "failures": 0}
BETTER = {"acc": 0.9, "acc/slice_a": 0.95, "acc/slice_b": 0.85, "failures": 0}
WORSE_SLICE = {"acc": 0.9, "acc/slice_a": 1.0, "acc/slice_b": 0.65, "failures": 0}


def made(folder: Path, after: dict, before: dict = BEFORE, *, state: str = "held up", study: str = STUDY) -> Path:
    """Make a study with a baseline c1 and an idea e1 that became c2; give its file."""
    for name, text in (("secondshift.toml", study), ("check.py", CHECK), ("sealed.py", SEALED), ("train.py", "")):
        (folder / name).write_text(text)
    for trial, model in (("t1", before), ("t2", after)):
        out = folder / ".secondshift" / "attempts" / f"{trial}.a1" / "out"
        out.mkdir(parents=True)
        (out / "model.json").write_text(json.dumps(model))
    idea = Idea(id="e1", text="a trick", author="kim", state=state, candidate="c2", baseline="c1", params={"lr": 0.3})  # type: ignore[arg-type]
    payloads: list[facts.Payload] = [
        facts.CandidateProposed(candidate=Candidate(id="c1", params={}), decision=""),
        facts.BaselineMoved(candidate="c1", why="the defaults"),
        facts.IdeaCaptured(idea=idea, decision=""),
        facts.CandidateProposed(candidate=Candidate(id="c2", params={"lr": 0.3}, idea="e1"), decision=""),
    ]
    for trial, candidate in (("t1", "c1"), ("t2", "c2")):
        queued = Trial(id=trial, candidate=candidate, seed=7, revision=1, attempts=1)
        payloads.append(facts.TrialQueued(trial=queued, decision=""))
        payloads.append(facts.TrialClosed(trial=trial, status="complete", reason="done", decision=""))
    file = folder / "secondshift.toml"
    with open_night(file) as night:
        engine = Engine(
            ledger=night.ledger, state=night.state, executor=night.executor, clock=night.clock, hands=night.hands
        )
        engine.record([*night.opening, *payloads])
    return file
