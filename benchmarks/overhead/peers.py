"""The peers: installed into a throw-away environment by the full mode; what they needed is recorded for the quick one."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from overhead.rows import Peer, Row

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".benchmarks" / "peers"  # ignored by git
RECORDED = HERE.parent / "peers.json"
PACKAGES = ("optuna>=4,<5", "trackio", "mlflow", "tensorboardX", "sqlalchemy")
NAMES = ("optuna", "trackio", "mlflow", "tensorboardX")
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "TRACKIO_SHOW_DASHBOARD": "0",
    "GIT_PYTHON_REFRESH": "quiet", "MLFLOW_LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore",
}  # fmt: skip


def install() -> Path:
    """Return the Python of the peers' environment, made if it is not there. Raises CalledProcessError."""
    python = CACHE / "bin" / "python"
    if not (CACHE / "complete").exists():
        uv = Path(sys.executable).with_name("uv")
        if uv.exists():
            subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, CACHE], check=True, timeout=120)
            command = [str(uv), "pip", "install", "-q", "--python", str(python)]
        else:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(CACHE)], check=True, timeout=120)
            command = [str(python), "-m", "pip", "install", "-q"]
        subprocess.run([*command, *PACKAGES], check=True, timeout=600)
        subprocess.run([python, "-m", "compileall", "-q", CACHE / "lib"], check=False, timeout=600)
        (CACHE / "complete").touch()
    return python


def versions(python: Path) -> dict[str, str]:
    """Return which versions of the peers are measured."""
    program = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {NAMES!r}}}))"
    return json.loads(subprocess.check_output([python, "-c", program], timeout=60))


def script(
    python: Path | str,
    name: str,
    *arguments: str | Path | int,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 300,
) -> dict:
    """Run one of `scripts/` in a fresh interpreter; return the JSON object on its last line.

    Raises RuntimeError with the end of its output where it failed.
    """
    command = [str(python), str(HERE / "scripts" / name), *map(str, arguments)]
    environment = {**os.environ, **QUIET, **(env or {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise RuntimeError(
            f"{name} {' '.join(map(str, arguments))} failed:\n{done.stdout[-500:]}\n{done.stderr[-1500:]}"
        )
    return next(json.loads(line) for line in reversed(lines) if line.startswith("{"))


def recorded() -> dict[str, dict[str, Peer]]:
    """Return row name -> peer -> value with its date; empty where nothing was recorded yet."""
    try:
        found = json.loads(RECORDED.read_text())
    except OSError:
        return {}
    return {
        row: {name: _dated(value, found["date"]) for name, value in peers.items()}
        for row, peers in found["rows"].items()
    }


def recorded_rows() -> dict[str, object]:
    """Return the recorded rows as they stand in the file; empty if there is none."""
    try:
        return json.loads(RECORDED.read_text())["rows"]
    except OSError:
        return {}


def record(
    rows: Sequence[Row], *, date: str, machine: Mapping[str, object], measured: Mapping[str, str], all_rows: bool
) -> None:
    """Keep the peers' values of a full run; those of rows that were not measured stay, unless all were."""
    kept = {} if all_rows else recorded_rows()
    found = {
        "date": date,
        "machine": machine,
        "versions": measured,
        "rows": {**kept, **{row.name: row.as_json()["peers"] for row in rows if row.peers}},
    }
    RECORDED.write_text(json.dumps(found, indent=1) + "\n")


def cited(value: float, what: str = "") -> Peer:
    """Return a value that DESIGN states and this run did not measure."""
    return {"value": value, "source": "DESIGN, not measured here" + (f"; {what}" if what else "")}


def _dated(value: Peer, date: str) -> Peer:
    if isinstance(value, Mapping):
        return value
    return {"value": value, "recorded": date}
