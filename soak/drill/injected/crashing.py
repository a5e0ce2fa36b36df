"""Kills its own process at a named write point, before, during or after the write. Loaded into processes of a soak only.

`SOAK_ARMED` names a folder. A file `<point>@<phase>` in it arms that point: the first process that comes there takes the
file away, notes the hit in `hits`, and kills itself with SIGKILL. Phases: `before` nothing is written yet, `torn` half of
it is, `whole` all of it is but not yet in its place (or not yet committed), `after` it is.

Nothing of secondshift is known here but names of files: the standard library's own calls are wrapped. Standard library
only, and few imports: this also runs in supervisors.
"""

import os
import re
import sys

_ARMED = os.environ.get("SOAK_ARMED", "")
_open, _write, _close, _unlink, _stat = os.open, os.write, os.close, os.unlink, os.stat

# point -> (who writes it, draft or file opened, final name). Who: part of the process's own command line.
RENAMED = {
    "order.json": ("engine", r"/attempts/[^/]+/order\.json\.\d+\.tmp$", r"/order\.json$"),
    "params.json": ("engine", r"/params\.json\.\d+\.tmp$", r"/params\.json$"),
    "fingerprint.json": ("engine", r"/fingerprint\.json\.\d+\.tmp$", r"/fingerprint\.json$"),
    "control.json": ("engine", r"/control\.json\.\d+\.tmp$", r"/control\.json$"),
    "fence": ("engine", r"/fence\.\d+\.tmp$", r"/fence$"),
    "tombstone": ("engine", r"/claim\.\d+\.tmp$", r"/claim\.json$"),
    "lost exit": ("engine", r"/exit\.json\.\d+\.tmp$", r"/exit\.json$"),
    "brief": ("engine", r"/briefs/\.s\d+\.ko\.html\.\d+$", r"/briefs/s\d+\.ko\.html$"),
    "snapshot cache": ("engine", r"/cache/state\.bin\.\d+\.tmp$", r"/state\.bin$"),
    "ballast": ("engine", r"/ballast\.\d+\.tmp$", r"/ballast$"),
    "claim.json": ("supervisor", r"/claim\.\d+\.tmp$", r"/claim\.json$"),
    "child.json": ("supervisor", r"/child\.json\.\d+\.tmp$", r"/child\.json$"),
    "family.json": ("supervisor", r"/family\.json\.\d+\.tmp$", r"/family\.json$"),
    "until": ("supervisor", r"/until\.\d+\.tmp$", r"/until$"),
    "exit.json": ("supervisor", r"(?!)", r"/exit\.json$"),  # its draft is reserved long before
    "keeper.json": ("keeper", r"/keeper\.json\.tmp$", r"/keeper\.json$"),
    "spool put": ("client", r"/spool/tmp/[^/]+\.json$", r"/spool/[^/]+\.json$"),
    "checkpoint": ("training", r"/\.writing-[^/]+/(?!manifest)[^/]+$", r"/step-\d+$"),
    "call claim": ("watcher", r"/agents/[^/]+/claim\.\d+\.tmp$", r"/agents/[^/]+/claim\.json$"),
    "call brief": ("watcher", r"/brief\.md\.\d+\.tmp$", r"/brief\.md$"),
    "call change": ("watcher", r"/changes/\w+\.patch\.\d+\.tmp$", r"/changes/\w+\.patch$"),
    "call result": ("watcher", r"/result\.json\.\d+\.tmp$", r"/result\.json$"),
    "tree ready": ("engine", r"/worktrees/\w+\.ready\.\d+\.tmp$", r"/worktrees/\w+\.ready$"),
    "manifest": ("training", r"/\.writing-[^/]+/manifest\.json$", r"(?!)"),  # put in its place with its folder
}
IN_PLACE = {
    "fragment": ("training", r"\.frag$"),
    "heartbeat": ("supervisor", r"/heartbeat$"),
    "samples": ("supervisor", r"/machine\.samples$"),
    "exit.json": ("supervisor", r"/exit\.reserve$"),
}
CREATED = {  # those that Python's own open() makes have no "after"
    "stopping": ("supervisor", r"/stopping$"),
    "call order": ("watcher", r"/agents/[^/]+/running\.log$"),
    "call waiting": ("engine", r"/agents/waiting\.log$"),
    "call lock": ("watcher", r"/agents/[^/]+/lock$"),
    "call workspace": ("watcher", r"/agents/[^/]+/tree/\.git/HEAD$"),
    "call output": ("watcher", r"/agents/[^/]+/output\.log$"),
}
REMOVED = {
    "call cleared": ("watcher", r"/agents/[^/]+/(tree|index)$"),
    "tree cleared": ("engine", r"/worktrees/\w+(\.ready)?$"),
    "spool discard": ("engine", r"/spool/[^/]+\.json$"),
    "checkpoint pruned": ("training", r"/checkpoints/step-\d+(/|$)"),
}
_RENAMED = {name: (who, re.compile(draft), re.compile(final)) for name, (who, draft, final) in RENAMED.items()}
_IN_PLACE = {name: (who, re.compile(path)) for name, (who, path) in IN_PLACE.items()}
_CREATED = {name: (who, re.compile(path)) for name, (who, path) in CREATED.items()}
_REMOVED = {name: (who, re.compile(path)) for name, (who, path) in REMOVED.items()}
_role = ""


def armed(point: str, phase: str) -> bool:
    """Say whether a point waits for somebody to come by."""
    try:
        _stat(f"{_ARMED}/{point}@{phase}")
    except OSError:
        return False
    return True


def die(point: str, phase: str) -> None:
    """Take the armed point away and end here, or stand still if it says STOP; exactly one process ever does."""
    try:
        fd = _open(f"{_ARMED}/{point}@{phase}", os.O_RDONLY)
        number = 19 if os.read(fd, 4) == b"STOP" else 9
        _close(fd)
        _unlink(f"{_ARMED}/{point}@{phase}")
    except OSError:
        return
    fd = _open(f"{_ARMED}/hits", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    _write(fd, f"{point}@{phase} {_role} {os.getpid()}\n".encode())
    _close(fd)
    os.kill(os.getpid(), number)


def _on_audit(event: str, arguments: tuple) -> None:
    if event != "open" or not isinstance(arguments[0], str) or not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return
    path = arguments[0]
    for point, (who, draft, _) in _RENAMED.items():
        if who == _role and draft.search(path) and armed(point, "before"):
            die(point, "before")
    for point, (who, made) in _CREATED.items():
        if who == _role and made.search(path) and armed(point, "before"):
            die(point, "before")


def _halve(path: str) -> None:
    """Leave half of a file, or of each file in a folder, as a write that was cut off does."""
    if os.path.isdir(path):
        for name in os.listdir(path):
            os.truncate(os.path.join(path, name), os.path.getsize(os.path.join(path, name)) // 2)
    else:
        os.truncate(path, os.path.getsize(path) // 2)


def _moving(original):  # wraps os.rename, os.replace and os.link alike
    def moved(source, target, *more, **named):
        point = next((p for p, (who, _, final) in _RENAMED.items() if who == _role and final.search(str(target))), "")
        if point and armed(point, "torn") and point not in IN_PLACE:
            _halve(str(source))
            die(point, "torn")
        if point and armed(point, "whole"):
            die(point, "whole")
        answer = original(source, target, *more, **named)
        if point and armed(point, "after"):
            die(point, "after")
        return answer

    return moved


def _writing(original):  # wraps os.write and os.pwrite alike
    def written(fd, data, *more):
        point = _in_place(fd)
        if not point:
            return original(fd, data, *more)
        if armed(point, "before"):
            die(point, "before")
        if armed(point, "torn"):
            original(fd, bytes(data)[: len(data) // 2], *more)
            die(point, "torn")
        answer = original(fd, data, *more)
        if armed(point, "after") and point not in RENAMED:
            die(point, "after")
        return answer

    return written


def _in_place(fd: int) -> str:
    mine = [(point, path) for point, (who, path) in _IN_PLACE.items() if who == _role]
    if not any(armed(point, phase) for point, _ in mine for phase in ("before", "torn", "after")):
        return ""
    try:
        name = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""
    return next((point for point, path in mine if path.search(name)), "")


def _opening(original):
    def opened(path, flags, *more, **named):
        fd = original(path, flags, *more, **named)
        if isinstance(path, str | os.PathLike) and flags & os.O_CREAT:
            for point, (who, made) in _CREATED.items():
                if who == _role and made.search(os.fspath(path)) and armed(point, "after"):
                    die(point, "after")
        return fd

    return opened


def _removing(original):  # wraps os.unlink, os.remove and os.rmdir alike
    def removed(path, *more, **named):
        point = next((p for p, (who, name) in _REMOVED.items() if who == _role and name.search(os.fspath(path))), "")
        if point and armed(point, "before"):
            die(point, "before")
        answer = original(path, *more, **named)
        if point and armed(point, "after"):
            die(point, "after")
        return answer

    return removed


def _role_of(command: list[str]) -> str:
    joined = " ".join(command)
    for role, sign in (
        ("supervisor", "/supervis"), ("training", "train.py"), ("engine", " engine "), ("keeper", "secondshift.runtime.keeper"),
        ("keeper", " secondshift run"), ("client", "client.py"), ("watcher", "secondshift.runtime.agents.running"),
    ):  # fmt: skip
        if sign in joined:
            return role
    return ""


def arm(command: list[str]) -> str:
    """Wrap what this process writes with; return its role, empty where nothing was wrapped."""
    global _role
    _role = _role_of(command) if _ARMED else ""
    if _role:
        sys.addaudithook(_on_audit)
        os.rename, os.replace, os.link = _moving(os.rename), _moving(os.replace), _moving(os.link)
        os.write, os.pwrite = _writing(os.write), _writing(os.pwrite)
        os.open = _opening(os.open)
        os.unlink, os.remove, os.rmdir = _removing(os.unlink), _removing(os.remove), _removing(os.rmdir)
    return _role
