"""What goes out while a shift runs: pages to people, and signs of life to an address outside."""

from collections.abc import Sequence

from secondshift.records import events as facts
from secondshift.records.states import State
from secondshift.runtime.notify.deadman import DeadMan
from secondshift.runtime.notify.paging import Pager


class Bells:
    """One for each engine; asked at every tick, and never waits."""

    def __init__(self) -> None:
        self.pager = Pager()
        self.dead_man = DeadMan()

    def check(self, state: State, *, boot_s: float, now_s: float) -> Sequence[facts.Payload]:
        """Send what is due, and return what is to be recorded; `boot_s` and `now_s` are the boot and the study clock."""
        return self.pager.check(state, now_s=now_s) or self.dead_man.check(state, boot_s=boot_s, now_s=now_s)

    def ringing(self) -> bool:
        """Say whether a page is on its way: a shift waits for its outcome before it ends."""
        return self.pager.busy()
