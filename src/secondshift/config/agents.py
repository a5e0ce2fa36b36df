"""[agent]: every mistake in who turns ideas in words into changes, and the agent that the table describes."""

import shlex
from pathlib import Path

from secondshift.config.commands import check_command, check_words
from secondshift.config.filling import words
from secondshift.config.mistakes import Given, Notebook
from secondshift.config.tables import AgentTable
from secondshift.records.studies import Agent, Study

TOLD = ("brief_file", "brief", "workspace")  # the placeholders of its command
PRICE = "Add a line to [agent]: price_per_call_usd = 0.50, with your own price. Or, where calls cost no more: subscription = true"


def check_agent(table: AgentTable, has_money: bool, notes: Notebook) -> None:
    """Note a command that is never told its task, calls without a price, and calls without a cap.

    has_money: [budget] names an amount of money.
    """
    if not table.command:
        return
    path = ("agent", "command")
    if isinstance(table.command, str):
        used = check_command(table.command, path, TOLD, notes)
    else:
        used = check_words(table.command, path, TOLD, notes)
    if not used & {"brief_file", "brief"}:
        advice = "{brief_file} is the path of a text file that says what is to be done, {brief} is that text itself."
        notes.add(path, got=Given("a command that is never told its task"), expected="{brief_file} or {brief} in it", advice=advice)
    priced = table.price_per_call_usd is not None
    if priced and table.subscription:
        expected = "a price for each call or a subscription, and not both"
        notes.add(("agent", "subscription"), got=table.subscription, expected=expected)
    elif not priced and not table.subscription:
        notes.add(path, got=Given("calls without a price"), expected="what a call may cost at most", advice=PRICE)
    elif table.turns is None and (table.subscription or (table.money_usd is None and not has_money)):
        advice = "Add a line to [agent]: turns = 24" + ("" if table.subscription else ", or money_usd = 15")
        notes.add(path, got=Given("calls without a cap"), expected="how many calls there may be", advice=advice)


def agent_of(table: AgentTable) -> Agent:
    """Give the agent that a table describes."""
    command = shlex.split(table.command) if isinstance(table.command, str) else table.command
    return Agent(
        command=tuple(command), timeout_s=table.timeout, turns=table.turns, parallel=table.parallel,
        price_usd=table.price_per_call_usd, money_usd=table.money_usd, env=tuple(table.env), hosts=tuple(table.hosts),
        readable=tuple(table.readable), writable=tuple(table.writable), memory_mb=table.memory_gb * 1000.0,
        output_cap_mb=table.output_cap_mb, check=tuple(table.check), check_timeout_s=table.check_timeout,
    )  # fmt: skip


def calling(study: Study, home: Path, brief: str) -> tuple[str, ...]:
    """Write out the words of one call, whose folder is `home`."""
    told = {"brief_file": str(home / "brief.md"), "brief": brief, "workspace": str(home / "tree")}
    return tuple(words(study, list(study.agent.command), told))
