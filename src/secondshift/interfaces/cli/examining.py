"""The verb `doctor`: tries a training command and says in plain words what that proves and what is wrong."""

import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from secondshift import doctor as doctoring
from secondshift.config import check_study
from secondshift.doctor import Examined
from secondshift.errors import ConfigInvalid
from secondshift.interfaces.cli import sandboxing
from secondshift.interfaces.cli.desk import language, study_file
from secondshift.interfaces.cli.drafting import written
from secondshift.interfaces.cli.printing import console, document, indented
from secondshift.interfaces.cli.spans import seconds
from secondshift.interfaces.messages.catalogue import filled, say
from secondshift.interfaces.messages.formats import duration
from secondshift.interfaces.plain import one_line
from secondshift.interfaces.readmodel.models import askable
from secondshift.records.proofs import Finding
from secondshift.records.studies import Study
from secondshift.runtime.guessing import sketch
from secondshift.runtime.looking import look
from secondshift.runtime.studyfiles import FILE

FAULTY = 1  # exit code: something is wrong with the script or with how it is called
LEVELS = {
    "fault": ("head_wrong", "bold red", "✗"),
    "proved": ("head_proved", "bold green", "✓"),
    "note": ("head_noticed", "bold", "·"),
}


def doctor(
    *command: Annotated[
        str, Parameter(help="A study file or its folder; or, behind --, a command.", allow_leading_hyphen=True)
    ],
    study: Annotated[
        Path | None,
        Parameter(name="--study", help="The secondshift.toml, or its folder. Left out: found here or above."),
    ] = None,
    run_seconds: Annotated[float, Parameter(help="How long the first run may take; it is compared that far.")] = 60.0,
    seeds: Annotated[int, Parameter(help="How many seeds to try; more make the noise floor surer.")] = 3,
    longest: Annotated[
        str | None, Parameter(name="--for", help="About how long all of it may take: 5m; what is too long is left out.")
    ] = None,
    keep: Annotated[bool, Parameter(negative="", help="Keep the folder of the runs that were tried.")] = False,
    sandbox: Annotated[bool, Parameter(negative="", help="Try to break out of the sandbox instead, claim by claim.")] = False,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Try a training command: what is wrong, what is proved, and what a night can do with it."""
    tongue, screen = language(lang), console()
    if sandbox:
        return sandboxing.prove(tongue, json=json)

    def tell(key: str, values: Mapping[str, str | int | float]) -> None:
        if not json:
            screen.print(Text(filled(key, values, tongue), style="dim"))

    words = list(command[1:] if command[:1] == ("--",) else command)
    named = len(words) == 1 and (words[0].endswith(".toml") or Path(words[0]).is_dir())  # a study, and no command
    as_command = bool(words) and not named
    if as_command and study is not None:
        raise ConfigInvalid("Both a command and --study were given. Expected one of them: what is to be tried.")
    if named and not Path(words[0]).exists():
        raise ConfigInvalid(f"{words[0]} does not exist. Name the study file or its folder, or a command behind --.")
    limits = {"run_s": run_seconds, "seeds": seeds, "keep": keep, "tell": tell}
    if longest is not None:
        limits["longest_s"] = seconds(longest)
    if as_command:
        guessed = guessed_study(words, Path.cwd(), tongue, run_seconds)
        tell("doctor.from_command", {"metric": guessed.objective.metric, "named": guessed.tier})
        found = doctoring.examine_study(guessed, Path.cwd(), **limits)
    else:
        found = doctoring.examine(study_file(Path(words[0]) if named else study), **limits)
    if json:
        document(told(found, tongue))
    else:
        show(screen, found, tongue)
    return FAULTY if found.proof.faults() else 0


def guessed_study(words: list[str], place: Path, lang: str, run_s: float) -> Study:
    """Make the study that `init` would write for a command, in memory. Raises ConfigInvalid if none can be made."""
    looked = look(words, place, seconds=min(run_s, 20.0))
    if looked.code == 127 and not looked.metrics:
        raise ConfigInvalid(f"{shlex.join(words)} cannot be started: {one_line(looked.last_words) or 'exit code 127'}.")
    with tempfile.TemporaryDirectory(prefix="secondshift-doctor-") as folder:
        file = Path(folder) / FILE
        file.write_text(written(looked, sketch(looked), lang), encoding="utf-8")
        study, mistakes = check_study(file, environment={})
    if study is None:
        listed = "\n".join(f"  {mistake}" for mistake in mistakes)
        raise ConfigInvalid(
            f"No study could be guessed for {shlex.join(words)}:\n{listed}\n"
            "Write one with `secondshift init`, correct it, and run `secondshift doctor` without a command."
        )
    return replace(study, name=place.name or "study", tier=study.tier_offered())


def show(screen: Console, found: Examined, lang: str) -> None:
    """Print what was found: what is wrong first, then what is proved, what was noticed, and what a night can do."""
    for level, (head, style, mark) in LEVELS.items():
        listed = [finding for finding in found.proof.findings if finding.level == level]
        if listed:
            screen.print(Text(f"\n{say(f'doctor.{head}', lang)}", style=style))
        for finding in listed:
            screen.print(indented(Text(f"{mark} {sentence(finding, lang)}")))
    screen.print(Text(f"\n{say('doctor.head_night', lang)}", style="bold"))
    for text in prospects(found, lang):
        screen.print(indented(Text(text)))


def sentence(finding: Finding, lang: str) -> str:
    """A finding in words."""
    return filled(f"doctor.{finding.code}", finding.values, lang)


def prospects(found: Examined, lang: str) -> list[str]:
    """What the tier is, what a night can hold, what noise there is, and what a small change would buy."""
    proof, study = found.proof, found.study
    tier = "none" if not proof.usable else "proved" if proof.tier == proof.named else "lower"
    tier = "opaque" if proof.usable and proof.named == "opaque" else tier
    said = [say(f"doctor.tier_{tier}", lang, named=proof.named, tier=proof.tier)]
    if proof.trial_s is not None and proof.trials_a_night:
        more = round(proof.trials_a_night * halving_gain(study))
        held = {"n": proof.trials_a_night, "trial_s": proof.trial_s, "slots": found.examination.slots, "more": more}
        said.append(say("doctor.holds_halving" if more > proof.trials_a_night else "doctor.holds", lang, **held))
    if proof.noise is not None:
        said.append(
            say(
                "doctor.noise", lang, metric=study.objective.metric, noise=proof.noise, seeds=proof.noise_seeds,
                step=proof.noise_step,
            )
        )  # fmt: skip
    if proof.eval_s is not None and proof.step_s is not None:
        said.append(say("doctor.evaluation", lang, evaluation=short(proof.eval_s, lang), one=short(proof.step_s, lang)))
    if proof.usable and proof.named == "opaque":
        said.append(say("doctor.buys_checkpoint", lang))
    elif proof.tier == "resumable":
        said.append(say("doctor.buys_sdk", lang))
    if found.untried and proof.usable:
        said.append(say("doctor.untried", lang, names=", ".join(found.untried)))
    said += [filled(one.key, one.values, lang) for one in askable(study.agent.model)]
    for key, path in (("doctor.kept_proof", found.proof_file), ("doctor.kept_runs", found.kept)):
        if path is not None:
            said.append(say(key, lang, path=str(path)))
    return said


def short(seconds: float, lang: str) -> str:
    """A length of time, below a second in milliseconds."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1.0 else duration(seconds, lang)


def halving_gain(study: Study) -> float:
    """How many trials can be started for the cost of one, when halving ends most of them early; 1 without it."""
    if study.policy.scheduler != "halving":
        return 1.0
    horizon, eta = study.horizon_steps, study.policy.eta
    rung = study.policy.min_steps or max(1, horizon // eta**2)
    cost, before, share = 0.0, 0, 1.0
    while before < horizon:
        upto = min(rung, horizon)
        cost += share * (upto - before) / horizon
        before, rung, share = upto, rung * eta, share / eta
    return 1.0 / cost


def told(found: Examined, lang: str) -> dict[str, Any]:
    """What was found, for programs."""
    proof = found.proof
    return {
        "named": proof.named, "tier": proof.tier, "usable": proof.usable,
        "findings": [
            {"code": f.code, "level": f.level, "breaks": f.breaks, "values": dict(f.values), "sentence": sentence(f, lang)}
            for f in proof.findings
        ],
        "noise": {"value": proof.noise, "step": proof.noise_step, "seeds": proof.noise_seeds},
        "times": {"step_s": proof.step_s, "start_s": proof.start_s, "eval_s": proof.eval_s, "trial_s": proof.trial_s,
                  "trials_a_night": proof.trials_a_night},
        "untried": list(found.untried), "prospects": prospects(found, lang),
        "proof_file": None if found.proof_file is None else str(found.proof_file),
        "kept": None if found.kept is None else str(found.kept),
    }  # fmt: skip
