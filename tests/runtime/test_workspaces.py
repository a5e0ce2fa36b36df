"""Trees of code candidates: the study as it is with the change on top, of their own, and with nothing to write elsewhere."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from repositories import TRAIN, git, patch_of, repository
from secondshift.records.orders import Order
from secondshift.records.studies import Objective, Sandbox, Study
from secondshift.runtime import changes, originals, workspaces
from secondshift.runtime.executors import confinement
from secondshift.runtime.executors.attempt_files import environment
from secondshift.runtime.executors.folders import write_order
from secondshift.runtime.executors.supervision import confined
from secondshift.runtime.originals import OtherCode
from secondshift.runtime.readers.collecting import collect_attempt
from secondshift.runtime.repositories import STORE, ChangeUnusable, TryLater
from secondshift.runtime.sandbox import training
from secondshift.runtime.sandbox.confining import Means, means
from secondshift.runtime.workspaces import BaseMoved, Change, ChangeRefused, Ground

STUDY = Study(
    name="s", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=3,
    evaluate=("python", "eval.py", "{artefact}"), read_only=("eval.py", "data/**"),
)  # fmt: skip
REFUSED = {"landlock": "13", "bubblewrap": "30"}  # the numbers of the errors: no permission, a file system to be read only


@pytest.fixture(params=["landlock", "bubblewrap"])
def kept_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What confines a candidate, each in turn."""
    kind = str(request.param)
    if kind == "landlock" and not confinement.available():
        pytest.skip("this kernel cannot confine a process")
    if kind == "bubblewrap" and not means().bwrap:
        pytest.skip(f"no sandbox can be made here: {means().why_not}")
    if kind == "landlock":
        monkeypatch.setattr(training, "means", lambda: Means(landlock=True))
    return kind


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    place = repository(tmp_path / "study", {"data/kept.csv": "1\n", "lib.py": "name = 'study'\n", ".gitignore": "big.bin\n"})
    return Ground(private=place / ".secondshift", place=place, study=STUDY)


def order(ground: Ground, *command: str, trial: str = "t1", **env: str) -> Order:
    folder = ground.private / "attempts" / f"{trial}.a1"
    for path in (*(folder / part for part in ("tmp", "out", "points")), ground.private / "trials" / trial):
        path.mkdir(parents=True, exist_ok=True)
    return Order(
        attempt=f"{trial}.a1", trial=trial, number=1, token=1, command=command or (sys.executable, "train.py"),
        cwd=str(ground.command_folder()), folder=str(folder), checkpoints=str(ground.private / "trials" / trial), env=env,
    )  # fmt: skip


def changed(ground: Ground, files: dict[str, str | None]) -> Change:
    return Change(digest=changes.store(ground.private, ground.place, patch=patch_of(ground.place, files)))


def run(placed: Order) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        confined(asdict(placed)), cwd=placed.cwd, env={**os.environ, **placed.env}, capture_output=True, text=True, check=False
    )


def test_a_candidate_runs_its_own_code_and_the_study_stays_as_it_is(ground: Ground) -> None:
    placed = workspaces.placed(ground, order(ground), "c2", changed(ground, {"train.py": TRAIN.replace("= 1", "= 0.5")}))
    assert "loss=0.5" in run(placed).stdout
    assert (ground.place / "train.py").read_text() == TRAIN
    assert git(ground.place, "worktree", "list").count("\n") == 1, "nothing was registered in the study's repository"
    assert workspaces.standing(ground.private) == ["t1"]
    again = workspaces.placed(ground, order(ground), "c2", changed(ground, {"train.py": TRAIN.replace("= 1", "= 0.5")}))
    assert again == placed


def test_a_log_that_grows_beside_the_code_does_not_begin_a_candidate_anew(ground: Ground) -> None:
    (ground.place / "night.log").write_text("begun\n")
    change = changed(ground, {"train.py": TRAIN.replace("= 1", "= 0.5")})
    workspaces.placed(ground, order(ground), "c2", change)
    (ground.place / "night.log").write_text("begun\nand on\n")
    (ground.place / "result.csv").write_text("1\n")
    _, commit = workspaces.settled(ground, "c2", change)
    assert commit == workspaces.settled(ground, "c2", change)[1]
    (ground.place / "fresh.py").write_text("x = 1\n")
    with pytest.raises(BaseMoved, match=r"\(fresh\.py\)"):
        workspaces.settled(ground, "c2", change)


def test_what_is_not_committed_is_part_of_a_candidate_and_an_edit_since_begins_it_anew(ground: Ground) -> None:
    (ground.place / "lib.py").write_text("name = 'dirty'\n")
    (ground.place / "fresh.py").write_text("x = 1\n")
    change = changed(ground, {"train.py": "import fresh, lib\nprint(lib.name)\n"})
    assert run(workspaces.placed(ground, order(ground), "c2", change)).stdout == "dirty\n"
    (ground.place / "lib.py").write_text("name = 'edited later'\n")
    with pytest.raises(BaseMoved, match=r"lib\.py"):
        workspaces.placed(ground, order(ground, trial="t2"), "c2", change)
    assert run(workspaces.placed(ground, order(ground, trial="t3"), "c3", change)).stdout == "edited later\n"


def test_a_tree_that_was_left_half_made_is_made_anew(ground: Ground) -> None:
    change = changed(ground, {"train.py": "print(open('lib.py').read())\n"})
    half = ground.private / "worktrees" / "t1"
    half.mkdir(parents=True)
    (half / "lib.py").write_text("half")
    assert "name = 'study'" in run(workspaces.placed(ground, order(ground), "c2", change)).stdout
    workspaces.clear(ground.private, ["t1"])
    assert workspaces.standing(ground.private) == []
    assert "name = 'study'" in run(workspaces.placed(ground, order(ground), "c2", change)).stdout


def test_a_tree_is_made_anew_where_git_was_killed_while_it_made_it(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    change = changed(ground, {"train.py": "print(open('lib.py').read())\n"})
    workspaces.placed(ground, order(ground), "c2", change)
    known = ground.private / STORE / "worktrees"
    for _ in range(2):  # with what git left taken away, and without
        (known / "t1" / "locked").write_text("initializing")
        (ground.private / "worktrees" / "t1.ready").unlink()
        assert "name = 'study'" in run(workspaces.placed(ground, order(ground), "c2", change)).stdout
        assert [entry.name for entry in known.iterdir()] == ["t1"]
        monkeypatch.setattr(workspaces, "clear", lambda private, trials: shutil.rmtree(ground.private / "worktrees/t1"))
    monkeypatch.undo()
    (known / "t1" / "locked").write_text("initializing")
    workspaces.clear(ground.private, ["t1"])
    assert not (known / "t1").exists()


def test_a_python_that_starts_too_slowly_says_nothing_of_a_candidate(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    change = changed(ground, {"train.py": "import lib\n"})
    monkeypatch.setattr(originals, "TIMEOUT_S", 0.0)
    with pytest.raises(TryLater, match="took more than 0 s"):
        workspaces.placed(ground, order(ground), "c2", change)


def test_protected_files_that_git_does_not_keep_are_there_to_be_read(ground: Ground) -> None:
    (ground.place / ".gitignore").write_text("data/big.csv\n")
    (ground.place / "data" / "big.csv").write_text("2\n")
    change = changed(ground, {"train.py": "print(open('data/kept.csv').read(), open('data/big.csv').read())\n"})
    placed = workspaces.placed(ground, order(ground), "c2", change)
    assert run(placed).stdout == "1\n 2\n\n"


@pytest.mark.parametrize("target", ["data/kept.csv", "train.py", ".secondshift/attempts/t9.a1/out", ".secondshift/ledger.db"])
def test_a_candidate_cannot_write_outside_of_what_is_its_own(ground: Ground, target: str, kept_by: str) -> None:
    (ground.private / "attempts/t9.a1").mkdir(parents=True)
    goal = ground.place / target
    before = goal.read_bytes() if goal.exists() else None
    script = f"import os\ntry:\n    open({str(goal)!r}, 'a').write('x')\nexcept OSError as e:\n    print(e.errno)\n"
    done = run(workspaces.placed(ground, order(ground), "c2", changed(ground, {"train.py": script})))
    assert done.stdout == ("2\n" if kept_by == "bubblewrap" and "t9" in target else f"{REFUSED[kept_by]}\n")
    assert (goal.read_bytes() if goal.exists() else None) == before


def test_a_candidate_cannot_read_what_other_trials_left_and_reads_the_study(ground: Ground, kept_by: str) -> None:
    other = ground.private / "attempts/t9.a1/out"
    other.mkdir(parents=True)
    (other / "model").write_text("better")
    (ground.private / "ledger.db").write_text("facts")
    (ground.place.parent / "shared.csv").write_text("data")
    ground = replace(ground, study=replace(STUDY, sandbox=Sandbox(read=(str(ground.place.parent / "shared.csv"),))))
    tries = [other / "model", ground.private / "ledger.db", ground.place / "lib.py", ground.place.parent / "shared.csv", "lib.py"]
    script = f"for path in {[str(t) for t in tries]!r}:\n    try:\n        print(len(open(path).read()))\n"
    script += "    except OSError as e:\n        print(-e.errno)\nimport subprocess\n"
    script += "print(subprocess.run(['git', 'log', '-1', '--format=%s'], capture_output=True, text=True).stdout)\n"
    done = run(workspaces.placed(ground, order(ground), "c2", changed(ground, {"train.py": script})))
    refused = {"landlock": "-13", "bubblewrap": "-2"}[kept_by]
    assert done.stdout.split() == [refused, refused, "15", "4", "15", "a", "candidate"]


def test_a_candidate_may_write_into_its_own_tree_outputs_and_temporary_files(ground: Ground, kept_by: str) -> None:
    script = "import os, tempfile\nopen('log.txt', 'w').write('x')\nopen(os.devnull, 'w').write('x')\n"
    script += "open(os.path.join(os.environ['OUT'], 'm'), 'w').write('x')\ntempfile.NamedTemporaryFile(dir=os.environ['OUT'])\n"
    made = order(ground, OUT=str(ground.private / "attempts/t1.a1/tmp"))
    done = run(workspaces.placed(ground, made, "c2", changed(ground, {"train.py": script + "print('ok')\n"})))
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_a_candidate_puts_nothing_in_the_place_of_what_its_supervisor_keeps(ground: Ground, kept_by: str) -> None:
    """The supervisor, outside of the sandbox, would read or write where a link there leads, and obey a request."""
    made, secret, here = order(ground), ground.place.parent / "secret", ["output.log", "exit.reserve", "child.json"]
    secret.write_text("key")
    for name in here:
        Path(made.folder, name).write_text("as it was")
    script = f"""import os
folder, secret = {made.folder!r}, {str(secret)!r}
tries = [lambda path: os.unlink(path), lambda path: os.symlink(secret, path), lambda path: os.link('lib.py', path),
         lambda path: os.rename('train.py', path), lambda path: open(path, 'a').write('x'), lambda path: os.mkfifo(path),
         lambda path: os.rename(folder, folder + 'x')]
for name in {[*here, "exit.json", "control.json", "stopping"]!r}:
    for number, one in enumerate(tries):
        try:
            one(os.path.join(folder, name))
            print(name, number)
        except OSError:
            pass
print('tried')
"""
    done = run(workspaces.placed(ground, made, "c2", changed(ground, {"train.py": script})))
    assert (done.stdout, done.stderr) == ("tried\n", "")
    left = {path.name: path.read_text() for path in Path(made.folder).iterdir() if path.is_file()}
    assert left == dict.fromkeys(here, "as it was")


def test_what_a_confined_script_logs_through_the_sdk_is_read(ground: Ground, kept_by: str) -> None:
    made = order(ground)
    script = "import secondshift\nrun = secondshift.init()\nrun.log(0, loss=0.5)\nrun.close()\n"
    placed = workspaces.placed(ground, made, "c2", changed(ground, {"train.py": script}))
    write_order(placed)
    variables = environment(asdict(placed), "token")
    done = subprocess.run(confined(asdict(placed)), cwd=placed.cwd, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (chunk,) = collect_attempt(made.folder, {}, trial="t1", attempt="t1.a1")
    assert chunk.fragment.startswith("points/") and {b.metric: list(b.values) for b in chunk.batches}["loss"] == [0.5]
    assert collect_attempt(made.folder, {chunk.fragment: chunk.end}, trial="t1", attempt="t1.a1") == []
    own = Path(made.folder, chunk.fragment)
    own.rename(own.with_name("other"))
    own.symlink_to("other")
    assert collect_attempt(made.folder, {}, trial="t1", attempt="t1.a1") == [], "a link may lead to the points of another trial"


@pytest.mark.skipif(confinement.version() < confinement.SIGNALS, reason="this kernel does not keep signals inside")
def test_a_candidate_cannot_signal_what_is_not_its_own(ground: Ground, kept_by: str) -> None:
    sleeper = subprocess.Popen(["sleep", "30"])
    try:
        script = f"import os\ntry:\n    os.kill({sleeper.pid}, 9)\nexcept OSError as e:\n    print(e.errno)\n"
        done = run(workspaces.placed(ground, order(ground), "c2", changed(ground, {"train.py": script})))
        assert done.stdout == {"landlock": "1\n", "bubblewrap": "3\n"}[kept_by] and sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_change_of_what_is_protected_is_refused_with_its_hunk(ground: Ground) -> None:
    with pytest.raises(ChangeRefused, match=r"changes eval\.py, which is protected") as caught:
        workspaces.examined(ground, changed(ground, {"train.py": "x = 1\n", "eval.py": "print('loss=0')\n"}))
    assert "+print('loss=0')" in str(caught.value) and "x = 1" not in str(caught.value)


def test_attributes_that_would_alter_protected_files_in_the_tree_are_refused_and_others_are_not(ground: Ground) -> None:
    with pytest.raises(ChangeRefused, match=r"data/kept\.csv"):
        workspaces.placed(ground, order(ground), "c2", changed(ground, {".gitattributes": "*.csv text eol=crlf\n"}))
    honest = changed(ground, {".gitattributes": "*.md text eol=crlf\n"})
    assert workspaces.placed(ground, order(ground, trial="t2"), "c3", honest).trial == "t2"


def test_modules_come_from_the_tree_and_not_from_an_editable_install(ground: Ground, tmp_path: Path) -> None:
    (ground.place / "src/pkg").mkdir(parents=True)
    (ground.place / "src/pkg/__init__.py").write_text("name = 'study'\n")
    (ground.place / "train.py").write_text("import pkg\nprint(pkg.name)\n")
    git(ground.place, "add", "-A")
    git(ground.place, "commit", "-qm", "a package")
    installed = tmp_path / "site"
    installed.mkdir()
    (installed / "sitecustomize.py").write_text(f"import sys\nsys.path.append({str(ground.place / 'src')!r})\n")
    change = changed(ground, {"src/pkg/__init__.py": "name = 'candidate'\n"})
    placed = workspaces.placed(ground, order(ground, PYTHONPATH=str(installed)), "c2", change)
    assert run(placed).stdout == "candidate\n"
    (installed / "sitecustomize.py").write_text(f"import sys\nsys.path.insert(0, {str(ground.place / 'src')!r})\n")
    with pytest.raises(OtherCode, match="import pkg") as caught:
        workspaces.placed(ground, order(ground, trial="t2", PYTHONPATH=str(installed)), "c2", change)
    assert str(ground.place / "src/pkg/__init__.py") in str(caught.value) and "worktrees/t2" in str(caught.value)


def test_paths_of_the_study_in_a_command_become_those_of_the_tree(ground: Ground) -> None:
    change = changed(ground, {"train.py": "import sys\nprint(sys.argv[1:])\n"})
    absolute = (sys.executable, str(ground.place / "train.py"), f"--cfg={ground.place}/lib.py", f"--out={ground.private}/x")
    placed = workspaces.placed(ground, order(ground, *absolute), "c2", change)
    tree = ground.private / "worktrees/t1"
    assert placed.command[1:] == (str(tree / "train.py"), f"--cfg={tree}/lib.py", f"--out={ground.private}/x")


def test_a_candidate_on_a_code_baseline_has_both_changes(ground: Ground) -> None:
    one = changed(ground, {"train.py": "import lib\nprint(lib.name, 1)\n"})
    workspaces.placed(ground, order(ground), "c2", one)
    two = Change(digest=changed(ground, {"lib.py": "name = 'both'\n"}).digest, on="c2")
    assert run(workspaces.placed(ground, order(ground, trial="t2"), "c3", two)).stdout == "both 1\n"
    with pytest.raises(ChangeUnusable, match="not there any more"):
        workspaces.placed(ground, order(ground, trial="t4"), "c5", Change(digest=two.digest, on="c9"))


@pytest.mark.skipif(not means().bwrap, reason=f"no sandbox can be made here: {means().why_not}")
def test_a_candidate_reaches_no_network_and_no_home_folder_unless_the_study_says_so(ground: Ground) -> None:
    script = "import os, socket\nprint([name for _, name in socket.if_nameindex()], os.listdir(os.path.expanduser('~')))\n"
    change = changed(ground, {"train.py": script})
    assert run(workspaces.placed(ground, order(ground), "c2", change)).stdout.startswith("['lo'] ")
    home = set(os.listdir(os.path.expanduser("~")))
    inside = run(workspaces.placed(ground, order(ground), "c2", change)).stdout
    assert len([name for name in home if f"'{name}'" in inside]) < len(home), "only what Python itself needs is there"
    free = replace(ground, study=replace(STUDY, sandbox=Sandbox(network=True)))
    outside = str([name for _, name in socket.if_nameindex()])
    assert run(workspaces.placed(free, order(ground), "c2", change)).stdout.startswith(outside)


def test_what_is_installed_in_place_is_read_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "other").mkdir()
    packages = tmp_path / "env" / "lib" / "python3.12" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "a.pth").write_text(f"import nothing\n{tmp_path}/lib\n{tmp_path}/gone\n")
    (packages / "__editable___b_finder.py").write_text(f"MAPPING = {{'b': '{tmp_path}/other'}}\n")
    assert training.editable([str(tmp_path / "env")]) == [f"{tmp_path}/lib", f"{tmp_path}/other"]
