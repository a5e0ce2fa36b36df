"""Each kind with itself left out of tuning.

The thresholds that ship were set by hand on the tuning parts. So that a kind can be left out, the thresholds that matter are chosen
anew from a small grid, each by itself with the others as they ship, on the tuning parts without that kind; ties go to the most
cautious value, never to the one that ships. The kind is then judged with what was chosen, on its judging part. What stays is the
hand work on the rules themselves, for which every kind of the tuning parts was seen: the held-out kinds are the stricter test.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import log
from pathlib import Path
from types import ModuleType

from captain import data
from captain.data import Stream
from captain.parts import Reported, findings_of, shown
from captain.scoring import Score, judge, share
from secondshift.policies.captain.symptoms import (
    evaluation,
    gradients,
    levels,
    loader,
    memory,
    numbers,
    timing,
    updates,
)

Setting = tuple[float, ...]  # one value for each of KNOBS
# the least cautious value first; the most cautious wins ties
KNOBS: tuple[tuple[ModuleType, str, tuple[float, ...]], ...] = (
    (levels, "POINT_LIMIT", (6.0, 9.0, 12.0)),
    (levels, "TAIL_LIMIT", (1.4, 1.8, 2.4)),
    (levels, "BLOCK_LIMIT", (3.5, 4.5, 6.0)),
    (numbers, "DIVERGING", (6, 8, 12)),
    (numbers, "LEARNED", (5.0, 3.5, 2.5)),
    (numbers, "FAR", (1.5, 2.5, 3.5)),
    (gradients, "SINGLE", (log(4.0), log(6.0), log(9.0))),
    (gradients, "LASTING", (log(1.5), log(2.0), log(3.0))),
    (gradients, "SKIPPED", (3, 4, 6)),
    (updates, "FROZEN", (8, 12, 18)),
    (updates, "IDLE", (4, 8, 16)),
    (loader, "REPEATED", (8, 12, 18)),
    (timing, "SLOWER", (log(1.15), log(1.25), log(1.4))),
    (timing, "LOADING", (log(1.3), log(1.5), log(2.0))),
    (timing, "STEP_BLOCKS", (4, 6, 9)),
    (memory, "RISES", (4, 5, 7)),
    (memory, "GROWTH", (0.003, 0.006, 0.012)),
    (evaluation, "JUMP", (4.0, 6.0, 9.0)),
    (evaluation, "PAST_BEST", (3, 4, 6)),
    (evaluation, "GAP", (0.35, 0.25, 0.15)),
    (evaluation, "TOGETHER", (2, 3, 4)),
)
FALSE_ACT = 2.0  # how many hits one false act on a lookalike costs
NOTE = 0.02  # the same for a note


@contextmanager
def set_to(setting: Mapping[int, float]) -> Iterator[None]:
    """Run with other thresholds: number of a knob -> value."""
    before = {knob: getattr(KNOBS[knob][0], KNOBS[knob][1]) for knob in setting}
    try:
        for knob, value in setting.items():
            setattr(KNOBS[knob][0], KNOBS[knob][1], value)
        yield
    finally:
        for knob, value in before.items():
            setattr(KNOBS[knob][0], KNOBS[knob][1], value)


def _scores(streams: Sequence[Stream]) -> dict[str, list[Score]]:
    found: dict[str, list[Score]] = defaultdict(list)
    for stream in streams:
        source = stream.name.split()[0]
        score = judge(findings_of(stream), stream.expected, int(stream.rows[-1]["step"] or 0) + 1)
        found[f"{source} {stream.expected.kind}"].append(score)
    return dict(found)


def _worth(scores: Sequence[Score]) -> float:
    """What one kind adds to the aim: hits and right first findings of a fault, false acts and notes of a lookalike."""
    values = [
        0.5 * (score.hit + score.right) - FALSE_ACT * score.false_acts if score.fault
        else -FALSE_ACT * score.false_acts - NOTE * score.notes
        for score in scores
    ]  # fmt: skip
    return sum(values) / len(values)


def worths(tuning: Sequence[Stream]) -> list[list[dict[str, float]]]:
    """For each knob and each of its values: what every kind is worth, on the tuning part."""
    ships = {kind: _worth(scores) for kind, scores in _scores(tuning).items()}
    table = []
    for knob, (module, name, values) in enumerate(KNOBS):
        row = []
        for value in values:
            if value == getattr(module, name):
                row.append(ships)
                continue
            with set_to({knob: value}):
                row.append({kind: _worth(scores) for kind, scores in _scores(tuning).items()})
        table.append(row)
    return table


def chosen(table: Sequence[Sequence[Mapping[str, float]]], without: frozenset[str]) -> dict[int, float]:
    """The best value of each knob for all kinds but those; ties go to the last, the most cautious."""
    setting = {}
    for knob, row in enumerate(table):
        aims = [round(sum(value for kind, value in kinds.items() if kind not in without), 9) for kinds in row]
        setting[knob] = KNOBS[knob][2][max(range(len(aims)), key=lambda place: (aims[place], place))]
    return setting


def measured(folder: Path, seeds: int) -> Reported:
    """Judge every kind with what ships, with what the grid chooses, and with what it chooses without that kind."""
    found = Reported()
    live = list(data.live(folder))
    tuning = [*(one for one in live if one.part == "tuning"), *data.generated("tuning", 2)]
    judging = [one for one in (*live, *data.generated("judging", seeds)) if one.part == "judging"]
    kinds: dict[str, list[Stream]] = defaultdict(list)
    for stream in judging:
        kinds[f"{stream.name.split()[0]} {stream.expected.kind}"].append(stream)
    table = worths(tuning)
    together = chosen(table, frozenset())
    names = [f"{module.__name__.rsplit('.', 1)[-1]}.{name}" for module, name, _ in KNOBS]
    differing = [f"{names[k]} {shown(getattr(KNOBS[k][0], KNOBS[k][1]))} -> {shown(v)}" for k, v in together.items()
                 if getattr(KNOBS[k][0], KNOBS[k][1]) != v]  # fmt: skip
    found.lines += [f"left-out: the grid on all kinds differs from what ships in: {', '.join(differing) or 'nothing'}",
                    "  | kind | runs | recall / right: ships | grid | grid without it | false acts: ships | grid | without it |",
                    "  |---|---|---|---|---|---|---|---|"]  # fmt: skip
    lost: list[tuple[float | None, float | None, float | None]] = []
    for kind, streams in kinds.items():
        same = kind.split()[1]  # the same fault in the other source is left out too, where it has the same name
        settings: list[dict[int, float]] = [{}, together, chosen(table, frozenset({kind, f"live {same}", f"generated {same}"}))]
        cells, acts, recalls = [], [], []
        for setting in settings:
            with set_to(setting):
                scores = _scores(streams)[kind]
            recalls.append(share(score.hit for score in scores) if scores[0].fault else None)
            right = share(score.right for score in scores) if scores[0].fault else None
            cells.append(f"{shown(recalls[-1])} / {shown(right)}")
            acts.append(str(sum(score.false_acts for score in scores)))
        mark = " (held out)" if streams[0].expected.held_out else ""
        found.lines.append("  | " + " | ".join([kind + mark, str(len(streams)), *cells, *acts]) + " |")
        if streams[0].expected.fault:
            lost.append((recalls[0], recalls[1], recalls[2]))
    ships, grid, without = ([share_of[i] or 0.0 for share_of in lost] for i in range(3))
    found.row("left out: mean recall over fault kinds, each without itself in the grid", sum(without) / len(without), "share", "",
              None, {"what ships": sum(ships) / len(ships), "grid on all kinds": sum(grid) / len(grid)})  # fmt: skip
    return found
