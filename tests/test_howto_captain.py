"""The how-to page on the captain names every remedy, authority and ladder as they are, and its commands work."""

import re
import shlex
from pathlib import Path

import pytest

from secondshift import config
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.messages.catalogue import sentences
from secondshift.policies.captain import remedies
from simulated_nights import until
from tests.interfaces.bad_nights import asks, bad_night, for_good, left

PAGE = (Path(__file__).parents[1] / "docs" / "howto" / "captain.md").read_text("utf-8")


def rows(head: str) -> list[list[str]]:
    """The cells of the table whose header begins so."""
    table = PAGE[PAGE.index(f"| {head} |") :].partition("\n\n")[0]
    return [[cell.strip() for cell in re.split(r" \| ", line.strip("| "))] for line in table.splitlines()[2:]]


def test_every_remedy_stands_in_the_table_with_its_authority_and_what_it_takes() -> None:
    told = {cells[0].strip("`"): cells[1:] for cells in rows("remedy")}
    assert list(told) == list(remedies.REMEDIES)
    for name, (sentence, authority, needs) in told.items():
        remedy = remedies.REMEDIES[name]
        assert sentence == remedy.sentence and authority.strip("`") == (remedy.authority or "none")
        assert (needs == "nothing") == (remedy.needs == "anything") and ("SDK" in needs) == (remedy.needs == "cooperation")


def test_every_ladder_stands_in_the_table_in_its_order_with_its_default() -> None:
    told = {re.findall(r"`(\w+)`", cells[0])[0]: cells for cells in rows("cause")}
    assert set(told) == set(remedies.LADDERS)
    for cause, (words, ladder, default) in told.items():
        assert words.startswith(sentences("en")[f"word.cause_{cause}"])
        assert tuple(re.findall(r"`(\w+)`", ladder)) == remedies.LADDERS[cause]
        assert default.strip("`") == remedies.DEFAULTS.get(cause, "leave")
    others = [cause for cause in remedies.DEFAULTS if cause not in remedies.LADDERS]
    assert all(f"(`{cause}`)" in PAGE for cause in others) and f"At most {remedies.TRIES} tries" in PAGE


def test_the_grant_of_the_page_is_read_and_means_what_it_says(tmp_path: Path) -> None:
    (grant,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "train.py").write_text("")
    base = 'command = "python train.py"\n[objective]\nmetric = "loss"\n[horizon]\nsteps = 9\n'
    (tmp_path / "secondshift.toml").write_text(base + grant)
    study = config.load_study(tmp_path / "secondshift.toml")
    assert "roll_back_skip" in study.may and study.answer_within_s == 1800.0
    assert set(study.may) <= {remedy.authority for remedy in remedies.REMEDIES.values()}


def test_the_commands_of_the_page_work_in_the_order_of_the_page(tmp_path: Path, monkeypatch, capsys) -> None:
    night = bad_night(tmp_path, for_good, may=("retry_infrastructure",))
    left(until(night, lambda: asks(night)))
    monkeypatch.chdir(tmp_path)
    commands = [line.removeprefix("$ secondshift ") for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
                for line in block.splitlines()]  # fmt: skip
    assert len(commands) == 6
    for command in commands:
        assert called(shlex.split(command)) == 0, (command, capsys.readouterr().err)
    assert (tmp_path / "i1.html").exists()
    out = capsys.readouterr().out
    assert "asks you" in out and "The answer is kept" in out


@pytest.mark.parametrize("lang", ["README.md", "README.ko.md"])
def test_both_readmes_lead_to_the_page(lang: str) -> None:
    text = (Path(__file__).parents[1] / lang).read_text("utf-8")
    assert "docs/howto/captain.md" in text
