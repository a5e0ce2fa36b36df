"""Says how long MLflow needs to read one curve back: `python curve_script.py POINTS FOLDER`. Prints {"ms": ...}."""

import json
import statistics
import sys
import time

import mlflow
from mlflow.entities import Metric

points, folder = int(sys.argv[1]), sys.argv[2]
mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
client = mlflow.MlflowClient()
run = client.create_run(client.create_experiment("overhead")).info.run_id
for first in range(0, points, 1000):
    client.log_batch(run, [Metric("loss", 1 / (step + 1), step, step) for step in range(first, first + 1000)])
costs = []
for _ in range(5):
    began = time.perf_counter()
    found = client.get_metric_history(run, "loss")
    costs.append((time.perf_counter() - began) * 1000)
assert len(found) == points, f"{len(found)} points came back, expected {points}"
print(json.dumps({"ms": statistics.median(costs)}), flush=True)
