"""How long one look of `secondshift watch --once` takes at 1,000 runs of 1,000 points, file format by file format.

    python benchmarks/watch.py [--quick] [--json] [--looks N] [--beside CHECKOUT]

The runs are made up: a loss that falls, with noise; every hundredth of them becomes NaN, so that there is something to
find. A point is one number. The second CSV has four columns, so four points a row. Each look is a process of its own, as
a person would start it; the clock is the wall's, and the CPU time of all its processes stands beside it. With `--beside`
the code of another checkout takes turns with this one, look by look, so that other load on the machine meets both.
"""

import argparse
import json
import math
import os
import random
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import preparing

preparing.environment()
ROOT = preparing.ROOT

from secondshift.runtime.readers.checksums import masked_crc32c  # noqa: E402  # the folders come first

POINTS, BAD = 1000, 100
TARGET_S = 5.0


def curve(run: int) -> Iterator[dict[str, float]]:
    """The rows of one run."""
    rng = random.Random(run)
    for step in range(POINTS):
        loss = 2 * math.exp(-step / 300) + 0.5 + 0.05 * rng.gauss(0, 1)
        yield {"step": step, "loss": math.nan if run % BAD == 0 and step >= 900 else loss,
               "grad_norm": math.exp(rng.gauss(0, 0.2)), "lr": 1e-3, "step_time": 0.1 + 0.01 * rng.random()}  # fmt: skip


def write_csv(folder: Path, runs: int, names: tuple[str, ...] = ("step", "loss")) -> None:
    """One CSV for each run."""
    for run in range(runs):
        rows = [",".join(f"{row[name]:.6g}" for name in names) for row in curve(run)]
        (folder / f"run{run:04}.csv").write_text("\n".join([",".join(names), *rows]) + "\n")


def write_wide(folder: Path, runs: int) -> None:
    """The same with four columns."""
    write_csv(folder, runs, ("step", "loss", "grad_norm", "lr", "step_time"))


def write_jsonl(folder: Path, runs: int) -> None:
    """One file of JSON lines for each run, as Python's json writes them."""
    for run in range(runs):
        lines = [json.dumps({"step": row["step"], "train/loss": row["loss"]}) for row in curve(run)]
        (folder / f"run{run:04}.jsonl").write_text("\n".join(lines) + "\n")


def write_table(folder: Path, runs: int) -> None:
    """All runs in one CSV."""
    with (folder / "all.csv").open("w") as file:
        file.write("run,step,loss\n")
        for run in range(runs):
            file.writelines(f"{run},{row['step']},{row['loss']:.6g}\n" for row in curve(run))


def write_tensorboard(folder: Path, runs: int) -> None:
    """One event file for each run, framed as TensorBoard frames it."""
    for run in range(runs):
        place = folder / f"run{run:04}"
        place.mkdir()
        frames = b"".join(_event(int(row["step"]), row["loss"]) for row in curve(run))
        (place / "events.out.tfevents.1.host").write_bytes(frames)


def _event(step: int, value: float) -> bytes:
    summary = b"\x0a\x04loss\x15" + struct.pack("<f", value)
    varint = bytes([step]) if step < 128 else bytes([step & 127 | 128, step >> 7])
    body = b"\x09" + struct.pack("<d", 1e9 + step) + b"\x10" + varint
    body += b"\x2a" + bytes([len(summary) + 2]) + b"\x0a" + bytes([len(summary)]) + summary
    head = struct.pack("<Q", len(body))
    return head + struct.pack("<I", masked_crc32c(head)) + body + struct.pack("<I", masked_crc32c(body))


FORMATS: dict[str, Callable[[Path, int], None]] = {
    "CSV": write_csv, "JSON lines": write_jsonl, "one CSV of all runs": write_table, "CSV of 4 columns": write_wide,
    "TensorBoard": write_tensorboard,
}  # fmt: skip


def look(folder: Path, runs: int, root: Path = ROOT) -> tuple[float, float]:
    """One look; seconds on the wall, and of CPU. What is found must be what was put there."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    call = [sys.executable, "-m", "secondshift", "watch", "--once", "--json", str(folder)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    firsts = [one for one in map(json.loads, done.stdout.splitlines()) if one["symptom"] == "non_finite" and one["step"] == 900]
    assert len(firsts) == (runs + BAD - 1) // BAD, f"{len(firsts)} runs with a NaN at step 900 were found"
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def middles(looks: list[tuple[float, float]]) -> tuple[float, float]:
    """The median wall and CPU time of some looks."""
    wall, cpu = (statistics.median(one[index] for one in looks) for index in (0, 1))
    return wall, cpu


def main() -> None:
    """Measure each format and print a table, or one JSON document."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="the first two formats, one look each")
    options.add_argument("--looks", type=int, default=5)
    options.add_argument("--beside", type=Path, help="another checkout, whose code takes turns with this one")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    runs, times = 1000, 1 if given.quick else given.looks
    rows: dict[str, dict] = {}
    print(f"load at the start {os.getloadavg()[0]:.2f}, cores {os.cpu_count()}, {runs} runs of {POINTS} points, {times} looks each")
    for name, write in list(FORMATS.items())[: 2 if given.quick else None]:
        with tempfile.TemporaryDirectory() as place:
            write(Path(place), runs)
            looks, before = [], []
            for _ in range(times):
                before += [look(Path(place), runs, given.beside)] if given.beside else []
                looks.append(look(Path(place), runs))
        wall, cpu = middles(looks)
        walls = sorted(one[0] for one in looks)
        rows[f"one look at 1,000 runs, {name}"] = {
            "ours": round(wall, 2), "unit": "s", "peers": {}, "target": "<= 5", "holds": wall <= TARGET_S,
            "cpu_s": round(cpu, 2), "least": round(walls[0], 2), "most": round(walls[-1], 2),
        }  # fmt: skip
        verdict = "holds" if wall <= TARGET_S else "MISS"
        text = f"{name}: {wall:.2f} s ({walls[0]:.2f} to {walls[-1]:.2f}), CPU {cpu:.2f} s, {verdict}"
        print(text + ("; beside it {:.2f} s, CPU {:.2f} s".format(*middles(before)) if before else ""), flush=True)
    print(f"load at the end {os.getloadavg()[0]:.2f}")
    if given.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
