"""What a trial ran is kept: commit, diff and sources, once for the same code, and without its secrets."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from secondshift.records.orders import Order
from secondshift.runtime import snapshots
from secondshift.runtime.snapshots import Snapshots, mask, snapshot


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """Make a small folder of code."""
    folder = tmp_path / "code"
    (folder / "models").mkdir(parents=True)
    (folder / "train.py").write_text("print('train')\n")
    (folder / "models" / "net.py").write_text("width = 3\n")
    return folder


@pytest.fixture
def repository(code: Path) -> Path:
    """Make the folder a repository with one commit."""
    git(code, "init", "-q")
    git(code, "add", ".")
    git(code, "commit", "-q", "-m", "first")
    return code


def stored(store: Path, digest: str) -> dict[str, str]:
    files = store / digest / "files"
    return {str(p.relative_to(files)): p.read_text() for p in files.rglob("*") if p.is_file()}


def test_outside_git_all_sources_are_kept_and_nothing_else(code: Path, tmp_path: Path) -> None:
    for name in ("data.bin", "__pycache__/x.py", ".secondshift/out.py", ".cache/y.py", "venv/lib.py"):
        (code / name).parent.mkdir(exist_ok=True)
        (code / name).write_text("no")
    (code / "pack").mkdir()
    (code / "pack" / "pyvenv.cfg").write_text("")
    (code / "pack" / "six.py").write_text("no")
    taken = snapshot(code, tmp_path / "store")
    assert stored(tmp_path / "store", taken.digest) == {"train.py": "print('train')\n", "models/net.py": "width = 3\n"}
    assert (taken.commit, taken.dirty, taken.files) == ("", False, ("models/net.py", "train.py"))


def test_in_git_the_commit_the_diff_and_untracked_sources_rebuild_the_code(repository: Path, tmp_path: Path) -> None:
    (repository / "train.py").write_text("print('better')\n")
    (repository / "models" / "net.py").write_bytes(b"\0\1\2binary\xff")
    (repository / "new.py").write_text("new = 1\n")
    (repository / "ignored.py").write_text("no")
    (repository / ".gitignore").write_text("ignored.py\n")
    (repository / ".secondshift").mkdir()
    (repository / ".secondshift" / "copy.py").write_text("no")
    taken = snapshot(repository, tmp_path / "store")
    assert (taken.commit, taken.dirty, taken.files) == (git(repository, "rev-parse", "HEAD"), True, ("new.py",))
    again = tmp_path / "again"
    git(tmp_path, "clone", "-q", str(repository), str(again))
    git(again, "apply", str(tmp_path / "store" / taken.digest / "diff.patch"))
    assert (again / "train.py").read_text() == "print('better')\n"
    assert (again / "models" / "net.py").read_bytes() == b"\0\1\2binary\xff"


def test_a_study_in_a_folder_of_a_repository_keeps_the_changes_of_the_whole(repository: Path, tmp_path: Path) -> None:
    (repository / "train.py").write_text("print('changed above')\n")
    taken = snapshot(repository / "models", tmp_path / "store")
    assert "changed above" in (tmp_path / "store" / taken.digest / "diff.patch").read_text()


def test_a_repository_without_a_commit_counts_as_no_repository(code: Path, tmp_path: Path) -> None:
    git(code, "init", "-q")
    assert snapshot(code, tmp_path / "store").files == ("models/net.py", "train.py")


def test_the_same_code_is_stored_once_and_other_code_beside_it(code: Path, tmp_path: Path) -> None:
    first, second = snapshot(code, tmp_path / "store"), snapshot(code, tmp_path / "store")
    assert first == second
    assert [path.name for path in (tmp_path / "store").iterdir()] == [first.digest]
    (code / "train.py").write_text("print('other')\n")
    assert snapshot(code, tmp_path / "store").digest != first.digest
    assert len(list((tmp_path / "store").iterdir())) == 2


def test_what_is_too_big_is_listed_and_not_stored(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code / "big.json").write_text("x" * (snapshots.FILE_CAP + 1))
    monkeypatch.setattr(snapshots, "TOTAL_CAP", 20)
    taken = snapshot(code, tmp_path / "store")
    assert [line.split(":")[0] for line in taken.skipped] == ["big.json", "train.py"]
    manifest = json.loads((tmp_path / "store" / taken.digest / "manifest.json").read_text())
    assert manifest["skipped"] == list(taken.skipped)


def test_code_near_the_top_is_found_although_a_folder_below_is_endless(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        (code / "models" / f"m{number:02}.py").write_text("x")
    monkeypatch.setattr(snapshots, "ENTRY_CAP", 30)
    taken = snapshot(code, tmp_path / "store")
    assert "train.py" in taken.files and len(taken.files) < 32
    assert "30 entries" in taken.skipped[-1]


def test_a_link_out_of_the_folder_is_not_followed(code: Path, tmp_path: Path) -> None:
    (tmp_path / "private.py").write_text("mine")
    (code / "link.py").symlink_to(tmp_path / "private.py")
    assert "link.py" not in snapshot(code, tmp_path / "store").files


TOKENS = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 8,
    "xoxb-" + "123456789012-abcdef",
    "sk-" + "proj-" + "a1B2" * 8,
    "sk-" + "ant-api03-" + "a1B2" * 8,
    "hf_" + "a1B2" * 9,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nabcd\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("secret", TOKENS)
def test_known_forms_of_secrets_are_masked_wherever_they_are_stored(
    repository: Path, tmp_path: Path, secret: str
) -> None:
    (repository / "train.py").write_text(f"key = '''{secret}'''\nkept = 1\n")
    (repository / "new.py").write_text(f"key = '''{secret}'''\nkept = 1\n")
    taken = snapshot(repository, tmp_path / "store")
    everything = b"".join(p.read_bytes() for p in (tmp_path / "store").rglob("*") if p.is_file()).decode()
    for line in secret.splitlines():
        assert line not in everything
    assert everything.count("kept = 1") == 2
    assert taken.masked == 2
    assert (repository / "train.py").read_text().startswith(f"key = '''{secret}")


def test_assignments_are_masked_in_configuration_but_not_in_code(repository: Path, tmp_path: Path) -> None:
    (repository / "train.py").write_text("token = tokenizer(text)\n")
    (repository / ".env").write_text("export DB_PASSWORD=hunter2\nWIDTH=3\n")
    (repository / "app.ini").write_text("[a]\napi_key : hunter2\nrate = 0.1\n")
    git(repository, "add", "app.ini")
    taken = snapshot(repository, tmp_path / "store")
    diff = (tmp_path / "store" / taken.digest / "diff.patch").read_text()
    env = stored(tmp_path / "store", taken.digest)[".env"]
    assert "hunter2" not in diff + env
    assert "token = tokenizer(text)" in diff and "rate = 0.1" in diff and "WIDTH=3" in env


def test_a_password_in_an_address_is_masked() -> None:
    assert b"hunter2" not in mask(b"url = 'postgres://me:hunter2@db/night'")[0]


def test_harmless_text_is_left_as_it_is() -> None:
    text = b"risk-sk-ip = hf_hub.load('https://host/path')  # password: ask me\n"
    assert mask(text) == (text, 0)


def order(folder: Path, *command: str) -> Order:
    command = command or (sys.executable, "train.py")
    return Order(
        attempt="t1.a1", trial="t1", number=1, token=1, command=command, cwd=str(folder), folder="/x", checkpoints="/x"
    )


def test_a_fingerprint_names_code_commit_and_environment(repository: Path, tmp_path: Path) -> None:
    (repository / "uv.lock").write_text("locked")
    marks = Snapshots(tmp_path / "store").fingerprint(order(repository))
    assert marks["commit"] == git(repository, "rev-parse", "HEAD")
    assert (tmp_path / "store" / marks["code"]).is_dir()
    assert marks["python"] == ".".join(map(str, sys.version_info[:3]))
    assert marks["lock"].startswith("uv.lock:")
    assert all(marks[name] for name in ("host", "platform", "cpu", "cores", "distributions"))


def test_a_command_that_is_no_python_has_no_python_in_its_fingerprint(code: Path, tmp_path: Path) -> None:
    assert Snapshots(tmp_path / "store").fingerprint(order(code, "true"))["python"] == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "train.py").write_text("print('longer than before')\n"),
        lambda folder: (folder / "models" / "more.py").write_text("more = 1\n"),
        lambda folder: (folder / "models" / "net.py").unlink(),
        lambda folder: os.utime(folder / "train.py", ns=(1, 1)),
        lambda folder: git(folder, "commit", "-q", "--allow-empty", "-m", "next"),
    ],
)
def test_code_is_read_again_when_it_changed_and_only_then(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    read: list[Path] = []
    real = snapshots.snapshot
    monkeypatch.setattr(snapshots, "snapshot", lambda folder, store: (read.append(folder), real(folder, store))[1])
    taker = Snapshots(tmp_path / "store")
    for _ in range(3):
        taker.fingerprint(order(repository))
    assert len(read) == 1
    change(repository)
    taker.fingerprint(order(repository))
    assert len(read) == 2


def test_a_store_that_cannot_be_written_is_told_and_stops_no_trial(code: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    marks = Snapshots(tmp_path / "store").fingerprint(order(code))
    assert marks["code"] == "" and marks["code_problem"] and marks["host"]
