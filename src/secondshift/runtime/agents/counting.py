"""What requests to a model cost: written down before and after each, and none is begun that could pass what was set aside."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MILLION = 1e6
SLACK = 1e-9  # for sums of prices


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """What a million tokens cost in USD; 0: nothing more, by a subscription or on a machine of one's own."""

    input_usd: float = 0.0
    output_usd: float = 0.0

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost."""
        return (input_tokens * self.input_usd + output_tokens * self.output_usd) / MILLION


@dataclass(kw_only=True, slots=True)
class Counts:
    """What one call has come to so far, as it stands in the file that SECONDSHIFT_USAGE names."""

    usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    estimated: bool = False  # of some request no count came back
    in_flight: bool = False  # a request is under way: what it costs is not in `usd` yet
    ending: str = ""  # what our program says the call came to; empty: the files that it left say so
    detail: str = ""


@dataclass(kw_only=True, slots=True)
class Meter:
    """Counts the requests of one call. `most_usd` is what was set aside for it; 0 with a subscription."""

    file: Path
    prices: Prices
    most_usd: float
    counts: Counts = field(default_factory=Counts)

    def affords(self, most_input: int, most_output: int) -> bool:
        """Say whether a request that takes so many tokens at most stays within what was set aside."""
        return self.counts.usd + self.prices.of(most_input, most_output) <= self.most_usd + SLACK or not self.most_usd

    def begin(self) -> None:
        """A request goes out: from here on it may cost something, whatever becomes of us."""
        self.counts.requests += 1
        self.counts.in_flight = True
        self.write()

    def free(self) -> None:
        """The request was turned away, or never arrived, and costs nothing."""
        self.counts.in_flight = False
        self.write()

    def end(self, input_tokens: int | None, output_tokens: int | None, most_input: int, most_output: int) -> None:
        """The request is over. Of what nobody counted, the most is taken."""
        told_input = most_input if input_tokens is None else input_tokens
        told_output = most_output if output_tokens is None else output_tokens
        self.counts.estimated |= None in (input_tokens, output_tokens)
        self.counts.input_tokens += told_input
        self.counts.output_tokens += told_output
        self.counts.usd += self.prices.of(told_input, told_output)
        self.counts.in_flight = False
        self.write()

    def close(self, ending: str, detail: str) -> None:
        """Say what the call came to."""
        self.counts.ending, self.counts.detail = ending, detail
        self.write()

    def write(self) -> None:
        """Put the counts in the place of those before, whole."""
        new = self.file.with_name(f".{self.file.name}.new")
        new.write_text(json.dumps(asdict(self.counts)))
        os.replace(new, self.file)


def counted(told: Mapping[str, Any]) -> dict[str, int | bool]:  # Any: JSON of somebody else
    """The tokens and requests that a usage file names; what is no plain count is left out."""
    found: dict[str, int | bool] = {}
    for name in ("input_tokens", "output_tokens", "requests"):
        value = told.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53:
            found[name] = value
    return {**found, "estimated": told.get("estimated") is True}
