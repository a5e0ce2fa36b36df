"""[objective]: guards that can be read and kept, and a second objective that is another one."""

import re

from secondshift.config.mistakes import Notebook
from secondshift.config.tables import ObjectiveTable
from secondshift.records.guards import Guard, guard_of
from secondshift.records.metricnames import of_machine, of_script
from secondshift.records.studies import Aim, Objective

_EXPECTED = 'a metric, one of <=, <, >=, >, and a number, such as "peak_mem_gb <= 22"'
_TURNED = re.compile(r"\s*[-+.\d]\S*\s*[<>]=?\s*[^<>=\s\d][^<>=]*")
_SIGNS = re.compile(r"<=|>=|[<>]")


def check_objective(table: ObjectiveTable, notes: Notebook) -> None:
    """Note guards that are none or that no run could keep, and a second objective that is the first again."""
    for place, text in enumerate(table.guards):
        path, guard = ("objective", "guards", place), guard_of(text)
        if guard is None:
            notes.add(path, got=text, expected=_EXPECTED, advice=_advice(text))
        elif not (of_script(guard.metric) or of_machine(guard.metric)):
            notes.add(path, got=text, expected='a metric that is kept; names that begin with "_" are not')
        elif guard.metric == table.metric and guard.from_above() == (table.goal == "min"):
            expected = f"a limit on something else than {table.metric}, which training improves"
            advice = "The worst value of a run counts, and training begins there. Log what shall hold in the end by another name."
            notes.add(path, got=text, expected=expected, advice=advice)
    if table.also is not None and table.also.metric == table.metric:
        notes.add(("objective", "also", "metric"), got=table.metric, expected="another metric than that of [objective]")


def _advice(text: str) -> str:
    """What may have been meant."""
    if len(_SIGNS.findall(text)) > 1:
        return "Write each limit as a guard of its own."
    if "=" in text.replace("<=", "").replace(">=", ""):
        return "A guard is a limit: write <= or >=."
    if _TURNED.fullmatch(text):
        return "Write the metric first."
    if (sign := _SIGNS.search(text)) and re.match(r"\s*[-+.\d]", text[sign.end() :]):
        return "Write the number without a unit, in the unit in which the metric is logged."
    return ""


def objective_of(table: ObjectiveTable) -> Objective:
    """Give the objective that a table describes; guards as they were written, spaces apart."""
    guards = [guard for guard in map(guard_of, table.guards) if isinstance(guard, Guard)]
    also = Aim(metric=table.also.metric, goal=table.also.goal) if table.also is not None else None
    return Objective(
        metric=table.metric, goal=table.goal, at=table.at, min_effect=table.min_effect,
        guards=tuple(dict.fromkeys(guard.text for guard in guards)), also=also,
    )  # fmt: skip
