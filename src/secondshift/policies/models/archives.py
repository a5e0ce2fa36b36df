"""A small population of programs that keeps what is good and what is unlike it: islands, niches, and how parents are chosen.

Islands that rarely exchange members, after FunSearch (B. Romera-Paredes et al., "Mathematical discoveries from program
search with large language models", Nature 625, 2024), and an archive in which a program competes only with the one that is
most like it, after MAP-Elites (J.-B. Mouret, J. Clune, "Illuminating search spaces by mapping elites", 2015,
arXiv:1504.04909) in its form without a grid (A. Cully, Y. Demiris, "Quality and Diversity Optimization: A Unifying Modular
Framework", 2018, arXiv:1708.09251). What is alike is told by the statements that a change adds and takes away
(records.likeness), so that nobody has to name features. Parents and inspirations as in AlphaEvolve (A. Novikov et al.,
2025, arXiv:2506.13131).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from secondshift.records.examinations import Likeness
from secondshift.records.likeness import similarity

ISLANDS = 3
NICHES = 12  # members of an island at most
ALIKE = 0.5  # members that share this much of their changes compete for one niche
EXCHANGE = 12  # programs seen between two visits of the best of an island to the next one
CROSSED = 0.3  # of the proposals combine two programs
INSPIRATIONS = 2
UNCHANGED = Likeness()


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A program that was judged."""

    candidate: str
    loss: float  # smaller is better
    likeness: Likeness = UNCHANGED


@dataclass(frozen=True, kw_only=True, slots=True)
class Population:
    """Members of each island, best first; of equals the older. `seen`: programs judged so far, good or not."""

    islands: tuple[tuple[Member, ...], ...] = ((),) * ISLANDS
    seen: int = 0

    def members(self) -> list[Member]:
        """Every member once, best first."""
        found = {one.candidate: one for island in self.islands for one in island}
        return sorted(found.values(), key=lambda one: one.loss)

    def island_of(self, candidate: str) -> int:
        """The island that a member lives on; -1 for none."""
        return next((n for n, island in enumerate(self.islands) if any(m.candidate == candidate for m in island)), -1)


NOBODY = Population()


@dataclass(frozen=True, kw_only=True, slots=True)
class Mating:
    """What the next program is to be made of."""

    parent: Member
    inspirations: tuple[Member, ...] = ()
    crossed: bool = False  # the first inspiration is to be combined with the parent
    island: int = 0


def founded(first: Member, population: Population = NOBODY) -> Population:
    """A population whose islands all have this program: the study's own."""
    return Population(islands=tuple(_with(island, first) for island in population.islands), seen=population.seen + 1)


def settled(population: Population, new: Member, island: int) -> Population:
    """Take a program in on its parent's island: it replaces the one that it is most like, if it is better, or fills a niche."""
    islands = list(population.islands)
    islands[island] = _with(islands[island], new)
    after = replace(population, islands=tuple(islands), seen=population.seen + 1)
    return _exchanged(after) if after.seen % EXCHANGE == 0 else after


def passed_by(population: Population) -> Population:
    """Count a program that came to no result."""
    after = replace(population, seen=population.seen + 1)
    return _exchanged(after) if after.seen % EXCHANGE == 0 else after


def _with(island: tuple[Member, ...], new: Member) -> tuple[Member, ...]:
    if any(one.candidate == new.candidate for one in island):
        return island
    shares = [similarity(new.likeness, one.likeness) for one in island]
    place = int(np.argmax(shares)) if shares else -1
    kept = list(island)
    if place >= 0 and shares[place] >= ALIKE:
        if kept[place].loss <= new.loss:
            return island
        kept[place] = new
    else:
        kept.append(new)
    kept.sort(key=lambda one: one.loss)  # stable: of equals the older comes first
    return tuple(kept[:NICHES])


def _exchanged(population: Population) -> Population:
    """The best of each island visits the next."""
    islands = population.islands
    return replace(
        population,
        islands=tuple(_with(here, islands[n - 1][0]) if islands[n - 1] else here for n, here in enumerate(islands)),
    )


def mating(population: Population, rng: np.random.Generator, at_work: Sequence[str] = ()) -> Mating:
    """Choose a parent and what is shown beside it. `at_work`: parents of proposals that are being made, chosen less often."""
    island = int(rng.integers(len(population.islands)))
    while not population.islands[island]:
        island = (island + 1) % len(population.islands)
    here = population.islands[island]
    weights = np.array([1.0 / ((1 + place) * (1 + at_work.count(one.candidate))) for place, one in enumerate(here)])
    parent = here[int(rng.choice(len(here), p=weights / weights.sum()))]
    others = [one for one in population.members() if one.candidate != parent.candidate]
    crossed = bool(others) and bool(rng.random() < CROSSED)
    inspirations: list[Member] = []
    if crossed:
        inspirations.append(others[min(len(others) - 1, int(rng.geometric(0.4)) - 1)])
    if others and others[0] not in inspirations:
        inspirations.append(others[0])
    good = [one for one in others[: max(2, len(others) // 2)] if one not in inspirations]
    if good and len(inspirations) < INSPIRATIONS:
        inspirations.append(min(good, key=lambda one: similarity(one.likeness, parent.likeness)))
    return Mating(parent=parent, inspirations=tuple(inspirations[:INSPIRATIONS]), crossed=crossed, island=island)


def spread(population: Population) -> float:
    """Say how unlike the members are: the mean over pairs of 1 less what they share; 0 for fewer than two."""
    members = population.members()
    shares = [similarity(a.likeness, b.likeness) for n, a in enumerate(members) for b in members[:n]]
    return 1.0 - sum(shares) / len(shares) if shares else 0.0


def regained(islands: Sequence[Sequence[str]], seen: int, known: Mapping[str, Member]) -> Population:
    """A population that was remembered by the names of its members."""
    return Population(islands=tuple(tuple(known[name] for name in names if name in known) for names in islands), seen=seen)
