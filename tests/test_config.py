"""secondshift.toml: what DESIGN shows is read, every mistake is named with its line, and edits are told apart."""

import importlib.util
import re
import tomllib
from dataclasses import replace
from datetime import date, time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift import config
from secondshift.config.lines import key_lines
from secondshift.config.tables import TABLES, StudyFile, keys_of
from secondshift.errors import ConfigInvalid, StudyMissing
from secondshift.ledger import codec
from secondshift.records.events import VERSION, StudyOpened
from secondshift.records.studies import Check, Days, Parameter, Policy, Quiet, Study, Swap, Value
from secondshift.runtime.studyfiles import find_study

AS_DESIGNED = """\
command = "python train.py --lr {lr} --width {width} --seed {seed}"
[objective]
metric = "val_loss"        # the name as the script prints or logs it
goal = "min"               # or "max"
at = "final"
min_effect = 0.003
guards = ["peak_mem_gb <= 22"]
[evaluate]
command = ["python", "eval.py", "{artefact}"]
[horizon]
steps = 20000
schedule = "free"
[search]
lr = { low = 1e-5, high = 1e-2, log = true }
width = [128, 256, 512]
[resume]
flag = "--ckpt-dir {checkpoint_dir}"
[budget]
device_hours = 40
money_usd = 15
confirm_share = 0.25
[prices]
device_hour_usd = 1.8
[protect]
read_only = ["eval.py", "data/**"]
[captain]
may = ["retry_infrastructure", "pause", "stop_non_finite"]
[oncall]
quiet_hours = "22:00-08:00"
"""
SMALL = """\
command = "python train.py"
[objective]
metric = "loss"
[horizon]
steps = 100
"""


def arguments(study: Study, params: dict[str, Value]) -> tuple[str, ...]:
    return config.given(study, params, seed=0, checkpoint_dir="c", folder="/f").command


def put(folder: Path, text: str) -> Path:
    path = folder / "secondshift.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str = SMALL, **given: object) -> Study:
    return config.load_study(put(folder, text), environment={}, **given)  # type: ignore[arg-type]  # flags


def mistakes(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[config.Mistake]:
    study, found = config.check_study(put(folder, text), environment=environment or {})
    assert (study is None) == bool(found)
    return found


def only(folder: Path, text: str) -> config.Mistake:
    found = mistakes(folder, text)
    assert len(found) == 1, [str(m) for m in found]
    return found[0]


def test_the_file_that_the_design_shows_is_read(tmp_path: Path) -> None:
    study = load(tmp_path, AS_DESIGNED)
    assert study.objective.metric == "val_loss"
    assert study.objective.min_effect == 0.003
    assert study.horizon_steps == 20000
    assert study.space.parameters == (
        Parameter(name="lr", kind="float", low=1e-5, high=1e-2, log=True),
        Parameter(name="width", kind="categorical", choices=(128, 256, 512)),
    )
    assert study.tier == "resumable"
    assert study.budget.device_s == 40 * 3600
    assert study.budget.usd_per_device_s == pytest.approx(1.8 / 3600)
    assert study.evaluate == ("python", "eval.py", "{artefact}")
    assert study.oncall.rota.people["you"].quiet == Quiet(begins=time(22), ends=time(8))
    assert study.name == tmp_path.name


def test_a_study_needs_only_a_command_an_objective_and_a_horizon(tmp_path: Path) -> None:
    study = load(tmp_path)
    assert (study.tier, study.space.parameters, study.seed) == ("cooperative", (), 0)
    assert study.policy == Policy()
    assert study.launch.quiet_s == 3600


def test_every_mistake_is_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        SMALL.replace("steps = 100", 'steps = "many"')
        + 'goal = "minimum"\n[budget]\ntrials = 0\ndevice_hour = 2\n[serach]\n'
    )
    found = mistakes(tmp_path, text)
    assert [(m.line, m.key) for m in found] == [
        (5, "horizon.steps"), (6, "horizon.goal"), (8, "budget.trials"), (9, "budget.device_hour"), (10, "serach"),
    ]  # fmt: skip
    shown = [str(m) for m in found]
    assert "a whole number" in shown[0]
    assert "belongs into [objective]" in shown[1]
    assert "at least 1" in shown[2]
    assert "Is `device_hours` meant?" in shown[3]
    assert "Is `search` meant?" in shown[4]
    with pytest.raises(ConfigInvalid, match=r"5 mistakes; nothing was started"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("search", "line", "words"),
    [
        ("lr = { low = 1.0, high = 0.1 }", 7, "low < high. Swap"),
        ("lr = { low = 2, high = 2 }", 7, "lr = [2]"),
        ("lr = { low = 0, high = 1, log = true }", 7, "low > 0"),
        ("lr = { low = 0.0 }", 7, "no `high`"),
        ("lr = { low = 0, high = 10, step = 11 }", 7, "at most high - low = 10"),
        ("lr = { low = 0, high = nan }", 7, "a finite number"),
        ("lr = { low = 0, high = 1.5, kind = 'int' }", 7, "whole numbers"),
        ("lr = { low = 0, hihg = 1, high = 2 }", 7, "Is `high` meant?"),
        ("lr = []", 7, "at least one choice"),
        ("lr = [1, 2, 1]", 7, "each choice once"),
        ("lr = [[1]]", 7, "a text, a number"),
        ("lr = 3", 7, "lr = [3]"),
        ("seed = [1, 2]", 7, "never searched"),
        ("lr = { low = 0, high = 18014398509481984 }", 7, "2^53"),
        ("a = [1, 2]\nlr = { low = 1, high = 5, default = 9 }", 8, "whole number from 1 to 5"),
        ("lr = { choices = ['a'], default = 'b' }", 7, "one of 'a'"),
        ("a = [1, 2]\nb = { choices = [1], when = { c = 1 } }", 8, "another parameter of [search]: a"),
        ("a = [1, 2]\nb = { choices = [1], when = { a = 3 } }", 8, "a to be one of 1, 2"),
        ("a = { low = 0.0, high = 1.0 }\nb = { choices = [1], when = { a = 0.5 } }", 8, "continuous"),
        ("a = { choices = [1, 2], when = { b = 1 } }\nb = { choices = [1], when = { a = 1 } }", 7, "circle"),
        ("\n\nconstraints = ['lr > 1']", 9, "above the first [table]"),
    ],
)
def test_a_mistake_in_the_space_is_explained_with_its_line(tmp_path: Path, search: str, line: int, words: str) -> None:
    mistake = only(tmp_path, SMALL + "[search]\n" + search + "\n")
    assert mistake.line == line
    assert words in str(mistake)


def test_constraints_with_unknown_names_or_broken_syntax_are_named(tmp_path: Path) -> None:
    text = "constraints = [\n  'a < 3',\n  'a <',\n  'aa < 3',\n]\n" + SMALL + "[search]\na = [1, 2]\n"
    found = mistakes(tmp_path, text)
    assert [(m.line, m.key) for m in found] == [(3, "constraints[1]"), (4, "constraints[2]")]
    assert "Is `a` meant?" in str(found[1])


def test_a_baseline_that_breaks_a_constraint_is_a_mistake(tmp_path: Path) -> None:
    text = "constraints = ['a < 3', 'a < 1']\n" + SMALL + "[search]\na = { choices = [1, 2], default = 2 }\n"
    mistake = only(tmp_path, text)
    assert (mistake.key, mistake.line) == ("constraints[1]", 1)
    assert "a = 2" in str(mistake)


def test_a_population_of_an_opaque_script_is_refused_with_what_would_help(tmp_path: Path) -> None:
    text = SMALL + '[policy]\nscheduler = "population"\npopulation = 12\n'
    assert load(tmp_path, text).policy.population == 12
    mistake = only(tmp_path, 'tier = "opaque"\n' + text)
    assert mistake.key == "policy.scheduler" and "save and resume" in str(mistake) and "[resume]" in str(mistake)
    assert "policy.population" in str(only(tmp_path, text.replace("12", "3")))


SPACE_OF_TWO = (
    "constraints = ['lr * width < 0.5']\n"
    + SMALL
    + "[search]\nlr = { low = 1e-5, high = 1e-2, log = true, default = 1e-3 }\nopt = ['sgd', 'adam']\n"
    + "width = { low = 8, high = 512, default = 32, when = { opt = 'adam' } }\n[policy]\n"
)


def test_what_is_tried_first_becomes_whole_candidates_with_defaults_for_what_is_left_out(tmp_path: Path) -> None:
    study = load(tmp_path, SPACE_OF_TWO + "try_first = [{ lr = 3e-4, opt = 'adam' }, { opt = 'sgd' }]\n")
    assert study.policy.try_first == ({"lr": 3e-4, "opt": "adam", "width": 32}, {"lr": 1e-3, "opt": "sgd"})
    kind, payload = codec.encode(StudyOpened(study=study))
    recorded = codec.decode(kind, VERSION, payload)
    assert isinstance(recorded, StudyOpened) and config.diff_studies(recorded.study, study) == ((), False)
    assert config.diff_studies(load(tmp_path, SPACE_OF_TWO), study) == (("policy.try_first",), False)


@pytest.mark.parametrize(
    ("given", "key", "words"),
    [
        ("{ lrr = 3e-4, opt = 'sgd' }", "policy.try_first[0].lrr", "Is `lr` meant?"),
        ("{ lr = 3e-4 }", "policy.try_first[0]", "opt is missing"),
        ("{ lr = 3.0, opt = 'sgd' }", "policy.try_first[0].lr", "a number from 1e-05 to 0.01"),
        ("{ opt = 'sgd', width = 64 }", "policy.try_first[0]", "not active"),
        ("{ opt = 'adam', lr = 1e-2, width = 64 }", "policy.try_first[0]", "`lr * width < 0.5` does not hold"),
        ("{ opt = 'adam', lr = [1, 2] }", "policy.try_first[0].lr", "a number from 1e-05 to 0.01"),
        ("{ opt = 'adam', lr = nan }", "policy.try_first[0].lr", "a number from 1e-05 to 0.01"),
        ("{ opt = 'adam', lr = true }", "policy.try_first[0].lr", "a number from 1e-05 to 0.01"),
        ("3", "policy.try_first[0]", "a table"),
    ],
)
def test_what_is_tried_first_and_is_no_candidate_is_explained(tmp_path: Path, given: str, key: str, words: str) -> None:
    mistake = only(tmp_path, SPACE_OF_TWO + f"try_first = [{given}]\n")
    assert (mistake.key, mistake.line) == (key, 12)
    assert words in str(mistake)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python t.py --lr {lrr}", "Is `lr` meant?"),
        ("python t.py {", "{{ and }}"),
        ("python t.py 'open", "split into arguments"),
        ("python t.py | tee log", "never given to a shell"),
        ("CUDA=0 python t.py", "[launch] env"),
        ("python t.py {artefact}", "one of {lr}, {seed}, {horizon}, {checkpoint_dir}"),
        ("   ", "a command such as"),
    ],
)
def test_a_mistake_in_the_command_is_explained(tmp_path: Path, command: str, words: str) -> None:
    text = SMALL.replace("python train.py", command) + "[search]\nlr = [1, 2]\n"
    assert words in str(only(tmp_path, text))


def test_a_parameter_that_never_reaches_the_script_is_a_mistake_unless_it_is_cooperative(tmp_path: Path) -> None:
    text = SMALL + "[search]\nlr = [1, 2]\n"
    assert load(tmp_path, text).tier == "cooperative"
    assert "never names" in str(only(tmp_path, 'tier = "opaque"\n' + text))
    assert "never names" in str(only(tmp_path, text + '[resume]\nflag = "--d {checkpoint_dir}"\n'))


def test_trust_stands_only_where_there_is_something_to_trust(tmp_path: Path) -> None:
    trusting = SMALL + "[resume]\ntrust = true\n"
    assert load(tmp_path, trusting).proof == "trusted" and load(tmp_path, SMALL).proof == "missing"
    assert load(tmp_path, 'tier = "opaque"\n' + SMALL).proof == "not needed"
    said = str(only(tmp_path, 'tier = "opaque"\n' + trusting))
    assert "`resume.trust`" in said and "resumable or cooperative" in said and "line" in said


def test_the_tier_and_the_way_to_resume_must_go_together(tmp_path: Path) -> None:
    by_variable = SMALL + '[resume]\nenv = "CKPT"\n'
    assert load(tmp_path, by_variable).tier == "resumable" and load(tmp_path, by_variable).resume_env == "CKPT"
    assert "beside [resume] env" in str(only(tmp_path, 'tier = "opaque"\n' + by_variable))
    assert "[resume] flag or env" in str(only(tmp_path, 'tier = "resumable"\n' + SMALL))
    in_command = SMALL.replace("python train.py", "python train.py -o {checkpoint_dir}")
    assert load(tmp_path, 'tier = "resumable"\n' + in_command).tier == "resumable"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[budget]\nmoney_usd = 3\n", "[prices] device_hour_usd"),
        ('[launch]\nquiet = "an hour"\n', '"90s", "10m" or "2h"'),
        ('[oncall]\nquiet_hours = "10pm-8am"\n', "22:00-08:00"),
        ('[oncall]\nhandover = "9"\n', '"09:00"'),
        ('[oncall]\nzone = "Asia/Soul"\n', "Is `Asia/Seoul` meant?"),
        ('[oncall.people.mina]\nzoen = "UTC"\n', "Is `zone` meant?"),
        ('[oncall.people.mina]\nzone = "../etc"\n', "oncall.people.mina.zone"),
        ('[oncall.people.mina]\naway = ["2026-12-24"]\n', "a day without quotes"),
        ('[oncall.people.mina]\naway = [{ first = 2026-12-24, last = 2026-12-20 }]\n', "oncall.people.mina.away[0]"),
        ('[oncall.people.mina]\nchannels = ["slack://a/b"]\n', "channel 1"),
        ('[oncall.people.mina]\n[oncall]\norder = ["mino"]\n', "Is `mina` meant?"),
        ('[oncall]\norder = ["you", "you"]\n', "each person once"),
        ('[oncall.people.mina]\n[[oncall.swaps]]\nwho = "jonas"\nfirst = 2026-12-24\n', "oncall.swaps[0].who"),
        ("[oncall]\nstarts = 2026-12-24T10:00:00\n", "a day without quotes"),
        ('[oncall]\ndead_man_url = "https://hc.example/ping?key=1"\n', "env:NAME"),
        ('[oncall]\ndead_man_url = "file:/x"\n', 'expected "https://..." or "env:NAME"'),
        ('[oncall]\ndead_man_url = "ftp://x"\n', 'expected "https://..." or "env:NAME"'),
        ("[oncall]\nsleep_worth = -1\n", "at least 0"),
        ('[protect]\nread_only = ["/etc/passwd"]\n', "inside the study's folder"),
        ('[policy]\nsearcher = "radnom"\n', "Is `random` meant?"),
        ("[policy]\nmin_steps = 100\n", "fewer than the 100 steps"),
        ('[captain]\nmay = ["paus"]\n', "Is `pause` meant?"),
        ('[resume]\nflag = "--resume"\n', "{checkpoint_dir} in it"),
        ('[resume]\nflag = "--d {checkpoint_dir}"\nenv = "CKPT"\n', "a flag or a variable"),
        ('[resume]\nenv = "CKPT DIR"\n', "the name of an environment variable"),
        ('[resume]\nenv = "PATH"\n', "not set by the system"),
        ('[params]\nvia = "flag"\n', "Is `flags` meant?"),
        ('[params]\nvia = "env"\nstyle = "-{name}={value}"\n', 'via = "flags" or via = "hydra"'),
        ('[params]\nvia = "flags"\nstyle = "--{name}"\n', "{value} in it"),
        ('[params]\nvia = "flags"\nstyle = "--{nam}={value} {name}"\n', "{nam}"),
        ('[params]\nvia = "hydra"\nstyle = "{name}: {value}"\n', "++{name}={value}"),
        ('[params]\nvia = "env"\nvariable = "H-{NAME}"\n', "HP_{NAME}"),
        ('[params]\nvia = "env"\n[search]\npath = [1, 2]\n', "the variable PATH"),
        ('[params]\nvia = "env"\n[search]\n"a.b" = [1, 2]\na-b = [1, 2]\n', "both be A_B"),
        ('[params]\nvia = "env"\n[search]\na = [1, 2]\n[launch]\nenv = { A = "1" }\n', "[launch] env sets too"),
        ('[params]\nvia = "file"\n', "{params_file} in the command"),
        ('[params]\nvia = "file"\nflag = "--config"\n', "{params_file} in it"),
        ('[params]\nvia = "file"\nflag = "-c {params_file}"\nfile = "p.ini"\n', ".json, .yaml, .yml or .toml"),
        (
            '[params]\nvia = "file"\nflag = "-c {params_file}"\n[search]\na = [1, 2]\n"a.b" = [1, 2]\n',
            "a table of one name",
        ),
        ("[gate]\nrepeats = 2\n", "at least 3"),
        ('[[gate.suite]]\nname = "a"\ncommand = ["c"]\nrequire = ["x <= 1"]\n', "{artefact}"),
        ('[[gate.suite]]\nname = "a"\ncommand = ["c", "{artefact}"]\nrequire = ["x < 1"]\n', "acc >= baseline - 0.01"),
        ('[[gate.suite]]\nname = "a"\ncommand = ["c", "{lr}{artefact}"]\nrequire = ["x <= 1"]\n', "{artefact}"),
        ('[gate]\nsealed = { command = ["c"], metric = "x" }\n', "gate.sealed.command"),
        ("[budget]\ntrials = true\n", "a whole number"),
        ("[budget]\ndevice_hours = inf\n", "a finite number"),
    ],
)
def test_other_mistakes_say_what_to_write(tmp_path: Path, more: str, words: str) -> None:
    assert words in str(only(tmp_path, SMALL + more))


ROTA = """[oncall]
order = ["mina", "jonas"]
starts = 2026-11-23
handover = "08:30"
zone = "Asia/Seoul"
quiet_hours = "23:00-07:00"
sleep_worth = 40
remind_after = "10m"
channels = ["env:PAGES"]
dead_man_url = "env:ALIVE"
dead_man_every = "2m"
swaps = [{ who = "jonas", first = 2026-12-24, last = 2026-12-26 }]
[oncall.people.mina]
away = [2026-12-31, { first = 2027-01-04, last = 2027-01-08 }]
[oncall.people.jonas]
zone = "Europe/Berlin"
quiet_hours = "22:00-08:00"
channels = ["mailto:jonas@lab.org"]
lang = "ko"
"""


def days(first: str, last: str = "") -> Days:
    return Days(first=date.fromisoformat(first), last=date.fromisoformat(last or first))


def test_a_rota_is_read_and_what_a_person_lacks_is_the_tables(tmp_path: Path) -> None:
    oncall = load(tmp_path, SMALL + ROTA).oncall
    rota, mina, jonas = oncall.rota, oncall.rota.people["mina"], oncall.rota.people["jonas"]
    assert (rota.order, rota.days, rota.handover, rota.zone) == (("mina", "jonas"), 7, time(8, 30), "Asia/Seoul")
    assert (mina.zone, mina.channels, mina.lang) == ("Asia/Seoul", ("env:PAGES",), "en")
    assert mina.quiet == Quiet(begins=time(23), ends=time(7))
    assert (jonas.zone, jonas.channels, jonas.lang) == ("Europe/Berlin", ("mailto:jonas@lab.org",), "ko")
    assert jonas.quiet == Quiet(begins=time(22), ends=time(8))
    assert mina.away == (days("2026-12-31"), days("2027-01-04", "2027-01-08"))
    assert rota.swaps == (Swap(days=days("2026-12-24", "2026-12-26"), who="jonas"),)
    assert (oncall.sleep_worth, oncall.dead_man_url, oncall.dead_man_every_s) == (40.0, "env:ALIVE", 120.0)
    assert oncall.remind_s == 600.0


def test_all_mistakes_of_a_rota_are_told_at_once_with_key_and_line(tmp_path: Path) -> None:
    more = '[oncall]\nzone = "Nowhere"\norder = ["a", "b"]\n[oncall.people.a]\nzone = "Mars"\n'
    more += "away = [{ first = 2026-01-02, last = 2026-01-01 }]\n"
    found = {mistake.key: mistake.line for mistake in mistakes(tmp_path, SMALL + more)}
    above = len(SMALL.splitlines())
    lines = {"oncall.zone": 2, "oncall.order[1]": 3, "oncall.people.a.zone": 5, "oncall.people.a.away[0]": 6}
    assert found == {key: above + line for key, line in lines.items()}


def test_a_rota_is_the_same_after_a_round_through_the_ledger_and_its_edit_is_no_new_revision(tmp_path: Path) -> None:
    study = load(tmp_path, SMALL + ROTA)
    kind, text = codec.encode(StudyOpened(study=study))
    back = codec.decode(kind, VERSION, text)
    assert isinstance(back, StudyOpened) and back.study.oncall == study.oncall
    changed, revision = config.diff_studies(study, load(tmp_path, SMALL + ROTA.replace("08:30", "09:30")))
    assert changed == ("oncall.rota",) and not revision


@pytest.mark.skipif(importlib.util.find_spec("holidays") is not None, reason="the extra `oncall` is installed here")
def test_public_holidays_need_the_optional_package_and_say_how_to_get_it(tmp_path: Path) -> None:
    assert "secondshift[oncall]" in str(only(tmp_path, SMALL + '[oncall]\ncountry = "KR"\n'))


def test_public_holidays_are_days_of_the_people_who_live_there(tmp_path: Path) -> None:
    pytest.importorskip("holidays", reason="the extra oncall is not installed")
    people = load(tmp_path, SMALL + '[oncall.people.mina]\ncountry = "KR"\n[oncall.people.jonas]\n').oncall.rota.people
    new_year = date(date.today().year, 1, 1)
    assert any(one.holds(new_year) for one in people["mina"].holidays) and not people["jonas"].holidays
    assert "Is `KR` meant?" in str(only(tmp_path, SMALL + '[oncall]\ncountry = "KRR"\n'))
    assert "DE-BY" in str(only(tmp_path, SMALL + '[oncall]\ncountry = "DE-XX"\n'))


@pytest.mark.parametrize("data", [b"= 3", b"\xff\xfe", b"a = 1\na = 2", b"x = " + b"[" * 5000, b"a" * 2_000_000])
def test_a_file_that_is_no_toml_is_refused_with_a_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "secondshift.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigInvalid, match="got a file"):
        config.load_study(path, environment={})


def test_a_folder_to_run_in_must_exist_below_the_study(tmp_path: Path) -> None:
    assert "that exists" in str(only(tmp_path, "folder = 'nowhere'\n" + SMALL))
    assert "relative" in str(only(tmp_path, "folder = '/tmp'\n" + SMALL))


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(StudyMissing, match="--study"):
        config.load_study(tmp_path / "secondshift.toml")
    with pytest.raises(StudyMissing, match="--study"):
        find_study(tmp_path)


def test_the_study_is_found_from_a_folder_below_it(tmp_path: Path) -> None:
    path = put(tmp_path, SMALL)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_study(below) == path
    assert find_study(path) == path


def of_nothing() -> list[str]:
    """The settings of which the reference says what 0 means."""
    page = (Path(__file__).parents[1] / "docs/reference/settings.md").read_text("utf-8")
    rows = [re.split(r" \| ", line.strip("| ")) for line in page.splitlines() if line.startswith("| `")]
    return [row[0].strip("`") for row in rows if len(row) > 3 and re.search(r"(?<![\d.])`?0`?: ", row[3])]


@pytest.mark.parametrize("key", of_nothing())
def test_where_the_reference_says_what_0_means_it_may_be_given(tmp_path: Path, key: str) -> None:
    table, _, name = key.rpartition(".")
    load(tmp_path, f"{SMALL}[{table}]\n{name} = 0\n")


def test_the_search_for_what_0_means_finds_them() -> None:
    assert {"captain.cool_down", "oncall.remind_after", "launch.sample_every_s", "sandbox.processes"} <= set(of_nothing())


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    path = put(tmp_path, SMALL + "[budget]\ntrials = 1\n")
    environment = {"SECONDSHIFT_BUDGET__TRIALS": "2", "SECONDSHIFT_LAUNCH__QUIET": "2m", "SECONDSHIFT_SEED": "5"}
    study = config.load_study(path, environment=environment)
    assert (study.budget.trials, study.launch.quiet_s) == (2, 120)
    assert config.load_study(path, environment=environment, flags={"budget.trials": 3}).budget.trials == 3
    assert config.load_study(path, environment=environment, flags={"budget.trials": None}).budget.trials == 2


def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    found = mistakes(tmp_path, SMALL, {"SECONDSHIFT_BUDGET__TRIALS": "a lot", "SECONDSHIFT_BUGDET__TRIALS": "3"})
    assert {m.where for m in found} == {
        "environment variable SECONDSHIFT_BUDGET__TRIALS", "environment variable SECONDSHIFT_BUGDET__TRIALS",
    }  # fmt: skip


def test_an_argument_is_filled_once_and_never_split_again(tmp_path: Path) -> None:
    text = SMALL.replace(
        "python train.py", "python 't r.py' --lr={lr} {{lr}} --n {n} --s {seed}/{horizon} {checkpoint_dir}"
    )
    study = load(tmp_path, text + '[search]\nlr = [1e-5, 0.5]\nn = ["a b; rm -rf {seed}"]\n')
    given = config.given(
        study, {"lr": 1e-5, "n": "a b; rm -rf {seed}"}, seed=7, checkpoint_dir="/x y", folder="/f"
    ).command
    expected = ("python", "t r.py", "--lr=1e-05", "{lr}", "--n", "a b; rm -rf {seed}", "--s", "7/100", "/x y")
    assert given == expected


def test_an_inactive_parameter_takes_its_flag_with_it_and_the_resume_flag_comes_last(tmp_path: Path) -> None:
    text = SMALL.replace("python train.py", "python t.py --kind {kind} --m {m} --v --m2={m}")
    text += '[search]\nkind = ["a", "b"]\nm = { low = 0.0, high = 1.0, when = { kind = "b" } }\n'
    study = load(tmp_path, text + '[resume]\nflag = "--d {checkpoint_dir}"\n')
    assert arguments(study, {"kind": "a"}) == ("python", "t.py", "--kind", "a", "--v", "--d", "c")
    full = arguments(study, {"kind": "b", "m": 0.5})
    assert full == ("python", "t.py", "--kind", "b", "--m", "0.5", "--v", "--m2=0.5", "--d", "c")


def test_a_changed_question_is_a_new_revision_and_the_rest_an_amendment(tmp_path: Path) -> None:
    (tmp_path / "eval.py").write_text("1")
    protected = AS_DESIGNED
    old = load(tmp_path, protected)
    assert config.diff_studies(old, load(tmp_path, protected)) == ((), False)
    assert config.diff_studies(replace(old, revision=4), old) == ((), False)
    more = load(tmp_path, protected.replace("device_hours = 40", "device_hours = 50"))
    assert config.diff_studies(old, more) == (("budget.device_s",), False)
    for before, after, key in (
        ("steps = 20000", "steps = 30000", "horizon_steps"),
        ('goal = "min"', 'goal = "max"', "objective"),
        ("[128, 256, 512]", "[128, 256]", "space"),
        ("train.py", "train2.py", "command"),
        ('schedule = "free"', 'schedule = "tied"', "schedule"),
    ):
        assert config.diff_studies(old, load(tmp_path, protected.replace(before, after))) == ((key,), True)
    (tmp_path / "eval.py").write_text("2")
    assert config.diff_studies(old, load(tmp_path, protected)) == (("evaluator_hash",), True)


def test_a_suite_is_read_and_its_edit_is_no_new_revision(tmp_path: Path) -> None:
    more = "[gate]\nrepeats = 7\n"
    more += '[[gate.suite]]\nname = "a"\ncommand = ["c", "{artefact}"]\nrequire = ["x <= 1"]\n'
    old, new = load(tmp_path), load(tmp_path, SMALL + more)
    assert new.gate.suite == (Check(name="a", command=("c", "{artefact}"), require=("x <= 1",)),)
    assert config.diff_studies(old, new) == (("gate.suite", "gate.repeats"), False)


def test_the_evaluator_hash_sees_content_and_names_and_passes_over_what_is_missing(tmp_path: Path) -> None:
    assert config.evaluator_hash(tmp_path, ()) == ""
    (tmp_path / "data").mkdir()
    seen = {config.evaluator_hash(tmp_path, ("data/**",))}
    (tmp_path / "data" / "a").write_text("1")
    seen.add(config.evaluator_hash(tmp_path, ("data/**",)))
    (tmp_path / "data" / "a").write_text("2")
    seen.add(config.evaluator_hash(tmp_path, ("data/**",)))
    (tmp_path / "data" / "a").rename(tmp_path / "data" / "b")
    seen.add(config.evaluator_hash(tmp_path, ("data/**",)))
    assert len(seen) == 4
    assert config.evaluator_hash(tmp_path, ("data/**",)) in seen
    (tmp_path / "data" / "c" / "d").mkdir(parents=True)
    (tmp_path / "data" / "c" / "d" / "e").write_text("3")
    assert config.evaluator_hash(tmp_path, ("data/**",)) not in seen
    everything = config.evaluator_hash(tmp_path, ("**",))
    (tmp_path / ".secondshift").mkdir()
    (tmp_path / ".secondshift" / "ledger.db").write_text("changes at every tick")
    assert config.evaluator_hash(tmp_path, ("**",)) == everything


def flat(value: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Every path of a parsed TOML document."""
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return {path} | {found for key, part in inner for found in flat(part, (*path, key))} - {()}


def test_lines_are_found_through_every_form_of_toml() -> None:
    text = (
        "# a comment with [table] = 1\n"
        'a.b . "c d" = 1 # [x]\n'
        '\'q\' = """two\nlines = 3 \\""""\n'
        "list = [ # here\n  1,\n  { x = 'a # b', y = [2,\n 3] },\n]\n"
        '[t."u.v".w]\n'
        'k = { l = { m = "}]" }, n = 2024-01-01T00:00:00Z }\n'
        "[[arr]]\nz = 1\n[[arr]]\nz = 2\n"
        "[arr2]\nfirst.a = 1\nfirst.b = 2\nlast = '''\n'''\nend = 1e-3\n"
    )
    lines = key_lines(text)
    assert lines[("a", "b", "c d")] == 2
    assert lines[("q",)] == 3
    assert (lines[("list", 0)], lines[("list", 1, "x")], lines[("list", 1, "y", 1)]) == (6, 7, 8)
    assert lines[("t", "u.v", "w", "k", "l", "m")] == 11
    assert (lines[("arr", 0, "z")], lines[("arr", 1, "z")]) == (13, 15)
    assert (lines[("arr2", "first")], lines[("arr2", "end")]) == (17, 21)
    assert flat(tomllib.loads(text)) - {()} <= set(lines)


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=6)
SCALARS = st.one_of(st.integers(-5, 5).map(str), st.just("true"), st.just("'#]}'"), st.just('"a\\"]"'), st.just("1.5"))


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    kind = draw(st.sampled_from(["scalar", "list", "table"])) if depth else "scalar"
    if kind == "scalar":
        return draw(SCALARS)
    inner = draw(st.lists(values(depth - 1), max_size=3))
    if kind == "list":
        return "[\n" + ",\n".join(inner) + "]"
    names = draw(st.lists(KEYS, min_size=len(inner), max_size=len(inner), unique=True))
    return "{" + ", ".join(f"{quoted(n)} = {v}" for n, v in zip(names, inner, strict=True) if "\n" not in v) + "}"


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.tuples(KEYS, values()), max_size=5, unique_by=lambda pair: pair[0]))
def test_the_line_of_each_top_key_is_the_line_where_it_is_written(pairs: list[tuple[str, str]]) -> None:
    text, expected = "", {}
    for name, value in pairs:
        expected[(name,)] = text.count("\n") + 1
        text += f"{quoted(name)} = {value}\n"
    lines = key_lines(text)
    assert {path: line for path, line in lines.items() if len(path) == 1} == expected
    assert flat(tomllib.loads(text)) - {()} <= set(lines)


@pytest.mark.parametrize("name", ["sys/tree_rss_mb", "_loss"])
def test_an_objective_is_never_a_measurement_of_our_own(tmp_path: Path, name: str) -> None:
    (found,) = mistakes(tmp_path, SMALL.replace('"loss"', f'"{name}"'))
    assert "objective" in str(found) and "sys/" in str(found)


def test_how_often_a_trial_is_looked_at_is_a_setting_and_may_be_never(tmp_path: Path) -> None:
    assert load(tmp_path).launch.sample_every_s == 5.0
    assert load(tmp_path, SMALL + '[launch]\nsample_every_s = "500ms"\n').launch.sample_every_s == 0.5
    assert load(tmp_path, SMALL + "[launch]\nsample_every_s = 0\n").launch.sample_every_s == 0.0


def test_every_key_stands_in_the_reference_with_its_default() -> None:
    page = (Path(__file__).parents[1] / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    expected = {name for name in StudyFile.model_fields if name not in TABLES and name != "search"}
    expected |= {f"{table}.{key}" for table, model in TABLES.items() for key in keys_of(model)}
    # Tables that people name, and tables in tables; tests/test_house.py knows their keys.
    inner = ("search.", "oncall.people.", "oncall.swaps.", "gate.suite.", "gate.sealed.", "objective.also.")
    assert {key for key in rows if not key.startswith(inner)} == expected
    for table, model in TABLES.items():
        for key, field in zip(keys_of(model), model.model_fields.values(), strict=True):
            cells = [cell.strip() for cell in rows[f"{table}.{key}"].split("|")]
            default = field.get_default()
            if not field.is_required() and default not in (None, "", [], {}):
                assert _shown(default) in cells[2], f"{table}.{key}: the page says {cells[2]}, the code {default!r}"


def _shown(default: object) -> str:
    if isinstance(default, list):
        return str(default).replace("'", '"')
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, date):
        return default.isoformat()
    return f'"{default}"' if isinstance(default, str) else f"{default:g}"


def test_a_study_read_back_from_the_ledger_is_no_edit(tmp_path: Path) -> None:
    text = AS_DESIGNED.replace("width = [128, 256, 512]", "width = { choices = [1, 2.0, 'x', true], default = 2.0 }")
    text = text.replace(
        "[resume]", 'n = { low = 1, high = 64, log = true, step = 3, when = { width = [1, "x"] } }\n[resume]'
    )
    text = text.replace("--seed {seed}", "--seed {seed} --n {n}") + "[launch]\nenv = { A = '1' }\ngrant = 90\n"
    study = load(tmp_path, text)
    kind, payload = codec.encode(StudyOpened(study=study))
    recorded = codec.decode(kind, VERSION, payload)
    assert isinstance(recorded, StudyOpened)
    assert config.diff_studies(recorded.study, study) == ((), False)
    assert [type(c) for c in recorded.study.space.parameters[1].choices] == [int, float, str, bool]
