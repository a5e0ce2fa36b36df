"""The closed, versioned list of event kinds: every fact the ledger can hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from secondshift.records.agent_facts import AgentEnded, AgentOrdered
from secondshift.records.calls import DutyCovered, PageSent, PageWeighed
from secondshift.records.decisions import Decision
from secondshift.records.forecast_facts import AuditDrawn, AuditEnded, ForecastMade
from secondshift.records.gate_facts import (
    GateChecked,
    GateJudged,
    GateOrdered,
    PromotionEnded,
    PromotionOrdered,
    SealedMeasured,
    SealedOpened,
)
from secondshift.records.idea_facts import (
    BaselineMoved,
    ChangeBranched,
    ChangeExamined,
    IdeaAmended,
    IdeaCaptured,
    TrialEvaluated,
    VerdictReached,
)
from secondshift.records.incident_facts import (
    IncidentAmended,
    IncidentClosed,
    IncidentOpened,
    SymptomSeen,
    TrialHelped,
    TrialReopened,
)
from secondshift.records.shift_facts import (
    BriefSent,
    BriefWritten,
    LeaseTaken,
    MemoRemembered,
    RequestReceived,
    ShiftAnchored,
    ShiftEnded,
    ShiftStarted,
    StudyAmended,
    StudyOpened,
    TickDecided,
)
from secondshift.records.studies import Value
from secondshift.records.trials import Candidate, Checkpoint, Directives, Exit, Health, Layer, Summary, Trial

VERSION = 1  # of this list; a ledger written by a newer one is refused


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionMade:
    """A policy or a person decided something, with a reason."""

    decision: Decision


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionDropped:
    """A decision lost against another, or against the budget."""

    decision: Decision
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateProposed:
    """A candidate exists."""

    candidate: Candidate
    decision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialQueued:
    """A candidate was given a seed and waits for a slot."""

    trial: Trial
    decision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialAdvanced:
    """A running trial may pass a rung."""

    trial: str
    step: int
    value: float
    until_step: int
    decision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialClosed:
    """A trial that was not running ended for good."""

    trial: str
    status: str  # failed or stopped
    reason: str
    decision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChargeReserved:
    """Budget was set aside for an attempt; several of one id add up."""

    charge: str
    trial: str
    device_s: float
    decision: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChargeSettled:
    """An attempt's actual cost replaced what was set aside for it."""

    charge: str
    trial: str
    device_s: float
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptOrdered:
    """An attempt will be started; nothing runs before this is recorded."""

    attempt: str
    trial: str
    number: int
    token: int
    devices: tuple[str, ...]
    from_step: int
    until_step: int
    grant_s: float
    decision: str
    alone: bool = False  # see Attempt
    directives: Directives = field(default_factory=Directives)  # for the script
    back_to: int = -1  # checkpoints of more steps are set aside before it starts; -1: none


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptStarted:
    """The supervisor claimed the attempt and the script runs."""

    attempt: str
    supervisor: int
    pid: int
    fingerprint: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptAsked:
    """An attempt shall pause or stop."""

    attempt: str
    mode: str  # pause or stop
    decision: str
    now: bool = False  # without the grace to save anything


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptClosed:
    """The script itself said that it is done with its run."""

    attempt: str
    clean: bool
    stopping: bool  # it left early because it was asked to, or had reached its `until_step`
    steps_done: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptEnded:
    """The attempt is over and its process group is gone."""

    attempt: str
    exit: Exit


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptHealth:
    """The supervisor saw the script's processes in another state for some time; see Attempt."""

    attempt: str
    health: Health
    waits_on: str = ""
    after_s: float = 0.0  # seconds from the script's start


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptQuiet:
    """A running script logs nothing for several times its longest gap so far: seen, not yet believed. Once a silence."""

    attempt: str
    quiet_s: float  # since its last point was seen to come
    allowed_s: float  # so long was nothing to speak of


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricsLogged:
    """Points of one fragment were stored; batches and this fact are one transaction."""

    attempt: str
    trial: str
    fragment: str
    start: int  # byte offsets in the fragment
    end: int
    points: int
    crc: int  # over the stored batches
    metrics: Mapping[str, Summary] = field(default_factory=dict)  # of these points alone
    machine: bool = False  # nothing of the script's own: only what was measured of its machine
    first_s: float = 0.0  # of the script's own points, where they tell their time: seconds since its process began
    last_s: float = 0.0
    gap_s: float = 0.0  # the longest time between two of them
    rests: bool | None = None  # the newest sample of its processes shows neither a CPU nor a GPU at work; None: there is none


@dataclass(frozen=True, kw_only=True, slots=True)
class ParamsResolved:
    """The script said which parameters it uses, its own defaults included."""

    trial: str
    params: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointSaved:
    """A checkpoint was written, synced and checksummed."""

    checkpoint: Checkpoint


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointInherited:
    """A checkpoint of another trial was copied to a trial that has not begun, and the copy was verified."""

    checkpoint: Checkpoint  # the copy
    source: str  # the trial that it was copied from


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRejected:
    """A checkpoint failed its checksum; the one before it is used."""

    trial: str
    step: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointPruned:
    """A checkpoint was deleted: to stay within the disk cap, or because its trial begins again from its first step."""

    trial: str
    step: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointFailed:
    """A script could not save a checkpoint, for want of disk or otherwise; it trains on, and older ones stay."""

    trial: str
    attempt: str
    step: int  # number of steps done that it was for; -1: the script gave none
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeAnnounced:
    """A script said of a change in its curves that it is planned."""

    trial: str
    attempt: str
    step: int  # from which step on
    what: str  # in the script's words: "lr_drop"


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectiveApplied:
    """A script did what a directive of its order asks for; said once for each directive and attempt."""

    trial: str
    attempt: str
    directive: str  # skip, lr_scale or fresh_loader
    step: int  # where: of a skip the first step skipped
    value: str = ""  # which: "100:120" (the second is not skipped any more), "0.5", "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelDescribed:
    """A script said what its model is made of."""

    trial: str
    attempt: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PointsDropped:
    """A script could not write some of its points, or a fragment was damaged."""

    attempt: str
    trial: str
    points: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunImported:
    """A run that ended outside the study became a finished trial of it; its points and this fact are one transaction."""

    trial: str  # p1, p2, ...
    source: str  # mlflow, tensorboard, wandb, csv or secondshift
    run: str  # the source's own id of it, or its path relative to the study
    name: str
    digest: str  # over all that was taken over: the same content is the same run
    revision: int
    status: str  # complete, stopped or failed
    reason: str
    seed: int = 0
    seed_known: bool = False
    params: Mapping[str, Value] = field(default_factory=dict)  # of the search space
    others: Mapping[str, Value] = field(default_factory=dict)
    started_at: float = 0.0  # UTC seconds, as the source says; 0: it does not
    ended_at: float = 0.0
    points: int = 0
    crc: int = 0  # over the stored batches
    metrics: Mapping[str, Summary] = field(default_factory=dict)
    supersedes: str = ""  # the trial of the same run as it was imported before
    who: str = ""


KINDS: Mapping[str, type] = {
    "study.opened": StudyOpened,
    "study.amended": StudyAmended,
    "lease.taken": LeaseTaken,
    "shift.started": ShiftStarted,
    "shift.anchored": ShiftAnchored,
    "shift.ended": ShiftEnded,
    "request.received": RequestReceived,
    "tick.decided": TickDecided,
    "decision.made": DecisionMade,
    "decision.dropped": DecisionDropped,
    "candidate.proposed": CandidateProposed,
    "idea.captured": IdeaCaptured,
    "idea.amended": IdeaAmended,
    "verdict.reached": VerdictReached,
    "trial.evaluated": TrialEvaluated,
    "change.examined": ChangeExamined,
    "change.branched": ChangeBranched,
    "baseline.moved": BaselineMoved,
    "gate.ordered": GateOrdered,
    "gate.checked": GateChecked,
    "gate.judged": GateJudged,
    "promotion.ordered": PromotionOrdered,
    "promotion.ended": PromotionEnded,
    "sealed.opened": SealedOpened,
    "sealed.measured": SealedMeasured,
    "forecast.made": ForecastMade,
    "audit.drawn": AuditDrawn,
    "audit.ended": AuditEnded,
    "trial.queued": TrialQueued,
    "trial.advanced": TrialAdvanced,
    "trial.closed": TrialClosed,
    "charge.reserved": ChargeReserved,
    "charge.settled": ChargeSettled,
    "attempt.ordered": AttemptOrdered,
    "attempt.started": AttemptStarted,
    "attempt.asked": AttemptAsked,
    "attempt.closed": AttemptClosed,
    "attempt.ended": AttemptEnded,
    "attempt.health": AttemptHealth,
    "attempt.quiet": AttemptQuiet,
    "metrics.logged": MetricsLogged,
    "params.resolved": ParamsResolved,
    "checkpoint.saved": CheckpointSaved,
    "checkpoint.inherited": CheckpointInherited,
    "checkpoint.rejected": CheckpointRejected,
    "checkpoint.pruned": CheckpointPruned,
    "checkpoint.failed": CheckpointFailed,
    "change.announced": ChangeAnnounced,
    "directive.applied": DirectiveApplied,
    "model.described": ModelDescribed,
    "points.dropped": PointsDropped,
    "run.imported": RunImported,
    "incident.opened": IncidentOpened,
    "symptom.seen": SymptomSeen,
    "incident.amended": IncidentAmended,
    "trial.helped": TrialHelped,
    "trial.reopened": TrialReopened,
    "incident.closed": IncidentClosed,
    "duty.covered": DutyCovered,
    "page.weighed": PageWeighed,
    "page.sent": PageSent,
    "memo.remembered": MemoRemembered,
    "agent.ordered": AgentOrdered,
    "agent.ended": AgentEnded,
    "brief.written": BriefWritten,
    "brief.sent": BriefSent,
}
KIND_OF: Mapping[type, str] = {cls: kind for kind, cls in KINDS.items()}

Payload = (
    StudyOpened | StudyAmended | LeaseTaken | ShiftStarted | ShiftAnchored | ShiftEnded | RequestReceived | TickDecided
    | DecisionMade | DecisionDropped | CandidateProposed | IdeaCaptured | IdeaAmended | VerdictReached | BaselineMoved
    | GateOrdered | GateChecked | GateJudged | PromotionOrdered | PromotionEnded | SealedOpened | SealedMeasured
    | TrialEvaluated | ChangeExamined | ChangeBranched | ForecastMade | AuditDrawn | AuditEnded
    | TrialQueued | TrialAdvanced | TrialClosed | ChargeReserved | ChargeSettled | AttemptOrdered | AttemptStarted
    | AttemptAsked | AttemptClosed | AttemptEnded | AttemptHealth | AttemptQuiet | MetricsLogged | ParamsResolved | CheckpointSaved
    | CheckpointInherited
    | CheckpointRejected | CheckpointPruned | CheckpointFailed | ChangeAnnounced | DirectiveApplied | ModelDescribed
    | PointsDropped | RunImported | IncidentOpened | SymptomSeen | IncidentAmended | TrialHelped | TrialReopened
    | IncidentClosed | DutyCovered | PageWeighed | PageSent | MemoRemembered | BriefWritten | BriefSent | AgentOrdered
    | AgentEnded
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One fact as it stands in the ledger."""

    seq: int  # from 1, without gaps
    at: float  # UTC seconds of the study clock
    token: int  # of the lease it was written under
    kind: str
    payload: Payload
    text: str = field(default="", compare=False, repr=False)  # the payload as it was written down; "" if only in memory
