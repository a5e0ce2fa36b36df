"""The verb `init`: looks at a training command and writes a first study file, its guesses marked as guesses."""

import shlex
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from secondshift.config.loading import FILE, check_study
from secondshift.errors import ConfigInvalid
from secondshift.interfaces.cli.desk import language
from secondshift.interfaces.cli.printing import console, document
from secondshift.interfaces.messages.catalogue import filled, say
from secondshift.interfaces.plain import clean, one_line
from secondshift.runtime.guessing import Axis, Guess, Sketch, quoted, sketch
from secondshift.runtime.looking import look
from secondshift.runtime.looks import Looked

TRIALS = 20  # of the first study: enough to see something, and little enough to wait for


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
    words = [word for word in command if word != "--"] if command[:1] == ("--",) else list(command)
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
    for comment in _notes(looked, found, tongue):
        screen.print(f"  {comment}")
    for mistake in mistakes:
        screen.print(f"  {mistake}")
    return 0


def written(looked: Looked, found: Sketch, lang: str) -> str:
    """Give the text of the study file; what is a guess has a comment that says so and why."""
    active = [axis for axis in found.axes if axis.active]
    lines = [f"# {say('init.head', lang, command=_said(shlex.join(looked.command)))}"]
    for note in _notes(looked, found, lang)[:1] if looked.code not in (None, 0) else ():
        lines.append(f"# {note}")
    lines += ["", f"command = {quoted(command_line(looked, found))}"]
    if not found.seed_flag:
        lines.append(f"# {say('init.no_seed', lang)}")
    tier = "cooperative" if looked.uses_sdk else "resumable" if found.checkpoint_sure else "opaque"
    lines.append(f"tier = {quoted(tier)}  # {say(f'init.tier_{tier}', lang)}")
    lines += ["", "[objective]", _line("metric", quoted(found.metric.value), found.metric, lang)]
    lines.append(_line("goal", quoted(found.goal.value), found.goal, lang))
    lines += ["", "[horizon]", _line("steps", found.steps.value, found.steps, lang)]
    if found.source not in ("", "sdk", "stdout"):
        lines += [
            "",
            "[metrics]",
            f"source = {quoted(found.source)}  # {say('init.source', lang, source=found.source)}",
        ]
    lines += ["", "[search]", f"# {say('init.search' if found.axes else 'init.search_none', lang)}"]
    lines += [f"{'' if axis.active else '# '}{_key(axis.name)} = {axis.toml}" for axis in found.axes]
    if looked.hydra and active:
        lines += ["", "[params]", 'via = "hydra"']
    lines += _resume(looked, found, lang)
    lines += ["", "[budget]", f"trials = {TRIALS}  # {say('init.budget', lang)}", ""]
    return "\n".join(lines)


def command_line(looked: Looked, found: Sketch) -> str:
    """Write the command with a placeholder for each active parameter, the seed, and a checkpoint folder it names."""
    places = {} if looked.hydra else {axis.flag: f"{{{axis.name}}}" for axis in found.axes if axis.active}
    taken = {axis.flag for axis in found.axes if axis.active} if looked.hydra else set()
    if found.seed_flag:
        places[found.seed_flag] = "{seed}"
    names_it = _names(looked, found.checkpoint_flag)
    if names_it and found.checkpoint_sure:
        places[found.checkpoint_flag] = "{checkpoint_dir}"
    out: list[str] = []
    after = ""  # the flag whose value comes next
    for word in looked.command:
        flag, equals, _ = word.partition("=")
        if after:
            out.append(places.pop(after))
            after = ""
        elif equals and flag.lstrip("+") in taken:
            continue
        elif equals and flag in places:
            out.append(f"{flag}={places.pop(flag)}")
        else:
            out.append(shlex.quote(word.replace("{", "{{").replace("}", "}}")))
            after = word if word in places and not looked.hydra else ""
    for flag, place in places.items():
        out += [f"{flag}={place}"] if looked.hydra else [flag, place]
    return " ".join(out)


def _names(looked: Looked, flag: str) -> bool:
    return bool(flag) and any(word.partition("=")[0] == flag for word in looked.command)


def _resume(looked: Looked, found: Sketch, lang: str) -> list[str]:
    flag = found.checkpoint_flag
    if looked.uses_sdk or not flag or (found.checkpoint_sure and _names(looked, flag)):
        return []
    value = f"{flag}={{checkpoint_dir}}" if looked.hydra else f"{flag} {{checkpoint_dir}}"
    if found.checkpoint_sure:
        return ["", "[resume]", f"flag = {quoted(value)}  # {say('init.resume_sure', lang, flag=flag)}"]
    return ["", f"# {say('init.resume_maybe', lang, flag=flag)}", "# [resume]", f"# flag = {quoted(value)}"]


def _line(key: str, value: str, guess: Guess, lang: str) -> str:
    return f"{key} = {value}  # {_reason(guess, lang)}"


def _reason(guess: Guess, lang: str) -> str:
    return filled(f"init.{guess.key}", {name: _said(value) for name, value in guess.values}, lang)


def _said(text: str) -> str:
    """A text of the script's as part of a comment: one line, nothing that a terminal would obey."""
    return clean(one_line(text), limit=400)


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else quoted(name)


def _notes(looked: Looked, found: Sketch, lang: str) -> list[str]:
    notes = []
    if looked.code not in (None, 0):
        notes.append(say("init.broke", lang, code=str(looked.code), words=_said(looked.last_words[-300:])))
    elif looked.ran_s and not looked.metrics:
        notes.append(say("init.mute", lang, took=f"{looked.ran_s:.0f}"))
    if looked.help_said:
        notes.append(say("init.no_help", lang, why=looked.help_said))
    return [*notes, _reason(found.metric, lang), _reason(found.steps, lang)]


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
        "notes": _notes(looked, found, lang), "mistakes": mistakes,
    }  # fmt: skip
