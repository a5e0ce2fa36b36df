"""The demo's ideas: one that helps, one that harms, one that does nothing, one that cannot be tried; each gets its answer."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from secondshift.interfaces.demo import train_digits

STEPS = 3
LIMIT_S = 75.0
# words, change, how it must end
IDEAS: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("more momentum: the first steps are slow", "momentum=0.9", ("held up",)),
    ("two hundred times the weight decay", "l2=0.02", ("refuted",)),
    ("a tenth more weight decay, which should change nothing", "l2=1.1e-4", ("refuted", "undecided")),
    ("drop a tenth of the units", "dropout=0.1", ("refused",)),
)
_STUDY = """\
# Written by `secondshift demo`: no search to speak of, only ideas against the defaults.
name = "digits-ideas"
command = {command}
tier = "cooperative"

[objective]
metric = "val_loss"
goal = "min"
min_effect = 0.005

[horizon]
steps = {steps}

[search]
momentum = {{ low = 0.0, high = 0.98, default = 0.8 }}
l2 = {{ low = 1e-6, high = 1e-1, log = true, default = 1e-4 }}

[budget]
trials = 1

[policy]
scheduler = "fifo"
seed = {seed}

[launch]
slots = 2
"""


def show_ideas(folder: Path, *, seed: int, say: Callable[[str], None], script: Path | None = None) -> list[str]:
    """Hand four ideas to a small study, run it, show its inbox, and return what did not end as it must."""
    place = folder / "ideas"
    place.mkdir(parents=True)
    shutil.copyfile(script or Path(train_digits.__file__), place / "train_digits.py")
    words = [word.replace("{", "{{").replace("}", "}}") for word in (sys.executable, "train_digits.py")]
    (place / "secondshift.toml").write_text(_STUDY.format(command=json.dumps(shlex.join(words)), steps=STEPS, seed=seed))
    say("\n--- ideas: does a change hold up, or was it luck? ---")
    for text, change, _ in IDEAS:
        done = _secondshift(place, "idea", text, "--set", change)
        if done.returncode:
            return [f"An idea was not taken: {done.stderr.strip()[-300:]}"]
        say(f"$ secondshift idea {shlex.quote(text)} --set {change}")
    done = _secondshift(place, "run", "--for", f"{LIMIT_S:.0f}s")
    if done.returncode:
        return [f"The study of ideas ended with {done.returncode}: {done.stderr.strip()[-300:]}"]
    say(_secondshift(place, "ideas").stdout.rstrip())
    brief = (place / ".secondshift" / "briefs" / "s1.md").read_text("utf-8")
    say("\n" + _section(brief, "## Ideas"))
    return _amiss(json.loads(_secondshift(place, "ideas", "--json").stdout)["ideas"])


def _amiss(rows: Sequence[dict]) -> list[str]:
    problems = []
    for row, (text, _, endings) in zip(rows, IDEAS, strict=False):
        if row["state"] not in endings:
            problems.append(f"The idea {text!r} ended {row['state']}; expected {' or '.join(endings)}. {row['answer']}")
    return problems if len(rows) == len(IDEAS) else [f"{len(rows)} of {len(IDEAS)} ideas are in the inbox."]


def _section(text: str, title: str) -> str:
    """The lines of one section of a brief."""
    _, found, rest = text.partition(f"{title}\n")
    return (found + rest.partition("\n## ")[0]).rstrip()


def _secondshift(place: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "secondshift", *words, "--study", str(place / "secondshift.toml")]
    return subprocess.run(
        command, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S + 45.0, check=False
    )
