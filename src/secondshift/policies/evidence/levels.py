"""How much error each idea of a study may spend, so that all of them together, over all nights, spend no more than 5 %.

The first comparison may spend the most, the next 19 the same each, and later ones ever less, without end; the shares add
up to 1. What an idea that held up was allowed passes to the next one (the fallback procedure: B. Wiens, A. Dmitrienko 2005;
online: J. Tian, A. Ramdas: "Online control of the familywise error rate", 2021). It holds under any dependence between
ideas, which share baseline runs, because each idea's chance of ever passing its own level is bounded by itself. The chance
that a study has any false keep is so at most ALPHA, and its false discovery rate with it.
"""

from collections.abc import Mapping

from secondshift.records.ideas import Idea

ALPHA = 0.05  # of a study, over all nights
FIRST, EARLY, LATE = 0.32, 0.50, 0.18  # shares of ALPHA: the first idea, the next 19 together, all later ones together
MANY = 20
MOST = 0.025  # of one idea, however much was passed on: no more than a side of the interval that is shown with it


def share(rank: int) -> float:
    """Give the share of ALPHA of a comparison by its rank, from 1. Their sum over all ranks is 1."""
    if rank <= 1:
        return FIRST
    if rank <= MANY:
        return EARLY / (MANY - 1)
    return LATE * MANY / (rank * (rank - 1))  # telescopes: MANY * (1/(n - 1) - 1/n) add up to 1 from MANY + 1 on


def level(ideas: Mapping[str, Idea], name: str) -> float:
    """Give the error that an idea may spend: the share of its comparison, and what those right before it no longer need.

    A comparison that begins anew, against another baseline or in another revision, is a hypothesis of its own and takes a new
    rank; what it spent before is spent.
    """
    held = {idea.rank for idea in ideas.values() if idea.state == "held up"}
    rank = ideas[name].rank
    spare, before = 0.0, rank - 1
    while before in held:
        spare += share(before)
        before -= 1
    return min(MOST, ALPHA * (share(rank) + spare))
