"""Says what listing runs with their final metrics costs: `python listing_script.py RUNS FOLDER`.

Prints {"cpu_ms": {peer: CPU milliseconds}}: MLflow, and plain SQLite with a row a metric as the floor.
"""

import json
import sqlite3
import statistics
import sys
import time

import mlflow
from mlflow.entities import Metric, Param

METRICS = ("val_loss", "train_loss", "accuracy")


def cpu_ms(act, times=5):
    """Return the median CPU time of a call."""
    costs = []
    for _ in range(times):
        began = time.process_time()
        act()
        costs.append((time.process_time() - began) * 1000)
    return statistics.median(costs)


def with_mlflow(runs, folder):
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("overhead")
    for n in range(runs):
        run = client.create_run(experiment).info.run_id
        client.log_batch(run, [Metric(m, n / 7, n, 999) for m in METRICS], [Param("lr", "0.1"), Param("width", "64")])
    found = client.search_runs([experiment], max_results=runs)
    assert len(found) == runs and len(found[0].data.metrics) == len(METRICS)
    return cpu_ms(lambda: client.search_runs([experiment], max_results=runs))


def with_plain_sqlite(runs, folder):
    with sqlite3.connect(f"{folder}/plain.db") as connection:
        connection.execute("create table final (run text, metric text, value real, primary key (run, metric))")
        rows = [(f"t{n}", m, n / 7) for n in range(runs) for m in METRICS]
        connection.executemany("insert into final values (?, ?, ?)", rows)

    def listed():
        with sqlite3.connect(f"{folder}/plain.db") as reader:
            runs_ = {}
            for run, metric, value in reader.execute("select run, metric, value from final order by run"):
                runs_.setdefault(run, {})[metric] = value
            return runs_

    return cpu_ms(listed)


runs, folder = int(sys.argv[1]), sys.argv[2]
found = {"floor: plain SQLite": with_plain_sqlite(runs, folder), "MLflow SQLite": with_mlflow(runs, folder)}
print(json.dumps({"cpu_ms": found}), flush=True)
