"""Finds names, numbers and steps in a line that a script printed for people.

The expressions hold no repetition within a repetition over the same characters, so that a line of any content takes
time in proportion to its length; callers bound that length.
"""

import re
from collections.abc import Iterator, Sequence

STEP_NAMES = ("step", "global_step", "iter", "iteration", "epoch", "total_timesteps")  # in this order of trust
_WORD = r"[^\W\d][\w./@%-]{0,99}(?:'s)?"
_NUMBER = (
    r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9,])"
    r"|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?"
    r"|(?i:nan|inf(?:inity)?))"
)
_UNIT = r"(?:%|[mun]?s|secs?|x|[kKMGT]i?B|it/s|s/it)?"
_BOUND = r"(?=$|[\s,;|()\]}'\"<>]|[.:!](?:\s|$))"
_WRAP = r"(?:tensor\(|np\.(?:float|int)(?:16|32|64)\(|array\()?"
_VALUE = rf"{_WRAP}['\"]?(?P<value>{_NUMBER}){_UNIT}{_BOUND}"
_NAME = rf"(?<![\w./@%-])(?P<name>{_WORD}(?: {_WORD}){{0,3}})"
_QUOTED = r"(?P<quote>['\"])(?P<key>[^'\"]{1,200})(?P=quote)\s{0,8}:\s{0,8}"
_PAIR = re.compile(rf"(?:{_QUOTED}|{_NAME}(?P<mark>\s{{0,8}}[=:])\s{{0,8}}){_VALUE}")
_LOOSE = re.compile(rf"(?:{_QUOTED}|{_NAME}(?P<mark>\s{{0,8}}[=:]|(?=\s))\s{{0,8}}){_VALUE}")
_SEPARATED = re.compile(rf"[=:]\s{{0,8}}{_WRAP}['\"]?[-+.]{{0,2}}(?:[0-9]|(?i:nan|inf))")
_NUMERIC = re.compile(rf"\s*{_NUMBER}%?\s*")
_AT_START = re.compile(r"\s*(?:\[([0-9]{1,18})\]\s|([0-9]{1,18}):\s)")  # boosting libraries count their rounds so
_NOT_A_STEP = ("best", "max", "total", "num", "per", "every")
_LEVELS = ("DEBUG ", "INFO ", "WARNING ", "WARN ", "ERROR ")
IGNORED = frozenset(["v_num", "cuda"])  # a version and a device, as progress bars and reprs print them
ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def number(text: str) -> float | None:
    """Read a whole text as a number, a percent sign allowed; None if it is none."""
    if len(text) > 400 or not _NUMERIC.fullmatch(text):
        return None
    return _float(text.strip().rstrip("%"))


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float(text.replace(",", ""))


def pairs(text: str, *, loose: bool = False) -> Iterator[tuple[str, float]]:
    """Give `name=value`, `name: value` and `'name': value` of a line; with `loose` also `name value`."""
    if not loose and not _SEPARATED.search(text):
        return  # prose, the most frequent line of all, is told at a fifth of the price
    for found in (_LOOSE if loose else _PAIR).finditer(text):
        key = found["key"]
        yield (key if key is not None else _last_words(found["name"], found["mark"])), _float(found["value"])


def _last_words(name: str, mark: str) -> str:
    """Cut what stands before a name but is none of it: "INFO epoch=3" speaks of `epoch`."""
    if mark == "=":
        return name.rpartition(" ")[2]
    for level in _LEVELS:
        name = name.removeprefix(level)
    return name


class StepFinder:
    """Finds the step that a line names.

    step: the only name that counts; empty: any of STEP_NAMES, the first of them that the line has.
    """

    def __init__(self, step: str = "") -> None:
        self.names: Sequence[str] = (step.lower(),) if step else STEP_NAMES
        spelled = "|".join(re.escape(name).replace("_", "[_ ]") for name in self.names)
        self._hints = (step.lower(),) if step else ("step", "iter", "epoch")
        self._named = re.compile(
            rf"(?<![\w.])(?P<name>{spelled})['\"]?\s{{0,8}}[:=#]?\s{{0,8}}['\"]?[\[(]?\s{{0,8}}"
            r"(?P<step>[0-9]{1,18})(?P<part>\.[0-9]+)?(?!\w)(?!\.[0-9])"
        )
        self._at_start = not step
        self._known: dict[str, bool] = {}

    def is_step(self, name: str) -> bool:
        """Say whether a name is one of a step, whatever group or phrase stands before it."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) > 4096:
                self._known.clear()
            known = self._known[name] = _last(name) in self.names
        return known

    def in_line(self, text: str) -> tuple[int | None, bool]:
        """Return the step a line names, None without; and whether it names one that is no whole number."""
        best: tuple[int, float] | None = None
        low = text.lower()
        for hint in self._hints:
            at = low.find(hint)
            while at >= 0:
                begin = at - 7 if low.startswith("global", max(0, at - 7)) and at >= 7 else at
                found = self._named.match(low, begin)
                if found and not low[max(0, begin - 8) : begin].rstrip().endswith(_NOT_A_STEP):
                    rank = self.names.index(found["name"].replace(" ", "_")) if len(self.names) > 1 else 0
                    if best is None or rank < best[0]:
                        part = found["part"]
                        best = (rank, float(found["step"] + part) if part else int(found["step"]))
                at = low.find(hint, at + len(hint))
        if best is None and self._at_start and (found := _AT_START.match(text)):
            return int(found[1] or found[2]), False
        return _whole(best[1] if best else None)

    def in_items(self, items: Sequence[tuple[str, float]]) -> tuple[int | None, bool]:
        """Return the step among named values, None without; and whether it is no whole number."""
        best: tuple[int, float] | None = None
        for name, value in items:
            if self.is_step(name):
                rank = self.names.index(_last(name))
                if best is None or rank < best[0]:
                    best = (rank, value)
        return _whole(best[1] if best else None)


def _last(name: str) -> str:
    return re.split(r"[/. ]", name.lower())[-1]


def _whole(step: float | None) -> tuple[int | None, bool]:
    if step is None:
        return None, False
    if isinstance(step, int):
        return step, False
    if step == step and abs(step) < 2**63 and step.is_integer():
        return int(step), False
    return None, True
