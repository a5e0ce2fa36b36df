"""The proof file: kept whole, and stale as soon as it is of another script, command or metric than the study's."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift import config
from secondshift.records.proofs import Finding, Proof
from secondshift.records.studies import Study
from secondshift.runtime.prooffiles import KeptProof, bound_files, proof_path, read_proof, write_proof

STUDY = """command = "python train.py --lr {lr} --ckpt {checkpoint_dir}"
tier = "resumable"
[objective]
metric = "loss"
[horizon]
steps = 10
[search]
lr = { low = 0.1, high = 1.0 }
"""
SCRIPT = '''"""Trains."""
import model  # the net

def main():
    """Run."""
    print("loss", model.loss(3))

main()
'''
MODEL = "def loss(x):\n    return x * 2\n"
PROOF = Proof(
    named="resumable", tier="resumable", noise=0.25, noise_seeds=3, step_s=0.5,
    findings=(Finding(code="seed_ignored", level="fault", values={"seeds": "3"}),),
)  # fmt: skip


class Workshop:
    """A study with a script of two files, and a proof of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "secondshift.toml"
        self.write("secondshift.toml", STUDY)
        self.write("train.py", SCRIPT)
        self.write("model.py", MODEL)
        self.keep()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text, encoding="utf-8")

    def keep(self) -> None:
        write_proof(self.file, self.study(), PROOF)

    def study(self) -> Study:
        return config.load_study(self.file, environment={})

    def kept(self) -> KeptProof:
        found = read_proof(self.file, self.study())
        assert found is not None
        return found

    def command(self, command: str) -> None:
        """Give the study another command without parameters, and a proof of that."""
        text = STUDY.replace("python train.py --lr {lr} --ckpt {checkpoint_dir}", command).replace("resumable", "opaque")
        self.write("secondshift.toml", text.partition("[search]")[0])
        self.keep()


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_what_was_written_is_read_back(shop: Workshop) -> None:
    found = shop.kept()
    assert (found.standing, found.proof, found.trouble) == ("fresh", PROOF, "")
    assert found.made_at > 1.6e9


def test_without_a_file_there_is_no_proof(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    proof_path(shop.file).unlink()
    assert read_proof(shop.file, shop.study()) is None


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("train.py", "  # the net", "  # the whole net"),
        ("train.py", "import model", "\n# more room\n\nimport model"),
        ("train.py", '"""Trains."""', '"""Trains a net of two layers."""'),
        ("train.py", '    """Run."""\n', ""),
        ("model.py", "x * 2", "(x\n        * 2)"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(shop: Workshop, name: str, old: str, new: str) -> None:
    text = (shop.folder / name).read_text()
    assert old in text
    shop.write(name, text.replace(old, new))
    assert shop.kept().standing == "fresh"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("train.py", "loss(3)", "loss(4)"),
        ("model.py", "x * 2", "x * 3"),
        ("model.py", "return x", "return None"),
        ("model.py", "return x", "return ("),  # cannot be parsed: its bytes count
    ],
)
def test_an_edit_of_the_code_makes_a_proof_stale(shop: Workshop, name: str, old: str, new: str) -> None:
    text = (shop.folder / name).read_text()
    assert old in text
    shop.write(name, text.replace(old, new))
    assert shop.kept().standing == "stale"
    shop.write(name, text)
    assert shop.kept().standing == "fresh"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("python train.py", "python -O train.py"),
        ("--ckpt {checkpoint_dir}", "--ckpt={checkpoint_dir}"),
        ('metric = "loss"', 'metric = "val_loss"'),
        (' --ckpt {checkpoint_dir}"', '"\nresume.flag = "--ckpt {checkpoint_dir}"'),
        ('tier = "resumable"', 'tier = "opaque"'),
        ("[search]", '[metrics]\nsource = "stdout"\n[search]'),
        (" --lr {lr}", ""),
    ],
)
def test_another_way_to_run_or_to_read_the_script_makes_a_proof_stale(shop: Workshop, old: str, new: str) -> None:
    text = STUDY.replace(old, new)
    assert text != STUDY
    if "--lr" not in text:
        text += '[params]\nvia = "flags"\n'
    shop.write("secondshift.toml", text)
    assert shop.kept().standing == "stale"


@pytest.mark.parametrize("edit", ["[budget]\ntrials = 5\n", "[policy]\neta = 4\n", "[launch]\nslots = 1\n"])
def test_budgets_and_policies_leave_a_proof_alone(shop: Workshop, edit: str) -> None:
    shop.write("secondshift.toml", STUDY + edit)
    assert shop.kept().standing == "fresh"


def test_a_proof_is_of_what_the_file_names_and_not_of_the_tier_in_effect(shop: Workshop) -> None:
    lowered = replace(shop.study(), offered="resumable", tier="opaque", proof="missing")
    found = read_proof(shop.file, lowered)
    assert found is not None and found.standing == "fresh"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"version": 1}', b"null", b"[" * 100_000])
def test_a_damaged_file_counts_as_missing_and_says_so(shop: Workshop, damage: bytes) -> None:
    proof_path(shop.file).write_bytes(damage)
    found = shop.kept()
    assert (found.standing, found.proof) == ("damaged", None)
    assert "proof.json" in found.trouble and "secondshift doctor" in found.trouble


def test_a_file_of_another_version_counts_as_missing(shop: Workshop) -> None:
    path = proof_path(shop.file)
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    assert shop.kept().standing == "damaged"


def test_modules_and_packages_of_the_folder_count(shop: Workshop) -> None:
    shop.write("job/__init__.py", "")
    shop.write("job/__main__.py", "from . import inner\nfrom .deep.net import loss\nprint('loss', loss())\n")
    shop.write("job/inner.py", "A = 1\n")
    shop.write("job/deep/__init__.py", "")
    shop.write("job/deep/net.py", "def loss():\n    import late\n    return late.B\n")
    shop.write("late.py", "B = 1\n")
    shop.write("other.py", "C = 1\n")
    shop.command("python -m job")
    names = [path.relative_to(shop.folder).as_posix() for path in bound_files(shop.file, shop.study())]
    inside = ["job/__init__.py", "job/__main__.py", "job/deep/__init__.py", "job/deep/net.py", "job/inner.py", "late.py"]
    assert names == [".secondshift/proof.json", *inside]
    for name in ("job/inner.py", "job/deep/net.py", "late.py"):
        before = (shop.folder / name).read_text()
        shop.write(name, before + "D = 2\n")
        assert shop.kept().standing == "stale"
        shop.write(name, before)
    shop.write("other.py", "C = 2\n")
    assert shop.kept().standing == "fresh"


@pytest.mark.parametrize("command", ["bash run.sh", "./run.sh", "torchrun --nproc 2 run.py", "python3 -u -X dev run.py"])
def test_the_script_is_found_behind_launchers_and_options(shop: Workshop, command: str) -> None:
    name = "run.sh" if "run.sh" in command else "run.py"
    shop.write(name, "a = 1\n")
    shop.command(command)
    shop.write(name, "a = 2\n")
    assert shop.kept().standing == "stale"


def test_a_script_that_is_not_python_counts_by_its_bytes(shop: Workshop) -> None:
    shop.write("run.sh", "echo loss=1\n")
    shop.command("bash run.sh")
    shop.write("run.sh", "echo loss=1  # as before\n")
    assert shop.kept().standing == "stale"


def test_data_that_a_command_names_does_not_count(shop: Workshop) -> None:
    shop.write("data.txt", "1")
    shop.command("python train.py data.txt")
    shop.write("data.txt", "2")
    assert shop.kept().standing == "fresh"


def test_a_script_that_went_away_makes_a_proof_stale(shop: Workshop) -> None:
    (shop.folder / "model.py").unlink()
    assert shop.kept().standing == "stale"


def test_files_that_import_each_other_are_read_once(shop: Workshop) -> None:
    shop.write("model.py", "import train\n" + MODEL)
    assert [path.name for path in bound_files(shop.file, shop.study())] == ["proof.json", "model.py", "train.py"]
