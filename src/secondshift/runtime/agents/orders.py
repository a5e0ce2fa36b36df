"""The order for one call of a model: what our program is handed, and what it needs to be seen of this machine."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from secondshift.records.protection import guarded
from secondshift.records.studies import Model, Study

PROGRAM = "secondshift.runtime.agents.models"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One call of a model. No secret is in it: the key comes as a variable."""

    provider: str
    model: str
    base_url: str
    key_env: str
    key_needed: bool
    input_usd: float  # of a million tokens
    output_usd: float
    output_tokens: int  # that one answer may have
    show_bytes: int
    most_usd: float  # set aside for this call; 0 with a subscription
    timeout_s: float
    brief: str  # its file
    top: str  # of the workspace
    folder: str  # where the study's command runs, relative to the study file: from there the file's folder is found
    protected: tuple[str, ...]  # patterns, relative to the study file's folder


def words(study: Study, home: Path, *, most_usd: float, timeout_s: float) -> list[str]:
    """The words that ask the model of a study once. Neither variables for Python nor the workspace decide what is imported."""
    model = study.agent.model
    order = Order(
        provider=model.provider, model=model.name, base_url=model.base_url, key_env=model.key_env, key_needed=model.key_needed,
        input_usd=model.input_usd, output_usd=model.output_usd, output_tokens=model.output_tokens, show_bytes=model.show_bytes,
        most_usd=most_usd, timeout_s=timeout_s, brief=str(home / "brief.md"), top=str(home / "tree"), folder=study.folder,
        protected=guarded(study.read_only, study.evaluate, study.folder),
    )  # fmt: skip
    return [sys.executable, "-E", "-P", "-m", PROGRAM, json.dumps(asdict(order))]


def seen(model: Model) -> list[str]:
    """The folders that our program is imported from: they may lie where a sandbox looks empty."""
    packages = [find_spec(name) for name in ("secondshift", model.provider)]
    places = [place for package in packages if package is not None for place in package.submodule_search_locations or ()]
    return list(dict.fromkeys(str(Path(place).parent) for place in places))


def lacking(model: Model, environment: Mapping[str, str] = os.environ) -> list[str]:
    """What keeps a model from being asked from here: "extra", "key". Nothing is sent."""
    missing = []
    if find_spec(model.provider) is None:
        missing.append("extra")
    if model.key_needed and not environment.get(model.key_env):
        missing.append("key")
    return missing
