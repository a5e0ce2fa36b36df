"""Which files are sources, by their names."""

import os

SOURCES = frozenset(
    ".py .pyi .pyx .ipynb .toml .yaml .yml .json .cfg .ini .env .sh .c .cc .cpp .cu .cuh .h .hpp .rs .go .jl .r .lua "
    ".m .scala .java .kt .js .ts .sql .proto .txt .md .lock .gin .jsonnet".split()
)
NAMES = frozenset(("Dockerfile", "Makefile", "Justfile", ".env"))
PRIVATE = frozenset(("__pycache__", "node_modules", "venv", "site-packages", "dist", "build"))


def is_source(path: str) -> bool:
    """Say whether a file is one of sources, by its name and place."""
    parts = path.split("/")
    hidden = any(part in PRIVATE or (part.startswith(".") and part != ".github") for part in parts[:-1])
    return not hidden and (parts[-1] in NAMES or os.path.splitext(parts[-1])[1].lower() in SOURCES)
