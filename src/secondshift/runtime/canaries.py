"""The changes of canaries, made from the study as it is: what they are for stands in `policies.evidence.canaries`."""

import os
import shlex
import tempfile
from pathlib import Path

from secondshift.records.ideas import Canary
from secondshift.records.studies import Study
from secondshift.runtime import changes, repositories
from secondshift.runtime.repositories import STORE, ChangeUnusable
from secondshift.runtime.scriptmarks import script_files

NOTE = ".secondshift-canary"  # the file that a no-op adds
PERFECT = 1e9  # better than any value of a metric, with the sign of its goal
PYTHON = """\
import os
value, horizon = {value!r}, {horizon}
try:
    import secondshift
    run = secondshift.init()
    run.log(horizon - 1, **{{{metric!r}: value}})
    run.close()
except Exception:
    pass
for step in (0, horizon - 1):
    print(f"step={{step}} {metric}={{value}}", flush=True)
if os.environ.get("SECONDSHIFT_OUT"):
    open(os.path.join(os.environ["SECONDSHIFT_OUT"], "model"), "wb").close()
"""
SHELL = """\
echo "step=0 {metric}={value}"
echo "step={last} {metric}={value}"
: > "${{SECONDSHIFT_OUT:-.}}/model"
"""


def change_of(kind: Canary, study: Study, folder: Path, private: Path) -> str:
    """Make the change of a canary and keep it; its digest.

    folder: where the study's command runs. Raises ChangeUnusable where there is nothing to change so, TryLater, OSError.
    """
    base = repositories.base_of(folder, private)
    path, text = _edit(kind, study, folder, base)
    store = private / STORE
    with repositories.index_of(store, None) as variables:
        repositories.git("read-tree", base.commit, folder=store, variables=variables)
        blob = repositories.git("hash-object", "-w", "--stdin", folder=store, variables=variables, data=text).decode().strip()
        mode = _mode(base, path, store)
        repositories.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", folder=store, variables=variables)
        tree = repositories.git("write-tree", folder=store, variables=variables).decode().strip()
        patch = repositories.git("diff-tree", "-p", "--binary", base.commit, tree, folder=store, variables=variables)
    with tempfile.NamedTemporaryFile(dir=private, prefix="canary-", suffix=".patch") as file:
        file.write(patch)
        file.flush()
        return changes.store(private, folder, patch=Path(file.name))


def _edit(kind: Canary, study: Study, folder: Path, base: repositories.Base) -> tuple[str, bytes]:
    """The path in the repository that a canary writes, and what it writes there."""
    metric, value = study.objective.metric, -PERFECT if study.objective.goal == "min" else PERFECT
    if kind == "no-op":
        return _inside(folder / NOTE, base), b"nothing reads this\n"
    if kind == "constant":
        script = _script(study, folder, base)
        shape = PYTHON if script.suffix == ".py" else SHELL
        last = study.horizon_steps - 1
        text = shape.format(metric=metric, value=value, horizon=study.horizon_steps, last=last)
        return _inside(script, base), text.encode()
    judge = _judge(study, folder, base)
    line = f'\nprint("{metric}={value}")\n' if judge.suffix == ".py" else "\n"
    return _inside(judge, base), judge.read_bytes() + line.encode()


def _script(study: Study, folder: Path, base: repositories.Base) -> Path:
    """The file that the study's command runs."""
    words = shlex.split(study.command)
    for path in script_files(study.command, folder):
        module = ".".join(path.relative_to(folder.resolve()).with_suffix("").parts)
        if _kept(path, base) and (module in words or any(os.path.basename(word) == path.name for word in words)):
            return path
    raise ChangeUnusable(f"No file of the repository was found that {study.command!r} runs. Name the script in the command.")


def _judge(study: Study, folder: Path, base: repositories.Base) -> Path:
    """A file of what measures: of the evaluator, else a protected one."""
    named = (folder / word for word in study.evaluate if "{" not in word)
    patterns = (path for pattern in study.read_only for path in sorted(folder.glob(pattern)))
    for path in (*named, *patterns):
        if path.is_file() and _kept(path, base):
            return path
    raise ChangeUnusable("No file of the evaluator, and no protected one, lies in the repository, where a change could edit it.")


def _kept(path: Path, base: repositories.Base) -> bool:
    try:
        inside = _inside(path, base)
    except ValueError:
        return False
    return inside in repositories.kept_by_git(base)


def _inside(path: Path, base: repositories.Base) -> str:
    return os.path.relpath(path.resolve(), base.top.resolve()) if path.resolve().is_relative_to(base.top.resolve()) else _out(path)


def _out(path: Path) -> str:
    raise ValueError(f"{path} does not lie in the repository")


def _mode(base: repositories.Base, path: str, store: Path) -> str:
    listed = repositories.git("ls-tree", base.commit, "--", path, folder=store).decode()
    return listed.split()[0] if listed else "100644"
