"""secondshift.toml: read, checked with every mistake named by its line, and made into a study."""

from secondshift.config.commands import arguments
from secondshift.config.loading import check_study, find_study, load_study
from secondshift.config.mistakes import Mistake
from secondshift.config.revisions import diff_studies, evaluator_hash

__all__ = ["Mistake", "arguments", "check_study", "diff_studies", "evaluator_hash", "find_study", "load_study"]
