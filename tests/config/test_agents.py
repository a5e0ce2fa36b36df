"""[agent]: a command is told its task, has a price or a subscription, and a cap; nothing else is refused."""

from pathlib import Path

import pytest

from secondshift.config import calling, check_study
from secondshift.records.studies import Agent, Study

STUDY = 'command = "python train.py"\n[objective]\nmetric = "loss"\n[horizon]\nsteps = 9\n{budget}[agent]\n'
MONEY = "[prices]\ndevice_hour_usd = 1\n[budget]\nmoney_usd = 9\n"


def read(folder: Path, agent: str, budget: str = "") -> tuple[Study | None, str]:
    file = folder / "secondshift.toml"
    file.write_text(STUDY.format(budget=budget) + agent)
    study, mistakes = check_study(file, environment={})
    return study, "\n".join(map(str, mistakes))


def agent(folder: Path, text: str, budget: str = "") -> Agent:
    study, mistakes = read(folder, text, budget)
    assert study is not None, mistakes
    return study.agent


@pytest.mark.parametrize(("text", "said"), [
    ('command = "claude -p {brief_file}"', "price_per_call_usd = 0.50"),
    ('command = "claude -p {brief_file}"\nsubscription = true', "turns = 24"),
    ('command = "claude -p {brief_file}"\nprice_per_call_usd = 0.5', "turns = 24, or money_usd = 15"),
    ('command = "claude -p {brief_file}"\nprice_per_call_usd = 0.5\nsubscription = true\nturns = 3', "not both"),
    ('command = "claude -p"\nsubscription = true\nturns = 3', "never told its task"),
    ('command = "claude -p {brief} | tee log"\nsubscription = true\nturns = 3', "never given to a shell"),
    ('command = ["claude", "{breif}", "{brief}"]\nsubscription = true\nturns = 3', "{brief}"),
    ('command = "a {brief}"\nsubscription = true\nturns = 3\nhosts = ["api.example.com"]', "with a port"),
    ('command = "a {brief}"\nsubscription = true\nturns = 3\nenv = ["A=b"]', "the name of an environment variable"),
    ('command = "a {brief}"\nsubscription = true\nturns = 0', "turns"),
])  # fmt: skip
def test_each_mistake_is_named_with_the_line_that_would_mend_it(tmp_path: Path, text: str, said: str) -> None:
    study, mistakes = read(tmp_path, text)
    assert study is None and said in mistakes and "agent" in mistakes


MODEL = 'model = "openai:small"\nprice_per_call_usd = 0.5\nturns = 3\n'
TOKENS = "price_per_million_input_usd = 3\nprice_per_million_output_usd = 15\n"


@pytest.mark.parametrize(("text", "said"), [
    (MODEL, "price_per_million_input_usd = 3"),
    (MODEL + "price_per_million_input_usd = 3", "what a million tokens cost"),
    ('model = "openai:small"\nturns = 3\n' + TOKENS, "price_per_call_usd = 0.50"),
    ('model = "openai:small"\nprice_per_call_usd = 0.5\n' + TOKENS, "turns = 24, or money_usd = 15"),
    (MODEL + TOKENS + 'command = "a {brief}"', "not both"),
    (MODEL.replace("openai:", "") + TOKENS, 'such as "openai:NAME"'),
    (MODEL.replace("openai:", "mystery:") + TOKENS, 'such as "openai:NAME"'),
    (MODEL + TOKENS + 'base_url = "https://kim:pass@llm.example.com"', "without a name, a password"),
    (MODEL + TOKENS + 'base_url = "http://localhost:99999/v1"', "address"),
    (MODEL.replace("0.5", "0.1") + TOKENS, "0.1229 at least: one answer of max_output_tokens"),
    (MODEL + TOKENS + 'api_key_env = "sk-123"', "the name of an environment variable"),
    ('command = "a {brief}"\nsubscription = true\nturns = 3\nshow_kb = 5', "a model beside it"),
])  # fmt: skip
def test_each_mistake_of_a_model_is_named_too(tmp_path: Path, text: str, said: str) -> None:
    study, mistakes = read(tmp_path, text)
    assert study is None and said in mistakes and "agent" in mistakes


def test_a_model_is_a_command_of_ours_that_reaches_its_endpoint_and_is_given_its_key(tmp_path: Path) -> None:
    found = agent(tmp_path, MODEL + TOKENS + 'hosts = ["files.example.com:443"]\nenv = ["OPENAI_ORG_ID"]\n')
    assert found.command and (found.model.provider, found.model.name, found.model.key_needed) == ("openai", "small", True)
    assert found.hosts == ("api.openai.com:443", "files.example.com:443") and found.env == ("OPENAI_API_KEY", "OPENAI_ORG_ID")
    assert (found.model.input_usd, found.model.output_usd, found.price_usd) == (3.0, 15.0, 0.5)
    own = agent(tmp_path, 'model = "anthropic:a/b:c"\nbase_url = "http://localhost:8000/v1"\nsubscription = true\nturns = 3\n')
    assert (own.model.name, own.hosts, own.model.key_needed) == ("a/b:c", ("localhost:8000",), False)


def test_a_study_without_an_agent_has_none_and_needs_no_price(tmp_path: Path) -> None:
    assert agent(tmp_path, "").command == ()


def test_money_of_the_whole_budget_is_a_cap_too(tmp_path: Path) -> None:
    assert agent(tmp_path, 'command = "a {brief}"\nprice_per_call_usd = 0.5', MONEY).price_usd == 0.5


def test_words_stay_words_whatever_the_brief_says(tmp_path: Path) -> None:
    text = 'command = "my-agent --text {brief} --at={workspace} {brief_file} {{x}}"\nsubscription = true\nturns = 3'
    study, _ = read(tmp_path, text)
    assert study is not None
    told = "two words; $(rm -rf ~) {workspace}"
    words = calling(study, Path("/s/agents/call-1"), told)
    assert words == ("my-agent", "--text", told, "--at=/s/agents/call-1/tree", "/s/agents/call-1/brief.md", "{x}")


@pytest.mark.parametrize(("policy", "nominates"), [
    ('searcher = "programs"', True), ('searcher = "programs"\nnominate = false', False), ('searcher = "random"', False),
    ('searcher = "random"\nnominate = true', True),
])  # fmt: skip
def test_a_search_for_programs_nominates_its_best_unless_told_otherwise(tmp_path: Path, policy: str, nominates: bool) -> None:
    judge = f'[evaluate]\ncommand = ["python", "eval.py", "{{artefact}}"]\n[policy]\n{policy}\n'
    (tmp_path / "eval.py").write_text("")
    study, mistakes = read(tmp_path, 'command = "a {brief}"\nsubscription = true\nturns = 3', judge)
    assert study is not None, mistakes
    assert study.policy.nominate is nominates
