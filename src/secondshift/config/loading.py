"""From a study file, the environment and flags to one Study; every mistake is found before anything starts."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from secondshift import plugins
from secondshift.config.agents import agent_of, check_agent
from secondshift.config.commands import JUDGED, check_command, check_words
from secondshift.config.duties import check_oncall, oncall_of
from secondshift.config.explaining import explain
from secondshift.config.gates import check_gate, gate_of
from secondshift.config.limits import check_objective, objective_of
from secondshift.config.lines import key_lines
from secondshift.config.listing import check_walkers, read_among
from secondshift.config.mistakes import Given, Mistake, Notebook, nearest
from secondshift.config.readings import check_metrics
from secondshift.config.revisions import evaluator_hash
from secondshift.config.searches import read_space, read_try_first
from secondshift.config.tables import TABLES, StudyFile
from secondshift.config.ways import check_passing, check_tier, passing_of, proof_named, tier_named
from secondshift.errors import ConfigInvalid, StudyMissing
from secondshift.records.protection import guarded
from secondshift.records.studies import (
    POPULATION,
    PROGRAMS,
    Budget,
    Launch,
    MetricsFrom,
    Notify,
    Policy,
    Sandbox,
    Space,
    Study,
    Value,
)
from secondshift.runtime.studyfiles import FILE

PREFIX = "SECONDSHIFT_"
POPULATION_NEEDS = "a scheduler that an opaque script can have: \"halving\" or \"fifo\""
POPULATION_ADVICE = (
    "In a population some trials begin from the checkpoint of another, so the script has to save and resume: name its [resume], "
    'or write tier = "cooperative" if it uses the SDK.'
)
MAX_BYTES = 1 << 20  # a study file is written by hand


def load_study(
    path: Path | str, *, environment: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
) -> Study:  # Any: flags come in the types of their keys
    """Read a study; a flag ("budget.trials": 3) wins over the environment (SECONDSHIFT_BUDGET__TRIALS), then the file.

    `environment` is `os.environ` if not given. Raises ConfigInvalid that names every mistake, StudyMissing.
    """
    study, mistakes = check_study(path, environment=environment, flags=flags)
    if study is None:
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        listed = "\n".join(f"  {mistake}" for mistake in mistakes)
        raise ConfigInvalid(f"{path} has {count}; nothing was started:\n{listed}")
    return study


def check_study(
    path: Path | str, *, environment: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
) -> tuple[Study | None, list[Mistake]]:  # Any: as in load_study
    """Read a study like `load_study`, but give its mistakes instead of raising them; with any, the study is None."""
    path = Path(path)
    notes = Notebook()
    raw = _read(path, notes)
    if raw is None:
        return None, notes.sorted()
    _override(raw, os.environ if environment is None else environment, flags or {}, notes)
    file = _validate(raw, notes)
    space = _check_search(raw, notes)
    _check_command(raw, notes)
    if file is None:
        return None, notes.sorted()
    _check_whole(file, path.absolute().parent, notes)
    if file.among and not notes.found:
        space = replace(space, among=read_among(path.absolute().parent / file.among, space, notes))
        check_walkers(file.policy.searcher, file.policy.scheduler, notes)
    given = () if notes.found else read_try_first(file.policy.try_first, space, notes)
    if notes.found:
        return None, notes.sorted()
    return _study(file, space, given, path.absolute().parent), []


def _read(path: Path, notes: Notebook) -> dict[str, Any] | None:  # Any: TOML
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StudyMissing(
            f"{path} does not exist. Go to the study's folder, or name the file with --study PATH."
        ) from None
    except OSError as error:
        raise StudyMissing(
            f"{path} cannot be read ({error.strerror}). Expected a readable file named {FILE}."
        ) from error
    if len(data) > MAX_BYTES:
        notes.add((), got=Given(f"a file of {len(data)} bytes"), expected=f"at most {MAX_BYTES}")
        return None
    try:
        text = data.decode("utf-8-sig")
        raw = tomllib.loads(text)
    except UnicodeDecodeError as error:
        notes.add((), got=Given(f"a file whose byte {error.start} is no UTF-8"), expected="UTF-8 text")
        return None
    except tomllib.TOMLDecodeError as error:
        notes.add((), got=Given(f"a file that is not TOML: {error}"), expected='lines such as metric = "val_loss"')
        return None
    except RecursionError:
        notes.add((), got=Given("a file nested too deeply"), expected="lists and tables a few levels deep")
        return None
    notes.lines = key_lines(text)
    return raw


def _override(raw: dict[str, Any], environment: Mapping[str, str], flags: Mapping[str, Any], notes: Notebook) -> None:
    for variable in sorted(environment):
        name = variable.removeprefix(PREFIX)
        if name == variable or "__" not in name or name.startswith("__"):
            continue  # SECONDSHIFT_SEED and its like are for the training script
        table, _, key = name.lower().partition("__")
        if table not in TABLES:
            notes.origins[(table,)] = f"environment variable {variable}"
            expected = "SECONDSHIFT_<TABLE>__<KEY> with a table of " + ", ".join(TABLES)
            notes.add((table,), got=Given(f"[{table}]"), expected=expected, advice=nearest(table, TABLES))
            continue
        _put(raw, (table, key), _reading(environment[variable]), f"environment variable {variable}", notes)
    for flag, value in flags.items():
        if value is not None:
            given = _reading(value) if isinstance(value, str) else value
            _put(raw, tuple(flag.split(".")), given, f"flag {flag}", notes)


def _put(raw: dict[str, Any], path: tuple[str, ...], value: object, origin: str, notes: Notebook) -> None:
    table = raw
    for part in path[:-1]:
        inner = table.get(part, {})
        if not isinstance(inner, dict):
            inner = {}
        table[part] = dict(inner)
        table = table[part]
    table[path[-1]] = value
    notes.origins[path] = origin


def _reading(text: str) -> object:
    """Read a text as a TOML value if it is one, so that 3 is a number and [1, 2] a list; else it stands for itself."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return found["value"] if found.keys() == {"value"} else text


def _validate(raw: dict[str, Any], notes: Notebook) -> StudyFile | None:
    try:
        return StudyFile.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            explain(cast("Mapping[str, Any]", detail), notes)
        return None


def _check_search(raw: Mapping[str, Any], notes: Notebook) -> Space:
    search, constraints = raw.get("search", {}), raw.get("constraints", [])
    if not isinstance(search, dict) or not isinstance(constraints, list):
        return Space()  # said by the types already
    return read_space(search, [text for text in constraints if isinstance(text, str)], notes)


def _check_command(raw: Mapping[str, Any], notes: Notebook) -> None:
    search, resume, evaluate = (raw.get(table, {}) for table in ("search", "resume", "evaluate"))
    names = tuple(search) if isinstance(search, dict) else ()
    resumes = isinstance(resume, dict) and bool(resume.get("flag") or resume.get("env"))
    judge = evaluate.get("command", []) if isinstance(evaluate, dict) else []
    via, used = check_passing(raw, names, notes)
    command = raw.get("command")
    if isinstance(command, str):
        files = ("params_file",) if via == "file" else ()
        used |= check_command(command, ("command",), (*names, "seed", "horizon", "checkpoint_dir", "out", *files), notes)
    if isinstance(judge, list):
        words = [word for word in judge if isinstance(word, str)]
        check_words(words, ("evaluate", "command"), (*names, *JUDGED), notes)
    tier = raw.get("tier") or ("resumable" if resumes else "cooperative")
    if tier not in ("opaque", "resumable") or not isinstance(command, str) or via != "sdk":
        return  # a cooperative script may ask for its parameters itself, and [params] passes them
    for name in names:
        if name not in used:
            given = Given(f"{name}, which the command never names")
            advice = (
                'Or pass all parameters alike: [params] via = "flags". If the script asks for it through the SDK, write '
                'tier = "cooperative" and leave out [resume].'
            )
            notes.add(
                ("search", name), got=given, expected=f"a place for it such as --{name} {{{name}}}", advice=advice
            )


def _check_whole(file: StudyFile, place: Path, notes: Notebook) -> None:
    """Check what concerns more than one key."""
    if file.budget.money_usd is not None and file.prices.device_hour_usd is None:
        advice = "Add these lines, with your own price: [prices] device_hour_usd = 2.50"
        notes.add(("budget", "money_usd"), got=Given("money without a price"), expected="[prices]", advice=advice)
    check_objective(file.objective, notes)
    check_tier(file, notes)
    check_metrics(file, notes)
    check_oncall(file.oncall, notes)
    check_gate(file.gate, notes)
    check_agent(file.agent, file.budget.money_usd is not None, notes)
    if file.policy.min_steps >= file.horizon.steps:
        expected = f"fewer than the {file.horizon.steps} steps of [horizon]"
        notes.add(("policy", "min_steps"), got=file.policy.min_steps, expected=expected)
    if file.policy.scheduler == POPULATION and tier_named(file) == "opaque":
        notes.add(("policy", "scheduler"), got=POPULATION, expected=POPULATION_NEEDS, advice=POPULATION_ADVICE)
    if file.policy.searcher == PROGRAMS and not file.evaluate.command:
        advice = 'Name a program of yours that judges what a trial left: [evaluate] command = ["python", "eval.py", "{artefact}"]'
        expected = "[evaluate] beside it: what a program says of itself counts nowhere"
        notes.add(("policy", "searcher"), got=PROGRAMS, expected=expected, advice=advice)
    if Path(file.folder).is_absolute():
        notes.add(("folder",), got=file.folder, expected="a folder relative to the study file")
    elif not (place / file.folder).is_dir():
        notes.add(("folder",), got=file.folder, expected=f"a folder that exists in {place}")
    for name in file.data.files:
        if not (place / file.folder / name).is_file():
            notes.add(("data", "files"), got=name, expected=f"a file that exists, from {place / file.folder}")
    for key in ("searcher", "scheduler", "forecaster"):
        group = f"secondshift.{key}s"
        _check_part(("policy", key), group, getattr(file.policy, key), notes)
    _check_part(("launch", "executor"), "secondshift.executors", file.launch.executor, notes)


def _check_part(path: tuple[str, str], group: str, name: str, notes: Notebook) -> None:
    if name in plugins.GROUPS[group]:
        return
    known = plugins.names(group) + (("auto", "none") if path[-1] == "forecaster" else ())
    if name not in known:
        notes.add(path, got=name, expected="one of " + ", ".join(known), advice=nearest(name, known))


def _study(file: StudyFile, space: Space, given: tuple[Mapping[str, Value], ...], place: Path) -> Study:
    study = Study(
        name=file.name or place.name or "study",
        command=file.command,
        folder=file.folder,
        objective=objective_of(file.objective),
        horizon_steps=file.horizon.steps,
        schedule=file.horizon.schedule,
        space=space,
        budget=_budget(file),
        policy=_policy(file, given),
        launch=_launch(file),
        metrics=MetricsFrom(**file.metrics.model_dump()),
        tier=tier_named(file),
        offered=tier_named(file),
        proof=proof_named(file),
        resume_flag=file.resume.flag,
        resume_env=file.resume.env,
        passing=passing_of(file.params),
        evaluate=tuple(file.evaluate.command),
        evaluator_hash=evaluator_hash(
            place, guarded(tuple(file.protect.read_only), tuple(file.evaluate.command), file.folder), tuple(file.evaluate.command)
        ),
        gate=gate_of(file.gate),
        agent=agent_of(file.agent),
        read_only=tuple(file.protect.read_only),
        sandbox=_sandbox(file),
        data=tuple(file.data.files),
        may=tuple(file.captain.may),
        answer_within_s=file.captain.answer_within,
        cool_down_s=file.captain.cool_down,
        oncall=oncall_of(file),
        notify=Notify(channels=tuple(file.notify.channels), lang=file.notify.lang),
        seed=file.policy.seed,
    )  # fmt: skip
    return study


def _sandbox(file: StudyFile) -> Sandbox:
    table = file.sandbox
    return Sandbox(
        network=table.network, read=tuple(table.read), processes=table.processes,
        memory_bytes=int((table.memory_gb or 0.0) * 1e9), file_bytes=int((table.file_gb or 0.0) * 1e9),
    )  # fmt: skip


def _policy(file: StudyFile, given: tuple[Mapping[str, Value], ...]) -> Policy:
    """The policy of a study; of a search for programs the best is put to the test unless the file says otherwise."""
    table = file.policy
    told = table.model_dump(exclude={"seed", "try_first", "nominate"})
    nominate = table.searcher == PROGRAMS if table.nominate is None else table.nominate
    return Policy(**told, nominate=nominate, try_first=given)


def _budget(file: StudyFile) -> Budget:
    budget, price = file.budget, file.prices.device_hour_usd
    return Budget(
        device_s=None if budget.device_hours is None else budget.device_hours * 3600.0,
        wall_s=None if budget.wall_hours is None else budget.wall_hours * 3600.0,
        trials=budget.trials,
        money_usd=budget.money_usd,
        usd_per_device_s=None if price is None else price / 3600.0,
        confirm_share=budget.confirm_share,
    )


def _launch(file: StudyFile) -> Launch:
    launch = file.launch
    return Launch(
        executor=launch.executor,
        slots=launch.slots,
        threads=launch.threads,
        per_device=launch.per_device,
        share_with_others=launch.share_with_others,
        yield_to=launch.yield_to,
        grace_s=launch.grace_s,
        grant_s=launch.grant,
        checkpoint_every_s=launch.checkpoint_every_s,
        eval_every_steps=launch.eval_every,
        keep_checkpoints=launch.keep_checkpoints,
        keep_older=launch.keep_older,
        keep_best=launch.keep_best,
        disk_cap_mb=launch.disk_cap_gb * 1000.0,
        quiet_s=launch.quiet,
        output_cap_mb=launch.output_cap_mb,
        sample_every_s=launch.sample_every_s,
        env=dict(launch.env),
    )
