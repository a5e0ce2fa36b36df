"""Says how much disk a peer needs for ten curves: `python storing_script.py TOOL POINTS FOLDER`. Prints {"mb": ...}."""

import json
import os
import random
import sys
import time


def store_trackio(points, folder):
    os.environ["TRACKIO_DIR"] = folder
    import trackio

    trackio.init(project="overhead", name="run")
    draw = random.Random(0).random
    for step in range(points // 10):
        trackio.log({f"metric_{i}": draw() / (step + 1) for i in range(10)}, step=step)
    trackio.finish()


def store_mlflow(points, folder):
    import mlflow
    from mlflow.entities import Metric

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = mlflow.MlflowClient()
    run = client.create_run(client.create_experiment("overhead")).info.run_id
    draw, now = random.Random(0).random, int(time.time() * 1000)
    for first in range(0, points // 10, 100):  # in batches of 1,000, the most it takes; the size is the same
        steps = range(first, min(first + 100, points // 10))
        client.log_batch(run, [Metric(f"metric_{i}", draw() / (s + 1), now + s, s) for s in steps for i in range(10)])


def store_tensorboardx(points, folder):
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(folder)
    draw = random.Random(0).random
    for step in range(points // 10):
        for i in range(10):
            writer.add_scalar(f"metric_{i}", draw() / (step + 1), step)
    writer.close()


def size(folder):
    """Return the bytes of all files below a folder."""
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


TOOLS = {"trackio": store_trackio, "MLflow SQLite": store_mlflow, "TensorBoardX": store_tensorboardx}
before = size(sys.argv[3])
TOOLS[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
print(json.dumps({"mb": (size(sys.argv[3]) - before) / 1e6}), flush=True)
