"""The proof file beside the ledger: what `secondshift doctor` proved of a script, and whether it is still that script."""

import hashlib
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import msgspec

from secondshift.errors import FolderReadOnly
from secondshift.records.proofs import Proof
from secondshift.records.studies import Study
from secondshift.runtime.executors.attempt_files import write_atomic
from secondshift.runtime.scriptmarks import file_digest, script_files

FILE = "proof.json"
VERSION = 1  # of the file and of the digest; another one counts as damaged


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptProof:
    """What the proof file of a study says, and whether it may be used."""

    standing: Literal["fresh", "stale", "damaged"]  # stale: of another command, script or metric than the study's now
    proof: Proof | None = None  # None: damaged
    made_at: float = 0.0  # UTC seconds
    trouble: str = ""  # a sentence for people, where it is damaged


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """The file's content."""

    version: int
    made_at: float  # UTC seconds
    digest: str  # of what the proof is bound to
    proof: Proof


def proof_path(study_file: Path) -> Path:
    """Where the proof of a study lies: in its private folder."""
    return study_file.resolve().parent / ".secondshift" / FILE


def write_proof(study_file: Path, study: Study, proof: Proof) -> Path:
    """Keep a proof, bound to the study's command and script as they now are; an older one is replaced at once.

    Raises FolderReadOnly.
    """
    path = proof_path(study_file)
    kept = _Kept(version=VERSION, made_at=time.time(), digest=proof_digest(study_file, study), proof=proof)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(str(path), msgspec.json.format(msgspec.json.encode(kept), indent=1), sync=True)
    except OSError as error:
        raise FolderReadOnly(
            f"{path} cannot be written ({error.strerror}), so that what was proved cannot be kept and no night would use "
            "it. Make the folder writable and run `secondshift doctor` again."
        ) from error
    return path


def read_proof(study_file: Path, study: Study) -> KeptProof | None:
    """Read the proof of a study and say whether it still holds; None if there is none. Never raises."""
    path = proof_path(study_file)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return _damaged(path, error.strerror or "it cannot be read")
    try:
        kept = msgspec.json.decode(data, type=_Kept)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _damaged(path, str(error))
    if kept.version != VERSION:
        return _damaged(path, f"version {kept.version}, this secondshift writes {VERSION}")
    fresh = kept.digest == proof_digest(study_file, study)
    return KeptProof(standing="fresh" if fresh else "stale", proof=kept.proof, made_at=kept.made_at)


def proof_digest(study_file: Path, study: Study) -> str:
    """Digest what a proof is bound to, as sha256 hex: how the script is run and read, and what its files do."""
    folder = _folder(study_file, study)
    asked = {
        "version": VERSION,
        "command": study.command,
        "folder": study.folder,
        "resume": [study.resume_flag, study.resume_env],
        "passing": asdict(study.passing),
        "metrics": asdict(study.metrics),
        "tier": study.tier_offered(),
        "metric": study.objective.metric,
    }
    total = hashlib.sha256(msgspec.json.encode(asked))
    for path in script_files(study.command, folder):
        total.update(f"\0{path.relative_to(folder).as_posix()}\0{file_digest(path)}".encode())
    return total.hexdigest()


def bound_files(study_file: Path, study: Study) -> tuple[Path, ...]:
    """The files whose change may make a proof stale, or a new proof appear."""
    return (proof_path(study_file), *script_files(study.command, _folder(study_file, study)))


def _folder(study_file: Path, study: Study) -> Path:
    return (study_file.resolve().parent / study.folder).resolve()


def _damaged(path: Path, why: str) -> KeptProof:
    words = " ".join(why.split())[:200]
    said = f"{os.path.relpath(path)} cannot be used ({words}): it counts as missing. Run `secondshift doctor` again."
    return KeptProof(standing="damaged", trouble=said)
