"""What a script says of its model, read back from the text of its note; anything but layers is passed over."""

import json

from secondshift.records.trials import Layer

MOST_LAYERS = 1000
MOST_NAME = 300  # characters


def layers_in(text: str) -> tuple[Layer, ...]:
    """Read the layers in a note's JSON. Never raises: what is not a layer is left out."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    layers = (_layer(part) for part in (found[:MOST_LAYERS] if isinstance(found, list) else ()))
    return tuple(layer for layer in layers if layer is not None)


def _layer(part: object) -> Layer | None:
    if not isinstance(part, dict) or not isinstance(part.get("name"), str):
        return None
    shapes = part.get("shapes")
    return Layer(
        name=part["name"][:MOST_NAME], kind=str(part.get("kind", ""))[:MOST_NAME], parameters=_count(part.get("parameters")),
        shapes={str(name)[:MOST_NAME]: tuple(map(_count, shape)) for name, shape in shapes.items() if isinstance(shape, list)}
        if isinstance(shapes, dict) else {},
    )  # fmt: skip


def _count(value: object) -> int:
    return int(value) if isinstance(value, int) and 0 <= value < 1 << 63 else 0
