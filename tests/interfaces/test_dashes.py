"""What stands behind `--` is another program's: all of it reaches that program, a second `--` and options like ours too."""

from pathlib import Path

import pytest

from secondshift.errors import ConfigInvalid
from secondshift.interfaces.cli import examining, initialise
from secondshift.interfaces.cli.main import called

COMMANDS = [
    ["torchrun", "train.py", "--", "--lr", "1"],
    ["sh", "-c", "x", "--", "--", "a"],
    ["python", "train.py", "--json", "--keep", "--force", "--help", "--version"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(("verb", "module", "looks"), [("doctor", examining, "guessed_study"), ("init", initialise, "look")])
def test_a_command_behind_dashes_is_taken_whole(
    command: list[str], verb: str, module: object, looks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    given: list[list[str]] = []

    def caught(words: list[str], *rest: object, **more: object) -> None:
        given.append(words)
        raise ConfigInvalid("seen")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, looks, caught)
    assert called([verb, "--lang", "en", "--", *command]) == 2
    assert given == [command]
