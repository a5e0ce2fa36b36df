"""On an objective that is noise only, a night that nominates its best claims no improvement, in its verdicts or elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from secondshift import plugins
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.brief.render_markdown import render_markdown
from secondshift.records.studies import Budget
from secondshift.records.trials import Trial
from secondshift.standing import requested
from secondshift.testing.policy_conformance import SPACES, study
from secondshift.testing.simulated_nights import Night, play


def night(seed: int, searcher: str, scheduler: str) -> Night:
    asked = study(SPACES["continuous"], searcher=searcher, scheduler=scheduler, trials=12)
    asked = replace(asked, seed=seed, policy=replace(asked.policy, nominate=True), budget=Budget(trials=12))
    stages = [decide for _, decide in (*plugins.observers(asked), ("requests", requested), *plugins.deciders(asked))]

    def noise(trial: Trial, step: int) -> float:
        number = int(trial.candidate.removeprefix("c"))
        return float(np.random.default_rng([seed, trial.seed, number, step]).normal())

    return play(asked, stages, curve=lambda params, step: 5.0, noise=noise, stride=3, ticks=3000)


def told(played: Night) -> tuple[str, set[str]]:
    assert played.reason and played.state.study is not None
    brief = compose(played.state, played.events, played.state.study.objective, "s1", written_at=0.0)
    return render_markdown(brief, lang="en"), {one.key for section in brief.sections for one in section.statements}


@pytest.mark.parametrize("seed", range(3))
def test_the_brief_of_a_night_on_noise_claims_no_improvement(seed: int) -> None:
    played = night(seed, "random", "fifo")
    text, keys = told(played)
    (idea,) = played.state.ideas.values()
    assert idea.author == "search" and played.state.verdicts["e1"].pairs > 0
    assert idea.state in ("undecided", "refuted") and "ideas.better" not in keys, text
    assert "HELD UP" not in text and "better by" not in text
    assert "unproven.not_a_verdict" not in keys, "fresh seeds were run, so it must not say that none were"
    assert "unproven.not_confirmed" in keys, text
    assert "did not show it" in text


def test_a_freeze_thaw_search_on_noise_claims_none_either() -> None:
    text, keys = told(night(0, "model", "freezethaw"))
    assert "ideas.better" not in keys and "HELD UP" not in text, text
