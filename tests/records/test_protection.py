"""Which changes touch what is protected: each trick is caught, and its honest twin is not."""

import pytest

from secondshift.records.protection import LINK, MODULE, NONE, Touched, guarded, protects, refusal

GUARDED = ("judge/eval.py", "data/**", "*.lock")


def test_what_the_evaluators_command_names_is_protected_without_being_listed() -> None:
    evaluate = ("python", "eval.py", "--fast", "{artefact}")
    assert guarded(("data/**",), evaluate, "job") == ("data/**", "job/eval.py")


@pytest.mark.parametrize("path", ["judge/eval.py", "data/a.csv", "data/deep/er/b.csv", "uv.lock", "judge/../judge/eval.py"])
def test_a_protected_path_is_known_however_it_is_written(path: str) -> None:
    assert protects(GUARDED, path)


@pytest.mark.parametrize("path", ["judge/evals.py", "judge/eval.pyi", "eval.py", "database/a.csv", "data.py", "sub/uv.lock"])
def test_a_path_that_looks_like_a_protected_one_is_free(path: str) -> None:
    assert not protects(GUARDED, path)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (Touched(path="study/judge/eval.py"), "changes study/judge/eval.py"),
        (Touched(path="study/judge/eval.py", new_mode=NONE), "deletes"),
        (Touched(path="study/judge/eval.py", new_mode="100755"), "changes"),
        (Touched(path="study/judge/eval.py", new_mode=LINK, target="../train.py"), "changes"),
        (Touched(path="study/data/more.csv", old_mode=NONE), "adds"),
        (Touched(path="study/out", old_mode=NONE, new_mode=LINK, target="../../elsewhere"), "symbolic link"),
        (Touched(path="study/out", old_mode=NONE, new_mode=LINK, target="/root"), "symbolic link"),
        (Touched(path="study/lib", old_mode=NONE, new_mode=MODULE), "submodule"),
    ],
)
def test_every_way_to_touch_what_is_protected_is_refused_and_named(one: Touched, said: str) -> None:
    why, path = refusal([Touched(path="study/train.py"), one], GUARDED, "study")
    assert said in why and path == one.path


@pytest.mark.parametrize(
    "one",
    [
        Touched(path="judge/eval.py"),  # of another project in the same repository
        Touched(path="study/judge/evaluate_more.py", old_mode=NONE),
        Touched(path="study/train.py", new_mode="100755"),
        Touched(path="study/latest", old_mode=NONE, new_mode=LINK, target="runs/newest"),
        Touched(path="study/deep/latest", old_mode=NONE, new_mode=LINK, target="../train.py"),
        Touched(path="study/.gitattributes"),
    ],
)
def test_the_honest_twins_are_not_refused(one: Touched) -> None:
    assert refusal([one], GUARDED, "study") == ("", "")


def test_without_a_folder_of_its_own_the_study_lies_at_the_top() -> None:
    assert refusal([Touched(path="judge/eval.py")], GUARDED, "")[1] == "judge/eval.py"
    assert refusal([Touched(path="judge/eval.py")], GUARDED, ".")[1] == "judge/eval.py"
