"""How often a symptom is told again, and how sure it is; what a finding is stands in records/incidents.py."""

from secondshift.records.incidents import SYMPTOMS, Finding, Symptom

__all__ = ["SYMPTOMS", "Finding", "Symptom", "confidence_of", "doubled"]


def doubled(lasted: int, first: int) -> bool:
    """Whether a symptom that is first told after `first` points is told again after `lasted`: at first, 2*first, 4*first, ..."""
    share, rest = divmod(lasted, first)
    return rest == 0 and share > 0 and share & (share - 1) == 0


def confidence_of(excess: float, limit: float, *, least: float = 0.5) -> float:
    """`least` at the limit, rising towards 0.98 as the excess grows past it."""
    if limit <= 0 or excess <= limit:
        return least
    return round(min(0.98, 1.0 - (1.0 - least) * limit / excess), 3)
