"""What a change makes of the study's files, read from the commits that it became."""

from pathlib import Path

from secondshift.records.examinations import Likeness
from secondshift.records.likeness import likeness
from secondshift.runtime import repositories

MOST_FILES = 300  # of one change that are compared as programs; of a larger one the rest is passed over


def described(private: Path, folder: Path, commit: str, on: str = "") -> Likeness:
    """Describe a commit of ours against the study's working tree. Raises what git raises.

    folder: where the study's command runs; on: the commit that it was made on, where that is the working tree's; "" where it is
    another candidate's.
    """
    return between(private, on or repositories.base_of(folder, private).commit, commit)


def between(private: Path, before: str, after: str) -> Likeness:
    """Describe what lies between two commits of ours."""
    paths = [one.path for one in repositories.touched(private, before, after)][:MOST_FILES]
    return likeness(repositories.texts(private, before, paths), repositories.texts(private, after, paths))
