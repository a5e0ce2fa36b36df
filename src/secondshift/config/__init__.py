"""secondshift.toml: read, checked with every mistake named by its line, and made into a study."""

from secondshift.config.agents import calling
from secondshift.config.gates import filled
from secondshift.config.loading import check_study, load_study
from secondshift.config.mistakes import Mistake
from secondshift.config.passing import Given, given, judging
from secondshift.config.revisions import diff_studies, evaluator_hash

__all__ = [
    "Given", "Mistake", "calling", "check_study", "diff_studies", "evaluator_hash", "filled", "given", "judging", "load_study",
]  # fmt: skip
