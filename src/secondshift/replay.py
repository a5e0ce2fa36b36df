"""Replaying a recorded night: the same facts through the same deciders must give the same decisions."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from secondshift import plugins
from secondshift.engine import POLICY, decide, stages
from secondshift.ledger import codec
from secondshift.ledger.batches import crc
from secondshift.ledger.fold import fold
from secondshift.ledger.stores import Ledger
from secondshift.records.events import BriefWritten, Event, MetricsLogged, Payload, RunImported, ShiftEnded, TickDecided
from secondshift.records.orders import Batch
from secondshift.records.states import State


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a replay found."""

    ticks: int
    decisions: int
    identical: bool  # every tick decided the same again
    first_difference: str = ""
    tampering: tuple[str, ...] = ()  # facts that do not fit the recorded digests
    other_policies: tuple[str, ...] = ()  # policy versions in the record that are not this one

    @property
    def holds(self) -> bool:
        """Identical decisions from untouched facts."""
        return self.identical and not self.tampering


def replay(ledger: Ledger) -> Report:
    """Walk the ledger once, decide every recorded tick anew and compare. Writes nothing and needs no lease."""
    state, digest = State(), ""
    ticks = decisions = 0
    difference = ""
    tampering: list[str] = []
    policies: set[str] = set()
    events, points, keeper = ledger.read(), ledger.batches(), plugins.memory()()
    for event in events:
        batches: list[Batch] = []
        if isinstance(event.payload, MetricsLogged | RunImported):
            batches = _stored(event.payload, points)
            if crc(batches) != event.payload.crc:
                tampering.append(f"the points of event {event.seq} are not those that were logged")
        if isinstance(event.payload, TickDecided):
            tick = event.payload
            recorded = [event, *_next(events, tick.decisions)]
            ticks, decisions = ticks + 1, decisions + tick.decisions
            if tick.digest != digest:
                tampering.append(f"the facts before event {event.seq} are not those it was decided on")
                digest = tick.digest  # so that each change is named once
            if tick.policy != POLICY:
                policies.add(tick.policy)
            difference = difference or _difference(keeper.filled_in(state), tick, recorded[1:])
            if tick.stage == "observe":
                keeper.told()
        else:
            recorded = [event]
            said = event.payload.digest if isinstance(event.payload, ShiftEnded | BriefWritten) else ""
            if said and said != digest:
                tampering.append(f"the facts before event {event.seq} are not those that were there when it was recorded")
                digest = said
        digest = codec.chain(digest, recorded)
        state = fold(state, recorded)
        keeper.follow(ledger, state.study, recorded, batches)
    return Report(
        ticks=ticks,
        decisions=decisions,
        identical=not difference,
        first_difference=difference,
        tampering=tuple(tampering),
        other_policies=tuple(sorted(policies)),
    )


def _stored(logged: MetricsLogged | RunImported, points: Iterator[Batch]) -> list[Batch]:
    """Take the batches of one fact from the stream of all."""
    batches: list[Batch] = []
    while sum(len(batch.steps) for batch in batches) < logged.points:
        batch = next(points, None)
        if batch is None:
            break
        batches.append(batch)
    return batches


def _next(events: Iterator[Event], count: int) -> list[Event]:
    return [event for _, event in zip(range(count), events, strict=False)]


def _difference(state: State, tick: TickDecided, recorded: list[Event]) -> str:
    """The first thing that would be decided otherwise now; empty if nothing."""
    if state.study is None:
        return f"tick {tick.tick} was recorded before any study"
    snapshot = replace(state, now_s=tick.now_s, free_devices=tick.free_devices)
    deciders = {**dict(stages(state.study)), "desk": tuple(plugins.desk())}.get(tick.stage, ())
    made = decide(snapshot, deciders)
    for number, event in enumerate(recorded):
        if number >= len(made):
            return f"tick {tick.tick}: event {event.seq} ({event.kind}) was recorded, and is not decided now"
        now, then = _line(made[number]), _line(event.payload)
        if now != then:
            return f"tick {tick.tick}, event {event.seq}: recorded {then}, decided now {now}"
    if len(made) > len(recorded):
        return f"tick {tick.tick}: decided now, and not recorded: {_line(made[len(recorded)])}"
    return ""


def _line(payload: Payload) -> str:
    kind, text = codec.encode(payload)
    return f"{kind} {text}"
