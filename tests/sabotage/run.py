"""Sabotage ourselves, one line at a time, and see the named test turn red.

    python tests/sabotage/run.py [--only WORD] [--passed] [--json]

Each entry of sabotages.toml names a file, a text that stands in it once, what to put in its place, and the test that must
notice. The sabotage happens in a copy of the tree; nothing in the working tree is changed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 150  # for one test run
OWN = threading.local()
TRIES = 2  # what only goes wrong when two things meet may take a second look to be seen


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """One line of harm, and who must notice it."""

    name: str
    file: str
    find: str
    replace: str
    test: str

    def needs(self) -> str:
        """The program that its test skips without: it begins its name."""
        head, _, rest = self.name.partition(": ")
        return head.removeprefix("needs ") if rest and head.startswith("needs ") else ""


WARM: list["Warm"] = []  # all of them, to be ended


def load() -> list[Sabotage]:
    """Read the list. Raises KeyError or TypeError for an entry that is not whole."""
    entries = tomllib.loads((ROOT / "tests/sabotage/sabotages.toml").read_text())["sabotage"]
    return [Sabotage(**entry) for entry in entries]


def copy_tree(into: Path) -> None:
    """Copy what tests need: sources, compiled once for all, tests, settings, and the documents that tests read."""
    for name in ("src", "tests", "docs", "examples", "extension", "benchmarks"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("__pycache__", ".secondshift"))
    for name in ("pyproject.toml", "README.md", "start.py", "CHANGELOG.md"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, into / name)
    compiled = [sys.executable, "-m", "compileall", "-q", str(into / "src")]
    subprocess.run(compiled, cwd=into, stdout=subprocess.DEVNULL, timeout=LIMIT_S, check=True)


class Warm:
    """A process that has loaded what takes long, for the runs of one thread."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, tree: Path, tests: list[str]) -> tuple[bool, str]:
        """Run tests in a tree against that tree's own sources; True if they passed, and the end of what they printed."""
        output = tree.parent / "output.txt"
        asked = {"tree": str(tree), "tests": tests, "output": str(output), "limit_s": LIMIT_S}
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline()
        if not said:
            return False, "pytest could not run it: the process that was to run it died"
        code, printed = int(said), output.read_text("utf-8", "replace")[-600:]
        if code == -1:
            return False, f"not done within {LIMIT_S} s"
        return (code == 0, printed) if code in (0, 1) else (False, f"pytest could not run it (exit {code}): {printed}")

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(LIMIT_S)


def run_test(tree: Path, tests: list[str]) -> tuple[bool, str]:
    """Run tests in a tree against that tree's own sources; True if they passed, and the end of what they printed."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return False, f"not done within {LIMIT_S} s"
    if done.returncode not in (0, 1):
        return False, f"pytest could not run it (exit {done.returncode}): {done.stdout[-600:]}{done.stderr[-600:]}"
    return done.returncode == 0, done.stdout[-600:]


def commit(sabotage: Sabotage, whole: Path, warm: Warm) -> tuple[str, str]:
    """Sabotage a copy of a whole tree, made of links to its files. Returns "red" (noticed), "green" (nobody noticed) or
    "stale", with the end of the output."""
    with tempfile.TemporaryDirectory(prefix="sabotage-", ignore_cleanup_errors=True) as folder:  # a test may leave a process
        tree = Path(folder) / "tree"
        shutil.copytree(whole, tree, copy_function=os.link)
        target = tree / sabotage.file
        text = target.read_text() if target.is_file() else ""
        if text.count(sabotage.find) != 1:
            return (
                "stale",
                f"{sabotage.file} holds the text {text.count(sabotage.find)} times; expected once. Mend the entry.",
            )
        target.unlink()  # the whole tree keeps its own
        target.write_text(text.replace(sabotage.find, sabotage.replace))
        for _ in range(TRIES):
            passed, output = warm.run(tree, [sabotage.test])
            if not passed:
                return ("stale" if "pytest could not run it" in output else "red"), output
        return "green", output


def _warm() -> Warm:
    """The warm process of this thread."""
    if not hasattr(OWN, "warm"):
        OWN.warm = Warm()
        WARM.append(OWN.warm)
    return OWN.warm


def main() -> int:
    """Run all sabotages; exit 1 unless every named test passes untouched and turns red when sabotaged."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default="", help="only sabotages whose name contains this")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--passed", action="store_true", help="all tests passed untouched just now: not once more")
    options = parser.parse_args()
    chosen = [s for s in load() if options.only in s.name]
    for program in sorted({s.needs() for s in chosen if s.needs() and shutil.which(s.needs()) is None}):
        print(f"skipped: {sum(s.needs() == program for s in chosen)} that need {program}, which is not installed")
        chosen = [s for s in chosen if s.needs() != program]
    named = sorted({s.test for s in chosen})
    with tempfile.TemporaryDirectory(prefix="sabotage-") as whole, ThreadPoolExecutor(max_workers=3) as pool:
        copy_tree(Path(whole))
        halves = [half for half in (named[::2], named[1::2]) if half and not options.passed]
        for passed, output in pool.map(lambda half: run_test(ROOT, half), halves):
            if not passed:
                print(f"The named tests do not pass untouched, so nothing can be said:\n{output}")
                return 1
        results = list(pool.map(lambda one: commit(one, Path(whole), _warm()), chosen))
        for warm in WARM:
            warm.close()
    for sabotage, (verdict, output) in zip(chosen, results, strict=True):
        noticed = f"noticed by {sabotage.test}" if verdict == "red" else f"NOT NOTICED by {sabotage.test}"
        print(f"{verdict:5}  {sabotage.name}: {noticed}" if verdict != "stale" else f"stale  {sabotage.name}: {output}")
    missed = [s.name for s, (verdict, _) in zip(chosen, results, strict=True) if verdict != "red"]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} sabotages noticed")
    if options.json:
        print(json.dumps({s.name: verdict for s, (verdict, _) in zip(chosen, results, strict=True)}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
