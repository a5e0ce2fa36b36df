"""The process that watches over one call: makes the workspace, runs the agent, reads what it left, writes down how it ended.

Started by `calling` with its order on standard input, so that secrets are in no file. It goes on when the engine dies. Its
result is one file, written whole; a call that was claimed and has no result when nobody watches over it any more is lost.
"""

import fcntl
import json
import math
import os
import re
import shutil
import signal
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from secondshift.ledger import codec
from secondshift.records.agent_calls import CallEnding
from secondshift.records.events import VERSION, ChangeExamined, StudyOpened
from secondshift.records.examinations import Examination
from secondshift.runtime import changes, workspaces
from secondshift.runtime.agents import trees
from secondshift.runtime.agents.counting import counted
from secondshift.runtime.describing import described
from secondshift.runtime.executors.attempt_files import claim_once, tail, write_atomic
from secondshift.runtime.executors.processes import (
    PR_SET_CHILD_SUBREAPER,
    boot_id,
    descendants,
    prctl,
    signal_process,
    spawn,
    start_ticks,
)  # fmt: skip
from secondshift.runtime.measuring import end_all
from secondshift.runtime.repositories import ChangeUnusable, TryLater
from secondshift.runtime.sandbox import confining
from secondshift.runtime.sandbox.policies import Limits, Policy
from secondshift.runtime.workspaces import Change, ChangeRefused, Ground

LOOK_S = 0.02  # between two looks at the agent
WORDS = 300  # letters of its last output that are kept
QUESTION_BYTES = 2000
USAGE_BYTES = 16_384
USAGE_BYTES = 4096
MOST_TRIES = 3  # of what git is asked for around a call
BUSY, CLAIMED = 3, 4  # exit codes: another one is at work; one that was at work is gone
Got = TypeVar("Got")
ASKS = re.compile(r"(\?|\[y/n\]|\(y/n\)|\(yes/no\))[\s:>]*$", re.IGNORECASE)


@dataclass(kw_only=True, slots=True)
class Run:
    """How the agent's own process went."""

    code: int = 0  # negative: by a signal
    cause: CallEnding | str = ""  # why it was ended; empty: it ended by itself
    detail: str = ""
    elapsed_s: float = 0.0
    output_bytes: int = 0
    usd: float = 0.0  # that it reported to have cost
    told: dict[str, Any] = field(default_factory=dict)  # all of what it reported, as it stands there
    unenforced: tuple[str, ...] = field(default_factory=tuple)


def waited() -> int:
    """Wait for the order of a call and do it. Whoever started us and gives none, or died before it gave all of it, has none."""
    confining.means()  # found out once; others wait for us then
    spare = None
    try:
        coming = json.loads(sys.stdin.readline())
        spare = trees.ahead(_ground(coming), coming["on"]) if coming else None
        order = json.load(sys.stdin)
    except ValueError:
        order = {}
    try:
        return _begun(order, spare) if order else 0
    finally:
        if spare is not None:
            spare.left()


def _begun(order: dict[str, Any], spare: trees.Ahead | None) -> int:
    log = os.open(Path(order["home"]) / "running.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    for said in (1, 2):
        os.dup2(log, said)
    return main(order, spare)


def _ground(order: dict[str, Any]) -> Ground:
    opened = codec.decode("study.opened", VERSION, order["study"])
    assert isinstance(opened, StudyOpened), "calling wrote it"
    return Ground(private=Path(order["private"]), place=Path(order["place"]), study=opened.study)


def main(order: dict[str, Any], spare: trees.Ahead | None = None) -> int:  # Any: JSON as `calling` wrote it
    """Do one call. Returns an exit code: 0 done, 3 another one is at work, 4 one that was at work is gone."""
    home = Path(order["home"])
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return BUSY
    claim = {"pid": os.getpid(), "ticks": start_ticks(os.getpid()), "boot": boot_id(), "token": order["lease"]}
    if not claim_once(str(home), claim):
        return CLAIMED
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # what its processes leave behind becomes ours, and is ended
    began, ended = time.monotonic(), {}
    try:
        found = _called(order, home, ended, spare)
    except (ChangeUnusable, TryLater, OSError) as problem:
        found = {**ended, "ending": "unusable", "detail": str(problem)[:600]}
    except Exception as error:  # a fault of ours must not look like a killed call
        sys.excepthook(type(error), error, error.__traceback__)
        found = {**ended, "ending": "unusable", "detail": f"secondshift itself failed: {error!r}"[:600]}
    found["overhead_s"] = time.monotonic() - began - found.get("elapsed_s", 0.0)
    write_atomic(str(home / "result.json"), json.dumps(found).encode(), sync=True)
    trees.cleared(home)  # last: nobody has to wait for that
    return 0


def _called(order: dict[str, Any], home: Path, ended: dict[str, Any], spare: trees.Ahead | None) -> dict[str, Any]:
    """Do what is ordered; `ended` is told of the agent's own run once it is over, whatever follows."""
    ground = _ground(order)
    tree = insisted(lambda: trees.made(ground, order["on"], home, spare))
    for name in ("tmp", "out"):
        (home / name).mkdir(exist_ok=True)
    write_atomic(str(home / "brief.md"), order["brief"].encode())
    run = _ran(order, home, tree)
    ended |= {"elapsed_s": run.elapsed_s, "output_bytes": run.output_bytes, "usd": run.usd, "unenforced": run.unenforced}
    ended |= {"tokens": counted(run.told), "counted": _counting(order, run)}
    if run.cause:
        return {**ended, "ending": run.cause, "detail": run.detail}
    if order.get("counted") and run.told.get("ending"):  # our own program says what its files do not
        return {**ended, "ending": run.told["ending"], "detail": str(run.told.get("detail", ""))}
    left = insisted(lambda: trees.left(ground, tree))
    if left.spilled:
        return {**ended, "ending": "spammed", "detail": left.spilled}
    if left.refused:
        return {**ended, "ending": "refused", "detail": left.refused}
    if left.patch:
        digest = changes.keep(ground.private, left.patch)
        looked = _looked(ground, tree, left, digest, order["on"]) if order["look"] else ""
        return {**ended, "ending": "changed", "change": digest, "looked": looked}
    return {**ended, **_nothing(home, run)}


def _looked(ground: Ground, tree: trees.Tree, left: trees.Left, digest: str, on: str) -> str:
    """What the change makes of the study, found out here so that no tick of the engine has to; empty where it looks for itself."""
    try:
        base, commit = workspaces.made_on(ground, on), left.commit
        if base.commit != tree.commit:  # somebody worked on the study meanwhile
            base, commit = workspaces.examined(ground, Change(digest=digest, on=on), base)
        like = described(ground.private, ground.command_folder(), commit, "" if on else base.commit)
    except (ChangeRefused, ChangeUnusable, TryLater, OSError):
        return ""
    except Exception as error:  # a fault of ours in a look must not cost the call what it brought
        sys.excepthook(type(error), error, error.__traceback__)
        return ""
    return codec.encode(ChangeExamined(examination=Examination(code=digest, likeness=like)))[1]


def insisted(act: Callable[[], Got]) -> Got:
    """Ask again where git gave no answer: it was killed, say, which says nothing of the agent. Raises TryLater in the end."""
    for _ in range(MOST_TRIES - 1):
        try:
            return act()
        except TryLater:
            continue
    return act()


def _nothing(home: Path, run: Run) -> dict[str, Any]:
    """What to make of a call that changed nothing."""
    words = tail(str(home / "output.log"), WORDS)
    said = _written(home / "out" / "question.md", QUESTION_BYTES).decode("utf-8", "replace")
    question = "".join(letter for letter in said if letter >= " " or letter in "\n\t").strip()
    if question or (ASKS.search(words) and not run.code):
        return {"ending": "asked", "detail": question or words}
    if run.code:
        how = f"exit {run.code}" if run.code > 0 else f"exit by signal {-run.code}"
        return {"ending": "crashed", "detail": f"{how}: {words}".removesuffix(": ")}
    return {"ending": "no change", "detail": f"it ended and left every file as it was: {words}".removesuffix(": ")}


def policy_for(order: dict[str, Any], home: Path, tree: trees.Tree) -> Policy:
    """What the agent's process may see, write and reach."""
    path = order["env"].get("PATH", os.defpath)
    found = [shutil.which(name, path=path) for name in (order["command"][0], "python", "python3")]
    programs = list(filter(None, found))
    tools = [str(Path(os.path.realpath(program)).parent) for program in programs[:1]]
    tools += [os.path.dirname(place) if place.endswith("/shims") else place for place in path.split(os.pathsep) if place]
    readable = (
        *map(str, (*tree.objects, *tree.borrowed, home / "brief.md")), *tools, *confining.interpreters(*programs),
        *order["readable"],
    )  # fmt: skip
    return Policy(
        writable=(str(tree.top), str(home / "tmp"), str(home / "out"), *order["writable"]), readable=readable,
        hidden=(order["private"],), home=confining.home(), hosts=tuple(order["hosts"]),
        limits=Limits(memory_bytes=int(order["memory_mb"] * 1e6), file_bytes=1 << 30),
    )  # fmt: skip


def _ran(order: dict[str, Any], home: Path, tree: trees.Tree) -> Run:
    """Run the agent to its end, or end it; nothing that it started outlives this."""
    policy, token = policy_for(order, home, tree), order["token"]
    words = confining.confined(order["command"], policy)
    variables = {
        **order["env"], **confining.variables(policy), "TMPDIR": str(home / "tmp"), "SECONDSHIFT_TOKEN": token,
        "SECONDSHIFT_QUESTION": str(home / "out" / "question.md"), "SECONDSHIFT_USAGE": str(home / "out" / "usage.json"),
    }  # fmt: skip
    if order.get("counted"):
        variables["SECONDSHIFT_UNTIL"] = str(time.monotonic() + order["timeout_s"])  # it ends by itself before we end it
    log = home / "output.log"
    run = Run(unenforced=confining.missing(policy))
    began = time.monotonic()
    with open(log, "wb") as output:
        pid, problem = spawn(words, cwd=str(tree.cwd), variables=variables, output=output.fileno())
        _watch(pid, order, home, output.fileno(), run)
        run.code = _end(pid, token, order["grace_s"] if run.cause and not (home / "now").exists() else 0.0)
        run.told = _reported(home)
        run.usd = _usd(run.told)
        run.output_bytes = os.fstat(output.fileno()).st_size
        if run.output_bytes > order["output_cap_bytes"]:
            os.ftruncate(output.fileno(), order["output_cap_bytes"])
    run.elapsed_s = time.monotonic() - began
    if problem:
        run.cause, run.detail = "crashed", problem
    return run


def _watch(pid: int, order: dict[str, Any], home: Path, output: int, run: Run) -> None:
    """Wait until it ends by itself, or there is a reason to end it."""
    deadline, cap, most = time.monotonic() + order["timeout_s"], order["output_cap_bytes"], order["reserved_usd"]
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            run.cause, run.detail = "timed out", f"it took longer than {order['timeout_s']:g} s"
        elif os.fstat(output).st_size > cap:
            run.cause, run.detail = "spammed", f"it wrote more than {cap / 1e6:g} MB of output"
        elif (home / "cancel").exists():
            run.cause, run.detail = "cancelled", "the shift ended"
        elif not order.get("counted") and (usd := _usd(_reported(home))) > most > 0.0:  # ours ends by itself
            run.cause, run.detail = "over budget", f"it reports to have cost {usd:.4g} USD, and {most:.4g} were set aside"
        if run.cause:
            break
        time.sleep(LOOK_S)


def _counting(order: dict[str, Any], run: Run) -> str:
    """How far our own program counted: "whole", or "broken off" in the middle of a request. Empty: a command's word.

    Before it asks for the first time it writes that down; without that nothing was asked.
    """
    if not order.get("counted"):
        return ""
    asked = os.path.lexists(Path(order["home"]) / "out" / "usage.json")
    return "broken off" if asked and run.told.get("in_flight") is not False else "whole"


def _reported(home: Path) -> dict[str, Any]:
    """What the agent, or a script around it, says it has used so far."""
    try:
        told = json.loads(_written(home / "out" / "usage.json", USAGE_BYTES))
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _usd(told: dict[str, Any]) -> float:
    """What it says it has cost; it can only raise what is settled, where it is no program of ours."""
    try:
        usd = float(told["usd"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return 0.0
    return max(0.0, usd) if math.isfinite(usd) else 0.0


def _written(path: Path, most: int) -> bytes:
    """The beginning of a file that the agent wrote; empty where there is none.

    We may read what it may not, and wait where it makes us: a link is not followed, and a pipe is not read.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(file, most) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(file)


def _end(pid: int, token: str, grace_s: float) -> int:
    """End what is left of it: asked first, then by force; its group, its descendants, and all that carry its token."""
    deadline = time.monotonic() + grace_s
    if grace_s > 0.0:
        _signal_group(pid, signal.SIGTERM)
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and time.monotonic() < deadline:
            time.sleep(LOOK_S)
    family = descendants(os.getpid())
    _signal_group(pid, signal.SIGKILL)  # until it is reaped, the group's number is its own
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    for _ in range(50):
        for child, ticks in (family := {**family, **descendants(os.getpid())}).items():
            signal_process(child, ticks, signal.SIGKILL)
        _reap()
        if not (family := {child: ticks for child, ticks in descendants(os.getpid()).items() if start_ticks(child)}):
            break
        time.sleep(LOOK_S)
    end_all(token)
    _reap()
    return code


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except OSError:
        pass  # it never became a leader, or all of the group is gone


def _reap() -> None:
    """Take leave of what became ours."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    sys.exit(waited())
