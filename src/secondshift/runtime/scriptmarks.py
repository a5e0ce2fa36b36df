"""What of a training script counts: its own files, found from its command, and digests that comments do not change."""

import ast
import hashlib
import re
import shlex
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

MOST_FILES = 2000  # of one script; more are not looked at
MOST_BYTES = 32 << 20  # of a file that is read whole; a larger one counts by its beginning and its size
_PYTHON = re.compile(r"(?:.*/)?python[0-9.]*")
_SCRIPT = (".py", ".pyw", ".sh", ".bash")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_NO_CODE = frozenset(["type_ignores", "type_comment", "kind"])


def script_files(command: str, folder: Path) -> list[Path]:
    """Name the files of one's own that a command runs: those it names, and the Python files that these import.

    folder: absolute, where the command runs; only files below it are one's own. What an installed program or package
    does is not seen. A command that cannot be split names none.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    folder = folder.resolve()
    first = list(_named(words, folder))
    roots = dict.fromkeys([folder, folder / "src", *(path.parent for path in first)])
    found = dict.fromkeys(first)
    waiting = list(found)
    while waiting and len(found) < MOST_FILES:
        for path in _imported(waiting.pop(), tuple(roots)):
            if path not in found and folder in path.parents:
                found[path] = None
                waiting.append(path)
    return sorted(found)


def file_digest(path: Path) -> str:
    """Digest a file, as sha256 hex: Python by what it does, so that comments, docstrings and layout do not count, all
    else by its bytes. One that cannot be read has a digest of its own."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES)
            size = path.stat().st_size
    except OSError:
        return "cannot be read"
    tree = _parsed(path, data)
    try:
        text = "" if tree is None else _written(tree)
    except RecursionError:
        text = ""
    return hashlib.sha256(text.encode("utf-8", "replace") if text else data + b"\0%d" % size).hexdigest()


def _named(words: list[str], folder: Path) -> Iterator[Path]:
    """The files below `folder` that a command names as what is run; modules after -m included."""
    others = 0
    for place, word in enumerate(words):
        if place and words[place - 1] == "-m":
            yield from _module(word, (folder, folder / "src"))
        elif word.endswith(_SCRIPT) or not others:
            path = (folder / word).resolve()
            if _PYTHON.fullmatch(word) or not path.is_file() or folder not in path.parents:
                continue
            others += 1  # after the first file that is named, only scripts count: the rest is data
            yield path


def _imported(path: Path, roots: tuple[Path, ...]) -> Iterator[Path]:
    """The local files that a Python file imports, wherever in it the import stands."""
    try:
        tree = _parsed(path, path.read_bytes()[:MOST_BYTES])
    except OSError:
        return
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            for name in node.names:
                yield from _module(name.name, roots)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                start = path.parents[node.level - 1] if node.level <= len(path.parents) else path.parent
                bases: tuple[Path, ...] = (start,)
            else:
                bases = roots
            head = f"{node.module}." if node.module else ""
            for name in node.names:
                yield from _module(head + name.name, bases)


def _module(name: str, roots: Iterable[Path]) -> Iterator[Path]:
    """The files that importing a dotted name runs, in the first root that has it; a last part may be no module."""
    for root in roots:
        found, here = [], root
        for part in name.split("."):
            here = here / part
            init, plain = here / "__init__.py", here.with_name(f"{part}.py")
            if init.is_file():
                found.append(init.resolve())
            elif plain.is_file():
                found.append(plain.resolve())
                break
            elif not here.is_dir():
                break
        else:
            if (here / "__main__.py").is_file():
                found.append((here / "__main__.py").resolve())
        if found:
            yield from found
            return


def _parsed(path: Path, data: bytes) -> ast.Module | None:
    """Read a file as Python; None if it is none, or not whole."""
    head = data[:80].split(b"\n", 1)[0]
    if path.suffix not in (".py", ".pyw") and not (head.startswith(b"#!") and b"python" in head):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _written(node: object) -> str:
    """Write a syntax tree down without places, docstrings and whatever is empty: the same in every release of Python."""
    if isinstance(node, list):
        return "[" + ",".join(map(_written, node)) + "]"
    if not isinstance(node, ast.AST):
        return f"{type(node).__name__}:{node!r}"
    parts = []
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(node, _DOCUMENTED):
            value = _without_docstring(value)
        if name not in _NO_CODE and value is not None and value != []:
            parts.append(f"{name}={_written(value)}")
    constant = isinstance(node, ast.Constant) and node.value is None
    return f"{type(node).__name__}({','.join(parts)}{'None' if constant else ''})"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return body[1:] if told else body
