"""Which trials ran in another environment than the best one, and what differed: their results are not simply comparable."""

from collections.abc import Mapping

from secondshift.interfaces.plain import one_line
from secondshift.records.fingerprints import differences
from secondshift.records.states import State
from secondshift.records.trials import Trial

MOST_MARKS, MOST_LETTERS = 4, 48


def in_words(found: Mapping[str, tuple[str, str]]) -> str:
    """Say what differs, in any language: "python 3.11 ≠ 3.12, library.numpy 2.1 ≠ 2.2"."""
    parts = [f"{name} {_short(one)} ≠ {_short(other)}" for name, (one, other) in list(found.items())[:MOST_MARKS]]
    return ", ".join(parts) + (f" (+{len(found) - MOST_MARKS})" if len(found) > MOST_MARKS else "")


def _short(mark: str) -> str:
    return one_line(mark, limit=MOST_LETTERS) or "—"


def elsewhere(state: State, trial: Trial, other: Trial | None) -> str:
    """Say in which marks the environment of a trial differs from that of another; empty where their results compare."""
    if other is None or other.id == trial.id:
        return ""
    return in_words(differences(trial, other, state.fingerprints))


def moved(state: State, trial: Trial) -> str:
    """Say what changed between the environments of one trial's own attempts; empty where it stayed in one."""
    kinds = [name for name in trial.fingerprints if name in state.fingerprints]
    if len(kinds) < 2:
        return ""
    first = Trial(id="", candidate="", seed=0, fingerprints=tuple(kinds[:1]))
    rest = Trial(id="", candidate="", seed=0, fingerprints=tuple(kinds[1:]))
    return in_words(differences(first, rest, state.fingerprints))
