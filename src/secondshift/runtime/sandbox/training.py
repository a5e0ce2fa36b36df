"""What the process of a code candidate may see, write, reach and take while it trains."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from secondshift.records.orders import Order
from secondshift.records.studies import Sandbox, Study
from secondshift.runtime.sandbox.confining import confined, home, interpreters, means
from secondshift.runtime.sandbox.policies import Limits, Policy

GPU = "GPU-"  # how names of devices begin that are GPUs
_ELSEWHERE = re.compile(r"""['"](/[^'"\n]+)['"]""")  # paths in what an editable install writes
MOST_PATHS = 200  # of editable installs
OURS = Path(__file__).resolve().parents[2]  # `import secondshift` of a script leads here, wherever its Python lies


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where a candidate runs."""

    private: Path  # the study's `.secondshift`: what other trials left is none of its business
    place: Path  # where the study file lies
    top: Path  # of the study's working tree: protected files and data are read where they are
    store: Path  # git's objects of candidates


def front(order: Order, study: Study, site: Site, writable: Sequence[str]) -> tuple[str, ...]:
    """The words that stand before the command of an order; none where this machine has no sandbox."""
    if not means().bwrap:
        return ()
    return tuple(confined([], policy_of(order, study, site, writable)))


def policy_of(order: Order, study: Study, site: Site, writable: Sequence[str]) -> Policy:
    """The policy of a candidate's training."""
    rules = study.sandbox
    program = order.command[0] if order.command else ""
    paths = [path for path in order.env.get("PYTHONPATH", os.environ.get("PYTHONPATH", "")).split(os.pathsep) if path]
    data = [str((site.place / study.folder / name).resolve()) for name in study.data]
    environments = interpreters(program) if os.path.isabs(program) else interpreters(program, "python", "python3")
    resolver = [os.path.realpath("/etc/resolv.conf")] if rules.network else []
    return Policy(
        writable=tuple(path for path in writable if path != "/dev"),
        readable=(
            order.folder, str(site.top), str(site.place), str(site.store), *environments, *editable(environments), *paths, *data,
            str(OURS), *resolver, *map(os.path.expanduser, rules.read),
        ),
        hidden=(str(site.private),), home=home(), network="all" if rules.network else "none",
        devices=any(name.startswith(GPU) for name in order.devices), limits=limits_of(rules),
    )  # fmt: skip


def limits_of(rules: Sandbox) -> Limits:
    """The limits that a study names."""
    return Limits(processes=rules.processes, memory_bytes=rules.memory_bytes, file_bytes=rules.file_bytes)


def editable(environments: Iterable[str]) -> list[str]:
    """Folders that an environment imports from because something is installed there in place; pip and uv write them down."""
    found: dict[str, None] = {}
    for environment in environments:
        for note in sorted(Path(environment).glob("lib/python3*/site-packages/*.pth")):
            lines = _text(note).splitlines()
            found |= dict.fromkeys(line.strip() for line in lines if line.startswith("/"))
        for note in sorted(Path(environment).glob("lib/python3*/site-packages/__editable__*_finder.py")):
            found |= dict.fromkeys(_ELSEWHERE.findall(_text(note)))
    return [path for path in list(found)[:MOST_PATHS] if os.path.exists(path)]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")[: 1 << 20]
    except OSError:
        return ""
