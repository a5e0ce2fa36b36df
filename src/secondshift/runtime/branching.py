"""Results as branches: what held up becomes a branch of the study's repository, with its verdict as the message.

One reference below `refs/heads/secondshift/` and the objects it needs are all that is ever written there: no checkout, no
index, no hook, and no branch that is there already.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from secondshift.records import events as facts
from secondshift.records.ideas import CodeBranch, Idea
from secondshift.records.states import State
from secondshift.runtime import repositories
from secondshift.runtime.repositories import STORE, ChangeUnusable, TryLater, git

PREFIX = "secondshift/"
STUDY_AS_IT_IS = "the study as it is"
WhyNot = Callable[[ChangeUnusable | TryLater, str], Exception | None]
TITLE = 72  # letters of a first line


def work(state: State, private: Path, folder: Path, why_not: WhyNot) -> list[facts.Payload]:
    """Make the branches that are wanted, in the repository of `folder`. Raises OSError on a full disk.

    why_not: what to make of a failure, by what it is about; None: it is to be tried again.
    """
    made: dict[str, CodeBranch] = {}
    for idea in due(state):
        try:
            known = {**state.branches, **made}
            made[idea.id] = _made(state, idea, private, folder, known)
        except (ChangeUnusable, TryLater) as problem:
            why = why_not(problem, f"branch {idea.id}")
            if why is not None:
                made[idea.id] = CodeBranch(idea=idea.id, candidate=idea.candidate, problem=str(why)[:400])
    return [facts.ChangeBranched(branch=branch) for branch in made.values()]


def due(state: State) -> Iterator[Idea]:
    """Ideas with code that held up, or that a person accepted, and have no branch yet; older ones first."""
    for idea in state.ideas.values():
        candidate, known = state.candidates.get(idea.candidate), state.branches.get(idea.id)
        wanted = not idea.canary and (idea.state == "held up" or idea.candidate == state.baseline)
        there = known is not None and known.candidate == idea.candidate
        if wanted and not there and candidate is not None and candidate.code:
            yield idea


def _made(state: State, idea: Idea, private: Path, folder: Path, known: Mapping[str, CodeBranch]) -> CodeBranch:
    name, ours = f"{PREFIX}{idea.id}", repositories.named(private, idea.candidate)
    if not ours:
        raise ChangeUnusable(f"The code of {idea.candidate} is not there any more. Expected it in {private / STORE}.")
    top, tree = repositories.top_of(folder)[0], repositories.tree_of(private, ours)
    there = git("for-each-ref", "--format=%(objectname)", f"refs/heads/{name}", folder=top).decode().strip()
    if there:
        if git("rev-parse", f"{there}^{{tree}}", folder=top).decode().strip() != tree:
            raise ChangeUnusable(f"There is a branch {name} with other files already. Rename it, and begin a shift.")
        return CodeBranch(idea=idea.id, candidate=idea.candidate, name=name, commit=there)
    at = int(state.last_at)
    commit = _commit(private, tree, _parent(state, idea, private, ours, known, at), message(state, idea), at)
    git("update-ref", f"refs/branches/{idea.id}", commit, folder=private / STORE)
    git(
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", str((private / STORE).resolve()),
        f"refs/branches/{idea.id}:refs/heads/{name}", folder=top,
    )  # fmt: skip
    return CodeBranch(idea=idea.id, candidate=idea.candidate, name=name, commit=commit)


def _parent(state: State, idea: Idea, private: Path, ours: str, known: Mapping[str, CodeBranch], at: int) -> str:
    """What a branch begins at: the branch of the idea that it was judged against, else the study's own commit.

    What was not committed then is a commit of its own, so that the last one holds the idea's change and nothing else.
    """
    against = next((one for one in known.values() if one.candidate == idea.baseline and one.commit), None)
    if against is not None and against.idea != idea.id and state.candidates[idea.baseline].code:
        return against.commit
    listed = git("log", "--first-parent", "--format=%H %T %s", ours, folder=private / STORE).decode("utf-8", "replace").splitlines()
    lines = [line.split(" ", 2) for line in listed]
    place = next((n for n, line in enumerate(lines) if line[2:] == [STUDY_AS_IT_IS]), None)
    if place is None or place + 1 >= len(lines):
        raise ChangeUnusable(f"The code of {idea.candidate} is made on no commit of the study. Expected one of ours in its past.")
    (_, tree, _), (head, committed_tree, *_) = lines[place], lines[place + 1]
    if tree == committed_tree:
        return head
    return _commit(private, tree, head, f"What was not committed when {idea.id} was judged\n", at)


def _commit(private: Path, tree: str, parent: str, text: str, at: int) -> str:
    store, when = private / STORE, f"{at} +0000"
    variables = {"GIT_DIR": str(store), "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    return git("commit-tree", tree, "-p", parent, "-F", "-", folder=store, variables=variables, data=text.encode()).decode().strip()


def message(state: State, idea: Idea) -> str:
    """What stands in the commit: the idea, its verdict, and where all that can be looked up."""
    found, study, candidate = state.verdicts.get(idea.id), state.study, state.candidates[idea.candidate]
    title = " ".join(idea.text.split()) or "a change of code"
    lines = [f"{idea.id}: {title}"[:TITLE], ""]
    if len(f"{idea.id}: {title}") > TITLE:
        lines += [title[:1000], ""]
    if found is not None and study is not None:
        width = f"{found.low:+.4g} to {found.high:+.4g}, 95 % at all times at once"
        lines += [found.reason, f"Gain in {study.objective.metric}: {found.effect:+.4g} ({width}), positive is better.", ""]
    calls = [call.id for call in state.calls.values() if call.change and call.change in candidate.code.split("+")]
    told = {
        "Idea": f"{idea.id} by {', '.join((idea.author, *idea.also))}", "State": idea.state,
        "Verdict": f"{found.decision} ({found.ending}) on {found.pairs} pairs of fresh seeds" if found is not None else "none",
        "Candidate": f"{idea.candidate}, judged against {idea.baseline}", "Changed-by": ", ".join(calls),
        "Parameters": ", ".join(f"{name}={value}" for name, value in candidate.params.items()),
        "Study": f"{study.name}, revision {idea.revision}" if study is not None else "",
    }  # fmt: skip
    lines += [f"{name}: {' '.join(text.split())}" for name, text in told.items() if text]
    return "\n".join(lines) + "\n"
