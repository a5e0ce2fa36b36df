"""A first study file for a command that was looked at: its text, with every guess marked as one."""

import shlex

from secondshift.interfaces.messages.catalogue import filled, say
from secondshift.interfaces.plain import clean, one_line
from secondshift.runtime.guessing import Guess, Sketch, quoted
from secondshift.runtime.looks import Looked

TRIALS = 20  # of the first study: enough to see something, and little enough to wait for


def written(looked: Looked, found: Sketch, lang: str) -> str:
    """Give the text of the study file; what is a guess has a comment that says so and why."""
    active = [axis for axis in found.axes if axis.active]
    lines = [f"# {say('init.head', lang, command=_said(shlex.join(looked.command)))}"]
    for note in notes(looked, found, lang)[:1] if looked.code not in (None, 0) else ():
        lines.append(f"# {note}")
    lines += ["", f"command = {quoted(command_line(looked, found))}"]
    if found.out_flag:
        lines.append(f"# {say('init.out', lang, flag=found.out_flag)}")
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
        if found.step:
            lines.append(f"step = {quoted(found.step)}")
    if found.path:
        lines.append(f"path = {quoted(found.path)}")
        lines += ["", "[launch]", f"slots = 1  # {say('init.alone', lang)}"]
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
    if found.out_flag:
        places[found.out_flag] = "{out}"
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


def notes(looked: Looked, found: Sketch, lang: str) -> list[str]:
    """What is to be said of a look besides the file: why a run or the help failed, and what the guesses rest on."""
    said = []
    if looked.code not in (None, 0):
        said.append(say("init.broke", lang, code=str(looked.code), words=_said(looked.last_words[-300:])))
    elif looked.ran_s and not looked.metrics:
        said.append(say("init.mute", lang, took=f"{looked.ran_s:.0f}"))
    if looked.help_said:
        said.append(say("init.no_help", lang, why=looked.help_said))
    return [*said, _reason(found.metric, lang), _reason(found.steps, lang)]
