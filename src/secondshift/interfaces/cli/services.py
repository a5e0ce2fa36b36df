"""The noun `service`: the unit that lets a reboot resume the night."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.text import Text

from secondshift.interfaces.cli.desk import study_file
from secondshift.interfaces.cli.printing import console, document
from secondshift.runtime import service
from secondshift.runtime.service import Service

Study = Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")]

app = App(name="service", help="Let a reboot resume the night: install, show, remove.")


@app.command
def install(*, study: Study = None, json: Json = False) -> int:
    """Write, verify and enable a systemd user unit that goes on with this study's open shift after a reboot."""
    return _told(service.install(study_file(study)), json)


@app.command
def show(*, study: Study = None, json: Json = False) -> int:
    """Show the unit of this study, and whether it is enabled."""
    return _told(service.show(study_file(study)), json, text=True)


@app.command
def remove(*, study: Study = None, json: Json = False) -> int:
    """Take the unit away; a shift that runs goes on."""
    return _told(service.remove(study_file(study)), json)


def _told(found: Service, json: bool, *, text: bool = False) -> int:
    if json:
        document(asdict(found))
        return 0
    screen = console()
    if found.installed:
        checked = {
            True: "verified by systemd",
            False: "refused by systemd",
            None: "not verified: systemd-analyze is not here",
        }[found.verified]
        enabled = {True: "enabled", False: "not enabled", None: "not enabled: no systemd user manager answers"}[
            found.enabled
        ]
        screen.print(Text(f"{found.file}: installed, {enabled}" + ("" if text else f", {checked}") + "."))
    else:
        screen.print(Text(f"{found.file}: not installed."))
    for sentence in found.advice:
        screen.print(Text(sentence))
    if text and found.text:
        screen.print(Text("\n" + found.text, style="dim"))
    return 0
