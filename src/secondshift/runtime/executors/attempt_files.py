"""The small files of an attempt's folder: read without ever failing, written so that no reader sees half of one.

Standard library only, and imported by the supervisor without our package: keep the imports few.
"""

import os

try:
    # What json itself runs on. The package around it imports re and enum, a third of a supervisor's start (0031).
    from _json import encode_basestring_ascii, make_scanner
except ImportError:  # another Python than CPython
    from json.encoder import encode_basestring_ascii
    from json.scanner import make_scanner

DEVICE_FDS = 64  # descriptors from here on are device leases, in the supervisor and in the script
MESSAGE_BYTES = 2048  # of output kept in an exit


class Reading:
    """How JSON is read: its own numbers and constants, NaN and the infinities among them."""

    strict, object_hook, object_pairs_hook, parse_float, parse_int = True, None, None, float, int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__


scan = make_scanner(Reading)  # type: ignore[arg-type]  # typeshed asks for a scanner where CPython asks for a context


def to_json(value: object) -> str:
    """Write a plain value as JSON; NaN and the infinities as Python's json does."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        text = float.__repr__(value)
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(text, text)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{encode_basestring_ascii(str(k))}: {to_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_json, value)) + "]"
    raise TypeError(f"{value!r} cannot be written as JSON; expected text, numbers, lists and objects of them.")


def from_json(text: str) -> object:
    """Read a JSON text. Raises ValueError if it is not one, or not a whole one."""
    text = text.strip()
    try:
        value, end = scan(text, 0)
    except StopIteration:
        end = -1
    if end != len(text):
        raise ValueError(f"{text[:80]!r} is not one whole JSON value.")
    return value


def read_bytes(path: str) -> bytes:
    """Read a whole file; nothing if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        pieces = []
        while piece := os.read(fd, 65536):
            pieces.append(piece)
        return b"".join(pieces)
    except OSError:
        return b""
    finally:
        os.close(fd)


def read_object(path: str) -> dict:
    """Read a JSON object; an empty one if the file is missing or is not one."""
    try:
        found = from_json(read_bytes(path).decode())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_fence(attempt_folder: str) -> int:
    """Read the highest fencing token ever taken in the study of this attempt; 0 if there is none."""
    text = read_bytes(os.path.join(attempt_folder, "..", "..", "fence"))
    try:
        return int(text)
    except ValueError:
        return 0


def write_atomic(path: str, data: bytes, *, sync: bool = False) -> None:
    """Replace a file at once: readers see the old text or the new. Raises OSError."""
    draft = f"{path}.{os.getpid()}.tmp"
    write_file(draft, data, sync=sync)
    os.replace(draft, path)
    if sync:
        sync_folder(os.path.dirname(path))


def write_file(path: str, data: bytes, *, sync: bool = False) -> None:
    """Write a whole file, not atomically. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable. Raises OSError."""
    fd = os.open(folder or ".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def claim_once(folder: str, claim: dict) -> bool:
    """Write claim.json if nobody has; say whether it is ours. Exactly one caller ever hears True. Raises OSError.

    A link of a finished draft, not an exclusive open, so that no reader meets a claim that is only half written.
    """
    path, draft = os.path.join(folder, "claim.json"), os.path.join(folder, f"claim.{os.getpid()}.tmp")
    if os.path.exists(path):
        return False
    write_file(draft, to_json(claim).encode(), sync=True)
    try:
        os.link(draft, path)
        sync_folder(folder)
        return True
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)


def tail(path: str, most: int = MESSAGE_BYTES) -> str:
    """Return the last whole lines of a file, at most so many bytes, safe to print."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            data = file.read(most)
    except OSError:
        return ""
    if size > most and b"\n" in data:
        data = data.partition(b"\n")[2]
    text = data.decode("utf-8", "replace").replace("\r", "\n")
    return "".join(c for c in text if c >= " " or c in "\n\t").strip()


def environment(order: dict, token: str) -> dict[str, str]:
    """Return the variables of the training process: ours, then the study's, then those of the contract."""
    folder, threads = order["folder"], str(order.get("threads", 1))
    variables = {**os.environ, **{str(k): str(v) for k, v in order.get("env", {}).items()}}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        variables[name] = threads
    variables.update(
        SECONDSHIFT_ATTEMPT=folder,
        SECONDSHIFT_SEED=str(order.get("seed", 0)),
        SECONDSHIFT_PARAMS=os.path.join(folder, "params.json"),
        SECONDSHIFT_TOKEN=token,
        SECONDSHIFT_OUT=os.path.join(folder, "out"),
        TMPDIR=os.path.join(folder, "tmp"),
        PYTHONUNBUFFERED="1",
    )
    if tools := offer_tracking(folder):
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, (variables.get("PYTHONPATH"), tools)))
    return variables


def offer_tracking(folder: str) -> str:
    """Return a folder that holds a link to this very package and nothing else, or "" where no link can be made.

    Put on PYTHONPATH, it lets a script of any environment `import secondshift` without installing it, and can hide none
    of the packages that the script's own environment has.
    """
    tools, package = os.path.join(folder, "sdk"), os.path.abspath(__file__)
    for _ in ("attempt_files.py", "executors", "runtime"):
        package = os.path.dirname(package)
    try:
        os.makedirs(tools, exist_ok=True)
        os.symlink(package, os.path.join(tools, "secondshift"))
    except FileExistsError:
        pass  # an earlier supervisor of this attempt made it
    except OSError:
        return ""  # the script may still have it installed
    return tools
