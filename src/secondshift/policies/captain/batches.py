"""Whether a batch was seen before, by a hash of it that the script logs: what `distinct` says, without its being counted."""

from dataclasses import dataclass, field

KEPT = 4096  # hashes; a loader that repeats after more batches than that is not seen to


@dataclass(slots=True)
class Batches:
    """The newest hashes of one process."""

    seen: dict[float | str, None] = field(default_factory=dict)  # in the order in which they came last

    def distinct(self, digest: float | str) -> float:
        """1 for a batch that was not seen before, 0 for one that was."""
        known = digest in self.seen
        self.seen.pop(digest, None)
        self.seen[digest] = None
        if len(self.seen) > KEPT:
            del self.seen[next(iter(self.seen))]
        return 0.0 if known else 1.0

    def forget(self) -> None:
        """Another process begins, or a run goes back: what it trains on again is no repetition."""
        self.seen.clear()
