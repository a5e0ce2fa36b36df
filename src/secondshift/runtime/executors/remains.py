"""Finds and ends what is left of attempts whose supervisor is dead, by identities that were recorded while it lived."""

import os
import signal
import time
from pathlib import Path

from secondshift.runtime.executors.attempt_files import from_json, read_bytes, read_object
from secondshift.runtime.executors.processes import alive, boot_id, carriers, descendants, signal_process, start_ticks

BOUND_S = 2.0  # longest time spent on one call; what still lives then is met by the next


def supervised(claim: dict) -> bool:
    """Say whether the supervisor that wrote this claim lives."""
    return alive(int(claim.get("pid", 0)), int(claim.get("start_ticks", 0)), str(claim.get("boot_id", "")))


def living_family(folder: Path, claim: dict) -> dict[int, int]:
    """Processes of an attempt that still live: pid -> start time in ticks.

    Those recorded in child.json and family.json, those below them, and those whose environment carries the attempt's
    token. A pid that now belongs to somebody else does not match its recorded start time.
    """
    if claim.get("boot_id") != boot_id():
        return {}
    child = read_object(os.path.join(folder, "child.json"))
    recorded = [(child.get("pid", 0), child.get("start_ticks", 0)), *read_family(folder)]
    found = {int(pid): int(ticks) for pid, ticks in recorded if ticks and start_ticks(int(pid)) == int(ticks)}
    found.update(carriers({str(claim.get("env_token", ""))}))
    for pid in tuple(found):
        found.update(descendants(pid))
    found.pop(os.getpid(), None)
    return found


def read_family(folder: Path) -> list[tuple[int, int]]:
    """Read the processes that were below the supervisor at its last heartbeat."""
    try:
        family = from_json(read_bytes(os.path.join(folder, "family.json")).decode())
        return [(int(pid), int(ticks)) for pid, ticks in family] if isinstance(family, list) else []
    except (ValueError, TypeError):
        return []


def end_remains(folder: Path, claim: dict) -> tuple[int, bool]:
    """Kill what is left of an attempt without a supervisor; return how many there were, and whether none is left."""
    seen: set[tuple[int, int]] = set()
    deadline = time.monotonic() + BOUND_S
    while family := living_family(folder, claim):
        seen |= set(family.items())
        for pid, ticks in family.items():
            signal_process(pid, ticks, signal.SIGKILL)
        if time.monotonic() > deadline:
            return len(seen), False
        time.sleep(0.01)
    return len(seen), True


def sweep(folder: Path) -> int:
    """End whatever is left of this study's attempts whose supervisor is dead; return how many processes there were.

    folder: the study's private folder. Attempts that are supervised, and those whose exit is recorded, are left alone.
    """
    ended = 0
    for attempt in sorted((folder / "attempts").glob("*/claim.json")):
        if (attempt.parent / "exit.json").exists():
            continue
        claim = read_object(str(attempt))
        if claim and not claim.get("refused") and not supervised(claim):
            ended += end_remains(attempt.parent, claim)[0]
    return ended
