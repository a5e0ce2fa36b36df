"""Every command that a sentence of ours tells somebody to type can be typed."""

import re
import shlex
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from secondshift.interfaces.cli.main import app
from secondshift.interfaces.messages.catalogue import sentences

SOURCE = Path(__file__).parents[2] / "src/secondshift"
TICKED, SAID = re.compile(r"`secondshift ([a-z][^`]*)`"), re.compile(r"(?:Say|명령): secondshift ([a-z].*)")
PLACES = {"incident": "i1", "trial": "t1", "option": "leave", "suggested": "leave", "idea": "e1", "id": "e1", "doc['held']": "i1"}
TO_READ = ("idea \\", "{verb}", "oncall --hand-over")  # an example over two lines; whatever verb it was; a flag alone


def commands() -> list[str]:
    """All that stand in the catalogues and in the sources, with something in each place that is filled in."""
    texts = [text for lang in ("en", "ko") for text in sentences(lang).values()]
    texts += [file.read_text("utf-8") for file in SOURCE.rglob("*.py")]
    found = {command for text in texts for pattern in (TICKED, SAID) for command in pattern.findall(text)}
    return sorted({re.sub(r"\{([^}]*)\}", lambda place: PLACES.get(place[1], "x"), one) for one in found
                   if not one.startswith(TO_READ)})  # fmt: skip


def test_every_command_that_is_named_is_understood() -> None:
    known = commands()
    assert len(known) > 30 and "show i1" in known and "answer i1 leave" in known, "the search found too few"
    wrong = {}
    for command in known:
        try:
            app.parse_args(shlex.split(command), exit_on_error=False, print_error=False)
        except CycloptsError as mistake:
            wrong[command] = str(mistake).strip()
    assert not wrong


@pytest.mark.parametrize("command", ["incidents show i1", "oncal"])
def test_a_command_that_there_is_not_is_not_understood(command: str) -> None:
    with pytest.raises(CycloptsError):
        app.parse_args(shlex.split(command), exit_on_error=False, print_error=False)
