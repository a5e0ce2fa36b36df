"""What is known of a command after a look at it."""

from dataclasses import dataclass
from typing import Literal

from secondshift.records.studies import Value

Kind = Literal["float", "int", "text", "choice", "switch", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One option of a command, as far as it can be told from outside."""

    name: str  # as in {name}: what stands after the dashes, dashes within as they are
    flag: str  # "--weight-decay"; of Hydra the key
    kind: Kind = "unknown"
    default: Value | None = None
    choices: tuple[str, ...] = ()
    source: Literal["help", "code", "hydra"] = "help"  # where it was read


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """One metric as a short run showed it."""

    name: str
    source: str  # sdk, stdout, csv, ...
    points: int
    first_step: int = 0
    last_step: int = 0
    last: float = 0.0
    moves: bool = True  # took more than one value


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """All that was found out about a command."""

    command: tuple[str, ...]
    script: str = ""  # the Python file among the arguments, if there is one
    hydra: bool = False
    options: tuple[Option, ...] = ()
    help_said: str = ""  # why there is no help: "timeout", "exit 1", ""
    ran_s: float = 0.0
    ended: bool = False  # by itself, within the time
    code: int | None = None
    metrics: tuple[Stream, ...] = ()
    last_words: str = ""
    uses_sdk: bool = False
