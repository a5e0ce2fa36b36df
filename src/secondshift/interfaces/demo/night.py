"""A real night in small: two searches with the same device time, a crash, two kills, and the brief in the morning.

Nothing is staged: each half is an ordinary `secondshift run` in processes of its own, and this module only reads its
ledger, tells what it reads, and breaks things on purpose where a line says DRILL.
"""

import json as jsons
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from secondshift.errors import SecondshiftError
from secondshift.interfaces.demo.checks import Finding, Result, agree, examine, named, processes_of, result, trains
from secondshift.interfaces.demo.examining import prove
from secondshift.interfaces.demo.ideas import show_ideas
from secondshift.interfaces.demo.stories import Story, drill, real
from secondshift.interfaces.demo.studies import METRIC, Half, lay_out
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.runtime import hosts
from secondshift.runtime.executors.processes import signal_process
from secondshift.runtime.keepernotes import read_note

DEVICE_S = 60.0  # of each half
LIMIT_S = 80.0  # for each half; a machine that is slower than ours ends its search by the clock
LEAVE_S = 25.0  # for a half to end after it was asked to
CRASH_AT = 1  # step at which the first trial of halving to get there crashes
KILL_AFTER = 10  # attempts of halving that have ended before its engine is killed
_POLL_S = 0.15
DRILL_S = 240.0  # a drill ends by itself before that
FAULT = "weights_damaged"  # what the captain is shown


@dataclass(kw_only=True, slots=True)
class Demo:
    """One demo while it goes on."""

    seed: int
    folder: Path
    out: TextIO
    problems: list[str] = field(default_factory=list)
    drills: dict[str, str] = field(default_factory=dict)  # what was broken -> how it ended
    engine_died: tuple[float, int] | None = None  # monotonic seconds, pid
    adopted: dict[str, int] = field(default_factory=dict)  # attempts that lived while no engine did -> pid

    def say(self, text: str = "") -> None:
        """Tell the person who watches. A terminal that is gone is no reason to stop."""
        try:
            print(text, file=self.out, flush=True)
        except (OSError, ValueError):
            return

    def tell(self, finding: Finding) -> None:
        """Say what a check found, and keep it if it is not as it must be."""
        self.say(finding.line if finding.fine else f"PROBLEM   {finding.line}")
        if not finding.fine:
            self.problems.append(finding.line)


def demo(seed: int = 0, folder: Path | None = None, json: bool = False, *, script: Path | None = None) -> int:
    """Run the demo and return its exit code: 0 only if all that was checked holds.

    `folder` receives both studies (a new temporary folder if None; it must not exist or be empty). With `json` the
    story goes to standard error and one document to standard output. `script` replaces the training script.
    """
    place = _place(folder)
    show = Demo(seed=seed, folder=place, out=sys.stderr if json else sys.stdout)
    began = time.monotonic()
    halves = lay_out(
        place, seed=seed, device_s=DEVICE_S, slots=2, crash_at=CRASH_AT, script=script, crash_in="halving"
    )
    _open_with(show)
    results: list[Result] = []
    stories: list[tuple[Half, Story]] = []
    try:
        show.problems += prove(halves, show.say)
        for half in () if show.problems else halves:
            story = _work(show, half)
            stories.append((half, story))
            results.append(result(half, story))
            if show.problems:
                break
    except KeyboardInterrupt:
        show.say("Stopped. What was recorded stays in " + str(place))
        return 130
    if stories:
        _show_brief(show, *stories[-1])
    if len(results) == 2:
        _compare(show, results, stories)
        show.problems += show_ideas(show.folder, seed=show.seed, say=show.say, script=script)
        _watch(show)
    code = _close(show, began)
    if json:
        document = {
            "seed": seed, "folder": str(place), "ok": code == 0, "problems": show.problems, "drills": show.drills,
            "seconds": round(time.monotonic() - began, 1), "halves": [_plain(item) for item in results],
            "briefs": [str(half.private / name) for half, story in stories for name in story.briefs],
        }  # fmt: skip
        print(jsons.dumps(document, allow_nan=False), flush=True)
    return code


def _watch(show: Demo) -> None:
    """Show the captain one fault, as a person would: found, gone back from, and judged beside a twin that had none."""
    show.say("\n--- the captain: a fault made on purpose ---")
    command = [sys.executable, "-P", "-m", "secondshift", "drill", FAULT, "--keep", str(show.folder / "captain")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DRILL_S, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        show.problems.append(f"The drill {FAULT} did not end within {DRILL_S:.0f} s.")
        return
    show.say(done.stdout.rstrip())
    show.drills["captain"] = FAULT
    if done.returncode:
        show.problems.append(f"The captain did not mend {FAULT}. {done.stderr.strip()[-300:]}")


def _place(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="secondshift-demo-"))
    place = folder.resolve()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise SecondshiftError(f"{place} is not empty. Expected a new folder for the demo's two studies; name another.")
    return place


def _open_with(show: Demo) -> None:
    show.say(
        f"A night in small, with seed {show.seed}, in {show.folder}\n"
        "REAL       happened on this machine: the process it happened to, and the number of the fact in the ledger\n"
        "           (the doctor comes before there is one)\n"
        "DRILL      broken on purpose, by this demo\n"
        "SIMULATED  would be made up; there is no such line tonight\n"
        f"Two searches train the same small network on scikit-learn's digits, with {DEVICE_S:.0f} device-seconds each."
    )


def _work(show: Demo, half: Half) -> Story:
    """Run one study to its end, tell its story, do its drills, and check it."""
    show.say(f"\n--- {half.title} ---")
    story = Story(metric=METRIC, say=show.say)
    with _running(show, half) as keeper:
        ledger = _opened(half, keeper)
        if ledger is None:
            show.problems.append(f"{half.key}: it did not start. {_last_words(half)}")
            return story
        try:
            _follow(show, half, story, ledger, keeper)
            code = keeper.poll()
            if code != 0:
                show.problems.append(f"{half.key}: `secondshift run` ended with {code}. {_last_words(half)}")
            drilled = sum(1 for name in show.drills if name == f"crash in {half.key}")
            for finding in examine(half, story, ledger, crashes=drilled):
                show.tell(finding)
        finally:
            ledger.close()
    return story


@contextmanager
def _running(show: Demo, half: Half) -> Iterator["subprocess.Popen[bytes]"]:
    """Have the command line work on the study; ended politely if we leave before it does."""
    half.private.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "secondshift", "run", "--study", str(half.file), "--for", f"{LIMIT_S:.0f}s"]
    with open(half.file.parent / "run.log", "ab") as log:
        keeper = subprocess.Popen(
            command, cwd=half.file.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield keeper
    finally:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if keeper.poll() is None:
                keeper.send_signal(number)
                try:
                    keeper.wait(LEAVE_S / 3)
                except subprocess.TimeoutExpired:
                    show.problems.append(f"{half.key}: the keeper (pid {keeper.pid}) did not end when asked to.")


def _opened(half: Half, keeper: "subprocess.Popen[bytes]") -> Ledger | None:
    """Wait for the ledger, and open it for reading."""
    until = time.monotonic() + LEAVE_S
    while time.monotonic() < until:
        if (half.private / "ledger.db").exists():
            try:
                return open_ledger(half.private, readonly=True)
            except SecondshiftError:
                pass  # it is just being made
        if keeper.poll() is not None:
            return None
        time.sleep(_POLL_S)
    return None


def _follow(show: Demo, half: Half, story: Story, ledger: Ledger, keeper: "subprocess.Popen[bytes]") -> None:
    """Tell what happens until the keeper has ended, and break what is to be broken."""
    until = time.monotonic() + LIMIT_S + LEAVE_S
    while True:
        ended = keeper.poll() is not None  # asked before reading, so that the last facts are read too
        for event in story.follow(ledger):
            _drill_on(show, half, story, event)
        if half.key == "halving":
            _kill_engine(show, half, story)
        if ended:
            return
        if time.monotonic() > until:
            show.problems.append(f"{half.key}: it did not end in {LIMIT_S + LEAVE_S:.0f} s.")
            return
        time.sleep(_POLL_S)


def _drill_on(show: Demo, half: Half, story: Story, event: facts.Event) -> None:
    """Do and finish the drills that hang on one fact."""
    said = event.payload
    if isinstance(said, facts.CheckpointSaved) and half.key == "random":
        _kill_worker(show, half, story, said)
    elif isinstance(said, facts.AttemptEnded):
        trial = story.state.trials.get(said.attempt.partition(".")[0])
        if trial is not None and trial.status == "failed" and "drill" in trial.reason:
            show.drills[f"crash in {half.key}"] = trial.id
            show.say(drill(f"{trial.id} crashed because its script was told to, once; the night goes on without it"))
        if said.attempt in show.adopted and show.engine_died is None:
            pid = show.adopted.pop(said.attempt)
            show.say(real(event.seq, pid, f"{said.attempt} outlived its engine and was taken over by the next one"))
            show.drills["engine killed"] = "taken over"
    elif isinstance(said, facts.LeaseTaken) and show.engine_died is not None:
        at, pid = show.engine_died
        show.engine_died = None
        if story.engine != pid:
            text = f"the keeper started this engine {time.monotonic() - at:.1f} s after {pid} was killed"
            show.say(real(event.seq, story.engine, text))
            show.drills.setdefault("engine killed", "started again")
    elif isinstance(said, facts.AttemptStarted) and show.drills.get("worker killed") == said.attempt.partition(".")[0]:
        show.drills["worker resumed"] = said.attempt


def _kill_worker(show: Demo, half: Half, story: Story, said: facts.CheckpointSaved) -> None:
    """SIGKILL a training process right after a checkpoint, once."""
    attempt = story.state.attempts.get(said.checkpoint.attempt)
    horizon = story.state.study.horizon_steps if story.state.study else 0
    if "worker killed" in show.drills or attempt is None or said.checkpoint.step >= horizon - 4:
        return
    pid, _ = story.pids.get(attempt.id, (0, 0))
    ticks = hosts.start_ticks(pid)
    if trains(pid, half.private, attempt.id) and signal_process(pid, ticks, signal.SIGKILL):
        show.drills["worker killed"] = attempt.trial
        story.watched.add(attempt.trial)
        show.say(drill(f"SIGKILL to the training of {attempt.trial} (pid {pid}), past its checkpoint at step "
                       f"{said.checkpoint.step}"))  # fmt: skip


def _kill_engine(show: Demo, half: Half, story: Story) -> None:
    """SIGKILL the engine in the middle of the search, once; what trains goes on training."""
    note = read_note(half.private)
    busy = [a.id for a in story.state.attempts.values() if a.id in story.pids]
    if "engine killed" in show.drills or show.engine_died or story.ended < KILL_AFTER or not busy or not note:
        return
    if note.engine != story.engine or not signal_process(note.engine, note.engine_start_ticks, signal.SIGKILL):
        return
    show.engine_died = (time.monotonic(), note.engine)
    show.say(drill(f"SIGKILL to the engine (pid {note.engine}), before your eyes; the keeper is pid {note.pid}"))
    while hosts.alive(note.engine, note.engine_start_ticks, note.boot_id):
        time.sleep(0.01)
        if time.monotonic() - show.engine_died[0] > 5.0:
            break
    for attempt in busy:
        pid, event = story.pids[attempt]
        if trains(pid, half.private, attempt):
            show.adopted[attempt] = pid
            show.say(real(event, pid, f"{attempt} goes on training while there is no engine"))


def _show_brief(show: Demo, half: Half, story: Story) -> None:
    page = next((half.private / name for name in story.briefs if name.endswith(".md")), None)
    try:
        text = page.read_text("utf-8") if page else ""
    except OSError:
        text = ""
    if not text.strip():
        show.problems.append(f"{half.key}: there is no brief to show.")
        return
    show.say(f"\n--- The brief of {half.title}, as its engine wrote it ---\n\n{text}")


def _compare(show: Demo, results: list[Result], stories: list[tuple[Half, Story]]) -> None:
    """Say which search did better with the same device time, whichever it is."""
    show.say("--- The two searches, side by side ---")
    for item, (_, story) in zip(results, stories, strict=True):
        best = story.state.trials.get(item.best)
        winner = f"best {METRIC} {item.value:.4f} by {named(best)}" if best else "none to its end"
        show.say(
            f"{item.key:<8} {item.trials} trials begun or queued, {item.complete} to their end, {item.steps} steps, "
            f"{item.device_s:.1f} device-seconds; {winner}"
        )
    if finding := agree([half for half, _ in stories], [story for _, story in stories]):
        show.tell(finding)
    first, second = results
    if not (math.isfinite(first.value) and math.isfinite(second.value)):
        return
    if first.value == second.value:
        verdict = "They are equal."
    else:
        better, worse = (first, second) if first.value < second.value else (second, first)
        verdict = f"{better.key} found the lower {METRIC} tonight ({better.value:.4f} against {worse.value:.4f})."
    show.say(f"{verdict} One night with one seed proves nothing about the next: try --seed {show.seed + 1}.")


def _close(show: Demo, began: float) -> int:
    for name, needed in (
        ("worker killed", "no training ran long enough past a checkpoint to be killed"),
        ("worker resumed", "the killed training was not resumed"),
        ("crash in halving", "the trial that was to crash did not"),
        ("engine killed", "the engine was not killed and restarted"),
    ):
        if not show.problems and name not in show.drills:
            show.problems.append(f"A drill did not come off: {needed}.")
    left = processes_of(show.folder)
    if left:
        show.problems.append(f"Processes are left behind: {', '.join(map(str, left))}.")
    for kind in ("random", "halving", "ideas"):
        page = show.folder / kind / ".secondshift" / "briefs" / "s1.html"
        if page.exists():
            show.say(f"brief of {kind}: {page}  (Korean: {page.with_name('s1.ko.html').name} beside it)")
    seconds = time.monotonic() - began
    if show.problems:
        show.say(f"\nThe demo failed after {seconds:.0f} s:")
        for problem in show.problems:
            show.say(f"  {problem}")
        return 1
    show.say(f"\nAll that was checked holds. {seconds:.0f} s. Nothing was simulated; process {os.getpid()} told it.")
    return 0


def _last_words(half: Half) -> str:
    """The end of what the run said, so that a failure names its cause."""
    for file in (half.file.parent / "run.log", half.private / "engine.log"):
        try:
            lines = [line.strip() for line in file.read_text("utf-8", "replace").splitlines() if line.strip()]
        except OSError:
            continue
        if lines:
            return f"Its last words: {' / '.join(lines[-2:])[:600]}"
    return "It said nothing."


def _plain(item: Result) -> dict[str, object]:
    return {**asdict(item), "value": item.value if math.isfinite(item.value) else None}
