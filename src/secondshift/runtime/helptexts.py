"""What a command says of its own options: the help of argparse, click and typer, its source, and Hydra's configuration."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from secondshift.records.studies import Value
from secondshift.runtime.looks import Kind, Option

_FRAME = "│┃|╭╰─ \t"
_FLAG = r"--?[A-Za-z][\w.-]*"
_TAKES = r"(?:\{[^{}]*\}|<[^<>]*>|[^\s,{<\[-][^\s,]*)(?: \[[^\[\]]*\])*"  # as argparse writes -n N, --number N
_BETWEEN = rf"(?:(?:[ =]{_TAKES})?\s*[,/|]\s*|\s+(?=-))(?:\S+\s*,\s*)?"
_HEAD = re.compile(rf"\s*\*?\s*(?P<flags>{_FLAG}(?:{_BETWEEN}{_FLAG})*)(?P<rest>.*)")
_DEFAULT = re.compile(
    r"[\[(]\s*defaults?(?: to| is|:|=)?[:=]?\s*(?P<value>'[^']*'|\"[^\"]*\"|[^\])]*?)\s*[\])]", re.IGNORECASE
)
_CHOICES = re.compile(r"^[\s=]*(?:\{(?P<braces>[^{}]+)\}|[\[<](?P<bars>[^\[\]<>]*\|[^\[\]<>]*)[\]>])")
_TYPES: dict[str, Kind] = {
    "float": "float", "number": "float", "int": "int", "integer": "int", "text": "text", "path": "text", "str": "text",
    "string": "text", "directory": "text", "file": "text",
}  # fmt: skip
MOST_LINES, MOST_WIDTH, MOST_BODY = 5000, 500, 2000  # of a help text that are read: it may be a log, or a flood
_HYDRA_MAIN = re.compile(r"@\s*(?:hydra\.)?main\s*\(", re.MULTILINE)


def read_help(text: str) -> list[Option]:
    """Read the options out of a help text; what cannot be read is left out. Never raises."""
    return [option for head, body in _entries(text) if (option := _option(head, body)) is not None]


def read_code(source: str) -> list[Option]:
    """Read options out of Python source without running it: `add_argument` and `option` calls with plain values."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("add_argument", "option"):
                option = _called(node)
                found += [option] if option else []
    return found


def merged(helps: Iterable[Option], codes: Iterable[Option]) -> list[Option]:
    """Complete what the help says by what the source says; without a help, the source alone."""
    listed, by_name = list(helps), {option.name.replace("_", "-"): option for option in codes}
    if not listed:
        return list(by_name.values())
    whole = []
    for option in listed:
        other = by_name.get(option.name.replace("_", "-"))
        if other is not None:
            option = replace(
                option,
                kind=other.kind if option.kind in ("unknown", "text") and other.kind != "unknown" else option.kind,
                default=other.default if option.default is None else option.default,
                choices=option.choices or other.choices,
            )
        whole.append(option)
    return whole


def uses_hydra(source: str) -> bool:
    """Say whether a script's source is decorated with Hydra's main."""
    return "hydra" in source and _HYDRA_MAIN.search(source) is not None


def read_yaml(text: str) -> list[Option]:
    """Read the plain values of a configuration as Hydra prints it, nested keys joined by dots. Lists are left out."""
    found: list[Option] = []
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = re.fullmatch(r"( *)([A-Za-z_][\w-]*):(?: +(.*?))?\s*", line)
        if match is None:
            continue
        depth, key, value = len(match[1]), match[2], re.sub(r"\s+#.*$", "", match[3] or "")
        while above and above[-1][0] >= depth:
            above.pop()
        if not value:
            above.append((depth, key))
            continue
        name = ".".join([*(part for _, part in above), key])
        plain = _plain(value)
        inner = key == "defaults" or bool(above and above[0][1] == "hydra")  # Hydra's own, not the script's
        if plain is not None and not inner and value[0] not in "[{$&*|>!":
            found.append(Option(name=name, flag=name, kind=_kind_of(plain), default=plain, source="hydra"))
    return found


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Cut a help text into options, each with the lines that belong to it."""
    head, body, depth = "", "", 0
    for raw in text.splitlines()[:MOST_LINES]:
        line = re.sub(r"\x1b\[[0-9;]*m", "", raw[:MOST_WIDTH])
        framed = line.lstrip()[:1] in ("│", "┃")
        line = line.strip(_FRAME) if framed else line
        indent = 2 if framed else len(line) - len(line.lstrip())
        words = line.strip()
        if re.match(r"\*?\s*" + _FLAG, words) and (framed or 0 < indent <= max(depth, 8)):
            if head:
                yield head, body
            head, body, depth = words, words, max(indent, 2)
        elif head and words and (framed or indent > depth):
            body = f"{body} {words}"[:MOST_BODY]
        elif head and not framed:
            yield head, body
            head, body = "", ""
    if head:
        yield head, body


def _option(head: str, body: str) -> Option | None:
    match = _HEAD.match(head)
    if match is None:
        return None
    flags = re.findall(_FLAG, match["flags"])
    long = [flag for flag in flags if flag.startswith("--")] or flags
    flag = next((flag for flag in long if not flag.startswith("--no-")), long[0])
    if flag in ("--help", "-h", "--version", "--install-completion", "--show-completion", "--"):
        return None
    rest = match["rest"]
    choices = _choices(rest)
    found = _DEFAULT.search(body)
    text = found["value"].strip("'\"") if found else ""
    default = None if text in ("", "None", "no-default") else _plain(text)
    if any(flag.startswith("--no-") for flag in long):
        default = not text.startswith("no-") if text else default
        return Option(name=flag.lstrip("-"), flag=flag, kind="switch", default=default)
    kind = _kind(rest, choices, default)
    return Option(name=flag.lstrip("-"), flag=flag, kind=kind, default=default, choices=choices)


def _kind(rest: str, choices: tuple[str, ...], default: Value | None) -> Kind:
    """Tell what an option takes by the word after its flags: LR, FLOAT, <float>, or nothing."""
    if choices:
        return "choice"
    word = re.match(r"[ =]+<?([A-Za-z_][\w.-]*)", rest)
    named = _TYPES.get(word[1].lower()) if word else None
    if named is not None:
        return named
    if default is not None:
        return _kind_of(default)
    far = word is None or rest.startswith("  ")  # nothing, or an explanation in the next column
    return "switch" if far else "unknown"


def _choices(rest: str) -> tuple[str, ...]:
    found = _CHOICES.match(rest)
    if found is None:
        return ()
    cut = found["braces"].split(",") if found["braces"] else found["bars"].split("|")
    return tuple(part.strip() for part in cut if part.strip())


def _called(node: ast.Call) -> Option | None:
    flags = [
        a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str) and a.value[:1] == "-"
    ]
    flags = [part.strip() for flag in flags for part in flag.split("/")]
    long = [flag for flag in flags if flag.startswith("--") and not flag.startswith("--no-")] or flags
    if not long:
        return None
    given = {k.arg: k.value for k in node.keywords if k.arg}
    default: Value | None = None
    if "default" in given:
        try:
            value = ast.literal_eval(given["default"])
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            value = None
        default = value if isinstance(value, bool | int | float | str) else None
    choices: tuple[str, ...] = ()
    if isinstance(given.get("choices"), ast.List | ast.Tuple):
        choices = tuple(str(e.value) for e in given["choices"].elts if isinstance(e, ast.Constant))  # type: ignore[attr-defined]
    named = getattr(given.get("type"), "id", "")
    action = getattr(given.get("action"), "value", "") or getattr(given.get("action"), "attr", "")
    kind: Kind = "choice" if choices else _TYPES.get(str(named), "unknown")
    if action in ("store_true", "store_false", "BooleanOptionalAction") or "is_flag" in given:
        kind = "switch"
    elif kind == "unknown" and default is not None:
        kind = _kind_of(default)
    if kind == "float" and isinstance(default, int) and not isinstance(default, bool):
        default = float(default)
    return Option(name=long[0].lstrip("-"), flag=long[0], kind=kind, default=default, choices=choices, source="code")


def _kind_of(value: Value) -> Kind:
    if isinstance(value, bool):
        return "switch"
    return "int" if isinstance(value, int) else "float" if isinstance(value, float) else "text"


def _plain(text: str) -> Value | None:
    """Read a value as it is printed; None for nothing."""
    text = text.strip()
    if text[:1] in "'\"" and len(text) > 1 and text[-1] == text[0]:
        return text[1:-1]
    if text.lower() in ("null", "none", "~", "", "???"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text):
        return float(text)
    return text
