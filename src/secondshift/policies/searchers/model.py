"""Model-based search: the configuration that is expected to improve most on the best at its end, from curves of any length.

Every candidate at every step counts (policies/models/joint.py); some are drawn at random, so that no part of the space is
given up for what a model believes of it. J. Mockus: "The Bayesian approach to global optimization" (1978).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
from scipy.special import ndtr

from secondshift.policies.models.enumerations import Finite, enumeration
from secondshift.policies.models.outlook import Outlook, coming_too, foreseen, improvement, outlook
from secondshift.policies.models.proposals import RECENT, Point, drawn, fill, shuffled, wanted
from secondshift.policies.models.spaces import Region, region
from secondshift.policies.models.thawing import SCHEDULER, Bench, bench
from secondshift.records.decisions import Decision
from secondshift.records.states import State
from secondshift.records.studies import Study, Value

NAME = "model"
WANTS_CURVES = True  # the engine fills in State.curves
AT_FIRST = 3  # candidates drawn at random before the model is asked
# Share of those drawn at random later on: less where parameters tell curves apart (Outlook.told), and never less than this.
AT_RANDOM, MOST_AT_RANDOM, TOLD = 0.2, 0.9, 1.5
BEFORE = 0.5  # the same where imported runs take part, and the study's own are too few to say whether those tell anything
KNOWN_GOOD = 2  # earlier runs that are tried first, as they were
WIDE = 0.5  # share of the model's choices among points all over the space: near the best it finds many that are much alike
ALIKE = 0.99  # correlation by parameters from which on two candidates tell the same: one of them waits for the other's look
FINITE = 2000  # a space of no more points is looked through as a whole
DRAWN, BEST, NEAR = 400, 5, 30  # points of the whole space; best trials, and points around each at each distance
DISTANCES = (0.05, 0.15)  # of the unit interval, as standard deviations
FAILURES = 200  # points that break a constraint, in a row of those the model likes


def decide(state: State) -> list[Decision]:
    """Propose candidates for the free slots, but under a freeze-thaw scheduler only where it is about to look."""
    study = state.study
    if study is None:
        return []
    count = wanted(state)
    if count <= 0:
        return []
    found, ground = bench(state, study), region(study.space)
    if study.policy.scheduler == SCHEDULER:
        count = min(count, found.first_looks() - len(found.queued))
    if count <= 0:
        return []

    def points(newest: Mapping[str, Value] | None) -> Iterator[Point]:
        return _points(state, study, ground, found)

    return fill(state, by=NAME, ground=ground, points=points, word="Drawn at random from the search space", count=count)


def _points(state: State, study: Study, ground: Region, found: Bench) -> Iterator[Point]:
    """Give points without end, or until a finite space is used up: those that the model likes, and some at random."""
    rng = np.random.default_rng([study.seed, study.revision, len(state.candidates), 1])
    tried = [candidate.params for candidate in state.candidates.values() if candidate.revision == study.revision]
    names = [parameter.name for parameter in ground.parameters]
    known = {_key(names, params) for params in tried}  # to look up: a walk over a thousand took as long as the model
    finite = enumeration(ground)
    others = _at_random(state, ground, finite, tried, rng)
    whole = [finite.at(position) for position in range(finite.size)] if finite and finite.size <= FINITE else None
    curves = foreseen(state)
    plain = outlook(state, curves) if len(tried) >= AT_FIRST or (curves is not None and curves.earlier) else None
    share = _share(plain) if plain is not None else 1.0
    blind = plain is not None and not plain.seen.own()
    view = coming_too(state, plain, [*found.coming, *((one.id, found.look) for one in found.queued)]) if plain else None
    on_its_way = [name for name in view.rows if name not in plain.rows] if view and plain else []
    good = _known_good(state, ground, view) if view is not None else []
    while True:
        point = next((one for one in good if _key(names, one.params) not in known), None)
        if point is None and view is not None and rng.random() >= share:
            offered = whole if whole is not None else _offered(state, ground, view, rng)
            new = [params for params in offered if _key(names, params) not in known]
            point = _liked(study, ground, view, on_its_way, new, blind)
        if point is None:
            params = next((params for params in others if params not in tried), None)
            if params is None:
                return
            point = Point(params=params)
        tried.append(point.params)
        known.add(_key(names, point.params))
        yield point
        if view is not None:
            on_its_way.append(f"candidate {len(tried)}")
            view = view.expecting(on_its_way[-1:], view.placed([point.params]), [found.look])


def _key(names: Sequence[str], params: Mapping[str, Value]) -> tuple[Value | None, ...]:
    """Parameters to be looked up: their values in the order of the space, None where one is not active."""
    return tuple(map(params.get, names))


def _known_good(state: State, ground: Region, view: Outlook) -> list[Point]:
    """The best earlier runs as they were, which are tried before anything else; what is none of this space is left out."""
    found = []
    for name in _ranked(view):
        if name in state.imported and len(found) < KNOWN_GOOD:
            params, fault = ground.placed(state.imported[name].trial.params)
            word = f"Of {view.seen.earlier} imported runs {name} is among the best, and it is tried as it was"
            found += [] if fault else [Point(params=params, word=word)]
    return found


def _share(view: Outlook) -> float:
    """The share of candidates that is drawn at random."""
    told = view.told()
    if view.seen.earlier and told <= -1.0:
        return BEFORE  # too few of the study's own curves to say whether earlier runs tell anything of it
    return min(MOST_AT_RANDOM, max(AT_RANDOM, 1 - TOLD * told))


def _at_random(
    state: State, ground: Region, finite: Finite | None, tried: Sequence[Mapping[str, Value]], rng: np.random.Generator
) -> Iterator[Mapping[str, Value]]:
    """Points in an order of chance: of a finite space all, each once."""
    if finite is not None:
        return shuffled(state, ground, finite, None)
    return drawn(ground, lambda: ground.decode(rng.random(len(ground.parameters)).tolist()), list(tried[-RECENT:]))


def _offered(state: State, ground: Region, view: Outlook, rng: np.random.Generator) -> list[dict[str, Value]]:
    """Points all over the space and, every other time, near the best."""
    width = len(ground.parameters)
    parts = [rng.random((DRAWN, width))]
    for params in _best(state, view) if rng.random() >= WIDE else ():
        centre = np.array(ground.encode(params))
        for distance in DISTANCES:
            moved = rng.standard_normal((NEAR, width)) * distance * (rng.random((NEAR, width)) < 0.5)
            parts.append(np.clip(centre + moved, 0.0, 1.0))
    return [ground.decode(point.tolist()) for point in np.concatenate(parts)]


def _best(state: State, view: Outlook) -> list[Mapping[str, Value]]:
    """The parameters of the trials with the best values so far, on the outlook's scale, and of the best earlier runs."""
    ranked = _ranked(view)
    own = islice((name for name in ranked if name in state.trials), BEST)  # not those that are only proposed
    past = islice((name for name in ranked if name in state.imported), BEST if view.seen.earlier else 0)
    return [
        *(state.candidates[state.trials[name].candidate].params for name in own),
        *(state.imported[name].trial.params for name in past),
    ]


def _ranked(view: Outlook) -> list[str]:
    """Trials and earlier runs by the least of their values, the best first."""
    points = view.seen.points
    least = np.full(len(view.seen.trials), np.inf)
    np.minimum.at(least, points.curve, points.value)
    return [view.seen.trials[row] for row in np.argsort(least, kind="stable")]


def _liked(
    study: Study, ground: Region, view: Outlook, on_its_way: Sequence[str], offered: list[dict[str, Value]], blind: bool
) -> Point | None:
    """The point of greatest expected improvement that keeps to the constraints, and is no copy of what will soon tell it."""
    if not offered:
        return None
    at = view.placed(offered)
    mean, spread = view.of_new(at, study.horizon_steps)
    copies = view.joint.alike(at, view.seen.points.features[[view.rows[name] for name in on_its_way]]) > ALIKE
    gains = np.where(copies, 0.0, improvement(mean, spread, view.seen.best))
    for index in np.argsort(-gains, kind="stable")[:FAILURES]:
        if not ground.broken(offered[index]):
            chance = 100 * float(ndtr((view.seen.best - mean[index]) / spread[index]))
            return Point(params=offered[index], word=_word(view, len(offered), chance, blind))
    return None


def _word(view: Outlook, count: int, chance: float, blind: bool) -> str:
    """How a point was chosen, and whether imported runs had a say; blind: the study has seen nothing of its own."""
    if not view.seen.earlier:
        return f"Of {count} points this one promises most, with a chance of {chance:.0f}% to end as the best"
    if blind:
        return f"Of {count} points this one promises most by what {view.seen.earlier} imported runs came to"
    return (
        f"Of {count} points this one promises most, with a chance of {chance:.0f}% to end as the best, "
        f"where {view.seen.earlier} imported runs had a say"
    )
