#!/usr/bin/env python3
"""The longest tick of a real freeze-thaw night: fits made in the tick, and beside it, by turns and side by side.

    python3 benchmarks/ticks.py [--seconds 120] [--rounds 2] [--slots 2] [--json]

A night is `secondshift run` on the digits of benchmarks/real for so many seconds, with a stopwatch around every tick of its
engine. Results stand in docs/benchmarks.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import preparing

preparing.environment()
preparing.one_thread()

import numpy as np  # noqa: E402  # the folders and the threads come first
from captain.parts import Reported  # noqa: E402
from real import studies  # noqa: E402

from secondshift import engine, shifts  # noqa: E402
from secondshift.runtime import fits  # noqa: E402

WAYS = ("in the tick", "beside")
PATIENCE_S = 300.0  # for a night to end once it should have


def options(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="length of a night")
    parser.add_argument("--rounds", type=int, default=2, help="nights of each way, by turns")
    parser.add_argument("--slots", type=int, default=2, help="processes at once")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--night", nargs=3, help=argparse.SUPPRESS)  # one night in this process: file, way, where its ticks go
    return parser.parse_args(argv)


def timed(tick: Callable[[engine.Engine], bool], seen: list[dict[str, float]]) -> Callable[[engine.Engine], bool]:
    """A tick that is timed, with whether settings were fitted in it or arrived in it; those that load modules are left out."""

    def one(self: engine.Engine) -> bool:
        before, loaded = self.state.memos.get("outlook"), len(sys.modules)
        began, cpu = time.perf_counter(), time.thread_time()
        decided = tick(self)
        took, own = time.perf_counter() - began, time.thread_time() - cpu
        if len(sys.modules) == loaded:  # a policy that is loaded in a tick makes that one long, once
            seen.append({"wall_s": took, "cpu_s": own, "fit": float(self.state.memos.get("outlook") != before)})
        return decided

    return one


def night(file: Path, way: str, out: Path, given: argparse.Namespace) -> int:
    """One night in this process."""
    seen: list[dict[str, float]] = []
    engine.Engine.tick = timed(engine.Engine.tick, seen)  # type: ignore[method-assign]  # a stopwatch
    if way == WAYS[0]:
        fits.Beside = fits.AtOnce  # what shifts.work takes
    code = shifts.work(file, for_s=given.seconds, slots=given.slots)
    out.write_text(json.dumps(seen))
    return code


def played(place: Path, way: str, seed: int, given: argparse.Namespace) -> list[dict[str, float]]:
    """One night in a process of its own; its ticks."""
    file = studies.make(place / "study", studies.study_text(searcher="model", scheduler="freezethaw", seed=seed))
    out = place / "ticks.json"
    command = [sys.executable, str(Path(__file__).resolve()), "--seconds", f"{given.seconds:g}", "--slots", str(given.slots),
               "--night", str(file), way, str(out)]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(preparing.ROOT / "src"), "SECONDSHIFT_HOST_DIR": str(place / "host")}
    subprocess.run(command, env=env, check=True, timeout=given.seconds + PATIENCE_S, stdin=subprocess.DEVNULL)
    return json.loads(out.read_text())


def main(argv: Sequence[str]) -> int:
    """Measure and print; the exit code says only whether it was measured."""
    given = options(argv)
    if given.night:
        return night(Path(given.night[0]), given.night[1], Path(given.night[2]), given)
    ticks: dict[str, list[list[dict[str, float]]]] = {way: [] for way in WAYS}
    for seed in range(1, given.rounds + 1):
        for way in WAYS:
            with tempfile.TemporaryDirectory(prefix="secondshift-ticks-") as place:
                ticks[way].append(played(Path(place), way, seed, given))
    print(*(found := reported(ticks, given)).lines, sep="\n")
    if given.json:
        print(json.dumps(found.rows))
    return 0


def reported(ticks: dict[str, list[list[dict[str, float]]]], given: argparse.Namespace) -> Reported:
    """A row for each way."""
    load = os.getloadavg()[2]
    found = Reported()
    found.lines = [
        f"{given.rounds} nights of {given.seconds:g} s each, {given.slots} slots; load average of the last quarter of an hour "
        f"{load:.1f}", "",
        "| fits | ticks | fits made | longest tick of each night, ms | of CPU | 99.9 % of ticks, ms | of CPU | median, ms | "
        "longest with a fit, CPU | longest without, CPU |", "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for way, nights in ticks.items():
        every = [one for night in nights for one in night]
        wall, cpu, fit = (np.array([one[name] for one in every]) for name in ("wall_s", "cpu_s", "fit"))
        longest = ", ".join(f"{1e3 * max(one['wall_s'] for one in night):.0f}" for night in nights)
        own = ", ".join(f"{1e3 * max(one['cpu_s'] for one in night):.0f}" for night in nights)
        with_fit, without = (1e3 * float(np.max(cpu[fit == yes], initial=0.0)) for yes in (1.0, 0.0))
        late = [1e3 * float(np.quantile(one, 0.999)) for one in (wall, cpu)]
        found.lines.append(
            f"| {way} | {len(every)} | {int(fit.sum())} | {longest} | {own} | {late[0]:.0f} | {late[1]:.0f} | "
            f"{1e3 * float(np.median(wall)):.1f} | {with_fit:.0f} | {without:.0f} |"
        )
        found.row(f"longest tick, fits {way}, CPU", 1e3 * float(cpu.max()), "ms", "", None)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
