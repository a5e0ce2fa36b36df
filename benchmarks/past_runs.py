"""How long `secondshift import` takes for 200 runs of 1,000 points from MLflow's SQLite store, and what they weigh here.

    python benchmarks/past_runs.py [--runs 200] [--points 1000]

The store is made from the one that MLflow wrote for the tests: the same tables, emptied, and filled row by row.
"""

import argparse
import json
import math
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

import preparing

preparing.environment()

ROOT = preparing.ROOT
STORE = ROOT / "tests" / "runtime" / "pastruns" / "fixtures" / "mlflow.db"
STUDY = """command = "python train.py --lr {lr} --seed {seed}"
[objective]
metric = "val_loss"
[horizon]
steps = POINTS
[search]
lr = { low = 1e-3, high = 1e-1, log = true }
"""


def fill(path: Path, runs: int, points: int) -> None:
    """Make a store with so many finished runs of one metric each."""
    shutil.copy(STORE, path)
    with closing(sqlite3.connect(path)) as db, db:
        pattern = dict(zip([d[0] for d in db.execute("select * from runs").description],
                           db.execute("select * from runs where status = 'FINISHED'").fetchone(), strict=True))  # fmt: skip
        for table in ("metrics", "params", "tags", "runs"):
            db.execute(f"delete from {table}")
        for number in range(runs):
            run = uuid.uuid4().hex
            row = {**pattern, "run_uuid": run, "name": f"run-{number}", "start_time": 1_700_000_000_000 + number}
            db.execute(f"insert into runs ({', '.join(row)}) values ({', '.join('?' * len(row))})", list(row.values()))
            params = [("lr", str(0.001 * (1 + number % 90)), run), ("seed", str(number), run)]
            db.executemany("insert into params (key, value, run_uuid) values (?, ?, ?)", params)
            db.executemany(
                "insert into metrics (key, value, timestamp, run_uuid, step, is_nan) values ('val_loss', ?, ?, ?, ?, 0)",
                [
                    (1 / (s + 1) + number * 1e-4 + 0.01 * math.sin(s * number), 1_700_000_000_000 + s, run, s)
                    for s in range(points)
                ],
            )


def main() -> None:
    """Measure three first imports, one import of what is known, and print one JSON document."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--points", type=int, default=1000)
    given = options.parse_args()
    found = {"runs": given.runs, "points": given.points, "load_1min": os.getloadavg()[0], "first": [], "again": None}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        environment["SECONDSHIFT_HOST_DIR"] = str(folder / "host")
        (folder / "secondshift.toml").write_text(STUDY.replace("POINTS", str(given.points)))
        fill(folder / "mlflow.db", given.runs, given.points)
        found["store_bytes"] = (folder / "mlflow.db").stat().st_size
        for turn in range(4):
            if turn < 3:
                shutil.rmtree(folder / ".secondshift", ignore_errors=True)
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            call = [sys.executable, "-m", "secondshift", "import", "mlflow.db", "--json"]
            done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=True)
            wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            fates = {run["fate"] for run in json.loads(done.stdout)["runs"]}
            assert fates == ({"imported"} if turn < 3 else {"known"}), fates
            figure = {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2)}
            found["again" if turn == 3 else "first"] = figure if turn == 3 else [*found["first"], figure]
        found["ledger_bytes"] = (folder / ".secondshift" / "ledger.db").stat().st_size
    print(json.dumps(found))


if __name__ == "__main__":
    main()
