"""The process that runs a suite: every measurement that has no result yet, one after the other. It knows no ledger.

Started by `gating` with its order on standard input, so that secrets of the study are in no file. Each result is one
file, written whole; one that is there is never measured again. It goes on when the engine dies, and a second one on the
same folder leaves at once.
"""

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any

from secondshift.runtime.executors.attempt_files import write_atomic
from secondshift.runtime.frozen import mark_of
from secondshift.runtime.measuring import end_all, measure


def main(order: dict[str, Any]) -> int:  # Any: JSON as `gating` wrote it
    """Run what is ordered. Returns an exit code: 0 done, 3 another one is at work."""
    folder = Path(order["folder"])
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 3
    end_all(order["token"])  # of one that was killed in the middle
    for item in order["items"]:
        place = folder / f"{item['number']}.json"
        if not place.exists():
            write_atomic(str(place), json.dumps(_result(item, order, folder)).encode(), sync=True)
    return 0


def _result(item: dict[str, Any], order: dict[str, Any], folder: Path) -> dict[str, Any]:
    artefact = folder / item["side"]
    kept = json.loads((folder / f"{item['side']}.json").read_bytes())
    found = measure(
        item["command"], cwd=Path(order["cwd"]), variables={**order["env"], "TMPDIR": str(folder / "tmp")},
        timeout_s=order["timeout_s"], output=folder / f"{item['number']}.log", token=order["token"], writable=(folder / "tmp",),
    )  # fmt: skip
    same = mark_of(artefact) == kept["mark"]
    return {
        "metrics": dict(found.metrics), "failed": found.failed, "took_s": found.took_s,
        "artefact": kept["digest"] if same else f"{kept['digest']} altered",
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(json.load(sys.stdin)))
