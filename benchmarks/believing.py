#!/usr/bin/env python3
"""What it costs to go back before a rise has lasted: how soon faults are believed, and which runs go back needlessly.

    python3 benchmarks/believing.py [--data DIR] [--seeds 12] [--bumps 60] [--quick] [--json]

Only tuning parts (docs/captain/recoverable.md): seeds below 1,000 of our generator, and of the folder of incidents, where it is
given. `--bumps`: seeds of the kinds whose rises go away or were planned. Nothing is done here; every number is deterministic.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import preparing

preparing.environment()

from captain import data  # noqa: E402  # the folders come first
from captain.data import Stream  # noqa: E402
from captain.kinds import KINDS  # noqa: E402
from captain.parts import findings_of  # noqa: E402

from secondshift.policies.captain.early import early, lasting  # noqa: E402
from secondshift.policies.captain.ladder import rung  # noqa: E402

CALM = ("recurrent_spikes", "recovered_bump", "planned_restart", "bumps_short", "warmup_bump", "restart", "lr_drop", "schedule",
        "curriculum", "batch_size_down")  # fmt: skip
APART = 100  # steps; closer ones are one act


@dataclass(kw_only=True)
class Kind:
    """One kind of run: of a fault what comes after its onset, of all what comes without need."""

    runs: int = 0
    rows: int = 0
    needless: int = 0  # runs that would be gone back from without need
    acts: int = 0  # ... how often
    asked: int = 0  # runs that the ladder takes above a note without need, to compare
    early: list[int] = field(default_factory=list)  # steps from the onset until it is believed early
    late: list[int] = field(default_factory=list)  # ... until it has lasted, or the ladder takes it above a note

    def take(self, stream: Stream) -> None:
        """Judge one run."""
        found, expected = findings_of(stream), stream.expected
        onset = expected.onset if expected.fault else 1 << 60
        wrong = [one.step for one in found if early(one) and one.step < onset]
        right = [one.step for one in found if early(one) and one.step >= onset]
        above = [one.step for one in found if rung(one) != "note"]
        undone = [one.step for one in found if rung(one) != "note" or lasting(one)]
        self.runs, self.rows = self.runs + 1, self.rows + len(stream.rows)
        self.needless += bool(wrong)
        self.acts += sum(after - before >= APART for before, after in pairwise([-APART, *wrong]))
        self.asked += any(step < onset for step in above)
        self.early += [step - onset for step in right[:1]]
        self.late += [step - onset for step in undone if step >= onset][:1]


def counted(streams: Iterable[Stream], mark: str = "") -> dict[str, Kind]:
    """Kind by kind."""
    kinds: dict[str, Kind] = defaultdict(Kind)
    for stream in streams:
        if stream.part == "tuning":
            kinds[mark + stream.expected.kind].take(stream)
    return dict(kinds)


def half(steps: list[int]) -> str:
    """How many, and the median."""
    return f"{len(steps)} ({sorted(steps)[len(steps) // 2]})" if steps else "0"


def table(kinds: Mapping[str, Kind]) -> list[str]:
    """One line a kind, the silent ones together."""
    lines = ["| kind | runs | rows | believed early (median) | above a note (median) | needless: runs, acts | asked needlessly |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    told = {name: kind for name, kind in kinds.items() if kind.early or kind.needless or kind.asked}
    for name, kind in told.items():
        cells = (name, kind.runs, kind.rows, half(kind.early), half(kind.late), f"{kind.needless}, {kind.acts}", kind.asked)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    rest = [kind for name, kind in kinds.items() if name not in told]
    runs, rows = sum(kind.runs for kind in rest), sum(kind.rows for kind in rest)
    return [*lines, f"| {len(rest)} other kinds | {runs} | {rows} | 0 | | 0, 0 | 0 |"]


def main() -> None:
    """Judge every tuning run and print what came out."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, help="the folder of incidents")
    options.add_argument("--seeds", type=int, default=12, help="of each kind of the generator")
    options.add_argument("--bumps", type=int, default=60, help="of the kinds whose rises go away")
    options.add_argument("--quick", action="store_true", help="two seeds a kind, and no folder")
    options.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = options.parse_args()
    seeds, bumps = (2, 2) if given.quick else (given.seeds, given.bumps)
    others = [name for name, kind in KINDS.items() if name not in CALM and not kind.held_out]
    kinds = counted(data.generated("tuning", seeds, names=others)) | counted(data.generated("tuning", bumps, names=CALM))
    if given.data is not None and not given.quick:
        for source in (data.live, data.algoperf, data.nanogpt, data.rl):
            kinds |= counted(source(given.data), mark=f"{source.__name__}: ")
    print(*table(kinds), sep="\n")
    if given.json:
        print(json.dumps({name: asdict(kind) for name, kind in kinds.items()}))


if __name__ == "__main__":
    main()
