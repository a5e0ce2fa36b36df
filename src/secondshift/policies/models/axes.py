"""One axis of a search space: its values, and where they lie between 0 and 1."""

import math

from secondshift.records.studies import Parameter, Value

TOLERANCE = 1e-9  # of a step: what rounding may take from the last level


def levels(parameter: Parameter) -> int | None:
    """Count the values an axis can take; None if it is continuous."""
    if continuous(parameter):
        return None
    if parameter.kind == "categorical":
        return len(parameter.choices)
    step = spacing(parameter)
    if step is None:
        return None
    return int((parameter.high - parameter.low) / step + TOLERANCE) + 1


def continuous(parameter: Parameter) -> bool:
    """Say whether an axis takes any number between its ends."""
    return parameter.kind == "float" and not parameter.step


def spacing(parameter: Parameter) -> float | None:
    """Give the distance between neighbouring values; None if the axis is continuous or has no order."""
    if parameter.kind == "int":
        return parameter.step or 1
    return parameter.step if parameter.kind == "float" else None


def level(parameter: Parameter, index: int) -> Value:
    """Give the value number `index`, from 0, of an axis that is not continuous."""
    if parameter.kind == "categorical":
        return parameter.choices[index]
    step = spacing(parameter) or 0.0
    if parameter.kind == "int":
        return int(parameter.low) + index * int(step)
    # 0.1 + 2 * 0.1 shall read 0.3, in the brief and on the command line
    value = float(f"{parameter.low + index * step:.12g}") if index else float(parameter.low)
    return min(max(value, float(parameter.low)), float(parameter.high))


def index_of(parameter: Parameter, value: Value) -> int | None:
    """Find the number of a value of an axis that is not continuous; None if it is not one of its values."""
    if parameter.kind == "categorical":
        return next((i for i, choice in enumerate(parameter.choices) if _same(choice, value)), None)
    if isinstance(value, str | bool) or not math.isfinite(value):
        return None
    index = round((value - parameter.low) / (spacing(parameter) or 1.0))
    count = levels(parameter) or 0
    return index if 0 <= index < count and level(parameter, index) == value else None


def decode(parameter: Parameter, u: float) -> Value:
    """Turn a number from 0 to 1 into a value; equal stretches are equally likely to hold it (in log, if it is log)."""
    if not parameter.log and continuous(parameter):  # first: it is asked thousands of times a tick
        return min(parameter.low + u * (parameter.high - parameter.low), float(parameter.high))
    count = levels(parameter)
    if parameter.log:
        low, high = _log_edges(parameter)
        value = math.exp(low + u * (high - low))
        if count is None:
            return min(max(value, float(parameter.low)), float(parameter.high))
        index = round((value - parameter.low) / (spacing(parameter) or 1.0))
        return level(parameter, min(max(index, 0), count - 1))
    assert count is not None, "what is continuous is a float without steps"
    return level(parameter, min(int(u * count), count - 1))


def encode(parameter: Parameter, value: Value) -> float:
    """Turn a value into a number from 0 to 1 that `decode` turns back. Raises ValueError if it is none of the axis."""
    if not holds(parameter, value):
        raise ValueError(f"{parameter.name} = {value!r} is outside its axis. Expected {describe(parameter)}.")
    if not parameter.log:
        count = levels(parameter)
        if count is not None:
            return ((index_of(parameter, value) or 0) + 0.5) / count
        width = parameter.high - parameter.low
        return (float(value) - parameter.low) / width if width else 0.5
    low, high = _log_edges(parameter)
    return min(max((math.log(float(value)) - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def holds(parameter: Parameter, value: Value) -> bool:
    """Say whether a value is one of the axis."""
    if levels(parameter) is not None:
        return index_of(parameter, value) is not None
    if isinstance(value, str | bool):
        return False
    return parameter.low <= value <= parameter.high


def describe(parameter: Parameter) -> str:
    """Say in words which values an axis has."""
    if parameter.kind == "categorical":
        return "one of " + ", ".join(repr(choice) for choice in parameter.choices)
    kind = "a whole number" if parameter.kind == "int" else "a number"
    step = f" in steps of {parameter.step:g}" if parameter.step else ""
    return f"{kind} from {parameter.low:g} to {parameter.high:g}{step}"


def _log_edges(parameter: Parameter) -> tuple[float, float]:
    """Give the logarithms of the ends; with steps, half a step is added so that the end values get their share."""
    step = spacing(parameter)
    if step is None:
        return math.log(parameter.low), math.log(parameter.high)
    top = parameter.low + ((levels(parameter) or 1) - 1) * step
    return math.log(max(parameter.low - step / 2, parameter.low / 2)), math.log(top + step / 2)


def _same(choice: Value, value: Value) -> bool:
    """Compare so that True is not 1; 1 and 1.0 are the same."""
    return choice == value and isinstance(choice, bool) == isinstance(value, bool)
