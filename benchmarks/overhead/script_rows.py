"""What secondshift costs inside the training script: a log call, leaving, importing."""

import shutil
import statistics
import sys
import time
from pathlib import Path

from overhead import peers
from overhead.rows import Plan, Row, spread
from overhead.studies import SOURCE, attempt_folder

LOG_LIMITS = {"p50": 15.0, "p99": 60.0, "p99.99": 5000.0}  # microseconds
LOG_PEERS = {"floor: JSON lines": 1.0, "trackio": 1.0, "TensorBoardX": 0.2, "MLflow SQLite": 0.01}  # share of the steps
IMPORT_PEERS = ("trackio", "MLflow SQLite", "Optuna")
POINTS = 100_000


def log_rows(plan: Plan) -> list[Row]:
    """`log(10 metrics)`: percentiles of single calls; tools take turns, so that noise meets all of them alike."""
    steps, rounds = plan.count(20_000, 100_000), plan.count(3, 5)
    tools = [
        "secondshift",
        "floor: JSON lines",
        *([name for name in LOG_PEERS if ":" not in name] if plan.peers else []),
    ]
    found: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    for number in range(rounds):
        for tool in tools:
            plan.say(f"log: {tool}, round {number + 1} of {rounds}")
            enough = max(200, int(steps * LOG_PEERS.get(tool, 1.0)))
            found[tool].append(_trained(plan, tool, enough)["us"])
    rows = []
    for what, limit in LOG_LIMITS.items():
        values = {tool: [us[what] for us in rounds_] for tool, rounds_ in found.items()}
        others = {tool: statistics.median(us) for tool, us in values.items() if tool != "secondshift"}
        rows.append(
            Row(
                name=f"log 10 metrics, {what}", unit="us", limit=limit, ours=statistics.median(values["secondshift"]),
                peers=others, spread=spread(values["secondshift"]), how=f"median of {rounds} scripts of {steps:,} calls",
            )
        )  # fmt: skip
    return rows


def exit_row(plan: Plan) -> Row:
    """From the end of the loop to the end of the process, after 100,000 points."""
    steps, rounds = POINTS // 10, plan.count(3, 5)
    ours = [_trained(plan, "secondshift", steps)["leaving_s"] for _ in range(rounds)]
    bare = [_trained(plan, "floor: JSON lines", steps)["leaving_s"] for _ in range(rounds)]
    others = {"floor: JSON lines": statistics.median(bare)}
    if plan.peers:
        plan.say("exit: trackio, then MLflow's asynchronous logging (minutes)")
        others["trackio"] = _trained(plan, "trackio", steps)["leaving_s"]
        others["MLflow SQLite, asynchronous"] = _trained(plan, "MLflow SQLite, asynchronous", steps)["leaving_s"]
    return Row(
        name="exit after 100k points", unit="s", limit=0.2, ours=statistics.median(ours), peers=others, spread=spread(ours),
        how=f"median of {rounds} scripts; peers with background writers once",
    )  # fmt: skip


def import_rows(plan: Plan) -> list[Row]:
    """`import secondshift` and `init()` in fresh interpreters: time, and growth of resident memory."""
    rounds = plan.count(7, 21)
    stores = {name: plan.place / f"store-{number}" for number, name in enumerate(IMPORT_PEERS)} if plan.peers else {}
    ours, others = [], {name: [] for name in stores}
    for number in range(rounds + 1):
        ours.append(_imported(plan))
        for name in others if number < 6 else ():
            plan.say(f"import: {name}")
            stores[name].mkdir(exist_ok=True)
            others[name].append(peers.script(plan.peers or "", "importing_script.py", name, stores[name]))
    how = f"median of {rounds} fresh interpreters, inside an attempt; peers begin a run in a store that is there"
    rows = []
    for name, key, unit, factor, limit in (
        ("import and init, time", "s", "ms", 1000, 50), ("import and init, memory", "mb", "MB", 1, 20)
    ):  # fmt: skip
        noise = spread([found[key] * factor for found in ours[1:]])  # the first compiles, or makes the store
        peer = {name: statistics.median(found[key] * factor for found in runs[1:]) for name, runs in others.items()}
        rows.append(Row(name=name, unit=unit, limit=limit, ours=noise.median, peers=peer, spread=noise, how=how))
    return rows


def fragment_of(plan: Plan, steps: int, trial: str = "t1") -> Path:
    """Let a real script log ten metrics at each of `steps` steps in an attempt of `trial`; return the attempt's folder."""
    folder = attempt_folder(plan.place, trial, steps=steps)
    _run(sys.executable, "secondshift", steps, folder)
    return folder


def _trained(plan: Plan, tool: str, steps: int) -> dict:
    """Run the logging script once, and add how long its process took to leave."""
    if tool in ("secondshift", "floor: JSON lines"):
        python, folder = sys.executable, attempt_folder(plan.place, "log", steps=steps)
    else:
        python, folder = str(plan.peers), plan.place / "peer"
        folder.mkdir()
    try:
        return _run(python, tool, steps, folder)
    finally:
        shutil.rmtree(folder)


def _run(python: str, tool: str, steps: int, folder: Path) -> dict:
    env = {"SECONDSHIFT_ATTEMPT": str(folder), "PYTHONPATH": str(SOURCE)} if tool == "secondshift" else {}
    found = peers.script(python, "logging_script.py", tool, steps, folder, env=env, timeout_s=580)
    found["leaving_s"] = time.monotonic() - found["left_at"]
    return found


def _imported(plan: Plan) -> dict[str, float]:
    folder = attempt_folder(plan.place, "import", steps=10)
    env = {"SECONDSHIFT_ATTEMPT": str(folder), "PYTHONPATH": str(SOURCE)}
    try:
        return peers.script(sys.executable, "importing_script.py", "secondshift", folder, env=env)
    finally:
        shutil.rmtree(folder)
