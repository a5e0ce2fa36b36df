"""A small real study in git, and nights in which code ideas are run by real processes and judged by its evaluator."""

import json
import os
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from repositories import git, patch_of
from secondshift import shifts
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.snapshots import load_state
from secondshift.policies.models.handing import thinking
from secondshift.records.events import Event
from secondshift.records.states import State
from secondshift.runtime import changes
from secondshift.runtime.spool import put_request

JUDGED_BY = f"command = {json.dumps([sys.executable, 'eval.py', '{artefact}'])}"  # it needs numpy
TOML = (
    """
name = "line"
command = "python train.py --seed {seed} --out {out}"
tier = "opaque"
[objective]
metric = "loss"
[horizon]
steps = 30
[evaluate]
"""
    + JUDGED_BY
    + """
[protect]
read_only = ["eval.py", "data/**"]
[budget]
trials = 1
[launch]
slots = 3
sample_every_s = 0
"""
)
TRAIN = """\
import json, random, sys
seed = int(sys.argv[sys.argv.index("--seed") + 1])
out = sys.argv[sys.argv.index("--out") + 1]
rate = 0.01
points = [tuple(map(float, line.split(","))) for line in open("data/train.csv")]
chance = random.Random(seed)
slope, shift = chance.gauss(0, 1), chance.gauss(0, 1)
for step in range(30):
    x, y = chance.choice(points)
    miss = slope * x + shift - y
    slope, shift = slope - rate * miss * x, shift - rate * miss
    loss = sum((slope * x + shift - y) ** 2 for x, y in points) / len(points)
    print(f"step={step} loss={loss}")
with open(f"{out}/model.json", "w") as file:
    json.dump([slope, shift], file)
"""
EVAL = """\
import json, sys
import numpy
slope, shift = json.load(open(sys.argv[1] + "/model.json"))
points = [tuple(map(float, line.split(","))) for line in open("data/valid.csv")]
print(f"loss={numpy.mean([(slope * x + shift - y) ** 2 for x, y in points])}")
"""


def line_study(folder: Path, toml: str = TOML) -> Path:
    """Make the study; return its file."""
    chance = random.Random(7)
    for name, text in {"train.py": TRAIN, "eval.py": EVAL, "secondshift.toml": toml}.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "data").mkdir()
    for name in ("train", "valid"):
        rows = ((x := chance.uniform(-2, 2), 3 * x + 1 + chance.gauss(0, 0.1)) for _ in range(20))
        (folder / "data" / f"{name}.csv").write_text("".join(f"{x},{y}\n" for x, y in rows))
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "the study")
    (folder / ".secondshift").mkdir()
    return folder / "secondshift.toml"


def ask(study: Path, name: str, files: Mapping[str, str | None]) -> None:
    """Bring an idea with the change that these contents are."""
    folder = study.parent
    digest = changes.store(folder / ".secondshift", folder, patch=patch_of(folder, dict(files), f"{name}.patch"))
    put_request(folder / ".secondshift", "idea", {"text": name, "author": "kim", "change": digest}, "kim")


def work(study: Path, *, pairs: int, most_s: float = 100.0) -> State:
    """Work a shift until each idea that is still being tried has so many pairs; what they came to."""
    stopped: list[bool] = []

    def tell(state: State, events: Sequence[Event]) -> None:
        trying = [idea for idea in state.ideas.values() if idea.state in ("open", "exploring")]
        # What verdicts have seen, and not what has ended: one more look may call the agent for a change that crashed.
        said = [one for one in state.verdicts.values() if one.candidate == state.ideas[one.idea].candidate]
        seen = {one.idea: one.pairs + one.void for one in said}
        judged = all(idea.state == "exploring" and seen.get(idea.id, 0) >= pairs for idea in trying)
        done = state.ideas and judged and not thinking(state)
        if done and not stopped:
            stopped.append(True)
            put_request(study.parent / ".secondshift", "stop", {}, "test")

    here = os.getcwd()
    try:
        shifts.work(study, for_s=most_s, tell=tell)
    finally:
        os.chdir(here)
    ledger = open_ledger(study.parent / ".secondshift")
    try:
        return load_state(ledger, study.parent / ".secondshift" / "cache" / "none.bin")
    finally:
        ledger.close()
