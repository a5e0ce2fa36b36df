"""How a trial's parameters reach its script beside the placeholders of the command: flags, overrides, variables, a file."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from secondshift.config.filling import placeholders, spelled, words
from secondshift.config.parameter_files import write_parameters
from secondshift.records.studies import Passing, Study, Value

FILE_FOLDER = "given"  # in the attempt's folder: the file of parameters lies in it
_HYDRA_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_HYDRA_WORDS = frozenset(["null", "true", "false", "nan", "inf"])  # in any case of letters they are no texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What one attempt is started with."""

    command: tuple[str, ...]  # arguments; never a shell line
    env: Mapping[str, str] = field(default_factory=dict)  # beside those of [launch]
    files: Mapping[str, str] = field(default_factory=dict)  # path in the attempt's folder -> text


def given(study: Study, params: Mapping[str, Value], *, seed: int, checkpoint_dir: str, folder: str) -> Given:
    """Write out what a trial is started with; `folder` is the attempt's own. The same arguments give the same.

    What the command names by a placeholder is passed there and nowhere else. What is inactive is not passed at all,
    and so is a value that stands for none (`[params] none`), except where a file or an override can say it.
    """
    passing = study.passing
    file = f"{FILE_FOLDER}/{passing.file}"
    said = {name for word in shlex.split(study.command) for name in placeholders(word)}
    rest = {name: value for name, value in params.items() if name not in said}
    values = {
        **params, "seed": seed, "horizon": study.horizon_steps, "checkpoint_dir": checkpoint_dir,
        "params_file": f"{folder}/{file}", "out": f"{folder}/out",
    }  # fmt: skip
    command = words(study, shlex.split(study.command), values)
    env: dict[str, str] = {}
    files: dict[str, str] = {}
    match passing.via:
        case "flags":
            command += [word for name, value in rest.items() for word in flags(passing, name, value)]
        case "hydra":
            command += [override(passing, name, value) for name, value in rest.items()]
        case "env":
            env = {variable(passing, n): spelled(v) for n, v in rest.items() if not stands_for_none(passing, v)}
        case "file":
            command += words(study, shlex.split(passing.flag), values)
            plain = {name: None if stands_for_none(passing, value) else value for name, value in rest.items()}
            files = {file: write_parameters(plain, file, nested=passing.nested)}
        case "sdk":
            pass  # the script reads SECONDSHIFT_PARAMS
    command += words(study, shlex.split(study.resume_flag), values)
    if study.resume_env:
        env[study.resume_env] = checkpoint_dir
    return Given(command=tuple(command), env=env, files=files)


def judging(study: Study, params: Mapping[str, Value], *, seed: int, checkpoint_dir: str, artefact: str) -> tuple[str, ...]:
    """Write out the evaluator's command for what a trial left; a placeholder of a parameter that was not set goes with it."""
    values = {
        **params, "seed": seed, "horizon": study.horizon_steps, "checkpoint_dir": checkpoint_dir, "artefact": artefact,
    }  # fmt: skip
    return tuple(words(study, list(study.evaluate), values))


def flags(passing: Passing, name: str, value: Value) -> list[str]:
    """Write one parameter as arguments: `--lr 0.1`, or as `[params] style` and `booleans` say.

    A value that begins with `-` is joined to its flag by `=`, because it would be taken for a flag itself.
    """
    if stands_for_none(passing, value):
        return []
    style = shlex.split(passing.style)
    dashed = name.replace("_", "-")
    if isinstance(value, bool) and passing.booleans != "value":
        alone = [word.partition("{value}")[0].rstrip("=:") for word in style]
        alone = [_placed(word, name, dashed, "") for word in alone if word]
        if value or passing.booleans == "switch":
            return alone if value else []
        return [re.sub(r"^(-*)", r"\1no-", alone[0]), *alone[1:]]
    text = spelled(value)
    if len(style) == 2 and style[1] == "{value}" and text.startswith("-"):
        style = [f"{style[0]}=" + "{value}"]
    return [_placed(word, name, dashed, text) for word in style]


def override(passing: Passing, name: str, value: Value) -> str:
    """Write one parameter as an override of Hydra, quoted by the rules of its grammar."""
    none = stands_for_none(passing, value)
    text = "null" if none else hydra_text(value) if isinstance(value, str) else spelled(value)
    return _placed(passing.style, name, name.replace("_", "-"), text)


def hydra_text(value: str) -> str:
    """Quote a text so that Hydra reads back the very same text.

    In quotes, a quote needs a backslash before it, and backslashes count only before a quote or the end, where they
    are doubled. A reference such as ${x} would be looked up: a backslash before it keeps it a text.
    """
    if _HYDRA_PLAIN.fullmatch(value) and value.lower() not in _HYDRA_WORDS:
        return value
    kept = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)
    kept = re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", kept)
    return "'" + re.sub(r"(\\+)$", lambda found: found[1] * 2, kept) + "'"


def variable(passing: Passing, name: str) -> str:
    """Name the environment variable of a parameter: `{NAME}` is its name in capitals, what cannot stand there as `_`."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return passing.variable.replace("{NAME}", plain.upper()).replace("{name}", plain)


def stands_for_none(passing: Passing, value: Value) -> bool:
    """Say whether a value is the text that the study uses for none."""
    return bool(passing.none) and value == passing.none


def _placed(word: str, name: str, dashed: str, text: str) -> str:
    """Fill in a template once, so that a value that looks like a placeholder stays what it is."""
    found = {"{name}": name, "{dashed}": dashed, "{value}": text}
    return re.sub(r"\{(?:name|dashed|value)\}", lambda place: found[place.group()], word)
