"""What the captain saw, believed, did and asks: findings, acts, questions and the incident that holds them together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Symptom = Literal[
    "non_finite", "spike", "step_up", "slow_divergence", "plateau", "not_learning",
    "overfitting", "evaluation_shift",
    "gradient_explosion", "gradient_vanishing", "overflow_skipping",
    "frozen_metrics", "no_update",
    "dead_loader", "unshuffled_loader", "one_class", "slow_loader", "slow_steps",
    "memory_leak", "disk_filling", "silence", "hang", "crash", "crash_loop", "checkpoint_failure",
]  # fmt: skip
SYMPTOMS: tuple[str, ...] = get_args(Symptom)
Rung = Literal["note", "repair", "stop", "ask", "page"]
Outcome = Literal["", "worked", "failed", "not applied"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One symptom in one stream. The same episode is found again, at doubling lengths, while it lasts."""

    symptom: Symptom
    stream: str  # the metric it was seen in, or what else was looked at: output, process, checkpoints
    step: int  # where it was known
    since: int  # first suspicious step: roll back to before it
    lasted: int  # points that it has lasted, 1 at first sight
    confidence: float  # 0 to 1
    evidence: Mapping[str, float]  # what was compared with what, in the stream's own unit


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerSign:
    """What stands out in one layer of a model since a trouble began."""

    layer: str  # as the model names it
    kind: str  # one of LAYER_KINDS
    step: int  # of the newest sample
    value: float  # of that sample
    usual: float  # median of the samples from before the trouble


LAYER_KINDS = ("grad_norm", "update_ratio", "dead", "activation_rms")  # metrics `layer/NAME/KIND`


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """Where a run's loss stood when it was last looked at, as its detectors measure it; in the metric's own unit."""

    metric: str = ""
    step: int = -1
    value: float = 0.0  # median of the newest block of points
    noise: float = 0.0  # spread of single points
    rate: float = 0.0  # newest learning rate; 0: none is logged
    points: int = 0  # blocks of points seen so far


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What the detectors of one running trial say at a tick; rebuilt from its points, never recorded itself."""

    findings: tuple[Finding, ...] = ()  # since the last tick
    level: Level = Level()
    before: Level = Level()  # the newest level that was not suspicious
    attempt: str = ""  # whose points came last
    step_s: float = 0.0  # seconds that a step of it takes, median of the newest block; 0: not known yet
    # (layer, kind) -> newest samples as (step, value), oldest first
    layers: Mapping[tuple[str, str], tuple[tuple[int, float], ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One thing done about an incident, and how it is to be undone."""

    remedy: str  # a name of policies/captain/remedies.py
    reason: str
    by: str  # captain or person
    cause: str = ""  # what it is meant against; tries are counted by it
    at: float = 0.0  # UTC seconds
    needs: str = ""  # the authority it was done under
    attempt: str = ""  # that it ended
    step: int = -1  # newest step of the run when it was decided
    back_to: int = -1  # steps done of the checkpoint that is gone back to, at most; -1: it does not go back
    skip: tuple[tuple[int, int], ...] = ()  # ranges of steps, end excluded
    lr_scale: float = 1.0  # of the learning rate as it was before this act
    avoid: tuple[str, ...] = ()  # devices
    fresh_loader: int = 0  # times that the loader is to be started afresh
    undo: str = ""  # how a person takes it back
    after: float = 0.0  # UTC seconds before which a retry does not begin; 0: it may begin at once
    rested: bool = False  # that time has come
    outcome: Outcome = ""
    seen: str = ""  # what the outcome was judged by
    stood: Level = Level()  # where the run stood when the outcome was judged

    def ends_attempt(self) -> bool:
        """Say whether the running attempt has to leave for it."""
        return self.remedy not in ("leave", "go_on")

    def at_once(self) -> bool:
        """Say whether it leaves without saving: what it would save is what is being gone back from."""
        return self.back_to >= 0 or self.remedy == "restart"

    def directs(self) -> bool:
        """Say whether the script itself has to do something: only a cooperative one can."""
        return bool(self.skip) or self.lr_scale != 1.0 or self.fresh_loader > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a person is asked, and what happens if nobody answers."""

    asked_at: float  # UTC seconds
    deadline_at: float  # when the default applies
    suggested: str  # remedy
    default: str  # remedy: leave, pause, stop, ...
    options: tuple[str, ...] = ()
    answer: str = ""  # one of the options; empty while open
    answered_by: str = ""  # a person, or "default"


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """What went wrong, what was believed and done, and how it ended: one for all symptoms of one trouble."""

    id: str
    subject: str  # trial, attempt, or "shift"
    finding: str  # a sentence
    evidence: tuple[str, ...] = ()
    action: str = ""
    closed: str = ""  # how it ended; empty while open
    opened_at: float = 0.0  # UTC seconds
    cause: str = ""  # of policies/captain/diagnosis.py; empty: not one of the captain's
    confidence: float = 0.0
    rung: Rung = "note"  # how far up the ladder it has come
    since: int = -1  # first suspicious step
    step: int = -1  # where it was last seen
    attempt: str = ""  # in which it was first seen
    findings: tuple[Finding, ...] = ()  # what it rests on, oldest first; a few
    layers: tuple[LayerSign, ...] = ()  # that stand out since it began, where a script records its layers
    rate: float = 0.0  # the learning rate when it was opened; 0: none is logged
    before: Level = Level()  # from before the first suspicious step: what success is judged against
    acts: tuple[Act, ...] = ()
    questions: tuple[Question, ...] = ()
    drill: bool = False  # made on purpose, by `secondshift drill`

    def question(self) -> Question | None:
        """The question that waits for an answer, if any."""
        return self.questions[-1] if self.questions and not self.questions[-1].answer else None

    def retry(self) -> Act | None:
        """The retry of a failed attempt of which nobody knows yet whether it helps, if that is what is waited for."""
        act = self.pending()
        return act if act is not None and act.remedy == "retry" else None

    def pending(self) -> Act | None:
        """The act whose outcome is not known yet, if any."""
        return self.acts[-1] if self.acts and not self.acts[-1].outcome else None


def directives_of(acts: tuple[Act, ...]) -> tuple[tuple[tuple[int, int], ...], float, int]:
    """Add up what a script is asked to do: ranges of steps to skip, the scale of its learning rate, fresh loaders."""
    skip = tuple(sorted({one for act in acts for one in act.skip}))
    scale = 1.0
    for act in acts:
        scale *= act.lr_scale
    return skip, scale, sum(act.fresh_loader for act in acts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crash:
    """How a trial's newest attempt failed, until somebody has said what that means."""

    attempt: str
    code: int | None = None
    signal: int | None = None
    lost: bool = False  # nobody saw it end: its supervisor or machine died
    step: int = -1  # newest step it had logged
    elapsed_s: float = 0.0
    message: str = ""  # last lines of its output
    signs: tuple[str, ...] = ()  # in all of its output


@dataclass(frozen=True, kw_only=True, slots=True)
class Care:
    """What the captain keeps in mind of one open trial."""

    seen: tuple[Finding, ...] = ()  # newest last; at most KEPT
    count: int = 0  # findings ever
    claimed: int = 0  # of these, the ones that an incident has taken up
    earlier: int = 0  # of these, the ones found before the newest attempt was ordered
    acts: tuple[Act, ...] = ()  # every act on it, over all incidents
    back_to: int = -1  # the next attempt begins at a checkpoint of at most so many steps; -1: at the newest
    crash: tuple[Crash, ...] = ()  # the newest failure, if nobody has judged it yet
    announced: tuple[int, ...] = ()  # steps of planned changes
    applied: tuple[str, ...] = ()  # directives that the newest attempt said it carried out

    def unclaimed(self) -> tuple[Finding, ...]:
        """Findings that no incident has taken up yet, oldest first."""
        new = min(self.count - self.claimed, len(self.seen))
        return self.seen[len(self.seen) - new :]

    def of_attempt(self) -> tuple[Finding, ...]:
        """Findings of the newest attempt that are kept in mind, oldest first."""
        return self.seen[len(self.seen) - min(self.count - self.earlier, len(self.seen)) :]


KEPT = 64  # findings of one trial that are kept in mind
