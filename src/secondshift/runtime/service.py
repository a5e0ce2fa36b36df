"""A systemd user unit for a study, so that a reboot does not end the night. Where systemd does not run, a cron line."""

import getpass
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from secondshift.errors import FolderReadOnly, SecondshiftError, StudyMissing

TOOL_S = 20.0  # for systemctl, systemd-analyze and loginctl to answer
CARRIED = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SECONDSHIFT_HOST_DIR")
_UNIT = """\
# Written by `secondshift service install`; remove it with `secondshift service remove`.
[Unit]
Description=secondshift on {described}

[Service]
Type=exec
WorkingDirectory={folder}
{environment}
ExecStart={command}
Restart=on-failure
RestartSec=5
# 2 a mistake in the study, 3 another engine works, 4 stopped by request, 5 the keeper gave up: a person is needed.
RestartPreventExitStatus=2 3 4 5
SuccessExitStatus=4
# Only the keeper is told to end. It ends the engine politely; supervisors and training outlive both.
KillMode=process
TimeoutStopSec=90
# A trial that runs out of memory is that trial's failure, not the night's.
OOMPolicy=continue

[Install]
WantedBy=default.target
"""


class ServiceInvalid(SecondshiftError):
    """The unit was not accepted by systemd, and was not installed. Report the message with the study's path."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A study's unit: where it lies, whether it is there and enabled, and what a person should know or do."""

    unit: str  # file name
    file: str  # absolute path
    installed: bool
    verified: bool | None = None  # None: systemd-analyze is not here
    enabled: bool | None = None  # None: no systemd user manager answers
    text: str = ""
    advice: tuple[str, ...] = ()  # sentences


def install(study_file: str | os.PathLike[str], *, arguments: Sequence[str] = ("--resume",)) -> Service:
    """Write, verify and enable a unit that carries on this study's open shift after each reboot.

    `arguments` follow `run --study FILE`. Nothing is started now.
    Raises StudyMissing, ServiceInvalid, FolderReadOnly; SecondshiftError for a path that no unit can hold.
    """
    study = _study(study_file)
    file = unit_file(study)
    text = unit_text(study, arguments=arguments, environment=os.environ)
    verified = verify(file.name, text)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.tmp")
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    except OSError as problem:
        raise FolderReadOnly(
            f"The unit could not be written to {file} ({problem.strerror}). Make that folder writable, or set "
            "XDG_CONFIG_HOME to one that is."
        ) from problem
    if not _manager_answers():
        return Service(
            unit=file.name, file=str(file), installed=True, verified=verified, text=text,
            advice=_without_systemd(study, arguments),
        )  # fmt: skip
    _systemctl("daemon-reload")
    code, said = _systemctl("enable", file.name)
    advice = [f"It starts with your user's systemd. Start it now with: systemctl --user start {file.name}"]
    if code != 0:
        advice.append(f"systemctl --user enable failed: {said}")
    return Service(
        unit=file.name, file=str(file), installed=True, verified=verified, enabled=code == 0, text=text,
        advice=(*advice, *_linger()),
    )  # fmt: skip


def show(study_file: str | os.PathLike[str]) -> Service:
    """Return the unit of this study as it stands. Raises StudyMissing."""
    study = _study(study_file)
    file = unit_file(study)
    answers = _manager_answers()
    if not file.exists():
        advice = ("Install it with: secondshift service install",)
        return Service(unit=file.name, file=str(file), installed=False, advice=advice)
    return Service(
        unit=file.name, file=str(file), installed=True, text=file.read_text("utf-8"),
        enabled=_systemctl("is-enabled", file.name)[0] == 0 if answers else None,
        advice=_linger() if answers else _without_systemd(study, ("--resume",)),
    )  # fmt: skip


def remove(study_file: str | os.PathLike[str]) -> Service:
    """Take the unit away. What runs goes on: `secondshift stop` ends it. Raises StudyMissing."""
    file = unit_file(_study(study_file))
    answers = _manager_answers()
    if answers and file.exists():
        _systemctl("disable", file.name)
    was = file.exists()
    file.unlink(missing_ok=True)
    if answers:
        _systemctl("daemon-reload")
    said = "It was removed; a shift that runs goes on until it ends." if was else "There was none; nothing was changed."
    return Service(unit=file.name, file=str(file), installed=False, advice=(said,))


def unit_file(study: Path) -> Path:
    """Name the unit of a study: its folder's name for people, and a digest so that two of that name differ."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    slug = re.sub(r"[^a-z0-9]+", "-", study.parent.name.lower()).strip("-")[:40] or "study"
    digest = hashlib.sha256(os.fsencode(study)).hexdigest()[:6]
    return Path(home) / "systemd" / "user" / f"secondshift-{slug}-{digest}.service"


def unit_text(study: Path, *, arguments: Sequence[str], environment: "os._Environ[str] | dict[str, str]") -> str:
    """Write the unit out. Raises SecondshiftError for a path with a line break, which no unit can hold."""
    # The user manager knows neither the shell's PATH nor its virtual environment, and `command` may need both.
    carried = [f"Environment={quoted(f'{name}={environment[name]}')}" for name in CARRIED if environment.get(name)]
    command = _command(study, arguments)
    lines = [str(study), *carried, *command]
    if any("\n" in line or "\r" in line for line in lines):
        raise SecondshiftError(
            f"A line break is in {str(study)!r} or in a variable of {', '.join(CARRIED)}. A systemd unit cannot hold "
            "one; rename the folder or unset the variable, and install again."
        )
    return _UNIT.format(
        described=f"{study.parent}".replace("%", "%%"),
        folder=f"{study.parent}".replace("%", "%%"),  # this one setting takes the rest of the line and knows no quotes
        environment="\n".join(carried),
        command=" ".join(quoted(word, in_command=True) for word in command),
    )


def quoted(word: str, *, in_command: bool = False) -> str:
    """Quote one word by systemd's rules: specifiers and, in a command, variables are doubled to stay as they are."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped.replace("$", "$$") if in_command else escaped}"'


def verify(name: str, text: str) -> bool | None:
    """Ask systemd whether it would accept the unit; None where it cannot be asked. Raises ServiceInvalid."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return None
    with tempfile.TemporaryDirectory(prefix="secondshift-unit-") as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        # It wants a runtime folder to look into, also where no user manager runs.
        environment = {**os.environ, "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR") or folder, "LC_ALL": "C"}
        try:
            done = subprocess.run(
                [tool, "verify", "--user", "--man=no", str(file)],
                env=environment, capture_output=True, text=True, timeout=TOOL_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return None
    complaints = [line for line in (done.stderr + done.stdout).splitlines() if name in line]
    if complaints:  # it also exits with 0 when it ignores a line
        raise ServiceInvalid(f"systemd does not accept the unit, and nothing was installed: {' / '.join(complaints)}")
    return True if done.returncode == 0 else None


def cron_line(study: Path, arguments: Sequence[str]) -> str:
    """Write the line for `crontab -e` that does the same where systemd does not run."""
    words = shlex.join(_command(study, (*arguments, "--detach")))
    return f"@reboot cd {shlex.quote(str(study.parent))} && {words}".replace("%", r"\%")


def _command(study: Path, arguments: Sequence[str]) -> list[str]:
    # -P: a module of the study's folder must not be imported in place of what secondshift means.
    return [sys.executable, "-P", "-m", "secondshift", "run", "--study", str(study), *arguments]


def _study(study_file: str | os.PathLike[str]) -> Path:
    study = Path(study_file).resolve()
    if not study.is_file():
        raise StudyMissing(f"{study} does not exist. Expected a study file; name it with --study PATH.")
    return study


def _without_systemd(study: Path, arguments: Sequence[str]) -> tuple[str, ...]:
    return (
        "No systemd user manager answers here, so the unit is not enabled (a container, or a session without one).",
        f"Where systemd runs, enable it with: systemctl --user enable {unit_file(study).name}",
        f"Where it never does, put this line into `crontab -e`: {cron_line(study, arguments)}",
    )


def _linger() -> tuple[str, ...]:
    """Say what lingering is where it is off: without it, nothing of a user starts before the user logs in."""
    user = getpass.getuser()
    code, said = _tool("loginctl", "show-user", user, "--property=Linger", "--value")
    if code == 0 and said == "yes":
        return (f"Lingering is on for {user}: it starts at boot and survives logout.",)
    return (
        f"Lingering is off for {user}: it would start only when you log in, and end when you log out. "
        f"Turn it on with: loginctl enable-linger {user}",
    )


def _manager_answers() -> bool:
    return _systemctl("show", "--property=Version")[0] == 0


def _systemctl(*words: str) -> tuple[int, str]:
    return _tool("systemctl", "--user", *words)


def _tool(*words: str) -> tuple[int, str]:
    """Run a system tool; return its exit code and its last line. One that is missing or hangs counts as failed."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TOOL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return 127, str(problem)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return done.returncode, lines[-1].strip() if lines else ""
