"""From what was seen of a command to a first study: each guess with its evidence. Pure, and no policy: a person edits it."""

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from secondshift.config.commands import RESERVED
from secondshift.records.studies import Value
from secondshift.runtime.looks import Looked, Option, Stream

MOST = 3  # parameters that are searched at once; further ones are listed as comments
_GOOD = re.compile(
    r"(^|[_/.-])(acc|accuracy|auc|auroc|f1|bleu|rouge|score|reward|return|rew(_|$)|r2|precision|recall|map|iou|dice|win)",
    re.I,
)
_RETURNS = re.compile(r"(^|[_/.-])(rew|rewards?|returns?|episodic)([_/.-]|$)", re.I)
_LOSSES = re.compile(r"loss|error|rmse|mae|mse|perplexity|ppl|nll|bpc", re.I)
_JUDGES = ("val", "valid", "validation", "eval", "dev", "test")
_SEED = re.compile(r"(random[_-]?|global[_-]?|training\.|train\.)?seed$", re.I)
_CHECKPOINTS = re.compile(r"(ckpt|checkpoint)s?([_-](dir|path|folder|root))?$|(ckpt|checkpoint)(dir|path)$", re.I)
_OUTPUTS = re.compile(r"(out|output|save|run|work|model|logging)[_-]?(dir|path|folder)$", re.I)
_OWN = re.compile(r"(^|[_-])(logs?|logging|out|outputs?|results?|work|run|root)[_-]?(dir|directory|folder)$", re.I)
_STEPS = re.compile(r"((max|num|number|n|total|train)[_-]?)*(epochs?|(time)?steps|iters?|iterations)$", re.I)
_RATES = re.compile(r"(^|[._-])(lr|learn(ing)?[_-]?rate|eta)$|(^|[._-])(weight[_-]?decay|wd|l2|alpha|reg)$", re.I)
_SHARES = re.compile(r"dropout|momentum|label[_-]?smoothing|beta\d?$|subsample|gamma$", re.I)
_SIZES = re.compile(
    r"batch|hidden|width|channels|depth|layer|head|embd|embed|dim|units|size|rank|estimators|leaves", re.I
)
_NO_SIZES = re.compile(r"vocab|cache|log|worker|save|eval|image|window|block", re.I)


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """One value of the study file, and what speaks for it."""

    value: str
    key: str  # of the sentence in [init] that says why
    values: tuple[tuple[str, str], ...] = ()  # of that sentence
    sure: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One parameter that may be searched."""

    name: str  # as it stands in [search]
    toml: str  # its range or choices
    flag: str  # where it is passed
    default: Value
    active: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketch:
    """A first study."""

    metric: Guess
    goal: Guess
    steps: Guess
    seed_flag: str = ""  # empty: none was found, or the command names it already
    checkpoint_flag: str = ""
    checkpoint_sure: bool = False
    out_flag: str = ""  # where the script is told to write; trials side by side need a folder each
    axes: tuple[Axis, ...] = ()
    source: str = ""  # of the metric
    step: str = ""  # the name of the step, where it is not the usual one
    path: str = ""  # pattern of the files below the working folder that hold it; empty: no file, or one below `out`


def sketch(looked: Looked) -> Sketch:
    """Guess a study from what was seen."""
    stream = objective(looked.metrics)
    metric = stream.name if stream else "loss"
    others = ", ".join(sorted({s.name for s in looked.metrics} - {metric})[:8]) or "—"
    found = (("metric", metric), ("points", str(stream.points if stream else 0)), ("others", others))
    key = "metric" if stream else "metric_ended" if looked.ran_s else "metric_unseen"
    kind, _, path = (stream.source if stream else "").partition(": ")
    steps, counted = horizon(looked, stream), {s.name for s in looked.metrics if stream and s.source == stream.source}
    epochs = steps.key == "steps_option" and "epoch" in dict(steps.values)["flag"] and "epoch" in counted
    goal = Guess(value="max" if _GOOD.search(metric) else "min", key="goal", values=found[:1])
    looked = replace(looked, options=(*looked.options, *_unlisted(looked)))
    own, sure = checkpoint_option(looked.options)
    out = out_option(looked, own if sure else "")
    seed = next((o.flag for o in looked.options if _SEED.fullmatch(o.name)), "")
    return Sketch(
        metric=Guess(value=metric, key=key, values=found), goal=goal, steps=steps, seed_flag=seed,
        checkpoint_flag=own, checkpoint_sure=sure, out_flag=out, axes=axes(looked.options, looked.command),
        source=kind, step="epoch" if epochs else "", path=re.sub(r"\d+", "*", glob.escape(path)),
    )  # fmt: skip


def _unlisted(looked: Looked) -> list[Option]:
    """Options that the command names and its help does not, as those of a configuration: --training.dropout 0.1."""
    known = {option.flag for option in looked.options}
    given = (flag for flag in _given(looked.command) if flag.startswith("--") and flag not in known)
    return [Option(name=flag.lstrip("-"), flag=flag) for flag in given]


def objective(metrics: Sequence[Stream]) -> Stream | None:
    """Choose the metric most like an objective: of held-out data before training, a return or a loss before the rest.

    What never changed and is called like nothing that is known, such as `[rank: 0]`, is none.
    """

    def rank(stream: Stream) -> tuple[int, int, int, int]:
        name = stream.name.lower()
        judged = any(part.rstrip("0123456789") in _JUDGES for part in re.split(r"[_/.\s-]", name))
        kind = 0 if _RETURNS.search(name) else 1 if "loss" in name else 2 if _GOOD.search(name) else 3
        return (0 if stream.moves or kind < 3 else 1, 0 if judged else 1, kind, len(name))

    told = [s for s in metrics if rank(s)[:2] != (1, 1)]
    return min(told, key=rank, default=None)


def telling(metrics: Sequence[Stream]) -> bool:
    """Say whether a run has shown enough to guess from: a number that moves, with a name that an objective has."""
    stream = objective([s for s in metrics if s.moves])
    return stream is not None and any(p.search(stream.name) for p in (_RETURNS, _GOOD, _LOSSES))


def horizon(looked: Looked, stream: Stream | None) -> Guess:
    """Guess the steps of a full trial: those of a run that ended, an option for them, or what the run came to."""
    last = max((s.last_step for s in looked.metrics), default=-1) + 1
    if looked.ended and looked.code == 0 and stream is not None:
        return Guess(value=str(last), key="steps_whole", values=(("steps", str(last)),), sure=True)
    given = _given(looked.command)
    told = {**given, **{o.flag: o.default for o in looked.options if o.flag not in given}}  # a help may leave some out
    for flag, value in told.items():
        counted = isinstance(value, int | str) and str(value).isdigit() and int(value) > 0
        if counted and _STEPS.fullmatch(flag.lstrip("-").rpartition(".")[2]):
            values = (("flag", flag), ("steps", str(value)))
            return Guess(value=str(value), key="steps_option", values=values)
    if stream is not None and looked.ran_s:
        rate = last / looked.ran_s
        steps = max(1, round(rate * 600))
        values = (("seen", str(last)), ("length", f"{looked.ran_s:.0f}"), ("steps", str(steps)))
        return Guess(value=str(steps), key="steps_rate", values=values)
    return Guess(value="1000", key="steps_unknown")


def checkpoint_option(options: Sequence[Option]) -> tuple[str, bool]:
    """Find the option for a folder of checkpoints, and say whether its name leaves no doubt."""
    for pattern, sure in ((_CHECKPOINTS, True), (_OUTPUTS, False)):
        for option in options:
            if pattern.search(option.name.rpartition(".")[2]) and option.kind not in ("switch", "int", "float"):
                return option.flag, sure
    return "", False


def out_option(looked: Looked, taken: str) -> str:
    """Find the option for the folder that a run writes to, other than that of its checkpoints."""
    if looked.hydra:
        return "hydra.run.dir"  # by default named by the second in which a run begins
    given = _given(looked.command)
    folders = [o.flag for o in looked.options if _OWN.search(o.name) and o.kind not in ("switch", "int", "float")]
    return next((flag for flag in sorted(folders, key=lambda flag: flag not in given) if flag != taken), "")


def axes(options: Sequence[Option], command: Sequence[str]) -> tuple[Axis, ...]:
    """List the options that people search, with a range around their default; the likeliest are active."""
    given = _given(command)
    found: list[tuple[int, Axis]] = []
    for option in options:
        default = _typed(option, given.get(option.flag))
        if (
            default is None
            or option.kind == "switch"
            or option.name in RESERVED
            or _SEED.fullmatch(option.name)
            or _STEPS.search(option.name)
        ):
            continue  # no axis
        made = _range(option, default)
        if made is not None:
            rank, toml = made
            name = re.sub(r"[^A-Za-z0-9_.-]", "_", option.name)
            rank += 0 if option.flag in given or rank != 1 else 1
            found.append((rank, Axis(name=name, toml=toml, flag=option.flag, default=default, active=False)))
    found.sort(key=lambda pair: pair[0])
    return tuple(
        Axis(name=a.name, toml=a.toml, flag=a.flag, default=a.default, active=place < MOST and rank < 4)
        for place, (rank, a) in enumerate(found)
    )


def _range(option: Option, default: Value) -> tuple[int, str] | None:
    """Give how likely an option is to be searched (0: most) and its range in TOML; None if it is none."""
    name = option.name
    if option.choices and 1 < len(option.choices) <= 6:
        listed = ", ".join(quoted(choice) for choice in option.choices)
        shown = f", default = {quoted(str(default))}" if str(default) in option.choices else ""
        return 4, f"{{ choices = [{listed}]{shown} }}"
    if isinstance(default, bool | str):
        return None
    if _RATES.search(name) and default > 0:
        rank = 0 if re.fullmatch(r"(.*\.)?(lr|learn(ing)?[_-]?rate|eta)", name, re.I) else 2
        low, high = float(f"{default / 10:.3g}"), float(f"{default * 10:.3g}")
        return rank, f"{{ low = {low!r}, high = {high!r}, log = true, default = {float(default)!r} }}"
    if _SHARES.search(name) and 0 <= default < 1 and isinstance(default, float):
        high = 0.5 if default <= 0.5 else 0.999
        return 3, f"{{ low = 0.0, high = {high!r}, default = {default!r} }}"
    if _SIZES.search(name) and not _NO_SIZES.search(name) and isinstance(default, int) and default >= 2:
        return 1, f"{{ choices = [{default // 2}, {default}, {default * 2}], default = {default} }}"
    return None


def _typed(option: Option, given: str | None) -> Value | None:
    if given is None:
        return option.default
    kind = option.kind
    if kind == "unknown" and re.fullmatch(r"-?[\d.]+([eE][+-]?\d+)?", given):  # neither help nor source said what it takes
        kind = "int" if given.lstrip("-").isdigit() else "float"
    try:
        return int(given) if kind == "int" else float(given) if kind == "float" else given
    except ValueError:
        return given


def _given(command: Sequence[str]) -> dict[str, str]:
    """Read the options that a command sets already: --lr 0.1, --lr=0.1, lr=0.1."""
    found: dict[str, str] = {}
    for number, word in enumerate(command):
        name, equals, value = word.partition("=")
        if equals and re.fullmatch(r"(--?|\+{0,2})[A-Za-z][\w.-]*", name):
            found[name.lstrip("+") if not name.startswith("-") else name] = value
        elif word.startswith("--") and number + 1 < len(command) and not command[number + 1].startswith("--"):
            found[word] = command[number + 1]
    return found


def quoted(text: str) -> str:
    """Write a text as TOML."""
    shown = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda c: f"\\u{ord(c.group()):04x}", shown) + '"'
