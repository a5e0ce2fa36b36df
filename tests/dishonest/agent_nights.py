"""Nights in which a scripted agent (SIMULATED: no model) turns ideas in words into changes of the line study."""

import hashlib
import json
import sys
from pathlib import Path

from nights import TOML, line_study

from secondshift.runtime.spool import put_request

SCRIPT = Path(__file__).with_name("scripted_agent.py")


def agent_study(folder: Path, *, toml: str = TOML, places: tuple[Path, ...] = (), **keys: object) -> Path:
    """Make the line study with the scripted agent; its file. places: where the agents that try to escape write to."""
    command = [sys.executable, "-I", "-S", str(SCRIPT), "{brief_file}", *map(str, places)]
    table = {"command": command, "subscription": True, "turns": 24, "timeout": 20, "readable": [str(SCRIPT)], **keys}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in table.items() if value is not None)
    return line_study(folder, f"{toml}\n[agent]\n{lines}")


def suggest(study: Path, *roles: str) -> None:
    """Bring an idea in words for each role."""
    for role in roles:
        args = {"text": f"[{role}] SIMULATED idea", "author": "kim"}
        put_request(study.parent / ".secondshift", "idea", args, "kim")


def fingerprint(*folders: Path) -> dict[str, str]:
    """Digest every file below these folders, but for what secondshift keeps for itself, and the branches that it makes."""
    found: dict[str, str] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            branch = ".git" in path.parts and ("objects" in path.parts or "secondshift" in path.parts)
            if path.is_file() and ".secondshift" not in path.parts and not branch:
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def left_running(ours: Path) -> list[str]:
    """Processes of the scripted agent that live, by what their command line says; not those that name another's test folder.

    ours: the folder below which this process of pytest makes its temporary ones.
    """
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes()
        except OSError:
            continue
        elsewhere = b"/pytest-of-" in words and bytes(ours) not in words
        if bytes(SCRIPT) in words and not elsewhere and str(place.parent.name) != str(Path("/proc/self").resolve().name):
            found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return found
