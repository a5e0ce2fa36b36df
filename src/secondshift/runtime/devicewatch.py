"""Notices a study that waits because others hold this host's devices, so that a silent night says for whom it waits."""

from collections.abc import Sequence

from secondshift.records import events as facts
from secondshift.records.nights import Incident
from secondshift.records.states import State
from secondshift.runtime.executors.protocol import Executor

SUBJECT = "devices"
PATIENCE_S, LONGEST_S = 5.0, 1800.0  # how long a shortage may last before it is told; doubled each time it was told


class DeviceWatch:
    """Opens an incident when free slots find no device for a while, and closes it when one is free again."""

    def __init__(self) -> None:
        self._since: float | None = None  # seconds since boot when the present shortage was first seen
        self._patience_s = PATIENCE_S

    def check(self, state: State, executor: Executor, *, boot_s: float, now_s: float) -> Sequence[facts.Payload]:
        """Return the facts that are due; `boot_s`: the boot clock, `now_s`: the study clock, both in seconds."""
        told = next((i.id for i in state.incidents.values() if i.subject == SUBJECT), None)
        held = _short_of(state, executor)
        if not held:
            self._since = None
            how = "the shift ended before" if state.ending else "a device is free again, or none is needed now"
            return [facts.IncidentClosed(incident=told, outcome=how)] if told else []
        self._since = boot_s if self._since is None else self._since
        if told or boot_s - self._since < self._patience_s:
            return []
        self._patience_s = min(LONGEST_S, 2 * self._patience_s)  # two studies in turns must not fill the ledger
        ours = f"{len(state.attempts)} of its trials run" if state.attempts else "none of its trials runs"
        who = ", ".join(f"{name} by {holder}" for name, holder in held.items())
        incident = Incident(
            id=f"i{state.incidents_seen + 1}", subject=SUBJECT, opened_at=now_s,
            finding=f"no device of this host is free for this study, and {ours}; others hold {who}"[:2000],
            action="waits; trials start as devices become free",
        )  # fmt: skip
        return [facts.IncidentOpened(incident=incident)]


def _short_of(state: State, executor: Executor) -> dict[str, str]:
    """Who holds the devices that this study could use now; empty when it lacks none."""
    if state.shift is None or state.ending or len(state.attempts) >= state.shift.slots or executor.devices():
        return {}
    return dict(executor.held())
