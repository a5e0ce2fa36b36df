"""Which channels a brief is still owed to, and sending it to one of them: at most one recorded outcome for each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.records.incidents import Incident
from secondshift.records.states import State
from secondshift.runtime.notify.channels import Outcome, send
from secondshift.runtime.notify.letters import letter

NEWEST = 200  # facts in which a brief is looked for that has not been sent yet


@dataclass(frozen=True, kw_only=True, slots=True)
class Owed:
    """The newest brief, and the channels that it has not been sent to."""

    shift: str = ""
    study: str = ""
    lang: str = "en"
    channels: tuple[str, ...] = ()


def owed(ledger: Ledger) -> Owed:
    """What is owed of the newest brief, to the channels that the study had when it was written.

    A channel that was added to the study later gets the next brief, not this one.
    """
    brief, sent = None, set[str]()
    for event in ledger.read(max(0, ledger.last_seq() - NEWEST), kinds=("brief.written", "brief.sent")):
        if isinstance(event.payload, facts.BriefWritten):
            brief, sent = event, set[str]()
        elif isinstance(event.payload, facts.BriefSent):
            sent.add(event.payload.channel)
    if brief is None or not isinstance(brief.payload, facts.BriefWritten):
        return Owed()
    study = None
    for event in ledger.read(until=brief.seq, kinds=("study.opened", "study.amended")):
        if isinstance(event.payload, facts.StudyOpened | facts.StudyAmended):
            study = event.payload.study
    if study is None:
        return Owed()
    channels = tuple(channel for channel in study.notify.channels if channel not in sent)
    return Owed(shift=brief.payload.shift, study=study.name, lang=study.notify.lang, channels=channels)


def deliver(folder: Path, what: Owed, channel: str, state: State, now_s: float) -> Sequence[facts.Payload]:
    """Send the brief to one channel; give the facts to record of it. Never raises for what a channel does.

    `folder` is the study's private folder, `now_s` UTC seconds of the study clock.
    """
    try:
        outcome = send(channel, letter(folder, what.study, what.shift, what.lang))
    except OSError as error:
        outcome = Outcome(sent=False, detail=f"the written brief cannot be read ({type(error).__name__})")
    said = facts.BriefSent(
        shift=what.shift, channel=channel, outcome="sent" if outcome.sent else "failed", detail=outcome.detail
    )
    if outcome.sent:
        return [said]
    incident = Incident(
        id=f"i{state.incidents_seen + 1}", subject="shift",
        finding=f"the brief of {what.shift} could not be sent to {channel}: {outcome.detail}",
        action="left in .secondshift/briefs; not tried again", opened_at=now_s,
    )  # fmt: skip
    return [said, facts.IncidentOpened(incident=replace(incident, closed="the shift ended without it"))]
