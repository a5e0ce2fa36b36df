"""The verbs that look back on a night: `brief` and `replay`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from secondshift.errors import SecondshiftError
from secondshift.interfaces.brief.render_json import render_json
from secondshift.interfaces.brief.render_terminal import render_terminal
from secondshift.interfaces.brief.write import newest_shift, page, write_brief
from secondshift.interfaces.cli.desk import language, open_desk
from secondshift.interfaces.cli.printing import console, document
from secondshift.replay import replay as replayed

Study = Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")]
DIFFERS = 1  # exit code of a replay that does not hold


def brief(
    *,
    shift: Annotated[str | None, Parameter(help="A shift, such as s2; left out: the newest.")] = None,
    lang: Annotated[str | None, Parameter(help="en or ko; left out: the terminal's language.")] = None,
    html: Annotated[bool, Parameter(negative="", help="Write the HTML page and print where it is.")] = False,
    study: Study = None,
    json: Json = False,
) -> int:
    """Read the brief of a shift: composed anew from the ledger, also while the shift goes on."""
    tongue = language(lang)
    with open_desk(study) as desk:
        state = desk.state()
        name = shift or newest_shift(desk.ledger)
        if html:
            files = _written(desk.folder, lambda: write_brief(desk.folder, desk.ledger, state, name))
            wanted = f"briefs/{name}{'' if tongue == 'en' else '.' + tongue}.html"
            path = str(desk.folder / next(f for f in files if f == wanted))
            document({"html": path, "files": [str(desk.folder / f) for f in files]}) if json else print(path)
            return 0
        made = page(desk.ledger, state, name)
    if json:
        document(render_json(made.brief, tongue))
        return 0
    screen = console()
    if screen.is_terminal:
        screen.print(render_terminal(made.brief, tongue))
    else:
        print(made.markdown(tongue))
    return 0


def _written(folder: Path, write: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return write()
    except OSError as problem:
        raise SecondshiftError(
            f"The brief cannot be written into {folder / 'briefs'}: {problem.strerror}. Make room or make the folder writable; "
            "`secondshift brief` without --html shows it here."
        ) from problem


def replay(*, study: Study = None, json: Json = False) -> int:
    """Decide the recorded nights again from their facts and compare; exit code 0 if all is as it was, 1 if not."""
    with open_desk(study) as desk:
        report = replayed(desk.ledger)
    if json:
        document({
            "holds": report.holds, "identical": report.identical, "ticks": report.ticks, "decisions": report.decisions,
            "first_difference": report.first_difference or None, "tampering": list(report.tampering),
            "other_policies": list(report.other_policies),
        })  # fmt: skip
        return 0 if report.holds else DIFFERS
    screen = console()
    same = "the same again" if report.identical else "NOT the same"
    screen.print(
        Text(f"{report.ticks:,} recorded ticks with {report.decisions:,} decisions were decided anew: {same}.")
    )
    if report.first_difference:
        screen.print(Text(f"First difference: {report.first_difference}"))
    for finding in report.tampering:
        screen.print(Text(f"Changed after it was recorded: {finding}."))
    if not report.tampering:
        screen.print(Text("No fact was changed since it was recorded."))
    if report.other_policies:
        screen.print(
            Text(f"Some ticks were decided by another version of the policies: {', '.join(report.other_policies)}.")
        )
    return 0 if report.holds else DIFFERS
