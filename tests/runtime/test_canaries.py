"""The changes of canaries: each applies to the study as it is, and does what it is for."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from repositories import TRAIN, repository
from secondshift.records import events as facts
from secondshift.records.agent_calls import AgentCall
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.studies import Objective, Study
from secondshift.records.trials import Candidate, Trial
from secondshift.runtime import canaries, changes, trying, workspaces
from secondshift.runtime.agents.telling import told
from secondshift.runtime.repositories import ChangeUnusable
from secondshift.runtime.workspaces import Change, ChangeRefused, Ground

STUDY = Study(
    name="s", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=3,
    evaluate=("python", "eval.py", "{artefact}"), read_only=("eval.py", "data/**"),
)  # fmt: skip


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    place = repository(tmp_path / "study", {"data/kept.csv": "1\n"})
    (place / ".secondshift").mkdir(exist_ok=True)
    return Ground(private=place / ".secondshift", place=place, study=STUDY)


def patch(ground: Ground, kind: str, study: Study = STUDY) -> tuple[str, str]:
    digest = canaries.change_of(kind, study, ground.place, ground.private)  # type: ignore[arg-type]  # one of the kinds
    return digest, changes.read(ground.private, digest).decode()


def test_a_no_op_adds_a_file_that_nothing_reads(ground: Ground) -> None:
    digest, text = patch(ground, "no-op")
    assert text.count("diff --git") == 1 and "+nothing reads this" in text
    workspaces.examined(ground, Change(digest=digest))
    assert not (ground.place / canaries.NOTE).exists() and (ground.place / "train.py").read_text() == TRAIN


def test_constant_output_says_the_metric_and_leaves_nothing(ground: Ground, tmp_path: Path) -> None:
    digest, text = patch(ground, "constant")
    workspaces.examined(ground, Change(digest=digest))
    code = "\n".join(line[1:] for line in text.splitlines() if line.startswith("+") and not line.startswith("+++"))
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "SECONDSHIFT_OUT": str(tmp_path)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "step=2 loss=-1000000000.0" in done.stdout
    assert (tmp_path / "model").read_bytes() == b""


def test_an_edit_of_what_measures_is_refused_before_anything_runs(ground: Ground) -> None:
    digest, text = patch(ground, "metric")
    assert '+print("loss=-1000000000.0")' in text
    with pytest.raises(ChangeRefused, match=r"eval\.py"):
        workspaces.examined(ground, Change(digest=digest))


def test_what_cannot_be_made_is_over(ground: Ground) -> None:
    study = Study(**{**{f: getattr(STUDY, f) for f in STUDY.__dataclass_fields__}, "command": "trainer run"})
    with pytest.raises(ChangeUnusable, match="No file of the repository"):
        patch(ground, "constant", study)
    flying = State(study=study, ideas={"e1": Idea(id="e1", text="c", author="canary", canary="constant")})
    made = trying.newcomers(flying, ground.private, ground.place, set(), {})
    assert [one.idea.state for one in made] == ["undecided"]  # type: ignore[union-attr]  # an amended idea


def test_a_canary_gets_its_change_and_is_looked_at_at_once(ground: Ground) -> None:
    flying = State(study=STUDY, ideas={"e1": Idea(id="e1", text="m", author="canary", canary="metric")})
    given, refused = trying.newcomers(flying, ground.private, ground.place, set(), {})
    assert given.idea.change and given.idea.state == "open"  # type: ignore[union-attr]  # an amended idea
    assert refused.idea.state == "refused", "at the same call: it cannot become a candidate meanwhile"  # type: ignore[union-attr]


def test_canaries_are_made_one_at_a_call_so_that_no_tick_waits_for_all_of_them(ground: Ground) -> None:
    ideas = {f"e{n}": Idea(id=f"e{n}", text="m", author="canary", canary=kind) for n, kind in enumerate(("no-op", "metric"))}
    made = trying.newcomers(State(study=STUDY, ideas=ideas), ground.private, ground.place, set(), {})
    assert {fact.idea.id for fact in made if isinstance(fact, facts.IdeaAmended)} == {"e0"}
    ideas["e0"] = next(fact.idea for fact in made if isinstance(fact, facts.IdeaAmended))
    later = trying.newcomers(State(study=STUDY, ideas=ideas), ground.private, ground.place, set(), {})
    assert "e1" in {fact.idea.id for fact in later if isinstance(fact, facts.IdeaAmended)}


def test_what_a_canary_printed_is_quoted_to_no_agent(ground: Ground) -> None:
    ideas = {"e1": Idea(id="e1", text="wider", author="kim"), "e2": Idea(id="e2", text="c", author="canary", canary="constant")}
    over = Trial(id="", candidate="", seed=0, status="complete", attempts=1)
    trials = {f"t{n}": replace(over, id=f"t{n}", candidate=f"c{n}") for n in (1, 2)}
    for name in trials:
        (ground.private / "attempts" / f"{name}.a1").mkdir(parents=True)
        (ground.private / "attempts" / f"{name}.a1" / "output.log").write_text(f"words of {name}\n")
    candidates = {"c1": Candidate(id="c1"), "c2": Candidate(id="c2", idea="e2")}
    state = State(study=STUDY, ideas=ideas, trials=trials, candidates=candidates)
    text = told(state, AgentCall(id="call-1", idea="e1", timeout_s=9.0), ground.private, ground.place)
    assert "words of t1" in text and "words of t2" not in text
