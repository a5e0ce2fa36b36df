"""What the captain says of a run that is not his: each finding with its diagnosis and what he would do. Nothing is done."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from secondshift.policies.captain.crashes import classify
from secondshift.policies.captain.diagnosis import diagnose
from secondshift.policies.captain.ladder import Rung, rung
from secondshift.policies.captain.symptoms.beats import silence
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.following import Following, Row, follow, start

TOGETHER = 200  # steps after the last finding within which another belongs to the same incident
SURE_ROOT, SURE_REST = 0.9, 0.6  # confidence in the class of a crash: its root was seen, or only what followed it
FROM_OUTSIDE = frozenset({-1, -2, -3, -13, -15, 130, 131, 143})  # SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM; as a shell says them


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One finding as it is told."""

    stream: str  # loss, grad_norm, ...; output for how a command ended
    step: int
    since: int  # first suspicious step
    lasted: int  # points
    symptom: str
    diagnosis: str  # of the incident that it belongs to, as known at that step
    action: Rung  # what the captain would do
    confidence: float
    evidence: Mapping[str, float | str]


@dataclass(slots=True)
class Watched:
    """What is remembered of one foreign run."""

    following: Following
    incident: list[Finding] = field(default_factory=list)  # findings of the newest one


def watched(goal: str = "min") -> Watched:
    """A run of which nothing was seen yet."""
    return Watched(following=start(goal="max" if goal == "max" else "min"))


def see(state: Watched, rows: Iterable[Row], announced: Iterable[int] = ()) -> tuple[Watched, list[Told]]:
    """Follow new rows of a run. The state given is not changed."""
    following, found = follow(state.following, rows, announced=announced)
    incident, told = state.incident, []
    for finding in found:
        incident = _incident(incident, finding)
        told.append(_told(finding, incident))
    return Watched(following=following, incident=incident), told


def finish(state: Watched) -> list[Told]:
    """The run is over: say where it stands against its best, if that is worth a question."""
    return [_told(finding, _incident(state.incident, finding)) for finding in state.following.finish()]


def hush(
    state: Watched, *, now_s: float, last_growth_s: float, longest_gap_s: float, step: int
) -> tuple[Watched, list[Told]]:
    """Judge a stream that stands still: silent is not finished. Times are those of one clock (s)."""
    found = silence(now_s=now_s, last_beat_s=last_growth_s, longest_gap_s=longest_gap_s, step=step)
    return state, [_told(finding, [finding]) for finding in found]


def ended(head: list[str], tail: list[str], *, code: int, step: int, signs: Collection[str] = ()) -> list[Told]:
    """Class how a command ended that did not end well, from its first error lines and its last lines.

    code: its exit code, minus the signal that ended it. A signal from outside is no crash. signs: see `crashes.classify`.
    """
    if code == 0:
        return []
    trained, step = step >= 0, max(step, 0)
    if code in FROM_OUTSIDE:
        evidence = {"exit_code": float(code), "last_words": _last(tail)}
        return [_crash("ended_by_signal", "note", step, 0.95, evidence)]
    known = [f"step: {step}"] if trained else []  # a run that has trained was launched well
    crash = classify(head, [*tail, *known, f"exitcode: {code}"], signs=signs)
    line = crash.line if crash.line in {text.strip() for text in [*head, *tail]} else f"exit code {code}"
    name = "unknown" if crash.name == "benign_only" else crash.name
    evidence = {"exit_code": float(code), "line": line, "role": crash.role, "last_words": _last(tail)}
    action: Rung = "ask" if crash.deterministic or name == "unknown" else "repair"
    return [_crash(name, action, step, SURE_ROOT if crash.role == "root" else SURE_REST, evidence)]


def tracked_end(
    status: str, *, code: int | None, head: Sequence[str], tail: Sequence[str], step: int
) -> list[Told]:
    """Class how a run ended of which its tracker says so: `failed` is a crash, `killed` came from outside, others are none.

    head, tail: lines that it printed, where the tracker kept them; without any, the cause is not known.
    """
    if status == "killed":
        return [_crash("ended_by_signal", "note", max(step, 0), SURE_REST, {"status": status, "last_words": _last(list(tail))})]
    if status != "failed":
        return []
    known = ended(list(head), list(tail), code=code or 1, step=step)
    told = known or [_crash("unknown", "ask", max(step, 0), SURE_REST, {})]
    evidence = {name: value for name, value in told[0].evidence.items() if name != "exit_code" or code}
    return [replace(told[0], evidence={"status": status, **evidence})]


def _crash(name: str, action: Rung, step: int, confidence: float, evidence: Mapping[str, float | str]) -> Told:
    return Told(
        stream="output", step=step, since=step, lasted=1, symptom="crash", diagnosis=name, action=action,
        confidence=confidence, evidence=evidence,
    )  # fmt: skip


def _last(lines: list[str]) -> str:
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _incident(incident: list[Finding], finding: Finding) -> list[Finding]:
    near = incident and min(finding.step, max(finding.since, 0)) <= incident[-1].step + TOGETHER
    return [*incident, finding] if near else [finding]


def _told(finding: Finding, incident: list[Finding]) -> Told:
    diagnosis = diagnose(incident)
    return Told(
        stream=finding.stream, step=finding.step, since=finding.since, lasted=finding.lasted, symptom=finding.symptom,
        diagnosis=diagnosis.cause if diagnosis else "unknown", action=rung(finding), confidence=finding.confidence,
        evidence=finding.evidence,
    )  # fmt: skip
