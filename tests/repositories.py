"""Small git repositories for tests: a study in one, and patches against it."""

import os
import subprocess
from pathlib import Path

TRAIN = "rate = 1\nfor step in range(3):\n    print(f'step={step} loss={rate}')\n"
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=kim", "-c", "user.email=kim@example.org", "-c", "init.defaultBranch=trunk")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout


def repository(folder: Path, files: dict[str, str] | None = None) -> Path:
    """A repository with one commit; the private folder is in it, as beside every study file."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    for name, text in {"train.py": TRAIN, "eval.py": "print('loss=1')\n", **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    (folder / ".secondshift").mkdir(exist_ok=True)
    return folder


def patch_of(folder: Path, files: dict[str, str | None], name: str = "change.patch") -> Path:
    """The patch that these new contents (None: gone) make of the tracked files; the tree is left as it was."""
    before = {path: (folder / path).read_text() if (folder / path).exists() else None for path in files}
    for path, text in files.items():
        if text is None:
            (folder / path).unlink()
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    git(folder, "add", "-A", "-N", "--", *[p for p, t in files.items() if t is not None and before[p] is None] or ["train.py"])
    text = git(folder, "diff", "--binary", "--", *files)
    git(folder, "reset", "-q")
    for path, was in before.items():
        if was is None:
            (folder / path).unlink()
        else:
            (folder / path).write_text(was)
    target = folder.parent / name
    target.write_text(text)
    return target
