"""The verb `init`: looks at a training command and writes a first study file, its guesses marked as guesses."""

import shlex
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from secondshift.config.loading import check_study
from secondshift.errors import ConfigInvalid
from secondshift.interfaces.cli.desk import language
from secondshift.interfaces.cli.drafting import notes, written
from secondshift.interfaces.cli.printing import console, document
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.plain import one_line
from secondshift.runtime.guessing import Axis, Sketch, sketch
from secondshift.runtime.looking import look
from secondshift.runtime.looks import Looked
from secondshift.runtime.studyfiles import FILE


def init(
    *command: Annotated[str, Parameter(help="The training command, behind --.", allow_leading_hyphen=True)],
    folder: Annotated[Path, Parameter(help="Where it runs, and where secondshift.toml is written.")] = Path("."),
    seconds: Annotated[float, Parameter(help="How long to run it; 0 asks for its help only.")] = 20.0,
    force: Annotated[bool, Parameter(negative="", help="Write over a secondshift.toml that is there.")] = False,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Look at a training command, and write a commented secondshift.toml for it."""
    tongue, place = language(lang), folder.expanduser().absolute()
    target = place / FILE
    words = list(command[1:] if command[:1] == ("--",) else command)
    if not words:
        raise ConfigInvalid("init was given no command. Write it behind --, as in: secondshift init -- python train.py")
    if not place.is_dir():
        raise ConfigInvalid(f"{place} is no folder. Go to where the command runs, or name it with --folder PATH.")
    if target.exists() and not force:
        raise ConfigInvalid(f"{target} is there already; nothing was run or written. To write over it, add --force.")
    looked = look(words, place, seconds=max(0.0, seconds))
    if looked.code == 127 and not looked.metrics:
        raise ConfigInvalid(f"{shlex.join(words)} cannot be started: {one_line(looked.last_words) or 'exit code 127'}.")
    found = sketch(looked)
    target.write_text(written(looked, found, tongue), encoding="utf-8")
    _, mistakes = check_study(target, environment={})
    if json:
        document(_document(target, looked, found, tongue, [str(m) for m in mistakes]))
        return 0
    screen = console()
    for key in ("init.wrote", "init.next"):
        screen.print(say(key, tongue, path=str(target)))
    for comment in notes(looked, found, tongue):
        screen.print(f"  {comment}")
    for mistake in mistakes:
        screen.print(f"  {mistake}")
    return 0


def _document(target: Path, looked: Looked, found: Sketch, lang: str, mistakes: list[str]) -> dict[str, Any]:
    def axis(a: Axis) -> dict[str, Any]:
        return {"name": a.name, "flag": a.flag, "default": a.default, "toml": a.toml, "active": a.active}

    return {
        "file": str(target), "command": list(looked.command), "hydra": looked.hydra, "sdk": looked.uses_sdk,
        "options": [{"name": o.name, "flag": o.flag, "kind": o.kind, "default": o.default, "choices": list(o.choices),
                     "source": o.source} for o in looked.options],
        "metrics": [{"name": s.name, "source": s.source, "points": s.points, "first_step": s.first_step,
                     "last_step": s.last_step, "last": s.last} for s in looked.metrics],
        "run": {"length_s": looked.ran_s, "ended": looked.ended, "code": looked.code},
        "guesses": {"metric": found.metric.value, "goal": found.goal.value, "steps": int(found.steps.value),
                    "seed_flag": found.seed_flag, "checkpoint_flag": found.checkpoint_flag,
                    "checkpoint_sure": found.checkpoint_sure, "search": [axis(a) for a in found.axes]},
        "notes": notes(looked, found, lang), "mistakes": mistakes,
    }  # fmt: skip
