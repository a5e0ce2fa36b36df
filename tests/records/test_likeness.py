"""Two changes are the same if they leave the same programs: layout, comments and names of variables make no difference."""

import ast
import textwrap

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.records.examinations import Likeness
from secondshift.records.likeness import KEPT, likeness, similarity, twin

BASE = '''
"""A script."""
import json
import math

RATE = 0.1


def score(values, weight=1.0):
    """Add up."""
    total = 0.0  # so far
    for value in values:
        shifted = value * weight
        total += shifted
    return total


def widest(values):
    best, place = -math.inf, 0
    for number, value in enumerate(values):
        if value > best:
            best, place = value, number
    return place


def told(values):
    try:
        return json.dumps({"score": score(values), "widest": widest(values)})
    except ValueError as error:
        return str(error)
'''


def of(text: str) -> Likeness:
    return likeness({"train.py": BASE}, {"train.py": text})


def changed(old: str, new: str) -> str:
    assert old in BASE, f"{old!r} is not in the sample"
    return BASE.replace(old, new)


FASTER = changed("RATE = 0.1", "RATE = 0.2")


def test_a_change_of_comments_layout_and_docstrings_alone_is_no_change() -> None:
    other = changed('"""Add up."""', '"""Add them all up.\n\n    Twice.\n    """').replace("  # so far", "")
    other = other.replace("best, place = -math.inf, 0", "(best,\n     place) = (-math.inf, 0)").replace("\n\n\n", "\n")
    assert of(other).digest == ""
    assert of(other).files == ()


def test_formatting_by_another_hand_is_the_same_change() -> None:
    assert of(ast.unparse(ast.parse(FASTER))).digest == of(FASTER).digest != ""


def test_other_names_of_variables_are_the_same_change() -> None:
    other = FASTER.replace("shifted", "moved").replace("number", "n").replace("total", "sum_so_far")
    assert of(other).digest == of(FASTER).digest


def test_swapped_variables_are_another_change() -> None:
    assert of(changed("return place", "return best")).digest != of(changed("return place", "return number")).digest


def test_names_that_are_seen_from_outside_count() -> None:
    for old, new in (("weight", "factor"), ("score", "points"), ("RATE", "SPEED"), ('"widest"', '"w"')):
        assert of(changed(old, new)).digest, f"{old} became {new}, and callers may see that"


def test_names_count_in_a_program_that_asks_for_them() -> None:
    asks = BASE.replace("return place", "return sorted(locals())[place]")
    assert likeness({"a.py": asks}, {"a.py": asks.replace("number", "n")}).digest


def test_a_variable_of_an_inner_function_is_its_own() -> None:
    def nested(inner: str) -> str:
        return f"def outer(a):\n    x = a\n    def within():\n        {inner} = 2\n        return x\n    return within\n"

    assert likeness({"a.py": nested("y")}, {"a.py": nested("z")}).digest == ""
    assert likeness({"a.py": nested("y")}, {"a.py": nested("x")}).digest, "now the inner one is returned"


@given(st.floats(min_value=-1e6, max_value=1e6), st.floats(min_value=-1e6, max_value=1e6))
@settings(deadline=None, max_examples=50)
def test_another_constant_is_another_change(one: float, other: float) -> None:
    first, second = (of(changed("RATE = 0.1", f"RATE = {value!r}")) for value in (one, other))
    assert (first.digest == second.digest) == (repr(one) == repr(other))


@given(st.permutations(range(3)), st.lists(st.integers(0, 3), max_size=4))
@settings(deadline=None, max_examples=30)
def test_functions_in_another_order_with_blank_lines_and_comments_are_the_same_change(order: list[int], blanks: list[int]) -> None:
    head, *functions = FASTER.split("\n\n\n")
    text = "\n\n\n".join([head, *(functions[n] for n in order)])
    lines = text.splitlines()
    for number in blanks:
        lines.insert(0, "" if number % 2 else f"# note {number}")
    assert of("\n".join(lines)).digest == of(FASTER).digest


def test_functions_of_one_name_are_not_sorted_for_the_last_one_counts() -> None:
    twice = "def f():\n    return 1\n\ndef f():\n    return 2\n"
    other = "def f():\n    return 2\n\ndef f():\n    return 1\n"
    assert likeness({"a.py": twice}, {"a.py": other}).digest


@given(st.permutations(["a.py", "b.py", "train.py"]))
@settings(deadline=None, max_examples=6)
def test_files_in_another_order_are_the_same_change(order: list[str]) -> None:
    texts = {"a.py": "x = 1\n", "b.py": "y = 2\n", "train.py": FASTER}
    found = likeness({"train.py": BASE}, {path: texts[path] for path in order})
    assert found == likeness({"train.py": BASE}, texts)
    assert found.files == ("a.py", "b.py", "train.py")


def test_the_order_of_statements_counts() -> None:
    first, second = "a = 1\nb = a\n", "b = a\na = 1\n"
    assert likeness({"m.py": first}, {"m.py": second}).digest


def test_what_is_no_program_is_compared_line_by_line() -> None:
    assert likeness({"a.toml": "x = 1\n"}, {"a.toml": "# why\nx = 1   \n\n"}).digest == ""
    assert likeness({"a.toml": "x = 1\n"}, {"a.toml": "x = 2\n"}).digest
    assert likeness({"a.py": "x = = 1\n"}, {"a.py": "x = = 2\n"}).digest, "not Python, and still another text"
    assert likeness({"README": "# a\n"}, {"README": "# b\n"}).digest, "here # begins a title"


def test_a_file_that_comes_or_goes_is_a_change() -> None:
    assert likeness({}, {"new.py": ""}).files == ("new.py",)
    gone = likeness({"old.py": "x = 1\n"}, {"old.py": None})
    assert gone.digest not in ("", likeness({"old.py": "x = 1\n"}, {"old.py": ""}).digest)


def test_a_program_that_is_nested_too_deep_for_the_parser_is_compared_as_a_text() -> None:
    for deep in ("-" * 100_000 + "1", "a" + ".a" * 100_000, "lambda:" * 50_000 + "1"):
        assert of(deep).digest != of(f"{deep}2").digest != ""


def test_changes_are_the_more_alike_the_more_statements_they_share() -> None:
    both = FASTER.replace("return total", "return total / 2")
    other = changed("return total", "return total / 2")
    unlike = changed("best, place = value, number", "best = value")
    assert similarity(of(both), of(both)) == 1.0
    assert 0.3 < similarity(of(both), of(FASTER)) < 1.0
    assert 0.3 < similarity(of(both), of(other)) < 1.0
    assert similarity(of(FASTER), of(unlike)) == 0.0
    assert similarity(of(both), of(FASTER)) == similarity(of(FASTER), of(both))


def test_a_large_change_is_described_in_as_little_room_as_a_small_one() -> None:
    large = of("\n".join(f"v{n} = {n}" for n in range(5000)))
    nearly = of("\n".join(f"v{n} = {n}" for n in range(4500)))
    assert len(large.sketch) == KEPT and large.statements > 5000
    assert 0.7 < similarity(large, nearly) < 1.0


def test_a_twin_is_named() -> None:
    known = {"c1": of(changed("return place", "return best")), "c2": of(FASTER)}
    assert twin(of(FASTER.replace("shifted", "s")), known) == "c2"
    assert twin(of(changed("RATE = 0.1", "RATE = 0.3")), known) == ""


def test_every_kind_of_block_is_told_apart() -> None:
    text = textwrap.dedent(
        """
        async def f(x):
            async with x as y, x:
                pass
            while True:
                break
            else:
                return 1
            try:
                g()
            except (A, B) as e:
                h(e)
            else:
                i()
            finally:
                j()
            match x:
                case {"a": 1, **rest} if rest:
                    k(rest)
                case _:
                    pass
        """
    )
    edits = {
        "as y, x": "as y", "while True": "while False", "return 1": "return 2", "(A, B)": "(A,)", "i()": "ii()", "j()": "jj()",
        "if rest": "if not rest", '"a": 1': '"a": 2', "k(rest)": "k()",
    }  # fmt: skip
    for old, new in edits.items():
        assert old in text
        assert likeness({"a.py": text}, {"a.py": text.replace(old, new)}).digest, f"{old} → {new}"
