"""A shuffled order of 0 to N-1 that costs the same for N = 10 and N = 10^12, forwards and backwards."""

from dataclasses import dataclass

MIX = 0x9E3779B97F4A7C15  # an odd number with well spread bits (the golden ratio of 2^64)
MASK = (1 << 64) - 1
ROUNDS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Permutation:
    """A Feistel network over a square that holds N, walked until it lands inside (format-preserving shuffle)."""

    size: int
    keys: tuple[int, ...]  # one per round

    def forward(self, position: int) -> int:
        """Give the number that stands at a position of the shuffled order, both from 0."""
        value = self._turn(position, self.keys)
        while value >= self.size:
            value = self._turn(value, self.keys)
        return value

    def backward(self, number: int) -> int:
        """Give the position at which a number stands."""
        value = self._turn(number, self.keys, back=True)
        while value >= self.size:
            value = self._turn(value, self.keys, back=True)
        return value

    def _turn(self, value: int, keys: tuple[int, ...], *, back: bool = False) -> int:
        half = max(1, ((self.size - 1).bit_length() + 1) // 2)
        mask = (1 << half) - 1
        left, right = value >> half, value & mask
        if back:
            for key in reversed(keys):
                left, right = right ^ _mix(left, key, mask), left
        else:
            for key in keys:
                left, right = right, left ^ _mix(right, key, mask)
        return (left << half) | right


def permutation(size: int, keys: tuple[int, ...]) -> Permutation:
    """Make a shuffled order of 0 to size - 1. Raises ValueError for a size below 1 or a wrong number of keys."""
    if size < 1 or len(keys) != ROUNDS:
        raise ValueError(
            f"A permutation of {size} numbers with {len(keys)} keys. Expected at least 1, and {ROUNDS} keys."
        )
    return Permutation(size=size, keys=keys)


def _mix(value: int, key: int, mask: int) -> int:
    mixed = ((value + key) * MIX) & MASK
    mixed ^= mixed >> 29
    mixed = (mixed * MIX) & MASK
    return (mixed >> 32) & mask
