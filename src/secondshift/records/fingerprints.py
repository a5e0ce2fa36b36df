"""When results may be compared: what of a fingerprint matters, and which trials agree in it. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from secondshift.records.trials import Trial

Marks = Mapping[str, str]
RESULTS = frozenset(("python", "cpu", "lock", "conda", "device", "driver"))  # and every library.* and data.*
TIMING = frozenset(("host", "cores", "colocated"))  # besides those: what changes how long a step takes
PREFIXES = ("library.", "data.")


def that_matter(fingerprint: Marks) -> dict[str, str]:
    """Keep of a fingerprint what results or their timing may depend on. The code is recorded, but judged elsewhere."""
    return {k: v for k, v in sorted(fingerprint.items()) if k in RESULTS | TIMING or k.startswith(PREFIXES)}


def digest_of(marks: Marks) -> str:
    """Name a set of marks: equal marks, equal name."""
    return hashlib.sha256(json.dumps(sorted(marks.items())).encode()).hexdigest()[:16]


def difference(one: Marks, other: Marks, *, timing: bool = False) -> dict[str, tuple[str, str]]:
    """Say in which marks two environments differ: key -> (one, other), "" where it is absent. Empty: comparable.

    timing: also in what changes only how long a step takes.
    """
    keys = [k for k in sorted(one.keys() | other.keys()) if timing or k not in TIMING]
    return {k: (one.get(k, ""), other.get(k, "")) for k in keys if one.get(k, "") != other.get(k, "")}


def comparable(trial: Trial, other: Trial, known: Mapping[str, Marks], *, timing: bool = False) -> bool:
    """Say whether the numbers of two trials may be compared; trials whose environment was not seen count as alike.

    known: digest -> marks, as State.fingerprints holds them.
    """
    return not differences(trial, other, known, timing=timing)


def differences(
    trial: Trial, other: Trial, known: Mapping[str, Marks], *, timing: bool = False
) -> dict[str, tuple[str, str]]:
    """Say in which marks any attempt of one trial differs from any of the other: key -> (one, other).

    Empty for two that ran in the very same environments, one or several.
    """
    found: dict[str, tuple[str, str]] = {}
    for one in trial.fingerprints if set(trial.fingerprints) != set(other.fingerprints) else ():
        for two in other.fingerprints:
            if one != two and one in known and two in known:
                found = {**difference(known[one], known[two], timing=timing), **found}
    return found


def groups(trials: Iterable[Trial], known: Mapping[str, Marks], *, timing: bool = False) -> list[tuple[Trial, ...]]:
    """Put trials that may be compared with each other together, each into one group, in the order in which they come.

    A trial that ran in two environments is comparable with none that did not run in just those.
    """
    found: dict[frozenset[str], list[Trial]] = {}
    for trial in trials:
        kinds = frozenset(
            digest_of({k: v for k, v in known[name].items() if timing or k not in TIMING})
            for name in trial.fingerprints
            if name in known
        )
        found.setdefault(kinds, []).append(trial)
    return [tuple(group) for group in found.values()]
