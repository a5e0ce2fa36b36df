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
