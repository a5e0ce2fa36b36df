"""How a statement names the facts it rests on, and which facts a page carries along."""

import json
from collections.abc import Iterable

import msgspec

from secondshift.interfaces.plain import one_line
from secondshift.records.events import Event
from secondshift.records.nights import Brief

MOST_FACTS = 600  # carried in one page


def ranges(facts: Iterable[int]) -> list[tuple[int, int]]:
    """Sequence numbers as runs of neighbours: 3, 4, 5, 9 become (3, 5), (9, 9)."""
    runs: list[tuple[int, int]] = []
    for seq in sorted(set(facts)):
        if runs and runs[-1][1] == seq - 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return runs


def cited(brief: Brief) -> list[int]:
    """All facts that a brief names, in order."""
    return sorted({seq for section in brief.sections for s in section.statements for seq in s.facts})


def carried(brief: Brief, most: int = MOST_FACTS) -> list[int]:
    """The facts to carry in a page: all of them, or the first ones of every statement if they are too many."""
    facts = [sorted(set(s.facts)) for section in brief.sections for s in section.statements]
    picked: set[int] = set()
    for place in range(max(map(len, facts), default=0)):
        for seqs in facts:
            if place < len(seqs) and len(picked) < most:
                picked.add(seqs[place])
    return sorted(picked)


def excerpt(event: Event, limit: int = 400) -> str:
    """What an event records, as one line of JSON, cut after `limit` characters."""
    return one_line(json.dumps(msgspec.to_builtins(event.payload), ensure_ascii=False, default=str), limit=limit)
