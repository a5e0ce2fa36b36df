"""The verbs about one trial: `show` (which shows an incident, too) and `why` (which tells of an idea, too)."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from secondshift.errors import SecondshiftError
from secondshift.interfaces.brief.write import newest_shift, page
from secondshift.interfaces.cli.desk import Desk, language, open_desk, trial_named
from secondshift.interfaces.cli.ideas import idea_story
from secondshift.interfaces.cli.incidents import show_incident
from secondshift.interfaces.cli.layerview import print_layers, summed
from secondshift.interfaces.cli.pictures import fan_of, print_fan, print_study
from secondshift.interfaces.cli.printing import console, document, indented, line, spoken
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.messages.formats import duration, number
from secondshift.interfaces.plain import one_line
from secondshift.interfaces.readmodel.forecasts import expected
from secondshift.interfaces.readmodel.layers import PREFIX
from secondshift.interfaces.readmodel.objectives import written
from secondshift.interfaces.readmodel.reasons import story, trial_events
from secondshift.interfaces.readmodel.trials import document as trial_document
from secondshift.interfaces.readmodel.waiting import outlook
from secondshift.interfaces.sparklines import sparkline
from secondshift.records.nights import Statement

INCIDENT = re.compile(r"i\d+")
Name = Annotated[str, Parameter(help="A trial, such as t7; an attempt t7.a2 means its trial.")]
Study = Annotated[Path | None, Parameter(name="--study", help="The secondshift.toml, or its folder.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")]


def show(
    trial: Annotated[
        str, Parameter(help="A trial, such as t7; an attempt t7.a2 means its trial; or an incident, such as i3. None: the study.")
    ] = "",
    /,
    *,
    lines: Annotated[int, Parameter(help="Last lines of output to show.")] = 10,
    html: Annotated[Path | None, Parameter(help="Write an incident, with its plot, into this file.")] = None,
    plot: Annotated[bool, Parameter(negative="", help="Draw the forecasts over the curve; of the study, the best.")] = False,
    layers: Annotated[bool, Parameter(negative="", help="Show what a trial's model is made of, and how its layers do.")] = False,
    lang: Annotated[str | None, Parameter(help="en or ko, for an incident, a plot or layers.")] = None,
    study: Study = None,
    json: Json = False,
) -> int:
    """Show one trial (parameters, attempts, metrics, curve, output), one incident with its stream, or with --plot the study."""
    with open_desk(study) as desk:
        if not trial:
            return _study(desk, language(lang), plot=plot)
        if INCIDENT.fullmatch(trial):
            return show_incident(desk, trial, language(lang), json=json, html=html)
        if html is not None:
            raise SecondshiftError(f"--html writes an incident, such as i3, and {trial!r} is none. Leave it out to show a trial.")
        state = desk.state()
        found = trial_named(state, trial)
        doc = trial_document(desk.ledger, state, desk.folder, found, now=time.time(), lines=max(0, lines))
        ahead, drawn = expected(state, found), fan_of(desk, state, found) if plot else None
    if json:
        document(doc)
    elif layers:
        print_layers(console(), found.id, doc["layers"], language(lang))
    else:
        screen = console()
        _print(screen, doc, tell(ahead) if ahead is not None else "")
        if plot:
            print_fan(screen, drawn, language(lang))
    return 0


def _study(desk: Desk, lang: str, *, plot: bool) -> int:
    if not plot:
        raise SecondshiftError("`show` was given nothing to show. Expected a TRIAL (t7), an incident (i3), or --plot alone.")
    print_study(console(), page(desk.ledger, desk.state(), newest_shift(desk.ledger)).figures, lang)
    return 0


def _print(screen: Console, doc: dict[str, Any], ahead: str) -> None:
    reason = f": {doc['reason']}" if doc["reason"] else ""
    screen.print(Text.assemble((doc["trial"], "bold"), f"  {doc['status']}{reason}"))
    past = doc["imported"]
    facts = [
        ("parameters", written(doc["params"]) or "the script's own defaults"),
        ("candidate", doc["candidate"]),
        ("seed", str(doc["seed"]) if not past or past["seed_known"] else "not known"),
        ("steps", f"{doc['steps']:,} of {doc['horizon_steps']:,}"),
        ("device time", duration(doc["device_s"])),
        ("folder", doc["folder"] or "none yet"),
    ]
    if ahead:
        facts[-1:-1] = [("forecast", ahead)]
    if doc["finish_s"] is not None:
        facts[-1:-1] = [("to the horizon", f"{duration(doc['finish_s'])} of device time, at its pace so far")]
    if past:
        facts[-2:] = [("imported from", f"{past['source']}, run {one_line(past['name'])} ({one_line(past['run'])})")]
        facts.append(("ran on", "not known: compare it with the trials of this study only with that in mind"))
        if past["others"]:
            facts.append(("set besides", one_line(written(past["others"]))))
    if doc["assisted"]:
        facts.append(("assisted", "it was helped on its way, so its result is compared with no other"))
    if doc["layers"]:
        facts.append(("model", f"{summed(doc['layers'], 'en')} `secondshift show {doc['trial']} --layers`"))
    facts += [(f"guard {row['guard']}", _guard(row)) for row in doc["guards"]]
    if doc["inherits"]:
        from_where = f"the checkpoint of {doc['inherits']['trial']} at step {doc['inherits']['step']}"
        facts.append(("inherits", f"{from_where}, so its result is compared with no other"))
    if doc["front"]:
        facts.append((f"and {doc['front']['metric']}", _front(doc["front"])))
    if doc["held"]:
        facts.append(("held", f"until somebody answers {doc['held']}: `secondshift answer {doc['held']}`"))
    if doc["dropped_points"]:
        facts.append(("points lost", number(doc["dropped_points"])))
    grid = Table.grid(padding=(0, 2))
    for name, value in facts:
        grid.add_row(Text(name, style="dim"), Text(value, overflow="fold"))
    screen.print(grid)
    _print_metrics(screen, doc)
    _print_attempts(screen, doc)
    if doc["fingerprint"]:
        screen.print(Text("\nran on", style="dim"))
        for name, value in sorted(doc["fingerprint"].items()):
            screen.print(indented(Text(f"{one_line(name)}: {one_line(str(value))}")))
    if doc["elsewhere"]:
        text = f"another environment than {doc['compared_with']}, the best so far: {doc['elsewhere']}"
        screen.print(Text(f"{text}; their results cannot be compared without that in mind", style="yellow"))
    if doc["moved"]:
        screen.print(Text(f"it ran in more than one environment itself: {doc['moved']}", style="yellow"))
    if doc["output"]:
        screen.print(Text(f"\nlast lines of {doc['output_file']}", style="dim"))
        for text in doc["output"]:
            screen.print(indented(Text(text)))


def _front(row: Mapping[str, Any]) -> str:
    """Where a trial stands between two objectives."""
    value = number(row["value"]) if row["value"] is not None else "no finite value"
    if row["on_front"]:
        return f"{value}; on the front: no complete trial is better in one without being worse in the other"
    if row["compared"]:
        return f"{value}; not on the front: {', '.join(row['beaten_by'])} did at least as well in both, and better in one"
    return f"{value}; not compared: only complete, unaided trials that keep the guards and have both values are"


def _guard(row: Mapping[str, Any]) -> str:
    """How a trial stands with one guard."""
    if row["standing"] == "unknown":
        return f"not checked: {row['metric']} was not logged, or not always as a finite number"
    if row["standing"] == "ok":
        return f"kept; the worst was {number(row['worst'])}"
    return f"broken by {number(row['over'])}: the worst was {number(row['worst'])}, so it is never the best"


def _print_metrics(screen: Console, doc: dict[str, Any]) -> None:
    if not doc["metrics"]:
        return
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for head in ("metric", "last", "at step", "lowest", "at step", "highest", "at step", "points", "not finite"):
        grid.add_column(head, justify="left" if head == "metric" else "right")
    for name, m in doc["metrics"].items():
        if name.startswith(PREFIX):
            continue  # up to four of each layer: they have a view of their own
        grid.add_row(
            one_line(name),
            number(m["last"]),
            number(m["last_step"]),
            number(m["low"]),
            number(m["low_step"]),
            number(m["high"]),
            number(m["high_step"]),
            number(m["points"]),
            number(m["non_finite"]),
        )
    screen.print(Text(""), grid)
    if doc["curve"]["values"]:
        steps = doc["curve"]["steps"]
        screen.print(Text(f"\n{one_line(doc['curve']['metric'])}, steps {steps[0]:,} to {steps[-1]:,}", style="dim"))
        screen.print(
            indented(Text(sparkline(doc["curve"]["values"], max(10, min(80, screen.width - 4))), style="cyan"))
        )


def _print_attempts(screen: Console, doc: dict[str, Any]) -> None:
    for attempt in doc["attempts_list"]:
        steps = f"steps {attempt['from_step']:,} to {attempt['until_step']:,}"
        text = f"{attempt['attempt']}: {steps} on {', '.join(attempt['devices'])}"
        exit = attempt["exit"]
        if exit is None:
            text += f", process {attempt['pid']}, not ended" if attempt["pid"] else ", not started yet"
        else:
            how = (
                f"exit code {exit['code']}"
                if exit["code"] is not None
                else f"signal {exit['signal']}"
                if exit["signal"]
                else "unseen"
            )
            text += f"; ended ({exit['cause']}, {how}) after {duration(exit['elapsed_s'])} [e{exit['event']}]"
        screen.print(Text(("\n" if attempt is doc["attempts_list"][0] else "") + text))
    kept = [c for c in doc["checkpoints"] if c["fate"] == "kept"]
    if doc["checkpoints"]:
        steps = ", ".join(str(c["step"]) for c in kept) or "none"
        gone = len(doc["checkpoints"]) - len(kept)
        screen.print(Text(f"checkpoints kept at step: {steps}" + (f"; {gone} deleted or not usable" if gone else "")))
    if best := doc["best_checkpoint"]:
        said = f"the best of them, with {best['metric']} {best['objective']:.6g}, is that of step {best['step']}: {best['folder']}"
        screen.print(Text(said))


def why(
    trial: Annotated[str, Parameter(help="A trial, such as t7, or an idea, such as e3.")],
    /,
    *,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    study: Study = None,
    json: Json = False,
) -> int:
    """Tell why a trial or an idea is where it is: every decision about it, its reason and evidence, with the events."""
    tongue = language(lang)
    with open_desk(study) as desk:
        state = desk.state()
        if trial in state.ideas:
            return idea_story(state, state.ideas[trial], desk.ledger, tongue, as_json=json)
        found = trial_named(state, trial)
        told = story(trial_events(desk.ledger, found.id))
        values = {"status_word": found.status, "reason": found.reason}
        now = [Statement(key="why.now" if found.reason else "why.now_plain", values=values)]
        now += outlook(state, found, engine_alive=desk.holder().life in ("alive", "remote"))
    if json:
        document({"trial": found.id, "status": found.status, "story": spoken(told, tongue), "now": spoken(now, tongue)})
        return 0
    screen = console()
    screen.print(Text(found.id, style="bold"))
    for statement in told:
        screen.print(indented(line(statement, tongue)))
    for statement in now:
        screen.print(indented(line(statement, tongue)), style="bold")
    return 0
