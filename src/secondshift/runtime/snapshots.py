"""What code ran: a content-addressed copy of the sources, secrets masked; and the fingerprint of an order."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from secondshift.records.orders import Order
from secondshift.runtime.datafiles import DataFiles
from secondshift.runtime.environments import Environments
from secondshift.runtime.sourcenames import PRIVATE, is_source

FILE_CAP, TOTAL_CAP, ENTRY_CAP = 1 << 20, 20 << 20, 20_000  # bytes of a file, of all files; folder entries looked at
GIT_TIMEOUT_S = 5.0
CONFIGS = (".env", ".ini", ".cfg", ".toml", ".yaml", ".yml", ".json", ".properties")

MASK = b"***masked***"
SECRETS = tuple(
    re.compile(pattern)
    for pattern in (
        rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",  # AWS key ids
        rb"(?i)(?<=aws_secret_access_key)(?:[\"' \t]*[=:][\"' \t]*)[A-Za-z0-9/+]{40}",
        rb"\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}",
        rb"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]+",
        rb"\bsk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic and those that copied the form
        rb"\bhf_[A-Za-z0-9]{30,}",
        rb"\bAIza[0-9A-Za-z_-]{35}",  # Google
        rb"(?<=://)[^/\s:@\"']+:[^/\s@\"']+(?=@)",  # user:password in an address
    )
)
KEY_BLOCK = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
ASSIGNMENT = re.compile(
    rb"(?im)^([+\- ]?[ \t]*(?:export[ \t]+)?[\"']?[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|"
    rb"private_?key|credential)[\w.-]*[\"']?[ \t]*[=:][ \t]*)([^\s].*)$"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A stored copy of the code of a folder."""

    digest: str  # of what was stored; the folder's name in the store
    commit: str = ""  # empty outside git
    dirty: bool = False  # tracked files differ from the commit
    files: tuple[str, ...] = ()  # stored whole: untracked sources, or all sources outside git
    skipped: tuple[str, ...] = ()  # left out, each with the reason
    masked: int = 0  # secrets replaced


def snapshot(folder: Path, store: Path) -> Snapshot:
    """Copy the code of `folder` into `store/<digest>`: in git its commit, diff and untracked sources, else all sources.

    The same code is stored once. Files above 1 MiB, and those past 20 MiB in all, are listed but not stored; known
    forms of secrets are masked. Raises OSError if the store cannot be written.
    """
    commit, top = _commit(folder)
    skipped: list[str] = []
    contents: dict[str, bytes] = {}
    diff = b""
    if commit:
        diff = _git(top, "diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD")
        listed = _git(folder, "ls-files", "--others", "--exclude-standard", "-z").decode("utf-8", "surrogateescape")
        paths: Iterator[str] = (path for path in listed.split("\0") if path and is_source(path))
        if len(diff) > TOTAL_CAP:
            skipped.append(f"the diff of tracked files: {len(diff)} bytes, more than {TOTAL_CAP}")
            diff = b""
    else:
        paths = (path for path, _ in _walk(folder, skipped) if is_source(path))
    _read_all(folder, sorted(paths), contents, skipped)
    masked_diff, masked = _mask_diff(diff)
    for path, data in contents.items():
        contents[path], count = mask(data, config=path.lower().endswith(CONFIGS))
        masked += count
    return _keep(store, commit, masked_diff, contents, tuple(skipped), masked)


def mask(data: bytes, *, config: bool = False) -> tuple[bytes, int]:
    """Replace what looks like a secret; return the text and how many there were. Line breaks stay where they are.

    config: also mask the values of assignments such as `password=...`, which in program code are mostly harmless.
    """
    total = 0
    for pattern in SECRETS:
        data, count = pattern.subn(MASK, data)
        total += count
    data, count = KEY_BLOCK.subn(lambda found: re.sub(rb"[^\n+\- ]", b"*", found[0]), data)
    total += count
    if config:
        data, count = ASSIGNMENT.subn(lambda found: found[1] + MASK, data)
        total += count
    return data, total


class Snapshots:
    """Takes snapshots for many orders; a folder is read again only when a source in it has changed.

    store: where code is kept; data: files that orders depend on besides, relative to where they run.
    """

    def __init__(self, store: Path, data: Sequence[str] = ()) -> None:
        self.store = store
        self._data = DataFiles(store.parent / "cache" / "data.json", data)
        self._taken: dict[Path, tuple[int, Snapshot]] = {}
        self._environments = Environments()

    def take(self, folder: Path) -> Snapshot:
        """Return the snapshot of this folder as it is now. Raises OSError if the store cannot be written."""
        stamp = _stamp(folder)
        known = self._taken.get(folder)
        if known is None or known[0] != stamp:
            known = (stamp, snapshot(folder, self.store))
            self._taken[folder] = known
        return known[1]

    def fingerprint(self, order: Order) -> dict[str, str]:
        """Describe the code and the environment of an order. Never raises: a trial does not fail for want of a copy."""
        folder = Path(order.cwd)
        program = shutil.which(order.command[0], path=order.env.get("PATH")) or order.command[0]
        marks = {**self._environments.marks(program, folder), **self._data.marks(folder)}
        try:
            taken = self.take(folder)
        except (OSError, subprocess.SubprocessError) as problem:
            return {**marks, "code": "", "code_problem": str(problem)}
        return {**marks, "code": taken.digest, "commit": taken.commit, "dirty": str(taken.dirty)}


def _git(folder: Path, *arguments: str) -> bytes:
    """Run git without the influence of hooks, of a surrounding git, or of locks; return nothing if it fails."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    variables.update(GIT_OPTIONAL_LOCKS="0", LC_ALL="C")
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, env=variables, capture_output=True, stdin=subprocess.DEVNULL, timeout=GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return b""
    return done.stdout if done.returncode == 0 else b""


def _commit(folder: Path) -> tuple[str, Path]:
    """Return the commit a folder is at and the top of its working tree; an empty commit outside git."""
    if not any((above / ".git").exists() for above in (folder.absolute(), *folder.absolute().parents)):
        return "", folder
    lines = _git(folder, "rev-parse", "HEAD", "--show-toplevel").decode("utf-8", "surrogateescape").splitlines()
    return (lines[0], Path(lines[1])) if len(lines) == 2 else ("", folder)


def _walk(folder: Path, skipped: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield plain files below a folder, shallow ones first, but not of environments, caches and hidden folders."""
    queue, looked = deque([""]), 0
    while queue:
        inside = queue.popleft()
        try:
            entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
        except OSError:
            continue
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        for entry in entries:
            looked += 1
            path = f"{inside}/{entry.name}" if inside else entry.name
            if looked > ENTRY_CAP:
                skipped.append(f"{path}: and what comes after it; only {ENTRY_CAP} entries are looked at")
                return
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in PRIVATE and not entry.name.startswith("."):
                    queue.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield path, entry.stat(follow_symlinks=False)


def _stamp(folder: Path) -> int:
    """Sum up names, sizes and times of the sources and of git's index: any edit or commit changes it."""
    marks: list[tuple[str, int, int]] = []
    for path, stat in _walk(folder, []):
        if is_source(path):
            marks.append((path, stat.st_size, stat.st_mtime_ns))
    for above in (folder.absolute(), *folder.absolute().parents):
        if (above / ".git").is_dir():
            for name in ("HEAD", "index", "logs/HEAD"):
                try:
                    stat = os.stat(above / ".git" / name)
                    marks.append((name, stat.st_size, stat.st_mtime_ns))
                except OSError:
                    continue
            break
    return hash(tuple(marks))


def _read_all(folder: Path, paths: list[str], contents: dict[str, bytes], skipped: list[str]) -> None:
    total = 0
    for path in paths:
        try:
            stat = os.lstat(folder / path)
            if not os.path.isfile(folder / path) or os.path.islink(folder / path):
                skipped.append(f"{path}: not a plain file")
            elif stat.st_size > FILE_CAP:
                skipped.append(f"{path}: {stat.st_size} bytes, more than {FILE_CAP}")
            elif total + stat.st_size > TOTAL_CAP:
                skipped.append(f"{path}: the snapshot would pass {TOTAL_CAP} bytes")
            else:
                contents[path] = (folder / path).read_bytes()[:FILE_CAP]
                total += len(contents[path])
        except OSError as problem:
            skipped.append(f"{path}: {problem.strerror}")


def _mask_diff(diff: bytes) -> tuple[bytes, int]:
    """Mask a diff file by file, because assignments are masked in configuration only."""
    pieces, total = [], 0
    for piece in re.split(rb"(?m)^(?=diff --git )", diff):
        name = piece.partition(b"\n")[0].rstrip(b'"').lower()
        text, count = mask(piece, config=name.endswith(tuple(end.encode() for end in CONFIGS)))
        pieces.append(text)
        total += count
    return b"".join(pieces), total


def _keep(
    store: Path, commit: str, diff: bytes, contents: dict[str, bytes], skipped: tuple[str, ...], masked: int
) -> Snapshot:
    """Put a snapshot into the store under its digest, unless it is there."""
    manifest = {
        "commit": commit,
        "diff": hashlib.sha256(diff).hexdigest() if diff else "",
        "files": {_printable(path): hashlib.sha256(data).hexdigest() for path, data in contents.items()},
        "skipped": [_printable(line) for line in skipped],
    }
    text = json.dumps(manifest, sort_keys=True, indent=1).encode()
    digest = hashlib.sha256(text).hexdigest()[:32]
    if not (store / digest / "manifest.json").exists():
        draft = store / f".{digest}.{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "files").mkdir(parents=True)
        for path, data in contents.items():
            (draft / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / "files" / path).write_bytes(data)
        if diff:
            (draft / "diff.patch").write_bytes(diff)
        (draft / "manifest.json").write_bytes(text)
        try:
            draft.rename(store / digest)
        except OSError:  # another process was first
            shutil.rmtree(draft, ignore_errors=True)
            if not (store / digest / "manifest.json").exists():
                raise
    files = tuple(manifest["files"])
    return Snapshot(
        digest=digest, commit=commit, dirty=bool(diff), files=files, skipped=tuple(manifest["skipped"]), masked=masked
    )


def _printable(path: str) -> str:
    """Return a name that JSON can hold, whatever bytes it was made of."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
