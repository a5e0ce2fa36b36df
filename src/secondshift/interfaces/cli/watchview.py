"""The live view of `watch`: a sparkline for each stream, the newest findings, and what the captain would do."""

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from secondshift.interfaces.cli.watchsay import blind, guesses, nothing, sentence, unknown
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.messages.formats import number
from secondshift.interfaces.plain import one_line
from secondshift.interfaces.sparklines import sparkline
from secondshift.watching.sightings import RunSeen, Sighting, newest

STATES = {"growing": "green", "still": "dim", "silent": "bold red"}
FINDINGS = 8  # shown at once
NOTHING: Mapping[str, str] = {}
HEAD = 4  # lines for the guess and the space between


def view(
    screen: Console, runs: Sequence[RunSeen], found: Sequence[Sighting], lang: str, asked: Mapping[str, str] = NOTHING
) -> RenderableType:
    """What a terminal shows: as many runs as fit above the findings, those with something new first.

    asked: the columns of --map, by stream; those that no run has are named.
    """
    known = [seen for seen in runs if seen.guessed.streams]
    told = newest(found, FINDINGS)
    unseen = blind(runs, lang)
    missing = [*unknown(runs, asked, lang), *unseen[:2]]
    room = max(3, screen.height - HEAD - 2 * len(told) - len(missing))
    lines: list[RenderableType] = [Text(text, style="dim") for text in guesses(known, lang)[:2]]
    lines += [Text(text, style="yellow") for text in missing]
    if not any(seen.names for seen in runs):
        lines.append(Text(say("watch.waiting", lang), style="dim"))
    lines.append(streams(known, room, lang))
    lines.append(Text())
    lines += [sentence(sighting, lang, named=True) for sighting in told] or [nothing(lang, blind=bool(unseen))]
    return Group(*lines)


def streams(runs: Sequence[RunSeen], room: int, lang: str) -> RenderableType:
    """One line for each stream, as far as there is room; one for each run where there are many."""
    ordered = sorted(runs, key=lambda seen: (not seen.sightings, seen.state != "growing", seen.run))
    every = sum(len(seen.tails) for seen in runs) <= room
    grid = Table.grid(padding=(0, 2), expand=False)
    shown = 0
    for seen in ordered:
        tails = list(seen.tails.items())
        for index, (stream, tail) in enumerate(tails if every else tails[:1]):
            if shown >= room:
                break
            shown += 1
            state = (
                Text(say(f"watch.state_{seen.state}", lang), style=STATES.get(seen.state, "")) if index == 0 else Text()
            )
            grid.add_row(
                Text(one_line(seen.run, limit=40) if index == 0 else "", style="bold"), state,
                Text(number(seen.step) if index == 0 else "", justify="right"),
                Text(one_line(seen.guessed.streams[stream], limit=24)), Text(sparkline(tail, 40), style="cyan"),
                Text(number(float(tail[-1])) if tail else "", justify="right"),
            )  # fmt: skip
    hidden = len(runs) - (shown if not every else len(runs))
    return Group(grid, Text(say("watch.hidden", lang, n=hidden), style="dim")) if hidden > 0 else grid
