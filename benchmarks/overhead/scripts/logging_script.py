"""A training script that logs ten metrics a step through one tool, and says what each call and leaving cost.

Runs as `python logging_script.py TOOL STEPS FOLDER`; standard library and the tool only. Between two calls it does some
arithmetic, as training does, so that a tool's background threads have something to get in the way of.
Prints one JSON object as its last line; `left_at` is the monotonic time at which it began to leave.
"""

import json
import os
import random
import sys
import time

NAMES = tuple(f"metric_{i}" for i in range(10))


def secondshift_log(folder):
    import secondshift

    run = secondshift.init()
    return lambda step, metrics: run.log(step, **metrics), run.close


def jsonl_log(folder):
    file = open(os.path.join(folder, "metrics.jsonl"), "a", buffering=1)  # noqa: SIM115  # closed by the returned function

    def log(step, metrics):
        file.write(json.dumps({"step": step, "time": time.time(), **metrics}) + "\n")

    return log, file.close


def trackio_log(folder):
    os.environ["TRACKIO_DIR"] = folder
    import trackio

    trackio.init(project="overhead", name="run")
    return lambda step, metrics: trackio.log(metrics, step=step), trackio.finish


def tensorboardx_log(folder):
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(folder)

    def log(step, metrics):
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)

    return log, writer.close


def mlflow_log(folder, synchronous=True):
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment("overhead")
    mlflow.start_run()

    def log(step, metrics):
        mlflow.log_metrics(metrics, step=step, synchronous=synchronous)

    return log, mlflow.end_run


def mlflow_async_log(folder):
    return mlflow_log(folder, synchronous=False)


TOOLS = {
    "secondshift": secondshift_log,
    "floor: JSON lines": jsonl_log,
    "trackio": trackio_log,
    "TensorBoardX": tensorboardx_log,
    "MLflow SQLite": mlflow_log,
    "MLflow SQLite, asynchronous": mlflow_async_log,
}


def train(log, steps):
    """Log at every step; return what each call cost, in nanoseconds."""
    clock, costs, work = time.perf_counter_ns, [], 0
    draw = random.Random(0).random
    for step in range(steps):
        metrics = {name: draw() / (step + 1) for name in NAMES}
        work += sum(i * i for i in range(600))
        began = clock()
        log(step, metrics)
        costs.append(clock() - began)
    return costs


def main():
    tool, steps, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    log, leave = TOOLS[tool](folder)
    train(log, min(200, steps))  # what is only paid at first is not what a night pays
    costs = sorted(train(log, steps))
    percentiles = {
        "p50": costs[len(costs) // 2],
        "p99": costs[int(len(costs) * 0.99)],
        "p99.99": costs[min(len(costs) - 1, int(len(costs) * 0.9999))],
        "max": costs[-1],
    }
    left_at = time.monotonic()
    leave()
    print(json.dumps({"us": {name: cost / 1000 for name, cost in percentiles.items()}, "left_at": left_at}), flush=True)


if __name__ == "__main__":
    main()
