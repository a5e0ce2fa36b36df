"""[agent]: every mistake in who turns ideas in words into changes, and the agent that the table describes."""

import shlex
from pathlib import Path
from typing import cast, get_args
from urllib.parse import urlsplit

from secondshift.config.commands import check_command, check_words
from secondshift.config.filling import words
from secondshift.config.mistakes import Given, Notebook
from secondshift.config.tables import AgentTable
from secondshift.records.studies import Agent, Model, Provider, Study

TOLD = ("brief_file", "brief", "workspace")  # the placeholders of its command
PRICE = "Add a line to [agent]: price_per_call_usd = 0.50, with your own price. Or, where calls cost no more: subscription = true"
TOKENS = (
    "Add lines to [agent] with your own prices: price_per_million_input_usd = 3, price_per_million_output_usd = 15. "
    "Or, where calls cost no more: subscription = true"
)
OURS = ("python", "-m", "secondshift.runtime.agents.models", "{brief_file}")  # what stands in the place of a command
HOSTS = {"openai": "api.openai.com:443", "anthropic": "api.anthropic.com:443"}
KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
MODEL_KEYS = (
    "base_url", "api_key_env", "price_per_million_input_usd", "price_per_million_output_usd", "max_output_tokens", "show_kb",
)  # fmt: skip


def check_agent(table: AgentTable, has_money: bool, notes: Notebook) -> None:
    """Note a command that is never told its task, calls without a price, and calls without a cap.

    has_money: [budget] names an amount of money.
    """
    _check_model(table, notes)
    if table.command:
        _check_told(table, notes)
    if not table.command and not table.model:
        return
    path = ("agent", "command" if table.command else "model")
    priced = table.price_per_call_usd is not None
    if priced and table.subscription:
        expected = "a price for each call or a subscription, and not both"
        notes.add(("agent", "subscription"), got=table.subscription, expected=expected)
    elif not priced and not table.subscription:
        notes.add(path, got=Given("calls without a price"), expected="what a call may cost at most", advice=PRICE)
    elif table.model and (least := _one_answer_usd(table)) > (table.price_per_call_usd or least):
        expected = f"{least:.4g} at least: one answer of max_output_tokens costs as much, beside what is sent"
        notes.add(("agent", "price_per_call_usd"), got=table.price_per_call_usd, expected=expected)
    elif table.turns is None and (table.subscription or (table.money_usd is None and not has_money)):
        advice = "Add a line to [agent]: turns = 24" + ("" if table.subscription else ", or money_usd = 15")
        notes.add(path, got=Given("calls without a cap"), expected="how many calls there may be", advice=advice)


def _check_told(table: AgentTable, notes: Notebook) -> None:
    path = ("agent", "command")
    if isinstance(table.command, str):
        used = check_command(table.command, path, TOLD, notes)
    else:
        used = check_words(table.command, path, TOLD, notes)
    if not used & {"brief_file", "brief"}:
        advice = "{brief_file} is the path of a text file that says what is to be done, {brief} is that text itself."
        notes.add(path, got=Given("a command that is never told its task"), expected="{brief_file} or {brief} in it", advice=advice)


def _check_model(table: AgentTable, notes: Notebook) -> None:
    """Note a model beside a command, one without prices of its tokens, and keys of a model where there is none."""
    if table.model and table.command:
        notes.add(("agent", "model"), got=table.model, expected="a model or a command, and not both")
    elif not table.model:
        for key in MODEL_KEYS:
            if key in table.model_fields_set:
                advice = 'Add a line to [agent]: model = "openai:NAME", or leave it out.'
                notes.add(("agent", key), got=getattr(table, key), expected="a model beside it", advice=advice)
    elif not table.subscription and None in (table.price_per_million_input_usd, table.price_per_million_output_usd):
        expected = "what a million tokens cost, sent and written"
        notes.add(("agent", "model"), got=Given("tokens without a price"), expected=expected, advice=TOKENS)


def _one_answer_usd(table: AgentTable) -> float:
    return table.max_output_tokens * (table.price_per_million_output_usd or 0.0) / 1e6


def agent_of(table: AgentTable) -> Agent:
    """Give the agent that a table describes."""
    command = shlex.split(table.command) if isinstance(table.command, str) else table.command
    model, env, hosts = model_of(table), table.env, table.hosts
    if model.provider:
        command, env, hosts = OURS, [model.key_env, *env], [_host(model), *hosts]
    return Agent(
        command=tuple(command), model=model, timeout_s=table.timeout, turns=table.turns, parallel=table.parallel,
        price_usd=table.price_per_call_usd, money_usd=table.money_usd, env=tuple(dict.fromkeys(env)),
        hosts=tuple(dict.fromkeys(hosts)), readable=tuple(table.readable), writable=tuple(table.writable),
        memory_mb=table.memory_gb * 1000.0, output_cap_mb=table.output_cap_mb, check=tuple(table.check),
        check_timeout_s=table.check_timeout,
    )  # fmt: skip


def model_of(table: AgentTable) -> Model:
    """Give the model that a table describes; one without a provider where it describes none."""
    provider, _, name = table.model.partition(":")
    if provider not in get_args(Provider):
        return Model()
    return Model(
        provider=cast(Provider, provider), name=name, base_url=table.base_url,
        key_env=table.api_key_env or KEYS[provider], key_needed=bool(table.api_key_env) or not table.base_url,
        input_usd=table.price_per_million_input_usd or 0.0, output_usd=table.price_per_million_output_usd or 0.0,
        output_tokens=table.max_output_tokens, show_bytes=table.show_kb * 1000,
    )  # fmt: skip


def _host(model: Model) -> str:
    """Host and port of the endpoint, which a call may always reach."""
    if not model.base_url:
        return HOSTS[model.provider]
    address = urlsplit(model.base_url)
    return f"{address.hostname}:{address.port or (443 if address.scheme == 'https' else 80)}"


def calling(study: Study, home: Path, brief: str) -> tuple[str, ...]:
    """Write out the words of one call, whose folder is `home`."""
    told = {"brief_file": str(home / "brief.md"), "brief": brief, "workspace": str(home / "tree")}
    return tuple(words(study, list(study.agent.command), told))
