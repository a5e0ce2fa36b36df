"""Parameters against result, and the noise floor: what is drawn and said is what was recorded."""

import math
import re
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interfaces.nights import STUDY, Night, complete
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.brief.noise import spread
from secondshift.interfaces.brief.parameter_figures import fences, panels
from secondshift.interfaces.brief.write import page
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.objectives import current, ranked, steps_to
from secondshift.records.studies import Parameter, SeedNoise, Space

WIDE = Space(
    parameters=(
        *STUDY.space.parameters,
        Parameter(name="act", kind="categorical", choices=("relu", "gelu"), default="relu"),
        Parameter(name="slope", kind="float", low=0.0, high=1.0, when={"act": ("gelu",)}),
    )
)


def found(night: Night, lang: str = "en") -> list[str]:
    brief = compose(night.state, night.events, night.study.objective, "s1", written_at=night.at)
    return [tell(s, lang) for part in brief.sections if part.key == "section.found" for s in part.statements]


def varied(n: int) -> Night:
    night = Night(study=replace(STUDY, space=WIDE)).open()
    for i in range(n):
        act = ("relu", "gelu")[i % 2]
        params = {"lr": 10 ** (-5 + 4 * (i * 0.618 % 1)), "width": 16 + i * 7 % 112, "act": act}
        if act == "gelu":
            params["slope"] = i * 0.37 % 1
        value = 0.3 + (math.log10(params["lr"]) + 3) ** 2 * 0.1 + (i * 0.755 % 1) * 0.05
        complete(night, params, [value + 1 / (1 + k) for k in range(8)] + [value])
    return night.close()


def test_each_parameter_that_varied_has_a_panel_and_a_conditional_one_shows_only_where_it_was_active() -> None:
    night = varied(8)
    done = ranked(night.study.objective, current(night.state))
    made = {
        p.name: p for p in panels(night.study.space.parameters, night.state.candidates, done, night.study.objective)
    }
    assert set(made) == {"lr", "width", "act", "slope"}
    assert made["lr"].log and not made["width"].log and made["act"].strips == ("relu", "gelu")
    assert (len(made["lr"].points), len(made["slope"].points)) == (8, 4)
    best = done[0]
    params = night.state.candidates[best.candidate].params
    assert made["lr"].best == (params["lr"], best.objective(night.study.objective))


def test_a_parameter_that_never_varied_has_no_panel() -> None:
    night = Night().open()
    for lr in (0.001, 0.01):
        complete(night, {"lr": lr, "width": 64}, [1.0] * 8 + [lr])
    done = ranked(night.study.objective, current(night.state))
    assert [
        p.name for p in panels(night.study.space.parameters, night.state.candidates, done, night.study.objective)
    ] == ["lr"]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_panel_is_described_in_words_and_names_the_logarithm(lang: str) -> None:
    night = varied(8)
    html = page(night.record(), night.state, "s1").html(lang)
    svgs = re.findall(r"<svg .*?</svg>", html, re.DOTALL)
    drawn = [svg for svg in svgs if "plot-panel-" in svg]
    assert len(drawn) == 4 and all("<title" in svg and "<desc" in svg for svg in drawn)
    assert ("logarithmic" if lang == "en" else "로그") in drawn[0]
    assert "NaN" not in "".join(drawn) and "inf" not in "".join(re.findall(r' d="[^"]*"', "".join(drawn)))


def test_one_diverged_trial_does_not_flatten_the_others_and_is_said_to_lie_outside() -> None:
    night = Night().open()
    for i in range(12):
        complete(night, {"lr": 0.001 * (i + 1), "width": 32}, [1.0] * 8 + [0.3 + 0.01 * i if i else 1e6])
    assert "1 result lies outside the frame" in page(night.record(), night.state, "s1").html("en")


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=50))
def test_fences_are_recorded_values_in_order_and_hold_the_middle_half(values: list[float]) -> None:
    low, high = fences(values)
    ordered = sorted(values)
    assert low in values and high in values and low <= high
    assert low <= ordered[len(ordered) // 4] and ordered[len(ordered) * 3 // 4] <= high


def test_the_noise_floor_is_the_spread_between_seeds_of_one_candidate() -> None:
    night = Night().open()
    complete(night, {}, [1.0] * 8 + [0.50])
    for seed, value in enumerate((0.30, 0.40, 0.50)):
        complete(night, {"lr": 0.01, "width": 64}, [1.0] * 8 + [value], seed=seed, candidate="" if seed == 0 else "c2")
    lines = found(night.close())
    assert any("lie 0.1 apart in val_loss (standard deviation; 3 runs of 1 candidate: t2, t3, t4)" in x for x in lines)
    assert not any("is not known" in x for x in lines)
    assert not any("less than twice" in x for x in lines), "0.2 is twice the spread"


def test_a_gain_within_the_noise_is_said_to_be_no_more_than_a_change_of_seed() -> None:
    night = Night().open()
    complete(night, {}, [1.0] * 8 + [0.35])
    for seed, value in enumerate((0.30, 0.50)):
        complete(night, {"lr": 0.01, "width": 64}, [1.0] * 8 + [value], seed=seed, candidate="" if seed == 0 else "c2")
    assert any("less than twice that spread" in x for x in found(night.close()))


def test_one_seed_says_that_the_noise_is_not_known() -> None:
    lines = found(varied(4))
    assert any(x.startswith("How much val_loss changes from seed to seed is not known") for x in lines)
    assert any("모릅니다" in x for x in found(varied(4), "ko"))


def test_the_steps_of_a_script_that_counts_from_one_are_not_one_more_than_it_took() -> None:
    assert [steps_to(last, 200) for last in (0, 198, 199, 200, 224)] == [1, 199, 200, 200, 224]
    night = Night(study=replace(STUDY, horizon_steps=8)).open()
    complete(night, {}, [1.0] * 8 + [0.35])
    assert any("val_loss 0.35 after 8 steps" in x for x in found(night.close()))


def measured(step: int) -> list[str]:
    night = Night(study=replace(STUDY, seed_noise=SeedNoise(spread=0.05, step=step, seeds=3))).open()
    complete(night, {}, [1.0] * 8 + [0.35])
    complete(night, {"lr": 0.01, "width": 64}, [1.0] * 8 + [0.30])
    return found(night.close())


def test_the_noise_that_the_doctor_measured_is_said_where_no_trial_was_repeated() -> None:
    lines = measured(8)
    assert any("seeds alone move val_loss by 0.05 (standard deviation over 3 seeds at step 8)" in x for x in lines)
    assert any("The difference of 0.05 from the defaults is less than twice" in x for x in lines)
    assert not any("is not known" in x for x in lines)
    assert not any("less than twice" in x for x in measured(3)), "an early spread is compared with no final result"


@settings(derandomize=True, deadline=None)
@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=6), min_size=1, max_size=4), st.floats(-1e3, 1e3))
def test_the_spread_does_not_depend_on_where_the_candidates_lie(groups: list[list[float]], shift: float) -> None:
    moved = [[v + shift for v in groups[0]], *groups[1:]]
    assert spread(moved) == pytest.approx(spread(groups), rel=1e-6, abs=1e-6)


def test_a_night_of_500_trials_is_one_small_page_written_soon() -> None:
    night = varied(500)
    made = page(night.record(), night.state, "s1")
    began = time.process_time()
    html = made.html("ko")
    assert time.process_time() - began < 2.0
    assert len(html.encode()) < 1_500_000
