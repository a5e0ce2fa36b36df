"""The variables of a measurement by our own process: a check of the gate, or the study's evaluator."""

import os

# What a measurement needs of this machine; the study's [launch] env is added, and nothing else of ours or of the training's.
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX")
KEPT_PREFIXES = ("LC_", "CUDA_", "NVIDIA_")


def clean_environment(given: dict[str, str]) -> dict[str, str]:
    """The variables of a measurement: what a program needs to run at all, and what the study says."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}
    return {**kept, **given, "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
