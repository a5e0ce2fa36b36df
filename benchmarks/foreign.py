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
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "foreign-scripts.md"
KEPT = HERE / "foreign" / "results.json"
TORCH = "torch==2.13.0"
LONGEST_S = 1200  # of one stage
DOCTOR = "6m"  # what it is given; what does not fit is left out, and counts as not proved
DOCTOR_S = 600  # then it is ended, and the night begins without its word, as an impatient person would
MINUTES = 15  # from install to the first brief


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
        took = self.venv.with_suffix(".seconds")
        if self.ready and took.exists():
            self.stages["install"] = float(took.read_text())  # of the two commands below, when they were run
        if not self.ready:
            self.stage("install", [sys.executable, "-m", "venv", str(self.venv)])
            self.stage("install", [str(self.venv / "bin" / "pip"), "install", "-q", *self.case.needs, str(archive)])
        self.unchanged("installed")

    def unchanged(self, when: str) -> int:
        """Compare the installed script, and every other file of its package, with the published ones; how many files."""
        place = next(self.venv.glob("lib/python3*/site-packages"))
        same(f"script, {when}", sha256((place / self.case.script).read_bytes()), self.case.script_sha256)
        with zipfile.ZipFile(self.archive) as inside:
            names = [name for name in inside.namelist() if not re.search(r"/$|\.dist-info/|\.data/", name)]
            for name in names:
                same(f"{name}, {when}", sha256((place / name).read_bytes()), sha256(inside.read(name)))
        return len(names)

    def night(self) -> dict[str, Any]:
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
        words = ("doctor", "--json", "--for", DOCTOR)
        doctor = json.loads(self.secondshift("doctor", *words, must=False, longest_s=DOCTOR_S) or "{}")
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


def states(result: dict[str, Any]) -> str:
    """Give the brief's own count of trials, without those that are none."""
    found = re.search(r"trials? of this study so far: (.*?)\.", str(result.get("brief", "")))
    return ", ".join(part for part in found[1].split(", ") if not part.startswith("0 ")) if found else "—"


def same(what: str, found: str, expected: str) -> None:
    """Stop this case if a hash is another one."""
    if found != expected:
        raise Broken(f"{what}: sha256 is {found}, recorded is {expected}")


def tried(case: Case, place: Path, home: Path, minutes: str, venvs: Path | None) -> dict[str, Any]:
    """Try one script; what broke is part of the result."""
    print(f"{case.name} ({case.package}, {case.script})", flush=True)
    bench = Bench(case, place, home, minutes, venvs)
    result: dict[str, Any] = {"case": asdict(case), "package": case.package, "load_before": os.getloadavg()[0]}
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


def best(result: dict[str, Any]) -> str:
    """Give the brief's line of the best trial."""
    lines = re.sub(r"\s+", " ", str(result.get("brief", "")))
    found = re.search(r"Best complete trial[^.]*?: (t\d+, .{0,160}?)(?: seed|; parameters)", lines)
    return found[1].rstrip(" ,") if found else "—"


def section(text: str, title: str) -> list[str]:
    """Give the sentences of one part of a brief, without the numbers of the facts."""
    part = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    lines = part[1].splitlines() if part else []
    return [re.sub(r" \[e[^\]]*\]$", "", line[2:]) for line in lines if line[:2] == "- "]


def entry(result: dict[str, Any], minutes: str) -> dict[str, Any]:
    """Give what is kept of one case."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    doctor, brief, edits = result.get("doctor") or {}, result.get("brief", ""), result.get("edits") or []
    case = result["case"]
    return {
        "date": str(datetime.date.today()), "commit": commit, "python": sys.version.split()[0], "cores": os.cpu_count(),
        "load": [round(result["load_before"], 1), round(result["load_after"], 1)], "night": minutes,
        "stages": result["stages"], "in_all_s": result["in_all_s"], "broke": result["broke"],
        "package": result["package"], "script": case["script"], "kind": case["kind"],
        "archive_sha256": case["archive_sha256"], "script_sha256": case["script_sha256"],
        "files_unchanged": result.get("files"), "command": case["command"],
        "edits": [line for line in edits if line[0] in "+-"],
        "tier": {"named": doctor.get("named"), "proved": doctor.get("tier")}, "noise": doctor.get("noise"),
        "findings": [f"{f['level']}: {f['sentence']}" for f in doctor.get("findings", [])],
        "trials": states(result), "best": best(result), "found": section(brief, "Found"),
        "not_proved": section(brief, "What this night does not prove"),
    }  # fmt: skip


def held(one: dict[str, Any]) -> str:
    """Say whether a case held its time."""
    return "**BROKE**" if one["broke"] else "HOLDS" if one["in_all_s"] <= 60 * MINUTES else "**MISS**"


def table(kept: dict[str, dict[str, Any]]) -> list[str]:
    """Write what is kept as a table."""
    names = ["fetch", "install", "prepare", "init", "doctor", "run", "brief"]
    head = ["script", *(f"{name} s" for name in names), "in all", f"<= {MINUTES} min", "tier named, proved"]
    head += ["trials", "best", "load"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, one in kept.items():
        cells = [
            name, *(str(one["stages"].get(stage, "—")) for stage in names), f"{one['in_all_s'] / 60:.1f} min", held(one),
            f"{one['tier']['named'] or '—'}, {one['tier']['proved'] or '—'}", one["trials"], one["best"],
            f"{one['load'][0]:g} to {one['load'][1]:g}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return lines


def told(name: str, one: dict[str, Any]) -> list[str]:
    """Write what is kept of one case."""
    minus = sum(line[0] == "-" for line in one["edits"])
    return [
        f"### {name}", "",
        f"`{one['package']}`, `{one['script']}` ({one['kind']}). sha256 of the archive `{one['archive_sha256']}`, of the script "
        f"`{one['script_sha256']}`: the same before and after, as are all {one['files_unchanged'] or '—'} files of the package.",
        "", f"`init -- {one['command']}`", "",
        f"By hand, {minus} lines of the study file went and {len(one['edits']) - minus} came:", "", "```diff", *one["edits"], "```",
        "", "The doctor:", "", *(f"- {line}" for line in one["findings"]), "",
        f"The brief of a night of {one['night']} (commit {one['commit']}, {one['date']}, Python {one['python']}, "
        f"{one['cores']} cores):", "", *(f"- {line}" for line in one["found"]), "", "What it says is not proved:", "",
        *(f"- {line}" for line in one["not_proved"]), "",
    ]  # fmt: skip


def record(results: Sequence[dict[str, Any]], minutes: str) -> None:
    """Keep what came of these cases beside that of the others, and write the marked part of the page anew."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept |= {result["case"]["name"]: entry(result, minutes) for result in results}
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    lines = [*table(kept), "", *(line for name, one in kept.items() for line in told(name, one))]
    text = "\n".join(["<!-- foreign -->", *lines, "<!-- /foreign -->"])
    PAGE.write_text(re.sub(r"<!-- foreign -->.*<!-- /foreign -->", lambda _: text, PAGE.read_text(), flags=re.DOTALL))


def row(one: dict[str, Any]) -> dict[str, Any]:
    """Give the row of benchmarks/README.md."""
    return {"ours": one["in_all_s"], "unit": "s", "peers": {}, "target": f"<= {60 * MINUTES}", "holds": held(one) == "HOLDS"}


def main() -> int:
    """Try the scripts and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--for", dest="minutes", default="2m", help="length of the night")
    parser.add_argument("--keep", type=Path, help="a folder that is to keep the work folders")
    parser.add_argument("--venvs", type=Path, help="environments made before, and NAME.seconds, what that took")
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
    entries = {result["case"]["name"]: entry(result, args.minutes) for result in results}
    print("\n".join(table(entries)))
    if args.record:
        record(results, args.minutes)
    if args.json:
        print(json.dumps({one["package"]: row(one) for one in entries.values()}))
    return 1 if any(result["broke"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
