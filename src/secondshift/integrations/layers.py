"""The layers of a model as they are recorded: few enough to be looked at, named as the model names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

ROOT = "(root)"  # what the model itself holds, outside of any named part


def grouped(names: Iterable[str], most: int) -> dict[str, str]:
    """Give each layer the name it is recorded under: its own, or that of a part above it where there are too many.

    Names are paths such as "blocks.0.attention.out". The deepest level that leaves `most` names or fewer is used; where
    even the first level has more, the rest becomes "(others)".
    """
    names = list(names)
    deepest = max((name.count(".") + 1 for name in names), default=1)
    for depth in range(deepest, 0, -1):
        found = {name: ".".join(name.split(".")[:depth]) or ROOT for name in names}
        if len(set(found.values())) <= most:
            return found
    first = dict.fromkeys(name.split(".")[0] or ROOT for name in names)
    kept = set(list(first)[: max(0, most - 1)])
    return {name: top if (top := name.split(".")[0] or ROOT) in kept else "(others)" for name in names}


def described(layers: Sequence[Mapping[str, object]], most: int) -> list[dict[str, object]]:
    """Return layers as they are told to the study: each by itself, or summed up under `most` names or fewer."""
    if len(layers) <= most:
        return [dict(layer) for layer in layers]
    under = grouped([str(layer["name"]) for layer in layers], most)
    sums: dict[str, int] = {}
    for layer in layers:
        name = under[str(layer["name"])]
        sums[name] = sums.get(name, 0) + int(layer["parameters"])  # type: ignore[call-overload]  # a count
    return [{"name": name, "kind": "", "shapes": {}, "parameters": count} for name, count in sums.items()]
