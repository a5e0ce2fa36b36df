"""`confined(command, policy)`: the words that run a command under a policy, by the best means that this machine has."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from secondshift.runtime.executors import confinement
from secondshift.runtime.sandbox.policies import ALWAYS_HIDDEN, PORT, Limits, Policy, bubblewrap

Claim = Literal[
    "data", "write_outside", "home", "others", "daemon", "network", "host", "processes", "memory", "file_size", "cpu",
]  # fmt: skip
ROOM = Path(__file__).parent
PROBE_S = 10.0  # longest time that the first sandbox may take
BY_LANDLOCK: tuple[Claim, ...] = ("data", "write_outside")


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """What this machine has to confine a process with."""

    bwrap: str = ""  # the program, where it works
    nested: bool = False  # it is too old to forbid sandboxes inside
    landlock: bool = False
    why_not: str = ""  # bubblewrap does not work, in its own words

    def kind(self) -> Literal["bubblewrap", "landlock", "nothing"]:
        """Name the best of them."""
        return "bubblewrap" if self.bwrap else "landlock" if self.landlock else "nothing"


@cache
def means() -> Means:
    """Look once what there is: bubblewrap is tried, because that it is installed does not say that the kernel lets it work."""
    landlock = confinement.available()
    program = shutil.which("bwrap") if sys.platform == "linux" else None
    if program is None:
        return Means(landlock=landlock, why_not="bubblewrap is not installed")
    said = ""
    for nested in (False, True):
        words = bubblewrap(Policy(), ["/tmp"], program=program, nested=nested)
        try:
            done = subprocess.run(
                [*words, "--", "true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_S, check=False
            )
        except (OSError, subprocess.SubprocessError) as problem:
            said = said or str(problem)
            continue
        if done.returncode == 0:
            return Means(bwrap=program, nested=nested, landlock=landlock)
        said = said or done.stderr.decode("utf-8", "replace").strip()
    return Means(landlock=landlock, why_not=said[-300:] or "bubblewrap gave no answer")


def confined(command: Sequence[str], policy: Policy, *, by: Means | None = None) -> list[str]:
    """The words that run a command under a policy; what they cannot enforce here, `missing` names.

    The process that they start ends as the command does (exit code or signal), passes SIGTERM in, and takes all that is
    inside with it when it is killed; 126: it could not be made, 122: it took more than its limits.
    """
    by = by or means()
    if by.bwrap:
        return _in_bubblewrap(list(command), policy, by)
    if by.landlock:
        hide = _hiding(policy)
        keeper = [sys.executable, "-I", "-S", confinement.__file__, *hide, *policy.writable, "/dev", "--"]
        return [*_limiting(policy), *keeper, *command]
    return [*_limiting(policy), *command] if sys.platform != "win32" else list(command)


def missing(policy: Policy, *, by: Means | None = None) -> tuple[Claim, ...]:
    """What of a policy nothing enforces on this machine."""
    by = by or means()
    wanted: dict[Claim, object] = {
        "data": True, "write_outside": True, "home": True, "others": True, "daemon": True,
        "host": policy.hosts, "network": policy.network == "none" or policy.hosts, "processes": policy.limits.processes,
        "memory": policy.limits.memory_bytes,
    }  # fmt: skip
    if by.bwrap:
        return ("home",) if policy.visible_home() else ()
    held = BY_LANDLOCK if by.landlock else ()
    return tuple(claim for claim, asked in wanted.items() if asked and claim not in held)


def variables(policy: Policy, *, by: Means | None = None) -> dict[str, str]:
    """The variables that a command needs to find its way out, where it has one."""
    if not policy.hosts or not (by or means()).bwrap:
        return {}
    address, local = f"http://127.0.0.1:{PORT}", "127.0.0.1,localhost"
    out = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), address)
    return {**out, "NO_PROXY": local, "no_proxy": local, "NODE_USE_ENV_PROXY": "1"}


def home() -> str:
    """The home folder of whoever runs this; empty where that is no folder of its own."""
    found = os.path.realpath(os.path.expanduser("~"))
    return "" if found == "/" or not os.path.isdir(found) else found


def interpreters(*programs: str) -> tuple[str, ...]:
    """The folders that Pythons need to be read to start: that of the environment, and of the installation behind it."""
    found: dict[str, None] = {}
    for program in programs:
        path = Path(shutil.which(program) or program).absolute()
        for _ in range(20):  # links, one by one: each may lie in another folder
            found[str(_installation(path))] = None
            for behind in _behind(path.parent.parent / "pyvenv.cfg"):
                found[str(_installation(behind))] = None
            if not path.is_symlink():
                break
            path = Path(os.path.normpath(path.parent / os.readlink(path)))
    return tuple(path for path in found if path != "/" and os.path.isdir(path))


def _installation(program: Path) -> Path:
    """The environment or installation of a Python; only the folder of its program where that is somewhere else.

    A shim (of pyenv, asdf, mise) is a script that finds the Python in the folder that its own folder lies in.
    """
    top = program.parent.parent
    if program.parent.name == "shims":
        return top
    whole = (top / "pyvenv.cfg").exists() or any(top.glob("lib/python3*/os.py"))
    return top if whole else program.parent


def _behind(note: Path) -> list[Path]:
    """The Python behind that of a virtual environment, as the environment notes it."""
    try:
        lines = note.read_text("utf-8").splitlines()
    except OSError:
        return []
    homes = (value.strip() for name, _, value in (line.partition("=") for line in lines) if name.strip() == "home")
    return [Path(home) / "python3" for home in homes if home]


def _in_bubblewrap(command: list[str], policy: Policy, by: Means) -> list[str]:
    policy = replace(
        policy,
        readable=tuple(dict.fromkeys([*map(_real, policy.readable), *interpreters(sys.executable), str(ROOM)])),
        writable=tuple(map(_real, policy.writable)),
        hidden=tuple(map(_real, (*policy.hidden, *filter(os.path.islink, ALWAYS_HIDDEN)))),
        home=policy.home and _real(policy.home),
    )
    present = [path for path in policy.sights() if os.path.isdir(path) and not os.path.islink(path)]
    words = bubblewrap(policy, present, program=by.bwrap, nested=by.nested)
    port = PORT if policy.hosts else 0
    inside = [sys.executable, "-I", "-S", str(ROOM / "inside.py"), "{keeper}", str(port), *_assigned(policy.limits)]
    limits = {"processes": policy.limits.processes, "memory_bytes": policy.limits.memory_bytes}
    order = {"words": [*words, "--", *inside], "limits": limits, "hosts": list(policy.hosts)}
    return [sys.executable, "-I", "-S", str(ROOM / "outside.py"), json.dumps(order), "--", *command]


def _hiding(policy: Policy) -> list[str]:
    """The words that hide one folder, and show what may be read in it: Landlock's keeper knows of no more."""
    if not policy.hidden:
        return []
    hidden = policy.hidden[0]
    shown = [path for path in (*policy.readable, *policy.writable) if path.startswith(f"{hidden}/")]
    return [confinement.HIDE, hidden, *(word for path in shown for word in (confinement.SHOW, path))]


def _limiting(policy: Policy) -> list[str]:
    """The words that limit a command without a sandbox; not its processes: the kernel would count all of this person's."""
    assigned = _assigned(replace(policy.limits, processes=0))
    return [sys.executable, "-I", "-S", str(ROOM / "inside.py"), "-", "0", *assigned, "--"]


def _assigned(limits: Limits) -> list[str]:
    """Limits as the kernel knows them. Memory is DATA, not AS: drivers reserve addresses that they never use."""
    kinds = {"NPROC": limits.processes, "DATA": limits.memory_bytes, "FSIZE": limits.file_bytes, "CPU": limits.cpu_s}
    return ["CORE=0", *(f"{name}={value}" for name, value in kinds.items() if value)]


def _real(path: str) -> str:
    return os.path.realpath(os.path.expanduser(path))
