"""[params] and [resume] beside the command: every mistake in how values are passed, before anything starts."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from secondshift.config.commands import check_command
from secondshift.config.mistakes import Given, Notebook
from secondshift.config.parameter_files import clash
from secondshift.config.passing import variable
from secondshift.config.tables import ParamsTable, StudyFile
from secondshift.records.studies import Passing, ProofState, TierName

STYLES = {"flags": "--{name} {value}", "hydra": "{name}={value}"}
OWN = {  # keys of [params] -> the ways that read them
    "style": ("flags", "hydra"), "booleans": ("flags",), "variable": ("env",), "file": ("file",), "flag": ("file",),
    "nested": ("file",), "none": ("flags", "hydra", "env", "file"),
}  # fmt: skip
# A script that gets these from us would not find its programs, its attempt or its processors.
RESERVED = frozenset([
    "PATH", "HOME", "TMPDIR", "PYTHONPATH", "PYTHONUNBUFFERED", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS",
    "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LD_LIBRARY_PATH", "LD_PRELOAD",
])  # fmt: skip


def passing_of(table: ParamsTable) -> Passing:
    """Make the record; a style that is not given is that of its way."""
    return Passing(**{**table.model_dump(), "style": table.style or STYLES.get(table.via, STYLES["flags"])})


def check_passing(raw: Mapping[str, Any], names: tuple[str, ...], notes: Notebook) -> tuple[str, set[str]]:
    """Note what is wrong in [params] and [resume]; give the way and the placeholders its flag uses. `names`: [search]."""
    params, resume = (table if isinstance(table := raw.get(key, {}), dict) else {} for key in ("params", "resume"))
    used: set[str] = set()
    flag = resume.get("flag", "")
    if isinstance(flag, str) and flag:
        used |= check_command(flag, ("resume", "flag"), ("checkpoint_dir",), notes)
        if "checkpoint_dir" not in flag:
            notes.add(
                ("resume", "flag"), got=flag, expected='{checkpoint_dir} in it, as in "--ckpt-dir {checkpoint_dir}"'
            )
    if flag and resume.get("env"):
        notes.add(
            ("resume", "env"), got=resume["env"], expected="a flag or a variable", advice="Take one of them away."
        )
    _check_variable(("resume", "env"), resume.get("env", ""), notes)
    via = params.get("via", "sdk")
    if via not in ("sdk", *STYLES, "env", "file"):
        return "sdk", used  # said by the types
    for key in params:
        if key in OWN and via not in OWN[key]:
            ways = " or ".join(f'via = "{way}"' for way in OWN[key])
            notes.add(("params", key), got=Given(f'`{key}` beside via = "{via}"'), expected=f"it with {ways} only")
    _CHECKS.get(via, lambda *_: None)(params, names, raw, notes)
    return via, used


def _check_style(params: Mapping[str, Any], names: tuple[str, ...], raw: Mapping[str, Any], notes: Notebook) -> None:
    style, path = params.get("style", ""), ("params", "style")
    if not isinstance(style, str) or not style:
        return
    example = STYLES[params["via"]]
    found = re.findall(r"\{[^{}]*\}", style)
    if "{value}" not in found or not {"{name}", "{dashed}"}.intersection(found):
        notes.add(path, got=style, expected=f'{{name}} (or {{dashed}}) and {{value}} in it, as in "{example}"')
    elif unknown := [place for place in found if place not in ("{name}", "{dashed}", "{value}")]:
        notes.add(path, got=Given(unknown[0]), expected="{name}, {dashed} or {value}")
    elif params["via"] == "hydra" and not re.fullmatch(r"\+{0,2}\{(name|dashed)\}=\{value\}", style):
        notes.add(path, got=style, expected='"{name}={value}", "+{name}={value}" or "++{name}={value}"')
    else:
        try:
            shlex.split(style)
        except ValueError as error:
            notes.add(path, got=style, expected=f"what can be split into arguments ({error})")


def _check_variables(
    params: Mapping[str, Any], names: tuple[str, ...], raw: Mapping[str, Any], notes: Notebook
) -> None:
    template, path = params.get("variable", "{NAME}"), ("params", "variable")
    if not isinstance(template, str):
        return
    if not re.fullmatch(r"(?:[A-Za-z_][A-Za-z0-9_]*)?\{(?:NAME|name)\}[A-Za-z0-9_]*", template):
        notes.add(path, got=template, expected='letters, digits and _ around {NAME} or {name}, such as "HP_{NAME}"')
        return
    taken: dict[str, str] = {}
    launch = raw.get("launch", {})
    fixed = launch.get("env", {}) if isinstance(launch, dict) else {}
    for name in names:
        found = variable(Passing(variable=template), name)
        if found in taken:
            got = Given(f"{taken[found]} and {name}, which would both be {found}")
            notes.add(
                ("search", name), got=got, expected="names that differ as variables", advice="Rename one of them."
            )
        elif isinstance(fixed, dict) and found in fixed:
            notes.add(("search", name), got=Given(f"{found}, which [launch] env sets too"), expected="it in one place")
        else:
            _check_variable(("search", name), found, notes)
        taken.setdefault(found, name)


def _check_variable(path: tuple[str, str], name: object, notes: Notebook) -> None:
    if isinstance(name, str) and (name in RESERVED or name.startswith("SECONDSHIFT_")):
        advice = 'Choose another name, for example by [params] variable = "HP_{NAME}".' if path[0] == "search" else ""
        notes.add(path, got=Given(f"the variable {name}"), expected="one that is not set by the system", advice=advice)


def _check_file(params: Mapping[str, Any], names: tuple[str, ...], raw: Mapping[str, Any], notes: Notebook) -> None:
    flag, command = params.get("flag", ""), raw.get("command", "")
    in_command = isinstance(command, str) and "{params_file}" in command
    if isinstance(flag, str) and flag:
        check_command(flag, ("params", "flag"), ("params_file",), notes)
        if "{params_file}" not in flag:
            notes.add(("params", "flag"), got=flag, expected='{params_file} in it, as in "--config {params_file}"')
        elif in_command:
            got = Given("{params_file} in the command too")
            notes.add(("params", "flag"), got=got, expected="it once", advice="Take one of them away.")
    elif not in_command:
        advice = 'Write it into the command, or add, for example: [params] flag = "--config {params_file}"'
        notes.add(("params", "via"), got=Given("a file whose path the script never gets"),
                  expected="{params_file} in the command", advice=advice)  # fmt: skip
    if params.get("nested", True) is True and (both := clash(list(names))):
        got = Given(f"{both[0]} and {both[1]}: a value and a table of one name")
        notes.add(("search", both[1]), got=got, expected="one of them", advice="Or set [params] nested = false.")


def check_tier(file: StudyFile, notes: Notebook) -> None:
    """Note where the tier and [resume] do not go together."""
    if (file.resume.flag or file.resume.env) and file.tier not in (None, "resumable"):
        key = "flag" if file.resume.flag else "env"
        notes.add(
            ("tier",), got=file.tier, expected=f'"resumable" beside [resume] {key}', advice="Take one of them away."
        )
    if file.tier == "resumable" and not (file.resume.flag or file.resume.env):
        if "{checkpoint_dir}" in file.command:
            return
        advice = 'Add, for example: [resume] flag = "--ckpt-dir {checkpoint_dir}"'
        expected = "[resume] flag or env to go with it, or {checkpoint_dir} in the command"
        notes.add(("tier",), got=file.tier, expected=expected, advice=advice)
    if file.resume.trust and file.tier == "opaque":
        expected = "it only where the tier is resumable or cooperative: of an opaque script no checkpoints are used"
        notes.add(("resume", "trust"), got=True, expected=expected, advice="Take it away, or name the tier.")


def tier_named(file: StudyFile) -> TierName:
    """Give the tier that a file names, or that follows from its [resume]."""
    return file.tier or ("resumable" if file.resume.flag or file.resume.env else "cooperative")


def proof_named(file: StudyFile) -> ProofState:
    """Say what a file alone says of a proof: none is needed, or a person trusts the script; else there is none yet."""
    if tier_named(file) == "opaque":
        return "not needed"
    return "trusted" if file.resume.trust else "missing"


_CHECKS = {"flags": _check_style, "hydra": _check_style, "env": _check_variables, "file": _check_file}
