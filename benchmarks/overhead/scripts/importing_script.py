"""Says what importing a tool and beginning a run costs a fresh interpreter: `python importing_script.py TOOL FOLDER`.

Prints one JSON object: seconds, and how far the process's resident memory grew, in MB.
"""

import os
import sys
import time


def resident_mb():
    """Return what of this process lies in memory now."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def begin(tool, folder):
    """Import a tool and begin a run, in the way its own introduction does."""
    if tool == "secondshift":
        import secondshift

        return secondshift.init()
    if tool == "trackio":
        os.environ["TRACKIO_DIR"] = folder
        import trackio

        return trackio.init(project="overhead", name="run")
    if tool == "MLflow SQLite":
        import mlflow

        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.set_experiment("overhead")
        return mlflow.start_run()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study().ask()


before = resident_mb()
began = time.perf_counter()
run = begin(sys.argv[1], sys.argv[2])
seconds = time.perf_counter() - began
grown = resident_mb() - before
print(f'\n{{"s": {seconds}, "mb": {grown}}}', flush=True)
