"""What a suite says of a candidate: pass, block or insufficient, for each metric under each rule and for the whole.

A rule passes when all of the interval keeps it, and blocks when none of it does. A suite passes when every rule does, so
the chance that a candidate passes which breaks one is at most that of this one rule (an intersection-union test).
"""

import math
from collections.abc import Iterable
from dataclasses import replace

from secondshift.policies.gate.intervals import Interval, of_difference, of_mean
from secondshift.records.decisions import Decision, passed
from secondshift.records.gates import LEAST_REPEATS, GateRun, Measured, Row, Rule, Side, Verdict, names, rule_of
from secondshift.records.states import State

NAME = "gate"
SLACK = 1e-9  # relative: what adding and subtracting floats may lose is no breach
MOST_ROWS = 400


def decide(state: State) -> list[Decision]:
    """Judge each run of a suite of which all is measured."""
    ready = [run for run in state.gates.values() if not run.verdict and run.measured() >= set(run.planned())]
    return [passed(judged(run), by=NAME) for run in ready]


def judged(run: GateRun) -> GateRun:
    """Give a run with its rows and its verdict."""
    if not run.trial:
        return _with(run, (), "insufficient", f"{run.candidate} has no complete trial whose artefact could be measured")
    rows = tuple(row for check in run.rules for row in _rows(run, check))[:MOST_ROWS]
    worst: Verdict = "pass"
    for verdict in ("block", "insufficient"):
        if any(row.verdict == verdict for row in rows):
            worst = verdict
            break
    if not rows:
        return _with(run, rows, "insufficient", "the suite asks nothing")
    if worst == "pass" and not run.unaltered():
        return _with(run, rows, "insufficient", "an artefact changed while it was measured")
    said = [row for row in rows if row.verdict == worst]
    reason = f"{len(rows)} of {len(rows)} hold" if worst == "pass" else f"{said[0].check}: {said[0].reason}"
    more = f", and {len(said) - 1} more" if worst != "pass" and len(said) > 1 else ""
    return _with(run, rows, worst, reason + more)


def _with(run: GateRun, rows: tuple[Row, ...], verdict: Verdict, reason: str) -> GateRun:
    return replace(run, verdict=verdict, reason=reason, rows=rows)


def _rows(run: GateRun, check: str) -> Iterable[Row]:
    """Judge one check: each rule for each metric that it names."""
    ours, theirs = _of(run, check, "candidate"), _of(run, check, "baseline")
    failed, their_failed = [one for one in ours if one.failed], [one for one in theirs if one.failed]
    if failed:
        spared = bool(theirs) and not their_failed and bool(failed[0].artefact)
        blamed: Verdict = "block" if spared else "insufficient"
        twin = "and not on the baseline" if spared else "and nothing says that the check itself is sound"
        yield Row(
            check=check, rule="", metric="", verdict=blamed, reason=f"it failed on the candidate ({failed[0].failed}), {twin}",
            repeats=len(ours) - len(failed),
        )  # fmt: skip
        return
    for text in run.rules[check]:
        rule = rule_of(text)
        if rule is None:
            yield Row(check=check, rule=text, metric="", verdict="insufficient", reason=f"{text!r} is no rule")
            continue
        found = sorted({name for one in (*ours, *theirs) for name in one.metrics if names(rule.metric, name)})
        for name in found or [rule.metric]:
            yield _row(run, check, text, rule, name, ours, theirs)


def _of(run: GateRun, check: str, side: Side) -> list[Measured]:
    found = [one for one in run.results if one.check == check and one.side == side]
    return sorted(found, key=lambda one: one.repeat)


def _row(
    run: GateRun, check: str, text: str, rule: Rule, name: str, ours: list[Measured], theirs: list[Measured]
) -> Row:
    after, before = ([one.metrics[name] for one in side if name in one.metrics] for side in (ours, theirs))

    def row(verdict: Verdict, reason: str, span: Interval | None = None) -> Row:
        return Row(
            check=check, rule=text, metric=name, verdict=verdict, reason=reason, before=_mean(before),
            after=_mean(after), low=span.low if span else math.nan, high=span.high if span else math.nan, repeats=len(after),
        )  # fmt: skip

    needed = max(run.repeats, LEAST_REPEATS)
    short = _shortage(name, needed, after, before, rule)
    if short is not None:
        return row(*short)
    cases = (_cases(ours, name), _cases(theirs, name))
    span = of_difference(after, before, *cases) if rule.relative else of_mean(after, cases[0])
    return row(*_held(rule, name, span), span)


def _shortage(
    name: str, needed: int, after: list[float], before: list[float], rule: Rule
) -> tuple[Verdict, str] | None:
    """Say why values cannot be judged by their interval; None where they can."""
    if not after:
        return "insufficient", f"{name} was never printed for the candidate"
    whole_before = bool(before) and all(map(math.isfinite, before))
    if not all(map(math.isfinite, after)):
        return ("block" if whole_before else "insufficient"), f"{name} is not a finite number for the candidate"
    if len(after) < needed:
        return "insufficient", f"{name} was measured {len(after)} times of {needed}"
    if not rule.relative:
        return None
    if not whole_before:
        return "insufficient", f"the baseline has no {name} to compare with"
    if len(before) < needed:
        return "insufficient", f"{name} of the baseline was measured {len(before)} times of {needed}"
    return None


def _held(rule: Rule, name: str, span: Interval) -> tuple[Verdict, str]:
    what = f"{name} less the baseline's" if rule.relative else name
    sign = ">=" if rule.at_least else "<="
    found = f"{what} is {span.mean:.4g} [{span.low:.4g}, {span.high:.4g}], to be {sign} {rule.bound:.4g}"
    slack = SLACK * max(1.0, abs(rule.bound), abs(span.mean))
    inner, outer = (span.low, span.high) if rule.at_least else (-span.high, -span.low)
    bound = rule.bound if rule.at_least else -rule.bound
    if inner >= bound - slack:
        return "pass", found
    return ("block", found) if outer < bound - slack else ("insufficient", f"{found}: the interval is on both sides")


def _cases(side: list[Measured], name: str) -> int:
    """How many cases a metric is a share of, as the check prints it: cases/acc/slice_a for acc/slice_a; 0: it says none."""
    said = [one.metrics.get(f"cases/{name}", 0.0) for one in side]
    shares = all(0.0 <= one.metrics.get(name, 0.0) <= 1.0 for one in side)
    least = min(said, default=0.0)
    return int(least) if shares and math.isfinite(least) and least >= 1.0 else 0


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
