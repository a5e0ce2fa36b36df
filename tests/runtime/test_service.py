"""The unit that carries a night over a reboot: valid by systemd's own word, for any path a person may choose."""

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from secondshift.errors import SecondshiftError, StudyMissing
from secondshift.runtime import service
from secondshift.runtime.service import ServiceInvalid, cron_line, install, quoted, remove, show, unit_text, verify

ODD_NAMES = ("plain", "with space", 'quo"te', "per%cent %h", "dol$lar ${HOME}", "back\\slash\\n", "밤 교대", "#semi;")


@pytest.fixture(autouse=True)
def own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(service, "_manager_answers", lambda: False)


def study_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "secondshift.toml").write_text("")
    return folder / "secondshift.toml"


def setting(text: str, name: str) -> str:
    return next(line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{name}="))


def unquoted(line: str) -> list[str]:
    """Read a command line as systemd does: words, then doubled signs back to single ones."""
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line)]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_folder_name_gives_a_valid_unit_that_runs_this_python_on_this_study(tmp_path: Path, name: str) -> None:
    study = study_in(tmp_path / name)
    made = install(study)
    assert made.verified in (True, None) and Path(made.file).read_text("utf-8") == made.text
    words = unquoted(setting(made.text, "ExecStart"))
    assert words == [sys.executable, "-P", "-m", "secondshift", "run", "--study", str(study), "--resume"]
    assert setting(made.text, "WorkingDirectory").replace("%%", "%") == str(study.parent)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_itself_is_asked(tmp_path: Path) -> None:
    text = unit_text(study_in(tmp_path / "a"), arguments=(), environment={})
    if verify("secondshift-a.service", text) is None:
        pytest.skip("systemd-analyze cannot verify here")
    assert verify("secondshift-a.service", text) is True
    for good, bad in (("KillMode=process", "KillMode=everything"), (f'"{sys.executable}"', '"/no/such/python"')):
        with pytest.raises(ServiceInvalid, match="nothing was installed"):
            verify("secondshift-a.service", text.replace(good, bad))


def test_only_the_keeper_is_ended_with_the_unit_and_final_exits_are_not_restarted(tmp_path: Path) -> None:
    text = unit_text(study_in(tmp_path / "a"), arguments=(), environment={})
    assert setting(text, "KillMode") == "process" and setting(text, "Restart") == "on-failure"
    assert setting(text, "RestartPreventExitStatus").split() == ["2", "3", "4", "5"]
    assert setting(text, "OOMPolicy") == "continue"


def test_the_unit_finds_what_the_shell_finds(tmp_path: Path) -> None:
    environment = {"PATH": "/my venv/bin:/usr/bin", "HOME": "/home/a", "API_KEY": "secret"}
    text = unit_text(study_in(tmp_path / "a"), arguments=(), environment=environment)
    assert 'Environment="PATH=/my venv/bin:/usr/bin"' in text
    assert "secret" not in text and "HOME=" not in text


def test_two_studies_of_one_name_get_two_units(tmp_path: Path) -> None:
    assert install(study_in(tmp_path / "a" / "lm")).file != install(study_in(tmp_path / "b" / "lm")).file


def test_without_systemd_the_cron_line_is_given(tmp_path: Path) -> None:
    study = study_in(tmp_path / "a 5% study")
    made = install(study)
    assert made.enabled is None
    line = cron_line(study, ("--resume",))
    assert any(line in sentence for sentence in made.advice) and line.startswith("@reboot cd ")
    assert "%" not in line.replace(r"\%", "")
    assert shlex.split(line.replace(r"\%", "%"))[2] == str(study.parent) and line.endswith("--resume --detach")


def test_with_systemd_the_unit_is_enabled_and_linger_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []
    answers = {"loginctl": (0, "no")}
    monkeypatch.setattr(service, "_manager_answers", lambda: True)
    monkeypatch.setattr(service, "_tool", lambda *words: calls.append(words) or answers.get(words[0], (0, "")))
    study = study_in(tmp_path / "a")
    made = install(study)
    assert made.enabled is True
    assert [call[2:] for call in calls[:2]] == [("daemon-reload",), ("enable", made.unit)]
    assert any("loginctl enable-linger" in sentence for sentence in made.advice)
    answers["loginctl"] = (0, "yes")
    assert any("survives logout" in sentence for sentence in show(study).advice)
    remove(study)
    assert ("systemctl", "--user", "disable", made.unit) in calls


def test_show_and_remove_tell_what_there_is(tmp_path: Path) -> None:
    study = study_in(tmp_path / "a")
    assert not show(study).installed
    made = install(study)
    assert show(study).installed and show(study).text == made.text
    assert not remove(study).installed and not os.path.exists(made.file)
    assert "none" in remove(study).advice[0]


def test_what_no_unit_can_hold_is_said(tmp_path: Path) -> None:
    with pytest.raises(SecondshiftError, match="line break"):
        install(study_in(tmp_path / "two\nlines"))
    with pytest.raises(StudyMissing, match="does not exist"):
        install(tmp_path / "nowhere" / "secondshift.toml")


def test_quoting_doubles_what_systemd_would_replace() -> None:
    assert quoted('a "b" \\ %h $c', in_command=True) == '"a \\"b\\" \\\\ %%h $$c"'
    assert quoted("A=$c") == '"A=$c"'
