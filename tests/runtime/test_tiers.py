"""Which tier a night uses: only what was proved, or what a person trusts."""

from dataclasses import replace
from pathlib import Path

import pytest

from secondshift import config
from secondshift.records.proofs import Finding, Proof, Tier
from secondshift.records.studies import SeedNoise, Study
from secondshift.runtime.prooffiles import proof_path, write_proof
from secondshift.runtime.tiers import in_effect, refused

STUDY = """command = "python train.py"
tier = "{tier}"
[objective]
metric = "loss"
[horizon]
steps = 10
{more}
"""
RESUME = {"opaque": "", "cooperative": "", "resumable": '[resume]\nenv = "CKPT"\n'}


def read(file: Path) -> Study:
    return config.load_study(file, environment={})


def told(file: Path) -> tuple[str, str, str]:
    study = in_effect(file, read(file))
    return study.tier, study.offered, study.proof


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("print('loss=1')\n")
    return tmp_path / "secondshift.toml"


def prove(file: Path, tier: Tier, *findings: Finding, usable: bool = True) -> None:
    study = read(file)
    write_proof(file, study, Proof(named=study.tier_offered(), tier=tier, usable=usable, findings=findings))


@pytest.mark.parametrize("tier", ["resumable", "cooperative"])
def test_what_nobody_proved_is_not_used(file: Path, tier: Tier) -> None:
    file.write_text(STUDY.format(tier=tier, more=RESUME[tier]))
    assert told(file) == ("opaque", tier, "missing")
    prove(file, tier)
    assert told(file) == (tier, tier, "proved")
    (file.parent / "train.py").write_text("print('loss=2')\n")
    assert told(file) == ("opaque", tier, "stale")
    prove(file, "opaque")
    assert told(file) == ("opaque", tier, "failed")
    prove(file, tier, usable=False)
    assert told(file) == ("opaque", tier, "failed")
    proof_path(file).write_text("{")
    assert told(file) == ("opaque", tier, "missing")
    heard: list[str] = []
    in_effect(file, read(file), heard.append)
    assert ["secondshift doctor" in said for said in heard] == [True]


def test_an_opaque_script_needs_no_proof(file: Path) -> None:
    file.write_text(STUDY.format(tier="opaque", more=""))
    assert told(file) == ("opaque", "opaque", "not needed")


@pytest.mark.parametrize("tier", ["resumable", "cooperative"])
def test_a_person_may_trust_a_script_whatever_the_proof_says(file: Path, tier: Tier) -> None:
    more = RESUME[tier] or "[resume]\n"
    file.write_text(STUDY.format(tier=tier, more=more + "trust = true\n"))
    assert told(file) == (tier, tier, "trusted")
    prove(file, "opaque")
    assert told(file) == (tier, tier, "trusted")


def test_what_the_doctor_found_wrong_is_carried_while_the_proof_holds(file: Path) -> None:
    file.write_text(STUDY.format(tier="cooperative", more=""))
    seed = Finding(code="seed_ignored", level="fault")
    note = Finding(code="repeats_roughly", level="note")
    late = Finding(code="checkpoint_late", level="note", breaks="resume")
    prove(file, "opaque", Finding(code="metric_found", level="proved"), seed, note, late, seed)
    assert in_effect(file, read(file)).faults == ("seed_ignored", "checkpoint_late")
    (file.parent / "train.py").write_text("print('loss=2')\n")
    assert in_effect(file, read(file)).faults == ()


def test_the_noise_that_the_doctor_measured_is_carried_while_the_proof_holds(file: Path) -> None:
    file.write_text(STUDY.format(tier="opaque", more=""))
    proof = Proof(named="opaque", tier="opaque", noise=0.5, noise_step=9, noise_seeds=3)
    write_proof(file, read(file), proof)
    assert in_effect(file, read(file)).seed_noise == SeedNoise(spread=0.5, step=9, seeds=3)
    write_proof(file, read(file), replace(proof, noise=0.0))
    assert in_effect(file, read(file)).seed_noise == SeedNoise(), "a seed that does nothing has no spread"
    write_proof(file, read(file), proof)
    (file.parent / "train.py").write_text("print('loss=2')\n")
    assert in_effect(file, read(file)).seed_noise == SeedNoise()


def test_going_through_it_twice_changes_nothing(file: Path) -> None:
    for more in ("", "[resume]\ntrust = true\n"):
        file.write_text(STUDY.format(tier="cooperative", more=more))
        once = in_effect(file, read(file))
        assert in_effect(file, once) == once


def test_a_proof_or_its_lack_amends_a_study_and_does_not_begin_another(file: Path) -> None:
    file.write_text(STUDY.format(tier="cooperative", more=""))
    before = in_effect(file, read(file))
    prove(file, "cooperative", Finding(code="shared_file", level="fault"))
    changed, revising = config.diff_studies(before, in_effect(file, read(file)))
    assert set(changed) == {"tier", "proof", "faults"} and not revising


def test_a_population_is_refused_where_nobody_proved_that_the_script_resumes(file: Path) -> None:
    file.write_text(STUDY.format(tier="cooperative", more='[policy]\nscheduler = "population"\n'))
    why = refused(in_effect(file, read(file)))
    assert "nobody proved that it does" in why and "`secondshift doctor`" in why
    prove(file, "cooperative")
    assert refused(in_effect(file, read(file))) == ""
    (file.parent / "train.py").write_text("print('loss=2')\n")
    assert "was changed since that was proved" in refused(in_effect(file, read(file)))
    prove(file, "opaque")
    assert "found that it does not" in refused(in_effect(file, read(file)))
    file.write_text(STUDY.format(tier="cooperative", more='[policy]\nscheduler = "fifo"\n'))
    assert refused(in_effect(file, read(file))) == ""
