"""Secrets of a study stay in its file: the ledger, snapshots and briefs get their names only (DESIGN invariant 13)."""

import re
from dataclasses import replace

from secondshift.records.studies import Study
from secondshift.runtime.snapshots import mask

KEPT_OUT = "(in the study file only)"
_NAMES = re.compile(r"(?i)passw|passphrase|secret|token|api_?key|access_?key|private_?key|credential|_key\Z|\Akey\Z")


def without_secrets(study: Study) -> tuple[Study, dict[str, str]]:
    """Take secret-looking variables out of `[launch] env`; return the study to record, and the variables by name.

    What looks like a secret: a telling name (API_KEY, ..._TOKEN, PASSWORD) or a value of a known form.
    """
    secrets = {
        name: value
        for name, value in study.launch.env.items()
        if looks_secret(name, value)
    }
    if not secrets:
        return study, {}
    env = {name: KEPT_OUT if name in secrets else value for name, value in study.launch.env.items()}
    return replace(study, launch=replace(study.launch, env=env)), secrets


def looks_secret(name: str, value: object) -> bool:
    """Say whether a named text looks like a secret, by its name or its form; nothing but text can be one."""
    return isinstance(value, str) and bool(value and (_NAMES.search(name) or mask(value.encode("utf-8", "replace"))[1]))


def revealed(env: dict[str, str], secrets: dict[str, str]) -> dict[str, str]:
    """Put secrets back where a process needs them; one whose file cannot be read now is left out rather than faked."""
    return {name: secrets.get(name, value) for name, value in env.items() if name in secrets or value != KEPT_OUT}
