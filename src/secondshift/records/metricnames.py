"""Whose a metric is, by its name: the script's own, or ours about it."""

MACHINE = "sys/"  # begins the names of what is measured of the machine: memory, CPU, GPUs


def of_machine(metric: str) -> bool:
    """Say whether a metric tells of the machine, not of what a script does."""
    return metric.startswith(MACHINE)


def of_script(metric: str) -> bool:
    """Say whether a metric is one of the script's that people see; those that begin with "_" are hidden."""
    return not metric.startswith(("_", MACHINE))
