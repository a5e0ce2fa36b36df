"""Whether the model of a study can be asked from here, in words."""

from secondshift.records.nights import Statement
from secondshift.records.studies import Model
from secondshift.runtime.agents.orders import lacking


def askable(model: Model) -> list[Statement]:
    """Say what is missing before a model can be asked, or that nothing is; nothing of a study without one. Nothing is sent."""
    if not model.provider:
        return []
    values = {"model": f"{model.provider}:{model.name}", "package": model.provider, "variable": model.key_env}
    missing = lacking(model)
    return [Statement(key=f"doctor.model_{what}", values=values) for what in missing or ["ready"]]
