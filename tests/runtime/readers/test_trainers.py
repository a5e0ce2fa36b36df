"""What real trainings by Hugging Face and Lightning printed and kept is read as their own records have it."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from secondshift.records.studies import MetricsFrom
from secondshift.runtime.readers import texts
from secondshift.runtime.readers.collecting import reader_of
from secondshift.runtime.readers.dialects import Csv, Dialect, Printed
from secondshift.runtime.readers.eventfiles import read_events

TRAINERS = Path(__file__).parent / "fixtures" / "trainers"
Curves = dict[str, list[tuple[int, float]]]


def read(path: Path, make: Callable[[], Dialect] = Printed, *, ended: bool = True) -> Curves:
    texts.forget()
    columns, _ = texts.read_text(str(path), 0, make, ended=ended)
    return {name: list(zip(steps, values, strict=True)) for name, (steps, values) in columns.columns.items()}


def history(run: str) -> list[dict[str, float]]:
    return json.loads((TRAINERS / f"{run}.json").read_text())


def kept(run: str) -> list[dict[str, str]]:
    """What Lightning's CSVLogger kept."""
    with open(TRAINERS / f"{run}.csv", newline="") as file:
        return list(csv.DictReader(file))


def by_epoch(run: str, metric: str) -> dict[int, float]:
    """The last value of a metric in each epoch."""
    return {int(row["epoch"]): float(row[metric]) for row in kept(run) if row[metric]}


def near(found: dict[int, float], expected: dict[int, float]) -> bool:
    return found == {step: pytest.approx(value, rel=0.02) for step, value in expected.items()}  # bars show 3 digits


@pytest.mark.parametrize("run", ["hf", "hf_steps", "hf_quiet", "hf_default"])
def test_what_hugging_face_prints_is_what_its_trainer_recorded(run: str) -> None:
    found, logged = read(TRAINERS / f"{run}.log"), history(run)
    names = {name for entry in logged for name in entry} - {"epoch", "step", "total_flos"}  # the last is never printed
    assert set(found) == names
    for name in names:
        values = [entry[name] for entry in logged if name in entry]
        assert [value for _, value in found[name]] == [float(f"{value:.4g}") for value in values], name


@pytest.mark.parametrize("run", ["hf", "hf_quiet"])
def test_evaluations_by_epoch_have_the_epoch_as_their_step_and_losses_are_counted(run: str) -> None:
    found = read(TRAINERS / f"{run}.log")
    for name in (name for name in found if re.fullmatch("eval.*_loss", name)):
        assert [step for step, _ in found[name]] == [int(e["epoch"]) for e in history(run) if name in e]
    assert [step for step, _ in found["loss"]] == list(range(len(found["loss"])))


def test_evaluations_within_epochs_are_counted_for_good() -> None:
    assert [entry["epoch"] for entry in history("hf_steps") if "eval_loss" in entry][:3] == [0.375, 0.75, 1.125]
    assert [step for step, _ in read(TRAINERS / "hf_steps.log")["eval_loss"]] == list(range(8))


def test_a_resumed_hugging_face_run_goes_on_with_its_epochs_and_counts_on_where_they_are_fractions() -> None:
    done = {step for step, _ in read(TRAINERS / "hf.log")["eval_loss"]}
    rest = read(TRAINERS / "hf_resumed.log", lambda: reader_of(MetricsFrom(), 3))
    assert done == {1, 2} and [step for step, _ in rest["eval_loss"]] == [3]
    assert [step for step, _ in rest["loss"]] == [3, 4, 5, 6]


def test_the_bar_of_lightning_tells_the_last_values_of_each_epoch() -> None:
    found = read(TRAINERS / "lightning.log")
    assert near(dict(found["train_loss"]), by_epoch("lightning", "train_loss"))
    assert near(dict(found["val_loss"]), by_epoch("lightning", "val_loss"))


@pytest.mark.parametrize("run", ["lightning", "lightning_middle"])
def test_no_epoch_is_ever_given_the_validation_of_the_one_before(run: str, tmp_path: Path) -> None:
    whole, log = (TRAINERS / f"{run}.log").read_bytes(), tmp_path / "log"
    true = {(int(row["epoch"]), float(row["val_loss"])) for row in kept(run) if row["val_loss"]}
    for end in re.finditer(rb"[\r\n]|\](?!\x1b)", whole):  # after any state of any bar the process may be killed
        size = end.end()
        log.write_bytes(whole[:size])
        bar = whole[:size].rpartition(b"\rEpoch")[2]
        full = b"100%" in bar and b"\rValid" not in bar  # killed in the instant before validating: that cannot be told
        for ended in (False,) if full else (False, True):
            for step, value in read(log, ended=ended).get("val_loss", []):
                assert any(step == epoch and value == pytest.approx(loss, rel=0.02) for epoch, loss in true), size


def test_a_resumed_lightning_run_goes_on_with_its_epochs_and_its_tests_are_read() -> None:
    found = read(TRAINERS / "lightning_resumed.log")
    assert {step for step, _ in found["val_loss"]} == {2} and {step for step, _ in found["train_loss"]} == {2}
    assert near(dict(found["val_loss"]), by_epoch("lightning_resumed", "val_loss"))
    tested = next(float(row["test_loss"]) for row in kept("lightning_resumed") if row["test_loss"])
    assert [value for _, value in found["test_loss"]] == [tested]


def test_a_rich_bar_tells_only_the_last_epoch_and_nothing_where_it_was_killed() -> None:
    found = read(TRAINERS / "lightning_rich.log")
    assert [step for step, _ in found["val_loss"]] == [2] and len(found["train_loss"]) == len(found["test_loss"]) == 1
    assert not {"train_loss", "val_loss"} & set(read(TRAINERS / "lightning_rich_killed.log"))


@pytest.mark.parametrize("run", ["lightning", "lightning_resumed", "lightning_rich"])
def test_the_table_that_lightning_keeps_is_read_with_its_steps(run: str) -> None:
    found = read(TRAINERS / f"{run}.csv", Csv)
    for name in ("train_loss", "val_loss"):
        assert found[name] == [(int(row["step"]), float(row[name])) for row in kept(run) if row[name]]


@pytest.mark.parametrize("run", ["lightning", "lightning_resumed"])
def test_the_event_files_of_lightning_say_the_same_as_its_table(run: str) -> None:
    (path,) = (TRAINERS / "tensorboard" / run).iterdir()
    columns, _ = read_events(str(path), 0, ended=True)
    rows = [row for row in kept(run) if not row.get("test_loss")]  # which were written to a file of their own
    for name in ("epoch", "train_loss", "val_loss"):
        steps, values = columns.columns.get(name, ((), ()))
        expected = [(int(row["step"]), pytest.approx(float(row[name]))) for row in rows if row[name]]
        assert list(zip(steps, values, strict=True)) == expected, name


def test_results_of_several_loaders_are_named_as_the_logger_names_them(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "┃  Validate metric  ┃  DataLoader 0  ┃  DataLoader 1  ┃\n├───┼───┼───┤\n│   val_acc   │  0.5  │  0.25  │\n"
    )
    assert read(log) == {"val_acc/dataloader_idx_0": [(0, 0.5)], "val_acc/dataloader_idx_1": [(0, 0.25)]}


def test_a_bar_at_its_end_counts_although_its_value_did_not_change(tmp_path: Path) -> None:
    bar = "\rEpoch {0}:  50%|##| 1/2 [00:01, val_acc=0.5]\rEpoch {0}: 100%|##| 2/2 [00:02, val_acc=0.5]\n"
    log = tmp_path / "log"
    log.write_text("".join(map(bar.format, range(3))) + "\rEpoch 3:  50%|##| 1/2 [00:01, val_acc=0.5]")
    assert read(log)["val_acc"] == [(0, 0.5), (1, 0.5), (2, 0.5)]
