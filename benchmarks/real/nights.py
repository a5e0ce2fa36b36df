"""Nights on real processes, started as people start them: `secondshift run`, watched by the witness logs, ended politely."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import secondshift
from real import studies, witness
from real.train import HORIZON

FILE = "secondshift.toml"
HELD_UP = "ideas.better"  # the brief's sentence that begins with these words
LONGEST_S = 3600.0  # of one command
SOURCE = Path(secondshift.__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Night:
    """A night that is over."""

    seen: witness.Witnessed  # up to the budget
    file: Path  # of the study
    wall_s: float  # from the command to the last epoch of the budget
    whole_s: float  # until the command had ended
    held_s: float  # device time that was settled: of all processes, from their start to their end
    slots: int

    def training_share(self) -> float:
        """Which share of the time of all slots was training."""
        return float(self.seen.took_s.sum()) / (self.wall_s * self.slots)

    def held_share(self) -> float:
        """In which share of the time of all slots a process lived there."""
        return self.held_s / (self.whole_s * self.slots)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a brief says of ideas and of the best."""

    lines: tuple[str, ...]
    held_up: int  # ideas that it says held up


def environment(file: Path) -> dict[str, str]:
    """Ours, with this checkout of secondshift, one thread for matrices, and slots that no other study of this machine takes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SECONDSHIFT_")}
    host = str(file.parent.parent / "host")
    return {**kept, "PYTHONPATH": str(SOURCE), "OPENBLAS_NUM_THREADS": "1", "SECONDSHIFT_HOST_DIR": host}


def secondshift_command(*words: str) -> list[str]:
    """A command line of ours."""
    return [sys.executable, "-m", "secondshift", *words]


def asked(file: Path, *words: str) -> str:
    """What a command says of a study."""
    command = secondshift_command(words[0], *words[1:], "--study", str(file))
    return subprocess.run(command, env=environment(file), capture_output=True, text=True, check=True).stdout


def told_of_ideas(file: Path) -> Told:
    """Read the brief: what it says of ideas, of the best trial, and of what is not proved."""
    brief = json.loads(asked(file, "brief", "--json", "--lang", "en"))
    by_name = {section["key"]: section["statements"] for section in brief["sections"]}
    told = [one for name in ("section.ideas", "section.found", "section.unproven") for one in by_name.get(name, ())]
    return Told(
        lines=tuple(one["text"] for one in told),
        held_up=sum(one["key"] == HELD_UP for one in by_name.get("section.ideas", ())),
    )


def count_epochs(folder: Path) -> int:
    """How many epochs the logs hold by now."""
    return sum(max(0, file.read_bytes().count(b"\n") - 1) for file in folder.glob("*.log"))


def play_noise(folder: Path, *, seed: int, trials: int, horizon: int, slots: int = 2) -> Path:
    """Play a whole night on an objective that is noise only, which nominates its best for fresh seeds; give the study file."""
    logs = folder / "witness"
    logs.mkdir(parents=True)
    text = studies.study_text(
        searcher="model", scheduler="freezethaw", seed=seed, witness=logs, noise=True, horizon=horizon,
        more="nominate = true\n", budget=f"trials = {trials}",
    )  # fmt: skip
    file = studies.make(folder / "study", text)
    command = secondshift_command("run", "--study", str(file), "--slots", str(slots))
    with (folder / "run.txt").open("w") as out:
        subprocess.run(command, env=environment(file), stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=True)
    return file


def play(
    folder: Path, *, searcher: str, scheduler: str, seed: int, trainings: float, slots: int = 1, min_steps: int = 0
) -> Night:
    """Play a night, or go on with it, until its processes have trained for `trainings` full trainings; then stop it."""
    logs, file, spent = folder / "witness", folder / "study" / FILE, folder / "wall.txt"
    if not file.exists():
        logs.mkdir(parents=True)
        text = studies.study_text(searcher=searcher, scheduler=scheduler, seed=seed, min_steps=min_steps, witness=logs)
        studies.make(file.parent, text)
    wanted = round(trainings * HORIZON)
    if count_epochs(logs) < wanted:
        with (folder / "run.txt").open("a") as out:
            began = time.time()
            _until(file, logs, wanted, slots, out)
        with spent.open("a") as times:
            times.write(f"{began} {time.time()}\n")
    seen = witness.read(logs).cut(wanted)
    if len(seen.at) < wanted:
        said = (folder / "run.txt").read_text()[-2000:]
        raise RuntimeError(f"{folder}: got {len(seen.at)} epochs, expected {wanted}. The command said:\n{said}")
    last = float(seen.at[-1])
    shifts = [tuple(map(float, line.split())) for line in spent.read_text().splitlines()]
    wall_s = sum(max(0.0, min(end, last) - begin) for begin, end in shifts)
    settled = "select sum(json_extract(payload, '$.device_s')) as held from events where kind = 'charge.settled'"
    held_s = json.loads(asked(file, "sql", settled, "--json"))
    return Night(seen=seen, file=file, wall_s=wall_s, whole_s=sum(end - begin for begin, end in shifts), slots=slots,
                 held_s=float(held_s["rows"][0][0]))  # fmt: skip


def _until(file: Path, logs: Path, wanted: int, slots: int, out: IO[str]) -> None:
    """Run the command until there are so many epochs, then end it politely."""
    began = time.monotonic()
    command = secondshift_command("run", "--study", str(file), "--slots", str(slots))
    run = subprocess.Popen(command, env=environment(file), stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        while count_epochs(logs) < wanted and run.poll() is None and time.monotonic() - began < LONGEST_S:
            time.sleep(0.25)
    finally:
        run.terminate()  # as Ctrl-C: it finishes politely
        run.wait(300)
