"""What the loop remembers of points beyond the fold: detectors and curves. A cache; recorded points rebuild it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from secondshift import plugins
from secondshift.ledger.stores import Ledger
from secondshift.policies.captain.watchkeeping import FOLLOWED, Watchkeeper
from secondshift.policies.models.curvekeeping import Curvekeeper
from secondshift.records.curves import Curve
from secondshift.records.events import Event
from secondshift.records.orders import Batch
from secondshift.records.states import State
from secondshift.records.studies import Study


class Memory(Watchkeeper):
    """The detectors of every trial, and the curves of all where a policy asks for them.

    earlier: gives all points recorded so far, in order, for an engine that comes to a study which has some; a replay
    follows every point from the first on, and gives None.
    """

    followed = FOLLOWED  # kinds of facts that it is to be caught up with

    def __init__(self, earlier: Callable[[], Iterator[Batch]] | None = None) -> None:
        super().__init__()
        self._earlier = earlier
        self._curves = None if earlier else Curvekeeper()

    def follow(self, ledger: Ledger, study: Study | None, events: Sequence[Event], batches: Sequence[Batch]) -> None:
        """Take what was recorded; a trial that it never met, or that was closed and opened again, is read from its beginning."""
        for trial in self.unknown(events):
            earlier = ledger.read(until=events[0].seq - 1, subject=trial, kinds=self.followed)
            self.catch_up(study, earlier, ledger.batches(trial), trial)
        self.take(study, events, batches)

    def take(self, study: Study | None, events: Iterable[Event], batches: Sequence[Batch]) -> None:
        """Follow what was recorded: facts in their order, and the points of those facts that have some, in theirs."""
        super().take(study, events, batches)
        if self._curves is not None:
            self._curves.take(study, batches)

    def catch_up(self, study: Study | None, events: Iterable[Event], batches: Iterable[Batch], trial: str) -> None:
        """Let the detectors take a trial's earlier points; curves have them."""
        kept, self._curves = self._curves, None
        super().catch_up(study, events, list(batches), trial)
        self._curves = kept

    def filled_in(self, state: State) -> State:
        """The state with what its deciders may ask for: looks, and curves where somebody wants them."""
        return replace(state, looks=self.looks(state), curves=self._wanted(state))

    def _wanted(self, state: State) -> Mapping[str, Curve]:
        if state.study is None or not plugins.wants_curves(state.study):
            return {}
        if self._curves is None and self._earlier is not None:
            self._curves = Curvekeeper()
            self._curves.take(state.study, self._earlier())
        return self._curves.curves() if self._curves is not None else {}
