"""The demo's first act: a real doctor's visit, so that what the night uses was proved before it."""

import time
from collections.abc import Callable

from secondshift import doctor
from secondshift.errors import SecondshiftError
from secondshift.interfaces.demo.stories import REAL
from secondshift.interfaces.demo.studies import Half
from secondshift.interfaces.messages.catalogue import filled
from secondshift.records.proofs import Finding
from secondshift.runtime.prooffiles import proof_digest, write_proof

RUN_S = 3.0  # of the first run; as far as it comes then, the others are compared with it
SEEDS = 2


def prove(halves: tuple[Half, Half], say: Callable[[str], None]) -> list[str]:
    """Try the script of both studies, and keep the proof beside each; returns what kept it from being proved.

    It is tried once: script, command and metric are the same in both, and the proof is bound to nothing else.
    """
    first, second = halves
    say("\n--- First, the doctor: what can this script do? ---")
    began, runs = time.monotonic(), 0

    def count(key: str, values: object) -> None:
        nonlocal runs
        runs += key == "doctor.did"

    try:
        found = doctor.examine(first.file, run_s=RUN_S, seeds=SEEDS, tell=count)
    except SecondshiftError as problem:
        return [f"The doctor could not try the script: {problem}"]
    resumed = len(found.examination.resumptions)
    say(_line(f"{runs} short runs of it, {resumed} of them interrupted and resumed, in {time.monotonic() - began:.0f} s"))
    for finding in found.proof.findings:
        say(_line(_sentence(finding)))
    if not found.proof.usable or found.proof.tier != found.study.tier_offered():
        why = [_sentence(finding) for finding in found.proof.findings if finding.breaks]
        return [f"The script was not proved to be {found.study.tier_offered()}: {' '.join(why)}"]
    if proof_digest(first.file, found.study) != proof_digest(second.file, found.study):
        return ["The two studies do not run the same script: the proof of one would not hold for the other."]
    write_proof(second.file, found.study, found.proof)
    say(_line(f"the tier {found.proof.tier} is proved; had it not been, tonight would pause and resume nothing"))
    return []


def _sentence(finding: Finding) -> str:
    return filled(f"doctor.{finding.code}", finding.values, "en")


def _line(text: str) -> str:
    """Something that really happened, before there is a ledger to number it."""
    return f"{REAL:<9} doctor      {text}"
