#!/usr/bin/env python3
"""How often the best of a search for programs holds up although it is worth nothing, and how often one that is better does.

python3 benchmarks/lucky_programs.py [--quick] [--json] [--searches 200] [--gain 2] [--planted 40]

Simulated: eight programs of which each evaluation is one draw of standard normal noise, by seed; the best seen is nominated,
and goes through canaries, fresh seeds and the ordinary verdict. A study may keep something false with a chance of at most 5 %
over all nights, and its first comparison of 1.6 %. In the planted ones the third program is better by --gain deviations.
"""

import argparse
import json
import sys
import time

import preparing

preparing.environment()
sys.path.insert(0, str(preparing.ROOT / "tests"))

from policies.program_nights import NOMINATING, Judging  # noqa: E402  # pyright: ignore[reportMissingImports]
from secondshift.policies.models.nominating import AUTHOR  # noqa: E402
from secondshift.records.ideas import Idea  # noqa: E402


def played(draw: int, values: tuple[float, ...] = ()) -> list[tuple[Idea, int]]:
    """What a search nominated, with the pairs that it was judged by; nothing where the study's own program was the luckiest."""
    state = Judging(study=NOMINATING, draw=draw, values=values).begin().night(rounds=9000).state
    pairs = {name: verdict.pairs for name, verdict in state.verdicts.items()}
    return [(idea, pairs.get(idea.id, 0)) for idea in state.ideas.values() if idea.author == AUTHOR]


def main() -> int:
    """Play the searches and print the figures; 0 if no more held up by luck than 5 %."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--first", type=int, default=10_000)
    parser.add_argument("--planted", type=int, default=40)
    parser.add_argument("--gain", type=float, default=2.0)
    parser.add_argument("--quick", action="store_true", help="20 searches of noise and 10 with a gain")
    parser.add_argument("--json", action="store_true", help="one line")
    told, began = parser.parse_args(), time.monotonic()
    if told.quick:
        told.searches, told.planted = 20, 10
    noise = [found for draw in range(told.first, told.first + told.searches) for found in played(draw)]
    planted = [found for draw in range(told.planted) for found in played(told.first + draw, (0.0, 0.0, told.gain))]
    kept = sum(idea.state == "held up" for idea, _ in noise)
    document = {
        "searches of noise": told.searches, "that nominated": len(noise), "held up by luck": kept,
        "pairs, median": sorted(pairs for _, pairs in noise)[len(noise) // 2] if noise else None,
        "pairs, most": max((pairs for _, pairs in noise), default=None),
        "searches with a gain": told.planted, "gain in standard deviations": told.gain,
        "of those held up": sum(idea.state == "held up" for idea, _ in planted), "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    print(json.dumps(document, indent=None if told.json else 1))
    return 0 if kept <= 0.05 * max(1, told.searches) else 1


if __name__ == "__main__":
    sys.exit(main())
