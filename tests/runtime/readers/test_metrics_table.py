"""[metrics] in secondshift.toml: what is read becomes the study's, and every mistake is named."""

from pathlib import Path

import pytest

from secondshift import config
from secondshift.records.studies import MetricsFrom

SMALL = """\
command = "python train.py --out {out}"
[objective]
metric = "loss"
[horizon]
steps = 100
[metrics]
"""


def check(folder: Path, keys: str):
    path = folder / "secondshift.toml"
    path.write_text(SMALL + keys)
    return config.check_study(path, environment={})


def test_what_the_table_says_is_in_the_study_and_nothing_means_auto(tmp_path: Path) -> None:
    study, mistakes = check(tmp_path, "source = 'csv'\npath = '{out}/*.csv'\nstep = 'batch'\n")
    assert not mistakes and study.metrics == MetricsFrom(source="csv", path="{out}/*.csv", step="batch")
    plain, _ = check(tmp_path, "")
    assert plain.metrics == MetricsFrom()
    assert config.diff_studies(plain, study)[1], "another way of reading asks another question"


@pytest.mark.parametrize(
    ("keys", "key", "word"),
    [
        ("source = 'stdot'", "metrics.source", "stdout"),
        ("pattern = '('", "metrics.pattern", "regular expression"),
        ("pattern = 'loss (.*)'", "metrics.pattern", "group"),
        ("pattern = '(?P<name>a) (?P<b>.)'", "metrics.pattern", "name and value"),
        (r"pattern = '(?P<loss>(\d+)+)x'", "metrics.pattern", "repetition"),
        (r"pattern = '(?:(?=(?:a*|b)*))(?P<loss>.)'", "metrics.pattern", "repetition"),
        ("source = 'wandb'\npattern = '(?P<loss>.)'", "metrics.pattern", "stdout"),
        ("source = 'wandb'\nstep = 'x'", "metrics.step", "steps of its own"),
        ("path = '{out}/*'", "metrics.path", "csv"),
        ("source = 'csv'\npath = '/etc/*'", "metrics.path", "below"),
        ("source = 'csv'\npath = '{out}/../*'", "metrics.path", "below"),
        ("source = 'csv'\npath = 'runs/*.csv'", "metrics.path", "{out}"),
    ],
)
def test_a_mistake_is_named_by_its_key(tmp_path: Path, keys: str, key: str, word: str) -> None:
    study, mistakes = check(tmp_path, keys + "\n")
    assert study is None
    assert [mistake.key for mistake in mistakes] == [key]
    assert word in str(mistakes[0])


def test_the_working_folder_may_be_followed_where_trials_never_share_it(tmp_path: Path) -> None:
    study, mistakes = check(tmp_path, "source = 'csv'\npath = 'runs/*.csv'\n[launch]\nslots = 1\n")
    assert not mistakes and study.metrics.path == "runs/*.csv"


def test_patterns_that_end_are_welcome(tmp_path: Path) -> None:
    for pattern in (r"it (?P<step>\d+) vl=(?P<val_loss>\S+)", r"(?P<name>\w+(?: \w+){0,3}) is (?P<value>[-+.\de]+)"):
        assert not check(tmp_path, f"pattern = '{pattern}'\n")[1]
