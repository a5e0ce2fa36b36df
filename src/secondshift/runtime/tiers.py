"""Which tier a night uses: what the study file names, if it was proved or is trusted, and else the opaque one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from secondshift.records.proofs import Proof
from secondshift.records.studies import POPULATION, ProofState, SeedNoise, Study
from secondshift.runtime.prooffiles import KeptProof, read_proof


def in_effect(study_file: Path, study: Study, tell: Callable[[str], None] = lambda said: None) -> Study:
    """Give a study, as read from its file, with the tier that may be used now, and what the doctor found.

    The one place where a proof decides; whatever opens or reloads a study file goes through it. `tell` hears of a proof
    file that is damaged.
    """
    kept = read_proof(study_file, study)
    if kept is not None and kept.trouble:
        tell(kept.trouble)
    proof = kept.proof if kept is not None and kept.standing == "fresh" else None
    standing = _standing(study, kept, proof)
    used = standing in ("proved", "trusted", "not needed")
    return replace(
        study,
        tier=study.tier_offered() if used else "opaque",
        offered=study.tier_offered(),
        proof=standing,
        faults=_faults(proof),
        seed_noise=_noise(proof),
    )


def refused(study: Study) -> str:
    """Say why a study as it is in effect cannot be worked on; empty if it can."""
    if study.policy.scheduler != POPULATION or not study.alone():
        return ""
    how = {"missing": "nobody proved that it does", "stale": "it was changed since that was proved"}
    why = how.get(study.proof, "`secondshift doctor` found that it does not")
    return (
        f'[policy] scheduler = "{POPULATION}" lets trials begin from the checkpoint of another, so the script has to resume from '
        f"what it saved, and {why}. Run `secondshift doctor`, or choose scheduler = \"halving\"."
    )


def _standing(study: Study, kept: KeptProof | None, proof: Proof | None) -> ProofState:
    if study.tier_offered() == "opaque":
        return "not needed"
    if study.proof == "trusted":  # [resume] trust
        return "trusted"
    if kept is None or kept.standing == "damaged":
        return "missing"
    if proof is None:
        return "stale"
    return "proved" if proof.usable and proof.tier == study.tier_offered() else "failed"


def _faults(proof: Proof | None) -> tuple[str, ...]:
    """The codes of what is wrong, and of what keeps checkpoints from being used; each once, in their order."""
    found = () if proof is None else (f.code for f in proof.findings if f.level == "fault" or f.breaks)
    return tuple(dict.fromkeys(found))


def _noise(proof: Proof | None) -> SeedNoise:
    """What seeds alone do, where they do anything: a script that ignores its seed has no spread that means something."""
    if proof is None or not proof.noise:
        return SeedNoise()
    return SeedNoise(spread=proof.noise, step=proof.noise_step, seeds=proof.noise_seeds)
