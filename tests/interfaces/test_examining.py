"""The verb doctor: plain words for people, one document for programs, and an exit code that says whether it found fault."""

import ast
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from secondshift.interfaces.cli.examining import halving_gain, short
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.messages.catalogue import PLACE, sentences
from secondshift.records.studies import Objective, Policy, Study
from tests.test_doctor import SCRIPT, written

RULES = Path(__file__).resolve().parents[2] / "src" / "secondshift" / "policies" / "proofs"


@pytest.fixture(autouse=True)
def own_devices(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path_factory.mktemp("devices")))
    monkeypatch.delenv("LANG", raising=False)


@pytest.fixture
def entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judged() -> dict[str, set[str]]:
    """The findings that the judge can come to, each with the values it gives, as far as they stand there plainly."""
    found: dict[str, set[str]] = {}
    for file in RULES.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                given = {word.arg: word.value for word in node.keywords}
                if isinstance(given["code"], ast.Constant):
                    values = given.get("values")
                    keys = values.keys if isinstance(values, ast.Dict) else []
                    names = {key.value for key in keys if isinstance(key, ast.Constant)}
                    found.setdefault(str(given["code"].value), set()).update(map(str, names))
    return found


def test_every_finding_has_its_sentence_and_the_sentence_its_values() -> None:
    known = judged()
    assert len(known) > 20 and "param_absent" in known
    for code, values in known.items():
        assert f"doctor.{code}" in sentences("en"), f"{code} has no sentence"
        wanted = {place[1] for place in PLACE.finditer(sentences("en")[f"doctor.{code}"])}
        assert not values or wanted <= values, f"{code} needs {wanted - values}"


def test_the_doctor_says_what_is_wrong_first_and_then_what_is_proved(
    entered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(entered, script=SCRIPT.replace("given.lr * 0.1", "0.01"))
    assert called(["doctor"]) == 1
    out = capsys.readouterr().out
    parts = [
        "It came to step 40", "What is wrong", "✗ lr does not arrive", "What is proved", "✓ val_loss was found",
        "What a night can do with it", "the tier resumable, and it is proved", "Eight hours",
        "standard deviation over 3 seeds", "the SDK would buy more", "proof.json",
    ]  # fmt: skip
    places = [out.index(part) for part in parts]
    assert places == sorted(places)


def test_a_korean_reader_is_told_the_progress_in_korean_too(entered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(entered, script=SCRIPT + "open('model.bin', 'w').write('m')\n")
    assert called(["doctor", "--lang", "ko", "--seeds", "2"]) == 1
    progress, _, found = capsys.readouterr().out.partition("잘못된 점")
    lines = [line for line in progress.splitlines() if line.strip()]
    foreign = {word for line in lines for word in re.findall(r"[A-Za-z]{2,}", line)}
    assert foreign <= {"lr", "seed"}, foreign  # names of the study's own
    for part in ("첫 실행", "한 번 더", "lr = 0.01", "도중에 끊음", "이어서 실행", "같은 체크포인트에서"):
        assert any(part in line for line in lines), part
    assert "model.bin" in found and "(seed=0, lr=0.01)" in found


def test_why_a_resumed_run_failed_can_be_read(entered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = SCRIPT.replace("state = json.load(open(path))", "state = json.load(open(path))['all'] ")
    file = written(entered, script=broken)
    assert called(["doctor", str(file), "--json", "--seeds", "2"]) == 1
    failed = next(f for f in json.loads(capsys.readouterr().out)["findings"] if f["code"] == "resume_fails")
    assert failed["values"]["words"] == "KeyError: 'all' (train.py:11)"
    assert "Its last words: KeyError: 'all' (train.py:11). The script" in failed["sentence"]


def test_programs_get_one_document_and_no_progress(entered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(entered)
    assert called(["doctor", str(file), "--json", "--seeds", "2", "--lang", "ko"]) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert err == "" and (said["named"], said["tier"], said["usable"]) == ("resumable", "resumable", True)
    assert all(set(f) >= {"code", "level", "values", "sentence"} for f in said["findings"])
    assert any("시드" in f["sentence"] for f in said["findings"])
    assert said["noise"]["seeds"] == 2 and said["times"]["trials_a_night"] > 1000
    assert Path(said["proof_file"]).is_file()


def test_a_command_is_tried_without_a_study_and_nothing_is_left_behind(
    entered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (entered / "train.py").write_text(SCRIPT)
    assert called(["doctor", "--json", "--seeds", "2", "--", sys.executable, "train.py", "--lr", "0.05"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["named"], said["tier"], said["proof_file"]) == ("resumable", "resumable", None)
    assert any(f["code"] == "param_arrives" and f["values"]["names"] == "lr" for f in said["findings"])
    assert [path.name for path in entered.iterdir()] == ["train.py"]


def test_the_runs_can_be_kept_to_be_looked_at(entered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(entered, script="raise SystemExit('no data')")
    assert called(["doctor", "--study", str(file), "--keep", "--json"]) == 1
    kept = Path(json.loads(capsys.readouterr().out)["kept"])
    assert "no data" in (kept / "attempts" / "first.a1" / "output.log").read_text()


def test_mistakes_of_the_call_and_of_the_file_are_explained(entered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(entered)
    file.write_text(file.read_text().replace("steps = 40", "steps = 0").replace("slots = 2", "slotz = 2"))
    assert called(["doctor"]) == 2
    err = capsys.readouterr().err
    assert "2 mistakes" in err and "line 5" in err and "slotz" in err
    for call, words in (
        (["doctor", "--study", str(file), "--", "python", "x.py"], "Both a command and --study"),
        (["doctor", "--", "no-such-program-here"], "cannot be started"),
        (["doctor", str(entered / "none.toml")], "does not exist"),
        (["doctor", "--seeds", "1"], "mistakes"),
    ):
        assert called(call) == 2, call
        assert words in capsys.readouterr().err


def test_a_cooperative_script_has_nothing_more_to_buy(entered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (entered / "train.py").write_text(
        "import random, secondshift\nrun = secondshift.init()\nrandom.seed(run.seed)\nfound = run.restore()\n"
        "for step in range(found.step if found else 0, run.horizon):\n"
        "    import time; time.sleep(0.01)\n    run.log(step, val_loss=1 / (step + 1) + run.seed)\n"
        "    if run.checkpoint_due(step):\n        with run.checkpoint(step + 1) as folder:\n"
        "            (folder / 'w').write_text('w')\n    if run.stopping: break\nrun.close()\n"
    )
    (entered / "secondshift.toml").write_text(
        f"command = '{shlex.quote(sys.executable)} train.py'\n[objective]\nmetric = 'val_loss'\n[horizon]\nsteps = 30\n"
    )
    assert called(["doctor", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["tier"] == "cooperative" and not [text for text in said["prospects"] if "buy" in text]


def test_halving_starts_about_four_times_as_many_trials() -> None:
    study = Study(name="s", command="x", folder=".", objective=Objective(metric="m"), horizon_steps=90)
    assert halving_gain(study) == pytest.approx(1 / (1 / 9 + 2 / 27 + 2 / 27))
    plain = Study(
        name="s", command="x", folder=".", objective=Objective(metric="m"), horizon_steps=90,
        policy=Policy(scheduler="straight"),
    )  # fmt: skip
    assert halving_gain(plain) == 1.0


def test_short_times_are_said_in_milliseconds() -> None:
    assert (short(0.0123, "en"), short(75.0, "en")) == ("12.3 ms", "1 min 15 s")
