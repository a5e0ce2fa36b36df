#!/usr/bin/env python3
"""What the captain's remedies are worth: real trainings with a fault made on purpose, each beside its twin without one.

python3 benchmarks/remedies.py [--cases 8] [--first-case 100] [--slots 8] [--kinds KIND,...] [--steps 1200] [--json] [--keep FOLDER]

Every run is a process of its own in one ordinary night. The faults are those of `secondshift drill`; which of them count
as recoverable was fixed in docs/captain/recoverable.md before any was tried.
Cases from 100 on were not used while the captain was made.
"""

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import preparing

preparing.environment()

from secondshift.interfaces.drills import running  # noqa: E402  # the folders come first
from secondshift.interfaces.drills.judging import SAME, Row, goodput, judged  # noqa: E402
from secondshift.interfaces.drills.kinds import KINDS  # noqa: E402
from secondshift.interfaces.drills.train_drill import HORIZON  # noqa: E402
from secondshift.ledger.opening import open_ledger  # noqa: E402

RECOVERABLE = tuple(name for name, kind in KINDS.items() if kind.ends == "mended")
RUN_S = 20.0  # of one run beside others, with its restarts; the night's limit is made of it
Z = 1.959964  # 95 %


@dataclass(frozen=True, kw_only=True)
class Share:
    """So many of so many, with Wilson's 95 % interval (E. B. Wilson, JASA 1927)."""

    hits: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high bound; (0, 1) of nothing."""
        if not self.of:
            return 0.0, 1.0
        p, n = self.hits / self.of, self.of
        middle, spread = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return (middle - spread) / (1 + Z * Z / n), (middle + spread) / (1 + Z * Z / n)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.hits}/{self.of} = {self.hits / max(1, self.of):.3f} [{low:.3f}, {high:.3f}]"


def share(rows: Iterable[Row], of: str) -> Share:
    """Count a property of rows."""
    every = list(rows)
    return Share(hits=sum(bool(getattr(row, of)) for row in every), of=len(every))


def spread(rows: Sequence[Row]) -> list[float]:
    """The 95 % interval of goodput: runs are drawn again within their kinds, 2,000 times, by a fixed seed."""
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        kinds.setdefault(row.kind.name, []).append(row)
    dice = random.Random(0)
    drawn = sorted(goodput([dice.choice(own) for own in kinds.values() for _ in own]) for _ in range(2000))
    return [round(drawn[50], 4), round(drawn[1949], 4)]


def table(rows: Sequence[Row]) -> list[str]:
    """Kind by kind, then all of them."""
    lines = ["| kind | as good as its twin, by itself | right diagnosis | worst ratio | found after (steps, median) | goodput |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name in dict.fromkeys(row.kind.name for row in rows):
        own = [row for row in rows if row.kind.name == name]
        after = sorted(row.found_after for row in own if row.found_after is not None)
        middle = after[len(after) // 2] if after else "not found"
        worst = max(row.ratio for row in own)
        cells = (name, share(own, "mended"), share(own, "diagnosed"), f"{worst:.3f}", middle, f"{goodput(own):.3f}")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def summary(rows: Sequence[Row]) -> dict[str, object]:
    """The figures of the issue: ended as good as the twin, silent failures, goodput, right diagnosis."""
    mended, diagnosed, silent = share(rows, "mended"), share(rows, "diagnosed"), share(rows, "silent")
    return {
        "runs": len(rows), "mended": str(mended), "holds_0.90": mended.hits >= 0.9 * mended.of, "diagnosed": str(diagnosed),
        "silent_failures": str(silent), "goodput": round(goodput(rows), 4), "goodput_interval": spread(rows),
        "holds_goodput_0.95": goodput(rows) >= 0.95,
        "same_up_to": SAME,
    }  # fmt: skip


def main() -> int:
    """Run the night and print what it came to; 0 if every hold holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=8, help="of each kind")
    parser.add_argument("--first-case", type=int, default=100)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--kinds", default=",".join(RECOVERABLE))
    parser.add_argument("--steps", type=int, default=HORIZON, help="of each training; what is held is held at the default")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    kinds = given.kinds.split(",")
    cases = list(range(given.first_case, given.first_case + given.cases))
    place = (given.keep or Path(tempfile.mkdtemp(prefix="secondshift-remedies-"))) / "study"
    study = running.lay_out(place, title="remedies", faults=kinds, cases=cases, slots=given.slots, steps=given.steps)
    limit_s = 60.0 + RUN_S * max(1.0, given.steps / HORIZON) * (len(kinds) + 1) * len(cases) / given.slots * 2
    began = time.monotonic()
    code = running.run(study, limit_s=limit_s, heard=lambda ledger, event: None)
    ledger = open_ledger(place / ".secondshift", readonly=True)
    try:
        rows = judged(ledger)
    finally:
        ledger.close()
    said = {**summary(rows), "exit": code, "seconds": round(time.monotonic() - began, 1), "study": str(study)}
    wrong = [row for row in rows if not row.mended]
    if given.json:
        print(json.dumps({**said, "rows": [{**asdict(row), "kind": row.kind.name} for row in rows]}, default=str))
    else:
        print("\n".join(table(rows)), *(f"{name}: {value}" for name, value in said.items()), sep="\n")
        for row in wrong:
            print(f"not mended: {row.kind.name} case {row.case} ({row.trial}): {row.status}, {row.ratio:.3f} times its twin; "
                  f"causes {row.causes}, remedies {row.remedies}, asked {row.asked}, {row.outcomes}")  # fmt: skip
    return 0 if said["holds_0.90"] and said["holds_goodput_0.95"] and share(rows, "silent").hits == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
