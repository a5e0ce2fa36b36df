#!/usr/bin/env python3
"""Training scripts that nobody here wrote, as published, from install to the first brief; see docs/foreign-scripts.md.

python3 benchmarks/foreign.py [--only NAME] [--for 2m] [--keep FOLDER] [--venvs FOLDER] [--record]

Each archive comes from your package index with pip, its hash is compared with the recorded one, and so is the script's,
before and after the night; so is every other file of the package. The study files beside this are ours; none of the
scripts is kept or changed. --record keeps what came of each case in foreign/results.json and writes the page anew.
"""

import argparse
import datetime
import difflib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "foreign-scripts.md"
KEPT = HERE / "foreign" / "results.json"
TORCH = "torch==2.13.0"
LONGEST_S = 1200  # of one stage
DOCTOR_S = 480  # then the night begins without its word, as an impatient person would


@dataclass(frozen=True, kw_only=True)
class Case:
    """One published script and how it is run."""

    name: str  # of its folder below benchmarks/foreign
    package: str  # as pip is told
    script: str  # its path inside the archive
    archive_sha256: str
    script_sha256: str
    kind: str
    command: str  # what a new user types behind `init --`
    needs: tuple[str, ...] = ()  # further packages, for pip
    prepare: tuple[str, ...] = ()  # commands before the first one
    env: dict[str, str] = field(default_factory=dict)


CASES = (
    Case(
        name="rl_zoo3", package="rl-zoo3==2.9.2", script="rl_zoo3/train.py", kind="argparse, RL, PyTorch", needs=(TORCH,),
        archive_sha256="dcacaf62bec49a98160189d498517a7a70c106f6e7d6e6a9f3a159653dc99a05",
        script_sha256="9cc39755f7e3e9425e377f304926e3089842215b8c62f6afeacc0a8d5f8b09ab",
        command="python -m rl_zoo3.train --algo ppo --env CartPole-v1 --n-timesteps 20000 --seed 1",
    ),
    Case(
        name="nequip", package="nequip==0.19.1", script="nequip/scripts/train.py", kind="Hydra, Lightning, PyTorch", needs=(TORCH,),
        archive_sha256="904823a6768f6dde87d1d1dbb1b5b1a25b3ae17a18fa62800a2ed3aa6f7dea4d",
        script_sha256="60e84f08bdb1513f7b5d43596592e191302d1c4007b4ae5c1716b79370395433",
        command="nequip-train -cn minimal_toy_emt", env={"TEST_VAL_TWO": "2"},
        prepare=("python -c \"import shutil, nequip; from pathlib import Path; "
                 "shutil.copy(Path(nequip.__file__).parent / 'utils/unittests/minimal_toy_emt.yaml', '.')\"",),
    ),
    Case(
        name="mace", package="mace-torch==0.3.16", script="mace/cli/run_train.py", kind="argparse, own checkpoints, PyTorch",
        needs=(TORCH,),
        archive_sha256="b80407edf6b2a1ec8523668c2a36852d20927ce1c3c56b70983a9f2dc53233ad",
        script_sha256="4f219fce454279b54cb7a10af30e8e8508cb7b83b3ffa6981ed89dbe7dc8de8b",
        command="mace_run_train --name cu --train_file copper.xyz --valid_fraction 0.2 --E0s average --r_max 4.0 --num_channels 8 "
                "--max_L 0 --max_ell 2 --correlation 2 --batch_size 8 --max_num_epochs 30 --device cpu --eval_interval 1 "
                "--restart_latest",
        prepare=("python make_copper.py",),
    ),
    Case(
        name="pykeen", package="pykeen==1.11.1", script="pykeen/cli.py", kind="click, PyTorch", needs=(TORCH,),
        archive_sha256="b6cc0ab012fc6ba4f37b58fb7081a409a5c1f04cbbb0e0e9c2256e911757d4ba",
        script_sha256="817545cde04c050258cc17b10e7eadba9546fb8173a95c47b543836a86e7379b",
        command="pykeen train transe --dataset nations --number-epochs 30",
    ),
    Case(
        name="spacy", package="spacy==3.8.18", script="spacy/cli/train.py", kind="configuration file, typer, Thinc",
        archive_sha256="c076d6caab1aae5b3c0fd5ecba9f1265ad1e1824ced3e0352193ca30994ac115",
        script_sha256="9fdff4d8ebeadb34f8902d55798dc4e8cea5437bae37175bbf14da9a3c44cf37",
        command="python -m spacy train config.cfg --paths.train train.spacy --paths.dev dev.spacy --training.max_steps 200 "
                "--training.eval_frequency 20",
        prepare=("python make_reviews.py", "python -m spacy init config config.cfg --pipeline textcat"),
    ),
)  # fmt: skip


class Broken(Exception):
    """A stage did not do what it should."""


class Bench:
    """One case: its folder, its environment and its clock."""

    def __init__(self, case: Case, place: Path, home: Path, minutes: str, venvs: Path | None) -> None:
        self.case, self.minutes = case, minutes
        self.ready = venvs is not None
        self.place, self.venv = (
            place / case.name / "work",
            (venvs or place / case.name) / (case.name if venvs else "venv"),
        )
        self.place.mkdir(parents=True)
        self.archive = Path()
        self.stages: dict[str, float] = {}
        self.said: dict[str, str] = {}
        self.env = {
            **os.environ, **case.env, "HOME": str(home), "PATH": f"{self.venv / 'bin'}:{os.environ['PATH']}", "COLUMNS": "160",
            "SECONDSHIFT_HOST_DIR": str(place / "devices"), "NO_COLOR": "1",
        }  # fmt: skip

    def stage(self, name: str, command: Sequence[str] | str, *, must: bool = True, longest_s: float = LONGEST_S) -> str:
        """Run one stage against the clock; what it printed, for the log and for whoever asks."""
        began = time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=self.place, env=self.env, shell=isinstance(command, str), capture_output=True, text=True,
                timeout=longest_s, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            if must:
                raise Broken(f"{name}: not done after {late.timeout:.0f} s") from late
            self.stages[name], self.said[name] = round(time.monotonic() - began, 1), f"given up after {longest_s:.0f} s"
            return ""
        self.stages[name] = round(self.stages.get(name, 0.0) + time.monotonic() - began, 1)
        self.said[name] = done.stdout + done.stderr
        print(f"  {name}: {self.stages[name]} s, exit {done.returncode}", flush=True)
        if must and done.returncode:
            raise Broken(f"{name}: exit {done.returncode}: {self.said[name][-600:]}")
        return done.stdout

    def secondshift(self, name: str, *words: str, must: bool = True, longest_s: float = LONGEST_S) -> str:
        """Run one verb as the README says it is run from a clone."""
        return self.stage(name, [sys.executable, str(ROOT / "start.py"), *words], must=must, longest_s=longest_s)

    def fetch(self) -> None:
        """Get the archive from the package index, and compare it with what was recorded."""
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-d",
            "..",
            self.case.package,
        ]
        self.stage("fetch", pip)
        self.archive = archive = next(self.place.parent.glob("*.whl"))
        same("archive", sha256(archive.read_bytes()), self.case.archive_sha256)
        with zipfile.ZipFile(archive) as inside:
            same("script in the archive", sha256(inside.read(self.case.script)), self.case.script_sha256)
        if not self.ready:
            self.stage("install", [sys.executable, "-m", "venv", str(self.venv)])
            self.stage("install", [str(self.venv / "bin" / "pip"), "install", "-q", *self.case.needs, str(archive)])
        self.unchanged("installed")

    def unchanged(self, when: str) -> int:
        """Compare the installed script, and every other file of its package, with the published ones; how many files."""
        place = next(self.venv.glob("lib/python3*/site-packages"))
        same(f"script, {when}", sha256((place / self.case.script).read_bytes()), self.case.script_sha256)
        with zipfile.ZipFile(self.archive) as inside:
            names = [n for n in inside.namelist() if not n.endswith("/") and ".dist-info/" not in n and ".data/" not in n]
            for name in names:
                same(f"{name}, {when}", sha256((place / name).read_bytes()), sha256(inside.read(name)))
        return len(names)

    def night(self) -> dict[str, object]:
        """init, doctor, run, brief; with our study file in the place of the one that init wrote."""
        ours = HERE / "foreign" / self.case.name
        for file in ours.glob("*.py"):
            shutil.copy(file, self.place)
        for command in self.case.prepare:
            self.stage("prepare", command)
        self.secondshift("init", "init", "--", *self.case.command.split())
        study = self.place / "secondshift.toml"
        guessed = settings(study.read_text())
        shutil.copy(study, self.place / "as-init-wrote-it.toml")
        shutil.copy(ours / "secondshift.toml", study)
        edits = [line for line in difflib.ndiff(guessed, settings(study.read_text())) if line[:1] in "+-"]
        doctor = json.loads(self.secondshift("doctor", "doctor", "--json", must=False, longest_s=DOCTOR_S) or "{}")
        self.secondshift("run", "run", "--for", self.minutes)
        brief = self.secondshift("brief", "brief", "--lang", "en")
        files = self.unchanged("after the night")
        return {"files": files, "guessed": guessed, "edits": edits, "doctor": doctor, "brief": brief}


def sha256(content: bytes) -> str:
    """Give a content's hash."""
    return hashlib.sha256(content).hexdigest()


def settings(text: str) -> list[str]:
    """List the settings of a study file without comments."""
    return [
        line.partition("  #")[0].rstrip() for line in text.splitlines() if line.strip() and not line.startswith("#")
    ]


def states(result: dict[str, object]) -> str:
    """Give the brief's own count of trials, without those that are none."""
    found = re.search(r"trials? of this study so far: (.*?)\.", str(result.get("brief", "")))
    return ", ".join(part for part in found[1].split(", ") if not part.startswith("0 ")) if found else "—"


def same(what: str, found: str, expected: str) -> None:
    """Stop this case if a hash is another one."""
    if found != expected:
        raise Broken(f"{what}: sha256 is {found}, recorded is {expected}")


def tried(case: Case, place: Path, home: Path, minutes: str, venvs: Path | None) -> dict[str, object]:
    """Try one script; what broke is part of the result."""
    print(f"{case.name} ({case.package}, {case.script})", flush=True)
    bench = Bench(case, place, home, minutes, venvs)
    result: dict[str, object] = {"case": asdict(case), "package": case.package, "load_before": os.getloadavg()[0]}
    try:
        bench.fetch()
        result |= bench.night()
        result["broke"] = ""
    except (Broken, OSError, StopIteration, ValueError) as problem:
        result["broke"] = f"{type(problem).__name__}: {problem}"
        print(f"  BROKE {problem}", flush=True)
    steps = sum(bench.stages.values())
    (bench.place / "said.json").write_text(json.dumps(bench.said, indent=1))
    return {**result, "stages": bench.stages, "in_all_s": round(steps, 1), "load_after": os.getloadavg()[0]}


def best(result: dict[str, object]) -> str:
    """Give the brief's line of the best trial."""
    lines = re.sub(r"\s+", " ", str(result.get("brief", "")))
    found = re.search(r"Best complete trial[^.]*?: (t\d+, .{0,160}?)(?: seed|; parameters)", lines)
    return found[1].rstrip(" ,") if found else "—"


def table(results: Sequence[dict[str, object]]) -> list[str]:
    """Write the results as a table."""
    names = ["fetch", "install", "prepare", "init", "doctor", "run", "brief"]
    head = [
        "script",
        "kind",
        *(f"{name} s" for name in names),
        "in all",
        "<= 15 min",
        "edits",
        "trials",
        "best, by the brief",
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for result in results:
        case, stages = result["case"], result["stages"]
        assert isinstance(case, dict) and isinstance(stages, dict)
        edits = result.get("edits") or []
        assert isinstance(edits, list)
        took = float(str(result["in_all_s"]))
        verdict = "BROKE" if result["broke"] else "holds" if took <= 900 else "MISS"
        cells = [
            f"{case['package']} {case['script']}", case["kind"], *(str(stages.get(name, "—")) for name in names),
            f"{took / 60:.1f} min", verdict, f"{sum(e[0] == '+' for e in edits)} lines",
            states(result), best(result),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return lines


def row(result: dict[str, object]) -> dict[str, object]:
    """Give the row of benchmarks/README.md."""
    took = float(str(result["in_all_s"]))
    return {"ours": took, "unit": "s", "peers": {}, "target": "<= 900", "holds": not result["broke"] and took <= 900}


def record(lines: Sequence[str], results: Sequence[dict[str, object]], minutes: str) -> None:
    """Rewrite the marked section of docs/benchmarks.md."""
    loads = [float(str(r[k])) for r in results for k in ("load_before", "load_after")]
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    text = "\n".join([
        "<!-- foreign -->", "## Scripts of other people", "",
        f"`python3 benchmarks/foreign.py --for {minutes} --record`: {os.cpu_count()} cores, load average {min(loads):.0f} to "
        f"{max(loads):.0f}, Python {sys.version.split()[0]}; {datetime.date.today()}, commit {commit}.",
        "All hashes agreed before and after where no case broke. What went badly: [foreign-scripts.md](foreign-scripts.md).",
        "", *lines, "<!-- /foreign -->",
    ])  # fmt: skip
    page = PAGE.read_text()
    pattern = re.compile(r"<!-- foreign -->.*?<!-- /foreign -->", re.DOTALL)
    page = pattern.sub(lambda _: text, page) if pattern.search(page) else f"{page.rstrip()}\n\n{text}\n"
    PAGE.write_text(page)


def main() -> int:
    """Try the scripts and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--for", dest="minutes", default="2m", help="length of the night")
    parser.add_argument("--keep", type=Path, help="a folder that is to keep the work folders")
    parser.add_argument("--venvs", type=Path, help="environments made before, one a name; nothing is installed then")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    place = (args.keep or Path(tempfile.mkdtemp(prefix="foreign-"))).absolute()
    home = place / "home"
    home.mkdir(parents=True, exist_ok=True)
    try:
        chosen = [case for case in CASES if not args.only or case.name in args.only]
        results = [tried(case, place, home, args.minutes, args.venvs) for case in chosen]
        if args.keep:
            (place / "results.json").write_text(json.dumps(results, indent=1))
    finally:
        if not args.keep:
            shutil.rmtree(place, ignore_errors=True)
    lines = table(results)
    print("\n".join(lines))
    if args.record:
        record(lines, results, args.minutes)
    if args.json:
        print(json.dumps({str(result["package"]): row(result) for result in results}))
    return 1 if any(result["broke"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
