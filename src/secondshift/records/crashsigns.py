"""The lines by which logs say what went wrong, and finding them in a log of any length. What they mean is for policies."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

LONGEST = 4096  # characters of a line that are looked at


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """One thing that a line can say."""

    pattern: re.Pattern[str]
    words: tuple[bytes, ...]  # lower-case; each line that the pattern matches holds one of them: they are found much faster


def _sign(pattern: str, words: str) -> Sign:
    return Sign(pattern=re.compile(pattern), words=tuple(word.encode() for word in words.split("|")))


SIGNS: Mapping[str, Sign] = {
    "oom": _sign(
        r"RESOURCE_EXHAUSTED|OutOfMemoryError|CUDA out of memory|Out of memory while trying|oom-kill|MemoryError",
        "resource_exhausted|out of memory|oom-kill|memoryerror",
    ),
    "disk_full": _sign(
        r"No space left on device|Disk quota exceeded|File too large", "no space left on device|disk quota exceeded|file too large"
    ),
    "nan_in_optimizer_state": _sign(
        r"(?i)\b(?:nan|inf)s?\b.{0,60}(?:optimi[sz]er|parameter|gradient|eigh|matrix|svd)"
        r"|(?:eigh|svd|cholesky).{0,80}(?:failed to converge|non-?finite|ill-conditioned|not positive)",
        "nan|inf |infs|inf,|inf)|inf:|eigh|svd|cholesky",
    ),
    "launch_config_error": _sign(
        r"unrecognized arguments|FlagsError|UnrecognizedFlag|IllegalFlagValue|ConfigError|KeyError: '--"
        r"|ModuleNotFoundError|ImportError|SyntaxError|FileNotFoundError",
        "unrecognized arguments|flagserror|unrecognizedflag|illegalflagvalue|configerror|keyerror: '--"
        "|modulenotfounderror|importerror|syntaxerror|filenotfounderror",
    ),
    "network": _sign(
        r"Connection (?:reset|refused|timed out)|Temporary failure in name resolution|Connection(?:Reset)?Error",
        "connection reset|connection refused|connection timed out|temporary failure in name|connectionerror|connectionreseterror",
    ),
    "node_lost": _sign(
        r"NODE_FAIL|node failure|\bXid\b|uncorrectable ECC|preempted", "node_fail|node failure|xid|uncorrectable ecc|preempted"
    ),
    "nccl_timeout": _sign(r"Watchdog caught collective operation timeout", "watchdog caught"),
    "segfault": _sign(r"SIGSEGV|Segmentation fault|exitcode\s*:\s*-11", "sigsegv|segmentation fault|exitcode"),
    "killed": _sign(r"SIGKILL|exitcode\s*:\s*-9", "sigkill|exitcode"),
    "sigabrt": _sign(r"SIGABRT|exitcode\s*:\s*-6", "sigabrt|exitcode"),
}


def signs_in(lines: Iterable[str]) -> frozenset[str]:
    """The signs whose lines occur anywhere in a log: one pass, constant memory."""
    found: set[str] = set()
    for line in lines:
        found.update(name for name, sign in SIGNS.items() if name not in found and sign.pattern.search(line[:LONGEST]))
    return frozenset(found)


def signs_in_block(block: bytes, known: frozenset[str]) -> frozenset[str]:
    """The signs in a block of whole lines that are not known yet; the same as `signs_in`, some hundred times as fast."""
    lower = block.lower()
    return frozenset(
        name for name, sign in SIGNS.items()
        if name not in known and any(sign.pattern.search(line) for word in sign.words for line in _lines_with(word, block, lower))
    )  # fmt: skip


def _lines_with(word: bytes, block: bytes, lower: bytes) -> Iterator[str]:
    at = lower.find(word)
    while at >= 0:
        end = lower.find(b"\n", at)
        end = end if end >= 0 else len(block)
        begun = lower.rfind(b"\n", 0, at) + 1
        yield block[begun : min(end, begun + LONGEST)].decode("utf-8", "replace")
        at = lower.find(word, end)
