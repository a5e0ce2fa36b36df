"""Who may look through the window: one secret, shown once, of which only a digest is kept.

The digest is also what the server proves itself with: an extension hands neither its secret nor an idea to
whatever else happens to listen on the port.
"""

import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path

from secondshift.errors import FolderReadOnly

FILE = "window.key"  # in the study's private folder, mode 0600
NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def new_secret(folder: Path) -> str:
    """Make a secret of 256 bits, keep its digest, and return it: nobody can read it again later. Raises FolderReadOnly."""
    secret = secrets.token_urlsafe(32)
    draft = folder / f".{FILE}.{os.getpid()}"
    try:
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(handle, "w", encoding="ascii") as file:
            file.write(_digest(secret))
            file.flush()
            os.fsync(handle)
        os.replace(draft, folder / FILE)
    except OSError as problem:
        raise FolderReadOnly(
            f"The key of the pairing cannot be written to {folder / FILE} ({problem.strerror}). Make the folder writable."
        ) from problem
    return secret


def key(folder: Path) -> str:
    """The digest that is kept; empty where there is none, or where others could have written or read it."""
    try:
        handle = os.open(folder / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with open(handle, encoding="ascii", errors="replace") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o077 or facts.st_uid != os.getuid():
            return ""
        text = file.read(100).strip()
    return text if _DIGEST.fullmatch(text) else ""


def holds(folder: Path, presented: str) -> bool:
    """Say whether somebody presents the secret of this study."""
    known = key(folder)
    return bool(known) and hmac.compare_digest(known, _digest(presented))


def proof(folder: Path, port: int, nonce: str) -> str:
    """What only this study's server can say to a nonce, on this port; empty where nothing is paired."""
    known = key(folder)
    return hmac.new(known.encode(), f"{port}:{nonce}".encode(), hashlib.sha256).hexdigest() if known else ""


def code(port: int, secret: str) -> str:
    """What a person carries over to the extension, once."""
    return f"secondshift-{port}-{secret}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
