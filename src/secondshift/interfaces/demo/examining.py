"""The demo's first act: a real `secondshift doctor`, so that what the night uses was proved before it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from secondshift import config
from secondshift.interfaces.demo.stories import REAL
from secondshift.interfaces.demo.studies import Half
from secondshift.runtime.prooffiles import proof_digest, read_proof, write_proof

RUN_S = 2.0  # of the first run; as far as it comes then, the others are compared with it
SEEDS = 2
LIMIT_S = 150.0
LEAVE_S = 10.0  # for the doctor to end what it tries, once we leave


def prove(halves: tuple[Half, Half], say: Callable[[str], None]) -> list[str]:
    """Have the script of both studies tried, and keep the proof beside each; returns what kept it from being proved.

    It is tried once: script, command and metric are the same in both, and a proof is bound to nothing else.
    """
    first, second = halves
    say("\n--- First, the doctor: what can this script do? ---")
    began = time.monotonic()
    pid, found, words = _visit(first)
    if not found:
        return [f"The doctor could not try the script. Its last words: {words or 'none'}"]

    def real(text: str) -> None:
        say(f"{REAL:<9} pid {pid:<7} doctor      {text}")

    real(f"the script was tried, interrupted and resumed in short runs, {time.monotonic() - began:.0f} s in all")
    for finding in found["findings"]:
        real(finding["sentence"])
    if not found["usable"] or found["tier"] != found["named"]:
        return [f"The script was not proved to be {found['named']}: see the doctor's lines above."]
    study = config.load_study(first.file)
    kept = read_proof(first.file, study)
    if kept is None or kept.proof is None or proof_digest(first.file, study) != proof_digest(second.file, study):
        return ["The proof was not kept, or the two studies do not run the same script."]
    write_proof(second.file, study, kept.proof)
    real(f"the tier {found['tier']} is proved; had it not been, tonight would pause and resume nothing")
    return []


def _visit(half: Half) -> tuple[int, dict, str]:
    """Run the doctor in a process of its own; its pid, the document that it prints, and its last words."""
    command = [sys.executable, "-P", "-m", "secondshift", "doctor", "--study", str(half.file), "--json"]
    command += ["--run-seconds", str(RUN_S), "--seeds", str(SEEDS)]
    doctor = subprocess.Popen(
        command, cwd=half.file.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    out = err = ""
    try:
        out, err = doctor.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        err = f"it had not ended after {LIMIT_S:.0f} s"
    finally:
        for number in (signal.SIGINT, signal.SIGKILL):
            if doctor.poll() is None:
                doctor.send_signal(number)
                try:
                    doctor.communicate(timeout=LEAVE_S)
                except subprocess.TimeoutExpired:
                    continue
    try:
        return doctor.pid, json.loads(out), ""
    except ValueError:
        return doctor.pid, {}, " / ".join(err.strip().splitlines()[-2:])[:600]
