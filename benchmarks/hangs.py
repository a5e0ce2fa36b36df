#!/usr/bin/env python3
"""How soon a hang is seen and believed, against the longest gap that was normal; and how often a healthy run is suspected.

python3 benchmarks/hangs.py [--paces 0.05,0.5,2] [--kinds lock,busy,stopped] [--load 0] [--healthy 0] [--quick] [--json]

Each hang is of a real process in an ordinary night, as in `secondshift drill`; nothing is done about it here. `--load 2`: two
busy loops run beside all. `--healthy 240`: besides, runs without a fault are watched for so many seconds at 0.1 s a step.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import preparing

preparing.environment()

from secondshift.interfaces.drills import running  # noqa: E402  # the folders come first
from secondshift.ledger.stores import Ledger  # noqa: E402
from secondshift.records import events as facts  # noqa: E402

TRAIN = '''
import json, os, signal, sys, threading, time
import secondshift
run = secondshift.init(horizon=1_000_000)
p = run.params(kind="none", pace=0.2)
kind, pace = str(p["kind"]), float(p["pace"])
until, longest, last = max(8, int(12 / pace)), 0.0, 0.0
for step in range(run.horizon):
    run.log(step, loss=1.0 / (step + 1.0))
    now = time.monotonic()
    longest, last = max(longest, now - last if last else 0.0), now
    if kind in ("lock", "busy", "stopped") and step == until:
        with open(os.path.join(os.environ["HANGS"], f"{kind}-{pace:g}.json"), "w") as file:
            json.dump({"at": time.time(), "longest_s": longest}, file)
        if kind == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        lock = threading.Lock()
        lock.acquire()
        while kind == "busy":
            pass
        lock.acquire()
    if run.stopping:
        break
    time.sleep(pace)
run.close()
'''
STUDY = """
name = "hangs"
command = {command}
tier = "cooperative"
[objective]
metric = "loss"
goal = "min"
[horizon]
steps = 1000000
[search]
kind = {kinds}
pace = {paces}
[budget]
trials = {trials}
[policy]
searcher = "grid"
scheduler = "fifo"
[resume]
trust = true
[captain]
may = []
[launch]
slots = {trials}
threads = 1
grace_s = "1s"
quiet = "600s"
"""


@dataclass
class Row:
    """One run: what its script said of itself, and what was said of it. Seconds, counted from its last point; -1: never."""

    kind: str
    pace_s: float
    longest_gap_s: float
    seen_s: float = -1.0
    believed_s: float = -1.0

    @property
    def gaps(self) -> float:
        """Longest gaps until it was seen."""
        return self.seen_s / self.longest_gap_s if self.seen_s >= 0 else math.inf


@dataclass
class Watch:
    """What a night told of its attempts."""

    params: dict[str, dict[str, object]] = field(default_factory=dict)
    seen: dict[str, list[float]] = field(default_factory=dict)
    believed: dict[str, list[float]] = field(default_factory=dict)

    def hear(self, ledger: Ledger, event: facts.Event) -> None:
        """Take one fact."""
        fact = event.payload
        if isinstance(fact, facts.ParamsResolved):
            self.params[fact.trial] = dict(fact.params)
        elif isinstance(fact, facts.SymptomSeen):
            for one in fact.findings:
                if one.symptom in ("silence", "hang"):
                    kept = self.seen if one.lasted == 0 else self.believed
                    kept.setdefault(fact.trial, []).append(event.at)


@contextmanager
def loaded(loops: int) -> Iterator[None]:
    """Keep the machine busy."""
    beside = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for one in beside:
            one.kill()
            one.wait()


def night(folder: Path, kinds: Sequence[str], paces: Sequence[float], limit_s: float) -> Watch:
    """Work on one study of these runs for so long."""
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(TRAIN)
    command = f"env HANGS={folder} {sys.executable} train.py"
    trials = len(kinds) * len(paces) + 1
    (folder / "secondshift.toml").write_text(
        STUDY.format(
            command=json.dumps(command), kinds=json.dumps([*kinds, "spare"]), paces=json.dumps([*paces, 900.0]), trials=trials
        )
    )
    watch = Watch()
    running.run(folder / "secondshift.toml", limit_s=limit_s, heard=watch.hear)
    return watch


def rows(folder: Path, watch: Watch) -> list[Row]:
    """Put together what the scripts said and what was said of them."""
    found = []
    for trial, params in watch.params.items():
        told = folder / f"{params['kind']}-{float(str(params['pace'])):g}.json"
        if not told.exists():
            continue
        truth = json.loads(told.read_text())
        row = Row(kind=str(params["kind"]), pace_s=float(str(params["pace"])), longest_gap_s=truth["longest_s"])
        after = [[at - truth["at"] for at in times if at >= truth["at"]] for times in
                 (watch.seen.get(trial, []), watch.believed.get(trial, []))]  # fmt: skip
        row.seen_s, row.believed_s = (min(times, default=-1.0) for times in after)
        found.append(row)
    return sorted(found, key=lambda row: (row.kind, row.pace_s))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paces", default="0.05,0.5,2")
    parser.add_argument("--kinds", default="lock,busy,stopped")
    parser.add_argument("--load", type=int, default=0)
    parser.add_argument("--healthy", type=float, default=0.0)
    parser.add_argument("--quick", action="store_true", help="one kind and two paces")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    asked = parser.parse_args()
    if asked.quick:
        asked.kinds, asked.paces = "lock", "0.3,0.5"
    paces = [float(pace) for pace in asked.paces.split(",")]
    found: list[Row] = []
    false: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as place, loaded(asked.load):
        for kind in filter(None, asked.kinds.split(",")):
            folder = Path(place) / kind
            found += rows(folder, night(folder, [kind], paces, limit_s=28.0 + 8.0 * max(paces)))
        if asked.healthy:
            watch = night(Path(place) / "healthy", ["none"], [0.1], limit_s=asked.healthy)
            well = {trial for trial, params in watch.params.items() if params["pace"] == 0.1 or params["pace"] == 0.2}
            false = {"runs": len(well), "seconds": int(asked.healthy), "noted": sum(len(watch.seen.get(one, [])) for one in well),
                     "believed": sum(len(watch.believed.get(one, [])) for one in well)}  # fmt: skip
    print("| hang | step (s) | longest gap (s) | seen after (s) | in longest gaps | believed after (s) |")
    print("|---|---|---|---|---|---|")
    for row in found:
        print(f"| {row.kind} | {row.pace_s:g} | {row.longest_gap_s:.3f} | {row.seen_s:.2f} | {row.gaps:.1f} | "
              f"{row.believed_s:.1f} |")  # fmt: skip
    if false:
        print(f"\nHealthy: {false}")
    if asked.json:
        print(json.dumps(rows_of(found, false)))


def rows_of(found: Sequence[Row], false: dict[str, int]) -> dict[str, dict[str, object]]:
    """The rows as benchmarks/README.md wants them. A hang that was never seen has no number."""
    told: dict[str, dict[str, object]] = {}
    for row in found:
        gaps = round(row.gaps, 2) if math.isfinite(row.gaps) else None
        told[f"hang ({row.kind}, {row.pace_s:g} s a step): until it is seen"] = {
            "ours": gaps, "unit": "longest gaps", "peers": {}, "target": "<= 5", "holds": row.gaps <= 5.0,
        }  # fmt: skip
    if false:
        told[f"healthy runs suspected in {false['seconds']} s"] = {
            "ours": false["noted"], "unit": f"notes of {false['runs']} runs", "peers": {}, "target": "0",
            "holds": not false["noted"],
        }  # fmt: skip
    return told


if __name__ == "__main__":
    main()
