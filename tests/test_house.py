"""The house keeps STYLE and DESIGN §6, and every rule that says so catches a breach planted for it."""

import functools
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import house_rules

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
REFERENCE = ROOT / "docs" / "reference"
RULES: tuple[Callable[[house_rules.Modules], list[str]], ...] = (
    house_rules.unknown_rooms,
    house_rules.wrong_directions,
    house_rules.inner_imports,
    house_rules.import_cycles,
    house_rules.long_functions,
    house_rules.long_files,
    house_rules.forbidden_names,
    house_rules.impurities,
    house_rules.decisions_without_reason,
)


@functools.cache
def the_house() -> dict[str, house_rules.Module]:
    return house_rules.read_package(SOURCE, ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule_against(rule: Callable[[house_rules.Modules], list[str]]) -> None:
    breaches = rule(the_house())
    assert not breaches, f"{rule.__doc__}\n" + "\n".join(breaches)


def test_imports_nest_at_most_nine_deep() -> None:
    assert not house_rules.import_cycles(the_house()), "depth means nothing while there is a cycle; mend that first"
    breaches = house_rules.deep_imports(the_house())
    assert not breaches, "\n".join(breaches)


def test_the_main_flow_stays_under_250_lines() -> None:
    engine = the_house().get("secondshift.engine")
    if engine is None:
        pytest.skip("engine.py is not there yet")
    assert len(engine.lines) < 250, f"{engine.path} has {len(engine.lines)} lines; a stranger reads it in one sitting"


def modules_loaded_by(statement: str) -> set[str]:
    """The modules that a bare interpreter loads for `statement`, beside those it starts with."""
    program = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); before = set(sys.modules); {statement}; "
        "import json; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SECONDSHIFT"))}
    command = [sys.executable, "-I", "-S", "-c", program]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"`{statement}` failed with only the standard library at hand:\n{done.stderr}"
    return set(json.loads(done.stdout.splitlines()[-1])) - {"json"}


@pytest.mark.parametrize("statement", ["import secondshift", "import secondshift; secondshift.init"])
def test_a_training_script_pays_for_the_standard_library_only(statement: str) -> None:
    if not (SOURCE / "secondshift" / "__init__.py").exists():
        pytest.skip("secondshift/__init__.py is not there yet")
    if "init" in statement and not (SOURCE / "secondshift" / "tracking").exists():
        pytest.skip("tracking is not there yet")
    loaded = modules_loaded_by(statement)
    foreign = {name for name in loaded if name.split(".")[0] not in {*sys.stdlib_module_names, "secondshift"}}
    assert not foreign, f"`{statement}` loads {sorted(foreign)}; expected the standard library only"
    assert "dataclasses" not in loaded, f"`{statement}` loads dataclasses, which cost 25 ms; use plain classes"


def module_or_skip(name: str) -> ModuleType:
    """The module, or a skip where that room is not built yet; a module that is there but fails to import fails."""
    base = SOURCE.joinpath(*name.split("."))
    if not base.with_suffix(".py").exists() and not (base / "__init__.py").exists():
        pytest.skip(f"{name} is not there yet")
    return importlib.import_module(name)


def reference_page(name: str) -> str:
    page = REFERENCE / name
    assert page.exists(), f"docs/reference/{name} is missing: write it, one entry for each name"
    return page.read_text("utf-8")


def undocumented(names: list[str], page: str, *, written: str = "`{}`") -> list[str]:
    """The names that do not stand in the page as `written` says; backticks may go on after a name: `name(x)`."""
    missing = []
    for name in names:
        pattern = re.escape(written.format(name)).removesuffix("`")
        if not re.search(pattern + r"(?![\w-])", page):
            missing.append(name)
    return missing


def commands(app: object, prefix: str = "") -> Iterator[str]:
    """Every command of a cyclopts app, and of the nouns inside it: `run`, `service install`."""
    for name in app:  # type: ignore[attr-defined]  # cyclopts apps iterate over their command names
        if not name.startswith("-"):
            inner = list(commands(app[name], f"{prefix}{name} "))  # type: ignore[index]
            yield from inner or [prefix + name]


def test_every_command_is_documented() -> None:
    main = module_or_skip("secondshift.interfaces.cli.main")
    missing = undocumented(list(commands(main.app)), reference_page("commands.md"), written="`secondshift {}`")
    assert not missing, f"docs/reference/commands.md does not name: {missing}. Write each as `secondshift <command>`."


def settings(model: type, prefix: str = "") -> Iterator[str]:
    """Every key of a settings model as it is written in the file: `objective.metric`."""
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]  # a pydantic model
        key = prefix + (field.alias or name)
        models = [part for part in _parts(field.annotation) if hasattr(part, "model_fields")]
        inner = [found for part in models for found in settings(part, key + ".")]
        yield from inner or [key]


def _parts(annotation: object) -> Iterator[type]:
    """The classes in an annotation: `A | None` and `dict[str, A]` hold A."""
    if isinstance(annotation, type) and not getattr(annotation, "__args__", ()):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _parts(argument)


def root_models(module: ModuleType) -> list[type]:
    """The settings models that no other model of the module holds."""
    models = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and hasattr(value, "model_fields") and value.__module__ == module.__name__
    ]
    held = {
        part for model in models for field in model.model_fields.values() for part in _parts(field.annotation)
    }
    return [model for model in models if model not in held]


def test_every_setting_is_documented() -> None:
    config = module_or_skip("secondshift.config.tables")
    roots = root_models(config)
    assert roots, "secondshift.config.tables holds no pydantic model, so its keys cannot be compared with the page"
    keys = sorted({key for model in roots for key in settings(model)})
    missing = undocumented(keys, reference_page("settings.md"))
    assert not missing, f"docs/reference/settings.md does not name: {missing}. Write each as `section.key`."


def test_every_event_kind_is_documented() -> None:
    events = module_or_skip("secondshift.records.events")
    missing = undocumented(list(events.KINDS), reference_page("events.md"))
    assert not missing, f"docs/reference/events.md does not name: {missing}. Write each as `kind`."


def test_every_benchmark_is_listed() -> None:
    table = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")}
    assert len(scripts) > 20 and [name for name in sorted(scripts) if f"`{name}`" not in table] == []


def test_every_public_name_is_documented() -> None:
    package = module_or_skip("secondshift")
    missing = undocumented(sorted(package.__all__), reference_page("python.md"))
    assert not missing, f"docs/reference/python.md does not name: {missing}. Write each as `name` or `name(...)`."


DECISIONS = "class Decision: ...\ndef stop(trial, *, reason, by): return Decision(reason=reason)\n"
PLANTED: list[tuple[str, str, dict[str, str], str]] = [
    # what is planted, the rule that must see it, the files, and where
    ("a file in no room", "unknown_rooms", {"gadgets.py": ""}, "gadgets.py:1"),
    ("ledger imports policies", "wrong_directions",
     {"ledger/a.py": "\nimport secondshift.policies.b", "policies/b.py": ""}, "ledger/a.py:2"),
    ("runtime imports interfaces, relatively", "wrong_directions",
     {"runtime/a.py": "from ..interfaces import b", "interfaces/b.py": ""}, "runtime/a.py:1"),
    ("a searcher imports a scheduler", "wrong_directions",
     {"policies/searchers/a.py": "from secondshift.policies.schedulers import b", "policies/schedulers/b.py": ""},
     "searchers/a.py:1"),
    ("a policy imports the ledger for types only", "wrong_directions",
     {"policies/a/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import secondshift.ledger.c",
      "ledger/c.py": ""}, "policies/a/b.py:3"),
    ("records import errors", "wrong_directions",
     {"records/a.py": "from secondshift.errors import X", "errors.py": "X = 1"}, "records/a.py:1"),
    ("tracking imports records", "wrong_directions",
     {"tracking/a.py": "from secondshift.records import b", "records/b.py": ""}, "tracking/a.py:1"),
    ("tracking imports dataclasses", "wrong_directions", {"tracking/a.py": "import dataclasses"}, "tracking/a.py:1"),
    ("integrations import the ledger", "wrong_directions",
     {"integrations/a.py": "import secondshift.ledger.b", "ledger/b.py": ""}, "integrations/a.py:1"),
    ("interfaces import policies", "wrong_directions",
     {"interfaces/a.py": "from secondshift.policies import b", "policies/b.py": ""}, "interfaces/a.py:1"),
    ("the engine imports testing", "wrong_directions",
     {"engine.py": "import secondshift.testing.a", "testing/a.py": ""}, "engine.py:1"),
    ("a room's __init__ imports another room", "wrong_directions",
     {"runtime/__init__.py": "from secondshift.records import a", "records/a.py": ""}, "runtime/__init__.py:1"),
    ("an import inside a function", "inner_imports", {"ledger/a.py": "def f():\n    import json"}, "ledger/a.py:2"),
    ("an import inside a method of another name", "inner_imports",
     {"__init__.py": "def load():\n    import json"}, "__init__.py:2"),
    ("an import by name", "inner_imports",
     {"runtime/a.py": "import importlib\nimportlib.import_module('json')"}, "runtime/a.py:2"),
    ("two modules in a ring", "import_cycles",
     {"ledger/a.py": "import secondshift.ledger.b", "ledger/b.py": "from secondshift.ledger import a"}, "import cycle"),
    ("a ring through an __init__", "import_cycles",
     {"ledger/__init__.py": "from secondshift.ledger.a import x", "ledger/a.py": "x = 1\nimport secondshift.runtime.b",
      "runtime/b.py": "import secondshift.ledger.c", "ledger/c.py": ""}, "import cycle"),
    ("a long function", "long_functions", {"engine.py": "def f():\n" + "    x = 1\n" * 80}, "engine.py:1"),
    ("many longish functions", "long_functions", {"engine.py": ("def f():\n" + "    x = 1\n" * 45) * 3}, "expected 40"),
    ("a long file", "long_files", {"ledger/a.py": "x = 1\n" * 501}, "ledger/a.py:501"),
    ("many longish files", "long_files", {f"ledger/a{n}.py": "x = 1\n" * 450 for n in range(9)}, "expected 400"),
    ("a module called utils", "forbidden_names", {"runtime/file_utils.py": ""}, "file_utils.py:1"),
    ("a class called manager", "forbidden_names", {"runtime/a.py": "\nclass RunManager: ..."}, "runtime/a.py:2"),
    ("a policy imports time", "impurities", {"policies/a/b.py": "import time"}, "policies/a/b.py:1"),
    ("a policy imports random", "impurities", {"policies/a/b.py": "from random import random"}, "policies/a/b.py:1"),
    ("a policy imports pathlib", "impurities", {"policies/a/b.py": "import pathlib"}, "policies/a/b.py:1"),
    ("a policy logs", "impurities", {"policies/a/b.py": "import logging"}, "policies/a/b.py:1"),
    ("a policy reads the clock", "impurities",
     {"policies/a/b.py": "import datetime\ndatetime.datetime.now()"}, "policies/a/b.py:2"),
    ("a policy opens a file", "impurities", {"policies/a/b.py": "open('x')"}, "policies/a/b.py:1"),
    ("a policy prints", "impurities", {"policies/a/b.py": "print('x')"}, "policies/a/b.py:1"),
    ("numpy's global generator", "impurities",
     {"policies/a/b.py": "import numpy as np\nnp.random.rand(3)"}, "policies/a/b.py:2"),
    ("numpy's global generator by name", "impurities",
     {"policies/a/b.py": "from numpy.random import rand"}, "policies/a/b.py:1"),
    ("a generator without a seed", "impurities",
     {"policies/a/b.py": "import numpy as np\nnp.random.default_rng()"}, "policies/a/b.py:2"),
    ("a Sobol sequence without a seed", "impurities",
     {"policies/a/b.py": "from scipy.stats import qmc\nqmc.Sobol(2)"}, "policies/a/b.py:2"),
    ("scipy's global generator", "impurities",
     {"policies/a/b.py": "from scipy import stats\nstats.norm(0, 1).rvs(3)"}, "policies/a/b.py:2"),
    ("a decision without a reason", "decisions_without_reason",
     {"records/decisions.py": DECISIONS,
      "policies/a/b.py": "from secondshift.records.decisions import stop as halt\nhalt('t1', by='b')"},
     "policies/a/b.py:2"),
    ("a decision with a blank reason", "decisions_without_reason",
     {"records/decisions.py": DECISIONS,
      "policies/a/b.py": "from secondshift.records import decisions\ndecisions.Decision(reason=' ')"},
     "policies/a/b.py:2"),
    ("a decision with an empty f-string", "decisions_without_reason",
     {"records/decisions.py": DECISIONS + "Decision(reason=f'')"}, "records/decisions.py:3"),
]


def planted(folder: Path, files: dict[str, str]) -> dict[str, house_rules.Module]:
    for name, text in {"__init__.py": "", **files}.items():
        file = folder / "secondshift" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for parent in {file.parent for file in folder.rglob("*.py")}:
        (parent / "__init__.py").touch()
    return house_rules.read_package(folder, folder)


@pytest.mark.parametrize(("rule", "files", "where"), [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED])
def test_a_rule_catches(rule: str, files: dict[str, str], where: str, tmp_path: Path) -> None:
    breaches = getattr(house_rules, rule)(planted(tmp_path, files))
    assert any(where in breach for breach in breaches), f"{rule} said {breaches}, expected a breach at {where}"


ALLOWED: dict[str, str] = {
    "__init__.py": "def __getattr__(name):\n    import secondshift.tracking.a\n",
    "plugins.py": "def load(name):\n    import importlib\n    return importlib.import_module(name)\n",
    "errors.py": "class Full(Exception): ...",
    "tracking/a.py": "import json\nimport secondshift.tracking.wire\n",
    "tracking/wire.py": "MAGIC = b'x'",
    "records/events.py": "from secondshift.records import decisions",
    "records/decisions.py": DECISIONS,
    "ledger/a.py": "import secondshift.errors\ndef f():\n    import zstandard  # optional: smaller snapshots\n",
    "engine.py": "from secondshift.ledger import a",
    "policies/models/gp.py": "import sklearn.gaussian_process",
    "policies/searchers/a.py": (
        "import numpy as np\nfrom scipy.stats import qmc\nfrom secondshift.policies.models import gp\n"
        "from secondshift.records.decisions import stop\n"
        "def decide(state):\n    rng = np.random.default_rng([state.seed, 1])\n"
        "    qmc.Sobol(2, rng=rng)\n    return [stop('t1', reason=f'{rng} is behind', by='a')]\n"
    ),
    "interfaces/cli/main.py": "from secondshift import engine\nfrom secondshift.interfaces.plain import x\n",
    "interfaces/plain.py": "x = 1",
    "testing/suites.py": "import secondshift.engine",
}


@pytest.mark.parametrize("rule", [*RULES, house_rules.deep_imports], ids=lambda rule: rule.__name__)
def test_a_rule_accepts_a_house_in_order(rule: Callable[..., list[str]], tmp_path: Path) -> None:
    assert rule(planted(tmp_path, ALLOWED)) == []


def test_a_chain_of_ten_imports_is_too_deep(tmp_path: Path) -> None:
    chain = {f"ledger/m{n}.py": f"import secondshift.ledger.m{n + 1}" for n in range(10)}
    breaches = house_rules.deep_imports(planted(tmp_path, {**chain, "ledger/m10.py": ""}))
    assert len(breaches) == 1 and "ledger/m0.py:1: imports nest 10 deep" in breaches[0]


def test_a_name_counts_as_documented_only_when_written_out() -> None:
    page = "`run.start`, `secondshift service install --now`, `init(horizon=None)`, plain stop, `starting`"
    assert undocumented(["run.start", "init", "stop", "start"], page) == ["stop", "start"]
    assert undocumented(["service install", "service"], page, written="`secondshift {}`") == []
    assert undocumented(["stop"], page, written="`secondshift {}`") == ["stop"]
