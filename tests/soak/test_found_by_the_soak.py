"""What the soaks broke once stays mended."""

from pathlib import Path

from secondshift.runtime import opening

STUDY = """
command = "python3 -c pass"
[objective]
metric = "loss"
[horizon]
steps = 3
[budget]
trials = 1
[launch]
slots = {slots}
"""


def written(folder: Path, *, slots: int) -> Path:
    file = folder / "secondshift.toml"
    file.write_text(STUDY.format(slots=slots))
    return file


def test_a_study_that_asks_for_more_slots_than_there_are_processors_gets_as_many_devices(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "devices"))
    with opening.open_night(written(tmp_path, slots=70)) as night:
        assert len(night.executor.devices()) == 70


def test_slots_asked_for_on_the_command_line_bring_their_devices_too(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "devices"))
    with opening.open_night(written(tmp_path, slots=2), slots=71) as night:
        assert len(night.executor.devices()) == 71
