#!/usr/bin/env python3
"""What secondshift costs: every row of DESIGN §7 beside its peers. See benchmarks/README.md for the contract.

python3 benchmarks/overhead.py [--quick] [--json] [--only GROUP]
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import preparing

preparing.environment()

from overhead import curve_rows, loop_rows, pages, peers, script_rows, study_rows  # noqa: E402  # the folders come first
from overhead.rows import Plan, Row, table  # noqa: E402

GROUPS: dict[str, Callable[[Plan], list[Row]]] = {
    "log": script_rows.log_rows,
    "exit": lambda plan: [script_rows.exit_row(plan)],
    "disk": lambda plan: [curve_rows.disk_row(plan)],
    "import": script_rows.import_rows,
    "list": lambda plan: [study_rows.list_row(plan)],
    "curve": curve_rows.curve_rows,
    "start": lambda plan: [loop_rows.start_row(plan)],
    "large": lambda plan: large_rows(plan),  # noqa: PLW0108  # it is defined below
}


def large_rows(plan: Plan) -> list[Row]:
    """The rows that need a past of 10,000 trials."""
    past = study_rows.make_past(plan, study_rows.MANY)
    asked = study_rows.ask_tell_rows(plan, past)
    return [*asked, study_rows.reopen_row(plan, past), loop_rows.tick_row(plan, past)]


def machine() -> dict[str, object]:
    """Say what this was measured on; no host name."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model, "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}", "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def commit() -> str:
    """Name the commit that is measured."""
    command = ["git", "-C", str(preparing.ROOT), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return done.stdout.strip() or "unknown"


def measure(plan: Plan, groups: Sequence[str]) -> list[Row]:
    """Measure some groups of rows; in quick mode, recorded values of the peers stand in for those not measured."""
    rows = [row for name in groups for row in GROUPS[name](plan)]
    if plan.peers is not None:
        return rows
    known = peers.recorded()
    return [row.with_peers({**known.get(row.name, {}), **row.peers}) for row in rows]


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute; peers as recorded in peers.json")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--only", action="append", choices=GROUPS, help="measure this group only; may be repeated")
    return parser.parse_args(given)


def progress(text: str) -> None:
    """Say what is being measured now; a full run takes a quarter of an hour."""
    print(f"... {text}", file=sys.stderr, flush=True)


def main(given: Sequence[str]) -> int:
    """Measure, print, and in full mode record the peers. Returns 0 when every row was measured, also with misses."""
    asked = arguments(given)
    python = None if asked.quick else peers.install()
    place = Path(tempfile.mkdtemp(prefix="overhead-"))
    os.environ.update(SECONDSHIFT_HOST_DIR=str(place / "devices"), TMPDIR=str(place))
    on = machine()
    say = (
        (lambda text: print(f"... {text}", file=sys.stderr, flush=True))
        if sys.stderr.isatty() or not asked.quick
        else str
    )
    try:
        rows = measure(Plan(quick=asked.quick, peers=python, place=place, say=say), asked.only or tuple(GROUPS))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    where = f"{today}, {', '.join(f'{name} {value}' for name, value in on.items())}"
    print(f"{where}\n{table(rows)}")
    found = {row.name: row.as_json() for row in rows}
    if python is not None:
        installed = peers.versions(python)
        versions = "peers: " + ", ".join(f"{name} {version}" for name, version in installed.items())
        print(versions)
        peers.record(rows, date=today, machine=on, measured=installed, all_rows=not asked.only)
        if not asked.only:
            heading = ("`python3 benchmarks/overhead.py`", "", f"{where}; commit {commit()}; {versions}.")
            pages.put_into(pages.PAGE, pages.section(found, heading))
    if asked.json:
        print(json.dumps(found))
    return 0 if all(row.ours is not None for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
