"""What a result may depend on besides the code: interpreter, libraries, lock files, CPU. Read, and never imported."""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from secondshift.runtime.hosts import hostname
from secondshift.runtime.interpreters import interpreter_of

ASK_TIMEOUT_S = 5.0
LOCKS = (
    "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pixi.lock", "conda-lock.yml", "pylock*.toml",
    "requirements*.txt", "environment.yml", "environment.yaml",
)  # fmt: skip
# Libraries whose version can change what a training script computes. The rest of what is installed is one digest.
LIBRARIES = frozenset(
    "numpy scipy pandas scikit-learn torch torchvision torchaudio triton jax jaxlib flax optax tensorflow keras "
    "lightning pytorch-lightning transformers datasets tokenizers accelerate peft trl deepspeed timm xgboost lightgbm "
    "catboost nvidia-cudnn-cu12 nvidia-cublas-cu12 nvidia-nccl-cu12 flash-attn bitsandbytes mlx".split()
)
_ASK = "import sys, json; print(json.dumps([sys.version.split()[0], sys.path, sys.prefix]))"


class Environments:
    """Describes the environment of many commands; one is looked at again only when something of it has changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Path], tuple[int, dict[str, str], list[str]]] = {}

    def marks(self, program: str, folder: Path) -> dict[str, str]:
        """Describe the environment in which this program runs in this folder, as `environment_marks` does."""
        known = self._known.get((program, folder))
        if known is None or known[0] != _stamp(program, folder, known[2]):
            marks, paths = _look(program, folder)
            known = (_stamp(program, folder, paths), marks, paths)
            self._known[(program, folder)] = known
        return known[1]


def environment_marks(program: str, folder: Path) -> dict[str, str]:
    """Name what a result may depend on besides the code.

    host, platform, cpu, cores; python: version, empty for another program; `library.<name>`: version of each library that
    matters; distributions: digest of all that is installed; lock: digest of each lock file; conda: digest of its list.
    """
    return _look(program, folder)[0]


def _look(program: str, folder: Path) -> tuple[dict[str, str], list[str]]:
    version, paths, prefix = _asked(interpreter_of(program, folder))
    installed = _installed(paths)
    marks = {
        "host": hostname(),
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count() or 0),
        "python": version,
        "distributions": _short("\n".join(f"{n} {v}" for n, v in sorted(installed.items()))) if installed else "",
        "lock": ", ".join(_lock_digests(folder)),
    }
    if conda := _conda_digest(prefix):
        marks["conda"] = conda
    marks |= {f"library.{name}": installed[name] for name in sorted(LIBRARIES & installed.keys())}
    return marks, paths


def _asked(python: str) -> tuple[str, list[str], str]:
    """Ask a Python for its version, its import paths and its prefix; empty ones where there is none."""
    if not python:
        return "", [], ""
    if python == sys.executable:
        return platform.python_version(), sys.path, sys.prefix
    try:
        done = subprocess.run([python, "-c", _ASK], capture_output=True, timeout=ASK_TIMEOUT_S, check=True, cwd="/")
        version, paths, prefix = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return "unknown", [], ""
    return str(version), [str(path) for path in paths], str(prefix)


def _installed(paths: list[str]) -> dict[str, str]:
    """Names and versions of the installed distributions, as the names of their metadata folders give them."""
    found: dict[str, str] = {}
    for path in paths:
        try:
            names = os.listdir(path or ".")
        except OSError:
            continue
        for name in names:
            stem, dot, ending = name.rpartition(".")
            if dot and ending in ("dist-info", "egg-info"):
                project, _, version = stem.partition("-")
                found.setdefault(re.sub(r"[-_.]+", "-", project).lower(), version)  # the first on the path wins
    return found


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _lock_files(folder: Path) -> list[Path]:
    """The lock files that hold for a folder: its own, else those of the nearest folder above within the same project."""
    for place in (folder, *folder.parents):
        found = sorted({path for pattern in LOCKS for path in place.glob(pattern) if path.is_file()})
        if found or (place / ".git").exists() or (place / "secondshift.toml").exists():
            return found
    return []


def _lock_digests(folder: Path) -> list[str]:
    digests = []
    for path in _lock_files(folder):
        try:
            digests.append(f"{path.name}:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}")
        except OSError:
            continue
    return digests


def _conda_digest(prefix: str) -> str:
    """Digest what conda installed into an environment: the names of its records hold name, version and build."""
    try:
        names = sorted(name for name in os.listdir(Path(prefix) / "conda-meta") if name.endswith(".json"))
    except OSError:
        return ""
    return _short("\n".join(names)) if prefix and names else ""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stamp(program: str, folder: Path, paths: list[str]) -> int:
    """Sum up the times of what an environment is made of: any install, upgrade or new lock changes it."""
    marks = []
    for path in (program, *paths, *map(str, _lock_files(folder))):
        try:
            stat = os.stat(path or ".")
            marks.append((path, stat.st_mtime_ns, stat.st_size))
        except OSError:
            continue
    return hash(tuple(marks))
