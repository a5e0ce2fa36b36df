"""What nothing needs any more: found by what the ledger says is over, and nothing else of the study's folder."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from repositories import TRAIN, git, patch_of, repository
from secondshift.records.agent_calls import AgentCall
from secondshift.records.orders import Order
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Attempt, Trial
from secondshift.runtime import changes, remnants, repositories, workspaces
from secondshift.runtime.agents.trees import AHEAD
from secondshift.runtime.repositories import STORE
from secondshift.runtime.tokens import token_of
from secondshift.runtime.workspaces import Change, Ground

STUDY = Study(
    name="s", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=3,
    evaluate=("python", "eval.py", "{artefact}"), read_only=("eval.py",),
)  # fmt: skip
LATER_S = remnants.QUIET_S + 1.0


def state(**over: object) -> State:
    """t1 and call-1 are over; t2 with its attempt, and call-2, go on."""
    trials = {
        "t1": Trial(id="t1", candidate="c1", seed=0, status="complete", attempts=1),
        "t2": Trial(id="t2", candidate="c1", seed=0, status="running", attempts=2),
    }
    calls = {"call-1": AgentCall(id="call-1", ending="lost"), "call-2": AgentCall(id="call-2")}
    found = State(
        study=STUDY, trials=trials, open={"t2": True}, calls=calls, calling={"call-2": True},
        attempts={"t2.a2": Attempt(id="t2.a2", trial="t2", number=2)},
    )  # fmt: skip
    return replace(found, **over)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A study in which two candidates have trees, and two calls workspaces."""
    place = repository(tmp_path / "study")
    private = place / ".secondshift"
    ground = Ground(private=private, place=place, study=STUDY)
    digest = changes.store(private, place, patch=patch_of(place, {"train.py": TRAIN.replace("= 1", "= 0.5")}))
    for trial in ("t1", "t2"):
        order = Order(
            attempt=f"{trial}.a1", trial=trial, number=1, token=1, command=("python", "train.py"), cwd=str(place),
            folder=str(private / "attempts" / f"{trial}.a1"), checkpoints=str(private / "trials" / trial),
        )  # fmt: skip
        workspaces.placed(ground, order, "c1", Change(digest=digest))
    for call in ("call-1", "call-2"):
        for name, text in {"tree/train.py": TRAIN, "tree/.git/HEAD": "x", "tmp/a": "b", "index.lock": "", "brief.md": "do",
                           "output.log": "said", "claim.json": "{}", f"result.json.{os.getpid()}.tmp": "{"}.items():  # fmt: skip
            put(private / "agents" / call / name, text)
    return ground


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def files(folder: Path) -> dict[str, str]:
    every = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in every}


def cleaned(ground: Ground, state: State, *, caches: bool = False) -> set[str]:
    """Delete what may go, in a minute from now; what went."""
    before = set(files(ground.private))
    for remnant in remnants.found(ground.private, state, now_s=time.time() + LATER_S, caches=caches).remnants:
        assert remnants.delete(remnant) == ""
    return before - set(files(ground.private))


def test_what_is_over_goes_and_what_goes_on_or_is_evidence_stays(ground: Ground) -> None:
    private = ground.private
    gone = cleaned(ground, state())
    assert {name.split("/")[1] for name in gone if name.startswith("agents/")} == {"call-1"}
    kept = {path.name for path in (private / "agents/call-1").iterdir()}
    assert kept == {"brief.md", "output.log", "claim.json"}
    assert workspaces.standing(private) == ["t2"] and (private / "worktrees/t2.ready").exists()
    assert not (private / "worktrees/t1.ready").exists()
    assert [path.name for path in (private / STORE / "worktrees").iterdir()] == ["t2"]
    assert changes.read(private, next((private / "changes").iterdir()).stem), "a change is kept"
    assert repositories.named(private, "c1"), "so is the commit of a candidate"
    assert git(private / "worktrees/t2", "status", "--porcelain") == ""


def test_the_files_and_the_repository_of_the_study_stay_as_they_are(ground: Ground) -> None:
    before = {name: digest for name, digest in files(ground.place).items() if not name.startswith(".secondshift")}
    cleaned(ground, state(calling={}), caches=True)
    after = {name: digest for name, digest in files(ground.place).items() if not name.startswith(".secondshift")}
    assert after == before


def test_files_that_were_laid_out_for_a_call_that_never_came_go(ground: Ground) -> None:
    assert remnants.AHEAD == AHEAD
    for name in ("tree/train.py", "index"):
        put(ground.private / "agents" / AHEAD / name)
    assert {f"agents/{AHEAD}/tree/train.py", f"agents/{AHEAD}/index"} <= cleaned(ground, state())


def test_a_second_time_there_is_nothing_left_and_one_killed_half_way_is_mended_by_it(ground: Ground) -> None:
    found = remnants.found(ground.private, state(), now_s=time.time() + LATER_S).remnants
    for remnant in found[: len(found) // 2]:
        remnants.delete(remnant)
    assert cleaned(ground, state()) and cleaned(ground, state()) == set()
    assert remnants.found(ground.private, state(), now_s=time.time() + LATER_S).remnants == ()
    assert all(remnants.delete(remnant) == "" for remnant in found if remnant.kind != "objects"), "what is gone is no trouble"


def test_only_scratch_of_attempts_that_are_over_goes_and_outputs_and_checkpoints_stay(ground: Ground) -> None:
    private = ground.private
    for attempt in ("t1.a1", "t2.a1", "t2.a2", "t9.a1"):
        for name in ("tmp/cache", "out/model", "output.log"):
            put(private / "attempts" / attempt / name)
    for trial in ("t1", "t2"):
        for name in ("step-3/model", ".writing-9/model"):
            put(private / "trials" / trial / "checkpoints" / name)
    for name in ("checks/abc/tree/train.py", "evaluations/t1/artefact/model", "evaluations/t1/output.log", "gates/g1/tmp/x"):
        put(private / name)
    gone = {name for name in cleaned(ground, state()) if not name.startswith(("agents", "worktrees", STORE))}
    assert gone == {
        "attempts/t1.a1/tmp/cache", "attempts/t2.a1/tmp/cache", "trials/t1/checkpoints/.writing-9/model",
        "checks/abc/tree/train.py", "evaluations/t1/artefact/model",
    }  # fmt: skip


def test_a_draft_goes_once_nobody_touched_it_for_a_minute(ground: Ground) -> None:
    private = ground.private
    drafts = [put(private / name) for name in (
        f"fence.{os.getpid()}.tmp", "canary-x.patch", "spool/tmp/r1.aa", f"changes/ab.patch.{os.getpid()}.tmp",
        f"{STORE}/index-abc/index", f"{STORE}/refs/candidates/c9.lock", f"{STORE}/objects/ab/tmp_obj_x",
    )]  # fmt: skip
    kept = [put(private / name) for name in ("spool/r2.json", "spool/refused/r3.json", "trials/t1/checkpoints/step-1/w.12.tmp")]
    young = remnants.found(private, state(), now_s=time.time())
    assert young.young == len(drafts) + 1 and all(remnant.kind != "draft" for remnant in young.remnants)
    cleaned(ground, state())
    assert not any(path.exists() for path in drafts) and all(path.exists() for path in kept)


def test_commits_that_nothing_leads_to_go_after_an_hour_but_not_while_a_call_goes_on(ground: Ground) -> None:
    store = ground.private / STORE
    blob = repositories.git("hash-object", "-w", "--stdin", folder=store, data=b"nobody refers to it").decode().strip()
    loose = store / "objects" / blob[:2] / blob[2:]
    cleaned(ground, state(calling={}))
    assert loose.exists(), "it may be of somebody who is bringing a change"
    old = time.time() - 7200.0
    os.utime(loose, (old, old))
    cleaned(ground, state())
    assert loose.exists(), "the workspace of a call borrows from here, which git cannot know"
    cleaned(ground, state(calling={}))
    assert not loose.exists() and repositories.tree_of(ground.private, repositories.named(ground.private, "c1"))


def test_caches_go_only_when_asked(ground: Ground) -> None:
    cache = put(ground.private / "cache/state.bin")
    cleaned(ground, state())
    assert cache.exists()
    assert cleaned(ground, state(), caches=True) == {"cache/state.bin"}


def test_a_link_in_the_place_of_a_folder_is_not_followed(ground: Ground, tmp_path: Path) -> None:
    mine = put(tmp_path / "mine/tree/notes.txt")
    (ground.private / "agents/call-1/out").symlink_to(mine.parent)
    (ground.private / "checks").symlink_to(mine.parent.parent)
    cleaned(ground, state())
    assert mine.read_text() == "x" and not os.path.lexists(ground.private / "agents/call-1/out")


@pytest.fixture
def left_behind(ground: Ground) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that a call which is over left running."""
    home = ground.private / "agents/call-1"
    code = f"import pathlib, time\nwhile True: pathlib.Path({str(home / 'tree/alive')!r}).touch(); time.sleep(0.01)"
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "SECONDSHIFT_TOKEN": token_of("agent", home)})
    yield process
    process.kill()
    process.wait(10)


def test_what_still_works_in_a_workspace_of_a_call_that_is_over_is_ended_first(
    ground: Ground, left_behind: "subprocess.Popen[bytes]"
) -> None:
    deadline = time.monotonic() + 10.0
    while not (ground.private / "agents/call-1/tree/alive").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    cleaned(ground, state())
    assert left_behind.wait(10) == -9 and not (ground.private / "agents/call-1/tree").exists()


def test_a_folder_that_is_closed_to_everybody_goes_too(ground: Ground) -> None:
    closed = ground.private / "agents/call-1/tree/closed"
    put(closed / "deep/file")
    (closed / "deep").chmod(0)
    closed.chmod(0)
    cleaned(ground, state())
    assert not (ground.private / "agents/call-1/tree").exists()
