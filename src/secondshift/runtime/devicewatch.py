"""Notices what befalls devices: that a study waits for them, that somebody else needs one, that one is held back."""

from collections.abc import Sequence

from secondshift.records import events as facts
from secondshift.records.incidents import Incident
from secondshift.records.states import State
from secondshift.runtime.executors.protocol import Executor, Watchful

SUBJECT = "devices"
TROUBLES = ("yield:", "memory:")  # how the subjects of what an executor sees begin; see protocol.Watchful
STAYS_S = 3.0  # a program of somebody else that leaves sooner is not made way for
_ACTIONS = {
    "yield:": "trials there save and pause; they go on when it is over",
    "memory:": "no trial is started there until its memory is free; a restart of the machine frees it if nothing else does",
}
PATIENCE_S, LONGEST_S = 5.0, 1800.0  # how long a shortage may last before it is told; doubled each time it was told


class DeviceWatch:
    """Opens an incident when free slots find no device for a while, and closes it when one is free again."""

    def __init__(self) -> None:
        self._since: float | None = None  # seconds since boot when the present shortage was first seen
        self._patience_s = PATIENCE_S
        self._seen: dict[str, float] = {}  # trouble -> seconds since boot when it was first seen

    def check(self, state: State, executor: Executor, *, boot_s: float, now_s: float) -> Sequence[facts.Payload]:
        """Return the facts that are due; `boot_s`: the boot clock, `now_s`: the study clock, both in seconds."""
        found = self._troubles(state, executor, boot_s, now_s)
        return found or self._shortage(state, executor, boot_s, now_s)

    def _troubles(self, state: State, executor: Executor, boot_s: float, now_s: float) -> Sequence[facts.Payload]:
        """Open an incident for each trouble that an executor sees and that concerns us; close it when it is over."""
        seen = executor.troubles() if state.shift is not None and isinstance(executor, Watchful) else {}
        self._seen = {subject: self._seen.get(subject, boot_s) for subject in seen}
        known = {i.subject: i.id for i in state.incidents.values() if i.subject.startswith(TROUBLES)}
        over = [
            facts.IncidentClosed(incident=id, outcome="the shift ended before" if state.shift is None else "it is over")
            for subject, id in known.items()
            if subject not in seen
        ]
        new = [
            (subject, finding)
            for subject, finding in seen.items()
            if subject not in known and not state.ending and self._concerns(state, subject, boot_s)
        ]
        opened = [
            facts.IncidentOpened(
                incident=Incident(
                    id=f"i{state.incidents_seen + place}", subject=subject, finding=finding[:2000], opened_at=now_s,
                    action=_ACTIONS[subject.partition(":")[0] + ":"],
                )
            )
            for place, (subject, finding) in enumerate(new, 1)
        ]  # fmt: skip
        return [*over, *opened]

    def _concerns(self, state: State, subject: str, boot_s: float) -> bool:
        """A person is heard at once; a stranger on a device only where a trial of ours runs, and if he stays."""
        kind, _, device = subject.partition(":")
        if kind != "yield" or device == "host":
            return True
        ours = any(name.partition(".")[0] == device for a in state.attempts.values() for name in a.devices)
        return ours and boot_s - self._seen[subject] >= STAYS_S

    def _shortage(self, state: State, executor: Executor, boot_s: float, now_s: float) -> Sequence[facts.Payload]:
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
        who = ", ".join(f"{name} ({holder})" for name, holder in held.items())
        incident = Incident(
            id=f"i{state.incidents_seen + 1}", subject=SUBJECT, opened_at=now_s,
            finding=f"no device of this host is free for this study, and {ours}; others hold {who}"[:2000],
            action="waits; trials start as devices become free",
        )  # fmt: skip
        return [facts.IncidentOpened(incident=incident)]


def _short_of(state: State, executor: Executor) -> dict[str, str]:
    """Who holds the devices that this study could use now; empty when it lacks none."""
    if any(incident.subject == "yield:host" for incident in state.incidents.values()):
        return {}  # said already
    if state.shift is None or state.ending or len(state.attempts) >= state.shift.slots or executor.devices():
        return {}
    return dict(executor.held())
