"""Files that are laid out before their call comes: the call finds what it would have made itself, whatever happened meanwhile."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repositories import TRAIN, git, repository
from secondshift.records.studies import Objective, Study
from secondshift.runtime.agents import trees
from secondshift.runtime.agents.trees import AHEAD
from secondshift.runtime.workspaces import Ground

MANY = {f"package/module{number}.py": f"value = {number}\n" for number in range(40)}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    place = repository(tmp_path / "study", {"train.py": TRAIN, "notes.txt": "one\ntwo\n", ".gitignore": ".secondshift\n", **MANY})
    study = Study(name="s", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=30)
    return Ground(private=place / ".secondshift", place=place, study=study)


def home(ground: Ground, name: str) -> Path:
    (folder := ground.private / "agents" / name).mkdir(parents=True)
    return folder


def files(top: Path) -> dict[str, tuple[int, bytes]]:
    every = (path for path in top.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {str(path.relative_to(top)): (path.stat().st_mode, path.read_bytes()) for path in every}


def nothing(place: Path) -> None: ...


def edited(place: Path) -> None:
    (place / "train.py").write_text(TRAIN.replace("= 1", "= 2"))  # as long as before
    (place / "package/module3.py").unlink()
    (place / "fresh.py").write_text("x = 1\n")
    os.chmod(place / "package/module4.py", 0o755)


def moved_on(place: Path) -> None:
    edited(place)
    git(place, "add", "-A")
    git(place, "commit", "-qm", "later")


def other_line_ends(place: Path) -> None:
    (place / ".gitattributes").write_text("*.txt eol=crlf\n")


@pytest.mark.parametrize("meanwhile", [nothing, edited, moved_on, other_line_ends])
def test_a_call_finds_what_it_would_have_made_itself(ground: Ground, meanwhile: Callable[[Path], None]) -> None:
    spare = trees.ahead(ground, "")
    assert spare is not None
    meanwhile(ground.place)
    taken = trees.made(ground, "", home(ground, "call-1"), spare)
    own = trees.made(ground, "", home(ground, "call-2"))
    assert files(taken.top) == files(own.top) and (taken.commit, taken.before) == (own.commit, own.before)
    assert trees.left(ground, taken) == trees.Left(), "all of it is known to its index"
    assert git(taken.top, "status", "--porcelain") == ""
    (taken.top / "notes.txt").write_text("three\n")
    assert b"+three" in trees.left(ground, taken).patch


def test_files_that_are_laid_out_already_are_not_written_again(ground: Ground) -> None:
    spare = trees.ahead(ground, "")
    assert spare is not None
    before = {path.name: path.stat().st_ino for path in (spare.folder / "tree" / "package").iterdir()}
    tree = trees.made(ground, "", home(ground, "call-1"), spare)
    assert {path.name: path.stat().st_ino for path in (tree.top / "package").iterdir()} == before and len(before) == len(MANY)


def test_a_second_try_of_the_same_call_makes_its_own(ground: Ground) -> None:
    spare, place = trees.ahead(ground, ""), home(ground, "call-1")
    first = files(trees.made(ground, "", place, spare).top)
    assert files(trees.made(ground, "", place, spare).top) == first


def test_an_edit_in_the_second_in_which_it_was_laid_out_is_seen(ground: Ground) -> None:
    time.sleep(1.0 - time.time() % 1.0)  # git keeps whole seconds
    tree = trees.made(ground, "", home(ground, "call-1"), trees.ahead(ground, ""))
    (tree.top / "train.py").write_text(TRAIN.replace("= 1", "= 2"))
    time.sleep(1.0 - time.time() % 1.0)
    assert trees.left(ground, tree).patch


def test_one_process_at_a_time_holds_the_place_and_leaves_it_empty(ground: Ground) -> None:
    spare = trees.ahead(ground, "")
    assert spare is not None and trees.ahead(ground, "") is None and (spare.folder / "tree/train.py").exists()
    spare.left()
    assert list(spare.folder.iterdir()) == []
    again = trees.ahead(ground, "")
    assert again is not None
    trees.made(ground, "", home(ground, "call-1"), again)
    assert list(spare.folder.iterdir()) == [], "it was given away"
    third = trees.ahead(ground, "")
    assert third is not None
    third.left()


def test_what_a_killed_process_left_there_is_no_part_of_the_next(ground: Ground) -> None:
    left = ground.private / "agents" / AHEAD
    for name in ("tree/stray.py", "index", "index.lock"):
        (left / name).parent.mkdir(parents=True, exist_ok=True)
        (left / name).write_text("half")
    spare = trees.ahead(ground, "")
    assert spare is not None and "stray.py" not in files(spare.folder / "tree")
    spare.left()


def test_where_there_is_no_such_code_nothing_is_laid_out_and_nothing_kept(ground: Ground) -> None:
    assert trees.ahead(ground, "c9") is None
    assert list((ground.private / "agents" / AHEAD).iterdir()) == []
    spare = trees.ahead(ground, "")
    assert spare is not None, "the place is free"
    spare.left()
