#!/usr/bin/env python3
"""What a proposal costs beyond the agent's own time, in a repository of 1,000 files, and what 8 agents do to the engine's tick.

    python3 benchmarks/proposals.py [--quick] [--json] [--calls 24] [--files 1000] [--agent-s 3]

SIMULATED: the agent is a script that sleeps, edits a file and notes how long it itself took; each sleeps a little longer
than the one before, so that its end meets every moment between two looks of the engine. A call's time goes from its order
to when the engine could record how it ended; CPU is that of all processes of ours for it. Nights are `shifts.work` in a process.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import preparing

preparing.environment()
preparing.one_thread()

from captain.parts import Reported  # noqa: E402  # the folders and the threads come first

from secondshift import config, engine, shifts  # noqa: E402
from secondshift.records import events as facts  # noqa: E402
from secondshift.records.agent_calls import AgentCall  # noqa: E402
from secondshift.records.ideas import Idea  # noqa: E402
from secondshift.records.states import State  # noqa: E402
from secondshift.runtime import canaries, trying  # noqa: E402
from secondshift.runtime.agents import calling  # noqa: E402
from secondshift.runtime.spool import put_request  # noqa: E402

PATIENCE_S = 400.0
LOOK_S = 0.1  # between two ticks while a call goes on
PARTS = ("calls", "new changes", "trees", "canary ticks")  # of a tick that are timed by themselves, and ticks that made a canary
TRAIN = """\
import sys, time
rate = 0.01
for step in range(20):
    time.sleep(0.02)
    print(f"step={step} loss={1 / (1 + step * rate)}", flush=True)
open(sys.argv[sys.argv.index("--out") + 1] + "/model", "w").write(str(rate))
"""
AGENT = """\
import os, re, sys, time
began = time.monotonic()
number = re.search(r"SIMULATED idea (\\d+)", open(sys.argv[1]).read())[1]
time.sleep(float(sys.argv[3]) + int(number) * 0.017 % 0.1)
text = open("train.py").read()
open("train.py", "w").write(text.replace("rate = 0.01", f"rate = 0.{int(number) + 10}"))
call = os.environ["SECONDSHIFT_QUESTION"].split("/")[-3]
with open(sys.argv[2] + "/" + call, "w") as file:
    file.write(f"{time.monotonic() - began} {time.process_time()}")
"""
TOML = """\
command = {command}
tier = "opaque"
[objective]
metric = "loss"
[horizon]
steps = 20
[search]
lr = {{ low = 0.001, high = 0.1, log = true }}
[evaluate]
command = {judge}
[protect]
read_only = ["eval.py"]
[budget]
trials = {trials}
[policy]
searcher = "random"
scheduler = "fifo"
[launch]
slots = 2
sample_every_s = 0
"""


def options(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few calls; under a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=24, help="of each night")
    parser.add_argument("--files", type=int, default=1000, help="of the repository")
    parser.add_argument("--agent-s", type=float, default=3.0, help="how long an agent takes at least: the time there is to prepare")
    parser.add_argument("--night", nargs=2, help=argparse.SUPPRESS)  # one night in this process: its study, where its ticks go
    given = parser.parse_args(argv)
    given.calls = 4 if given.quick else given.calls
    return given


def laid_out(folder: Path, files: int, *, parallel: int, sleep_s: float, trials: int) -> Path:
    """Make the study in a git repository of its own."""
    for number in range(files - 4):
        place = folder / "package" / f"part{number % 20}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"module{number}.py").write_text("".join(f"name_{line} = {number * line}\n" for line in range(60)))
    judge = [sys.executable, "eval.py", "{artefact}"]
    train = f"{sys.executable} train.py --lr {{lr}} --out {{out}}"
    text = TOML.format(command=json.dumps(train), judge=json.dumps(judge), trials=trials)
    if parallel:
        script, noted = folder.parent / "agent.py", folder.parent / "noted"
        noted.mkdir()
        script.write_text(AGENT)
        command = [sys.executable, "-I", "-S", str(script), "{brief_file}", str(noted), str(sleep_s)]
        keys = {"command": command, "subscription": True, "turns": 1000, "timeout": 60, "parallel": parallel,
                "readable": [str(script)], "writable": [str(noted)]}  # fmt: skip
        text += "[agent]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in keys.items())
    written = {"train.py": TRAIN, "eval.py": "print('loss=0.5')\n", "secondshift.toml": text, ".gitignore": ".secondshift\n"}
    for name, said in written.items():
        (folder / name).write_text(said)
    who = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "the study")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder / "secondshift.toml"


P = ParamSpec("P")
T = TypeVar("T")


def timed(work: Callable[P, T], seen: list[float]) -> Callable[P, T]:
    """A function with a stopwatch."""

    def one(*arguments: P.args, **named: P.kwargs) -> T:
        began = time.perf_counter()
        try:
            return work(*arguments, **named)
        finally:
            seen.append(time.perf_counter() - began)

    return one


def night(file: Path, out: Path, given: argparse.Namespace) -> int:
    """One night in this process: until the calls are over, or all trials are."""
    seen: dict[str, list[float]] = {"tick": [], "at once": [], "canaries": [], **{part: [] for part in PARTS}}
    tick = timed(engine.Engine.tick, seen["tick"])

    def counted(self: engine.Engine) -> bool:
        loaded, made = len(sys.modules), len(seen["canaries"])
        decided = tick(self)
        if len(sys.modules) != loaded:
            seen["tick"].pop()  # a policy that is loaded in a tick makes that one long, once
        elif len(seen["canaries"]) != made:
            seen["canary ticks"].append(seen["tick"].pop())  # three in the life of a study
        else:
            seen["at once"].append(float(len(self.state.calling)))
        return decided

    engine.Engine.tick = counted  # type: ignore[method-assign]  # a stopwatch
    calling.Caller.work = timed(calling.Caller.work, seen["calls"])  # type: ignore[method-assign]
    trying.newcomers = timed(trying.newcomers, seen["new changes"])
    canaries.change_of = timed(canaries.change_of, seen["canaries"])
    trying.placed = timed(trying.placed, seen["trees"])
    wanted, asked = given.calls if "[agent]" in file.read_text() else 0, list[bool]()

    def tell(state: State, events: Sequence[facts.Event]) -> None:
        if wanted and sum(not call.open() for call in state.calls.values()) >= wanted and not asked:
            asked.append(True)
            put_request(file.parent / ".secondshift", "stop", {"now": True}, "benchmark")

    code = shifts.work(file, for_s=PATIENCE_S, tell=tell)
    out.write_text(json.dumps(seen))
    return code


def played(place: Path, given: argparse.Namespace, *, parallel: int, sleep_s: float, trials: int) -> dict[str, list[float]]:
    """One night in a process of its own; its stopwatches."""
    file = laid_out(place / "study", given.files, parallel=parallel, sleep_s=sleep_s, trials=trials)
    for number in range(given.calls if parallel else 0):
        put_request(file.parent / ".secondshift", "idea", {"text": f"SIMULATED idea {number}", "author": "kim"}, "kim")
    command = [sys.executable, str(Path(__file__).resolve()), "--calls", str(given.calls), "--night", str(file),
               str(place / "seen.json")]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(preparing.ROOT / "src"), "SECONDSHIFT_HOST_DIR": str(place / "host")}
    with open(place / "said.log", "wb") as said:
        subprocess.run(command, env=env, check=True, timeout=PATIENCE_S + 60.0, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    return json.loads((place / "seen.json").read_text())


def without_bubblewrap(place: Path) -> Path:
    """A folder of programs like those of PATH, but for one."""
    (programs := place / "bin").mkdir()
    for folder in os.get_exec_path():
        for program in Path(folder).glob("*"):
            if program.name != "bwrap" and not os.path.lexists(programs / program.name):
                (programs / program.name).symlink_to(program)
    return programs


def calls_of(place: Path, given: argparse.Namespace) -> dict[str, list[float]]:
    """Calls one after another, looked at as an engine does, every 0.1 s; of each, in ms, what is not the agent's own."""
    file = laid_out(place / "study", given.files, parallel=1, sleep_s=given.agent_s, trials=1)
    study, private = config.load_study(file), file.parent / ".secondshift"
    private.mkdir()
    caller, found = calling.Caller(private=private, place=file.parent, command=config.calling), dict[str, list[float]]()
    for number in range(given.calls):
        idea = Idea(id="e1", text=f"SIMULATED idea {number}", author="kim")
        call = AgentCall(id=f"call-{number}", idea="e1", timeout_s=60.0)
        state = State(study=study, token=1, ideas={"e1": idea}, calls={call.id: call}, calling={call.id: True})
        began, before, ended = time.monotonic(), used(), list[facts.Payload]()
        while not (ended := caller.work(state)):
            time.sleep(LOOK_S)
        took = time.monotonic() - began
        for process in caller.processes.values():
            process.wait(PATIENCE_S)  # until it has cleared the workspace away
        assert isinstance(ended[0], facts.AgentEnded) and ended[0].call.ending == "changed", ended
        own, own_cpu = map(float, (place / "noted" / call.id).read_text().split())
        measured = {"all": took - own, "around": ended[0].call.overhead_s, "cpu": used() - before - own_cpu}
        for name, seconds in measured.items():
            found.setdefault(name, []).append(1e3 * seconds)
    caller.close()
    return found


def used() -> float:
    """CPU seconds of this process and of all that it has waited for."""
    ours, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return ours.ru_utime + ours.ru_stime + theirs.ru_utime + theirs.ru_stime


def costs(given: argparse.Namespace, found: Reported) -> None:
    """Calls one at a time, with and without bubblewrap."""
    found.lines += ["| one call at a time | calls | beyond the agent's own: p50, ms | p95 | least | around it: p50 | CPU: p50 |",
                    "|---|---|---|---|---|---|---|"]  # fmt: skip
    path = os.environ["PATH"]
    for name, bwrap in (("with bubblewrap", True), ("without", False)):
        if bwrap and not shutil.which("bwrap"):
            continue
        with tempfile.TemporaryDirectory(prefix="secondshift-proposals-") as place:
            os.environ["PATH"] = path if bwrap else str(without_bubblewrap(Path(place)))
            took = calls_of(Path(place), given)
        os.environ["PATH"] = path
        every, middle = took["all"], {kind: statistics.median(seen) for kind, seen in took.items()}
        cells = (middle["all"], percentile(every, 0.95), min(every), middle["around"], middle["cpu"])
        found.lines.append(f"| {name} | {len(every)} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |")
        found.row(f"a proposal beyond the agent's own time, {name}, p50", cells[0], "ms", "<= 300", cells[0] <= 300.0)


def ticks(given: argparse.Namespace, found: Reported) -> None:
    """The tick of a night with two trainings at a time, without an agent and with 8 calls at once."""
    found.lines += ["", "| two trainings, and | ticks | longest, ms | 99% | median | of calls | new changes | trees | canary |",
                    "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, parallel in (("no agent", 0), ("8 agents at once", 8)):
        with tempfile.TemporaryDirectory(prefix="secondshift-proposals-") as place:
            seen = played(Path(place), given, parallel=parallel, sleep_s=given.agent_s, trials=8 if given.quick else 40)
        took = [1e3 * one for one in seen["tick"]]
        longest = " | ".join(f"{1e3 * max(seen[part], default=0.0):.0f}" for part in PARTS)
        late, middle = percentile(took, 0.99), statistics.median(took)
        found.lines.append(f"| {name} | {len(took)} | {max(took):.0f} | {late:.0f} | {middle:.1f} | {longest} |")
        found.row(f"longest tick, {name}", max(took), "ms", "", None)
        found.row(f"median tick, {name}", middle, "ms", "", None)
    found.lines += ["", f"At most {max(seen['at once'], default=0):.0f} calls at once in the last one."]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main(argv: Sequence[str]) -> int:
    """Measure and print; the exit code says only whether it was measured."""
    given = options(argv)
    if given.night:
        return night(Path(given.night[0]), Path(given.night[1]), given)
    found = Reported()
    load = os.getloadavg()[0]
    agents = f"SIMULATED agents that take {given.agent_s:g} s"
    found.lines = [f"{given.files} files, {given.calls} calls a night, {agents}, load average {load:.1f}", ""]
    costs(given, found)
    ticks(given, found)
    print(*found.lines, sep="\n")
    if given.json:
        print(json.dumps(found.rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
