"""A row of the table: our value, its noise, what others need, and whether the target holds."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

Peer = float | Mapping[str, float | str | None]  # a value measured in this run, or {"value": ..., "recorded": ...}


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How repeated measurements lie: the least, the middle, and the one that 95 in 100 stay below."""

    low: float
    median: float
    p95: float
    n: int

    def times(self, factor: float) -> "Spread":
        """Return it in another unit."""
        return Spread(low=self.low * factor, median=self.median * factor, p95=self.p95 * factor, n=self.n)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of DESIGN §7."""

    name: str
    unit: str
    limit: float  # at most so much
    ours: float | None = None  # None: it could not be measured
    peers: Mapping[str, Peer] = field(default_factory=dict)
    spread: Spread | None = None  # of `ours` over repetitions
    also: Mapping[str, float] = field(default_factory=dict)  # further values of ours, in the same unit
    how: str = ""  # what was repeated how often
    reason: str = ""  # why it missed, or could not be measured

    @property
    def holds(self) -> bool:
        """Say whether the target is met, unrounded; what could not be measured does not hold."""
        return self.ours is not None and self.ours <= self.limit

    def with_peers(self, peers: Mapping[str, Peer]) -> "Row":
        """Return the same row beside others."""
        return replace(self, peers=peers)

    def as_json(self) -> dict[str, object]:
        """Return the object that `--json` prints for this row."""
        found: dict[str, object] = {
            "ours": _short(self.ours),
            "unit": self.unit,
            "peers": {name: _short_peer(value) for name, value in self.peers.items()},
            "target": f"<= {self.limit:g}",
            "holds": self.holds,
        }
        if self.spread is not None:
            noise = {"min": self.spread.low, "median": self.spread.median, "p95": self.spread.p95}
            found["noise"] = {**{name: _short(value) for name, value in noise.items()}, "n": self.spread.n}
        if self.also:
            found["also"] = {name: _short(value) for name, value in self.also.items()}
        if self.how:
            found["how"] = self.how
        if self.reason:
            found["reason"] = self.reason
        return found


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What this run shall do: how much of everything, and where."""

    quick: bool
    peers: Path | None  # the Python of the peers' environment; None: recorded values are shown
    place: Path  # temporary folder, removed at the end
    say: Callable[[str], None] = lambda text: None  # progress, for people

    def count(self, quick: int, full: int) -> int:
        """Choose how often, or how much."""
        return quick if self.quick else full


def spread(values: Sequence[float]) -> Spread:
    """Summarise repeated measurements; at least one."""
    return Spread(low=min(values), median=statistics.median(values), p95=percentile(values, 95), n=len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` percent of the values stay at or below (nearest rank, never interpolated)."""
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 100)
    return ordered[min(len(ordered), max(1, int(rank))) - 1]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text for people, one line each."""
    lines = [f"{'':5} {'row':52} {'ours':>10}  {'target':10} peers"]
    for row in rows:
        verdict = "HOLDS" if row.holds else "MISS "
        ours = "-" if row.ours is None else f"{row.ours:.4g}"
        others = ", ".join(f"{name} {_peer_text(value)}" for name, value in row.peers.items())
        lines.append(f"{verdict} {row.name:52} {ours:>10}  <= {row.limit:<7g} {row.unit:3} {others}")
        if row.spread is not None:
            noise = row.spread
            lines.append(f"{'':10} min {noise.low:.4g}, median {noise.median:.4g}, p95 {noise.p95:.4g}, n {noise.n}")
        if row.also:
            lines.append(f"{'':10} also: " + ", ".join(f"{name} {value:.4g}" for name, value in row.also.items()))
        if row.how:
            lines.append(f"{'':10} {row.how}")
        if row.reason and not row.holds:
            lines.append(f"{'':10} why: {row.reason}")
    return "\n".join(lines)


def _peer_text(peer: Peer) -> str:
    if not isinstance(peer, Mapping):
        return f"{peer:.4g}"
    value = peer.get("value")
    label = f"recorded {peer['recorded']}" if "recorded" in peer else str(peer.get("source", ""))
    return f"{value:.4g} ({label})" if isinstance(value, int | float) else f"- ({label})"


def _short_peer(peer: Peer) -> Peer:
    if isinstance(peer, Mapping):
        return {name: _short(value) if isinstance(value, float) else value for name, value in peer.items()}
    return _short(peer) or 0.0


def _short(value: float | None) -> float | None:
    """Keep six digits: enough never to round a miss into a hit of these targets."""
    return None if value is None else float(f"{value:.6g}")
