"""Results of different environments are never set side by side without a word about it."""

import time
from pathlib import Path

from interfaces.nights import Night, complete
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.environments import in_words
from secondshift.interfaces.readmodel.trials import document
from secondshift.records.trials import Exit

PLACE = {"python": "3.12.1", "library.numpy": "2.1.3", "host": "a", "code": "one"}


def found(night: Night, lang: str = "en") -> list[str]:
    brief = compose(night.state, night.events, night.study.objective, "s1", written_at=night.at)
    assert all(s.facts for part in brief.sections for s in part.statements)
    return [tell(s, lang) for part in brief.sections if part.key == "section.found" for s in part.statements]


def two_places(**change: str) -> Night:
    night = Night(marks=dict(PLACE)).open()
    complete(night, {}, [0.4] * 9)
    complete(night, {"lr": 0.01}, [0.2] * 9)
    night.marks = {**PLACE, **change}
    complete(night, {"lr": 0.02}, [0.3] * 9)
    return night


def test_the_brief_flags_a_trial_that_ran_in_another_environment_and_says_what_differs() -> None:
    night = two_places(python="3.11.9").close()
    [line] = [line for line in found(night) if "another environment" in line]
    assert line.startswith("t3 ran in another environment than t2: python 3.11.9 ≠ 3.12.1.")
    assert any("python 3.11.9 ≠ 3.12.1" in line for line in found(night, "ko"))


def test_another_host_or_other_code_in_the_same_environment_is_not_flagged() -> None:
    assert not [line for line in found(two_places(host="b", code="two").close()) if "environment" in line]


def test_a_trial_resumed_in_another_environment_is_flagged_itself() -> None:
    night = Night(marks=dict(PLACE)).open()
    trial = night.queue({})
    first = night.start(trial)
    night.log(first, [0.5] * 4)
    night.save(first, 4)
    night.end(first, Exit(code=0, cause="pause", elapsed_s=5.0))
    night.marks = {**PLACE, "library.numpy": "2.2.0"}
    second = night.start(trial, 2, from_step=4)
    night.log(second, [0.4] * 5, first=4)
    night.end(second, Exit(code=0, elapsed_s=5.0))
    [line] = [line for line in found(night.close()) if "more than one environment" in line]
    assert "library.numpy 2.1.3 ≠ 2.2.0" in line


def test_show_compares_with_the_best_so_far(tmp_path: Path) -> None:
    night = two_places(device="H200").close()
    shown = document(night.record(), night.state, tmp_path, night.state.trials["t3"], now=time.time())
    assert (shown["compared_with"], shown["elsewhere"], shown["moved"]) == ("t2", "device H200 ≠ —", "")
    best = document(night.record(), night.state, tmp_path, night.state.trials["t2"], now=time.time())
    assert best["elsewhere"] == ""


def test_many_differences_are_cut_and_counted() -> None:
    many = {f"library.{letter}": ("1", "2") for letter in "abcdef"}
    assert in_words(many).endswith("library.d 1 ≠ 2 (+2)") and in_words({}) == ""


def test_repeats_in_different_environments_are_no_noise_floor() -> None:
    night = Night(marks=dict(PLACE)).open()
    trial = complete(night, {"lr": 0.01}, [0.30] * 9)
    night.marks = {**PLACE, "library.numpy": "2.2.0"}
    candidate = night.state.trials[trial].candidate
    complete(night, {"lr": 0.01}, [0.50] * 9, seed=1, candidate=candidate)
    lines = found(night.close())
    assert not [line for line in lines if "Noise floor" in line] and any("is not known" in line for line in lines)
    assert not [line for line in lines if "ran with 2 seeds" in line]


def test_the_gain_over_the_defaults_is_not_given_across_environments() -> None:
    night = Night(marks=dict(PLACE)).open()
    complete(night, {}, [0.4] * 9)
    night.marks = {**PLACE, "python": "3.11.9"}
    complete(night, {"lr": 0.01}, [0.2] * 9)
    lines = found(night.close())
    [line] = [line for line in lines if line.startswith("The defaults reached")]
    assert "python 3.12.1 ≠ 3.11.9" in line and "is not given" in line
    assert not [line for line in lines if "the difference is" in line]


def test_the_gain_is_over_the_defaults_that_ran_where_the_best_did() -> None:
    night = Night(marks=dict(PLACE)).open()
    complete(night, {}, [0.4] * 9)
    night.marks = {**PLACE, "python": "3.11.9"}
    complete(night, {}, [0.5] * 9, seed=1)
    complete(night, {"lr": 0.01}, [0.2] * 9)
    [line] = [line for line in found(night.close()) if "the difference is" in line]
    assert "(t2, 1 seed)" in line and "0.3" in line
