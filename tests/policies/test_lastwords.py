"""Why a script failed, in a few words that a person can read."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.proofs.lastwords import MOST, last_words

CHAINED = """\
epoch 3 loss 0.2
Traceback (most recent call last):
  File "/work/run/train.py", line 12, in load
    return cache[key]
KeyError: 'w'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/work/run/train.py", line 40, in <module>
    main()
  File "/usr/lib/python3.11/pickle.py", line 9, in load
    raise EOFError
_pickle.UnpicklingError: pickle data was truncated
"""


def failing(folder: Path, script: str) -> str:
    (folder / "train.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


def test_of_a_traceback_the_error_and_its_place_in_the_script_are_said(tmp_path: Path) -> None:
    script = "import json\ndef main():\n    print('epoch 1')\n    json.loads('{' + ' ' * 900)\nmain()\n"
    said = last_words(failing(tmp_path, script))
    assert said.startswith("json.decoder.JSONDecodeError: Expecting property name") and said.endswith("(train.py:4)")
    assert "\n" not in said and "Traceback" not in said and "^" not in said


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("x = {}\nx['a']\n", "KeyError: 'a' (train.py:2)"),
        ("assert 1 == 2\n", "AssertionError (train.py:1)"),
        ("def f(:\n", "SyntaxError: invalid syntax (train.py:1)"),
        ("raise SystemExit('no data in data/')\n", "no data in data/"),
        ("import argparse\np = argparse.ArgumentParser(prog='t')\np.parse_args(['--x'])\n",
         "t: error: unrecognized arguments: --x"),
        ("import sys\nprint(sys.argv[0], flush=True)\nsys.exit(3)\n", "train.py"),
        ("import sys\nsys.exit(3)\n", "—"),
        ("raise ValueError('first line\\nsecond line')\n", "ValueError: first line (train.py:1)"),
    ],
)  # fmt: skip
def test_ways_to_fail(script: str, expected: str, tmp_path: Path) -> None:
    assert last_words(failing(tmp_path, script)) == expected


def test_of_errors_that_follow_one_another_the_last_is_said_and_a_library_is_not_the_place() -> None:
    assert last_words(CHAINED) == "_pickle.UnpicklingError: pickle data was truncated (train.py:40)"


def test_what_is_printed_after_a_traceback_does_not_hide_it() -> None:
    assert last_words(CHAINED + "cleaning up\nbye\n").startswith("_pickle.UnpicklingError")
    assert last_words("[rank0]: " + CHAINED.replace("\n", "\n[rank0]: ")).endswith("truncated (train.py:40)")


def test_a_traceback_whose_beginning_was_cut_off_is_read_all_the_same() -> None:
    assert last_words(CHAINED[-150:]) == "_pickle.UnpicklingError: pickle data was truncated (pickle.py:9)"


def test_a_long_error_keeps_its_beginning_and_long_output_its_end() -> None:
    long = 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nValueError: begins ' + "x" * 999
    assert last_words(long).startswith("ValueError: begins x") and "… (a.py:1)" in last_words(long)
    assert last_words("x" * 999 + " it ends here").endswith("it ends here")


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=600))
def test_any_output_gives_a_short_line(text: str) -> None:
    said = last_words(text)
    assert said and len(said.splitlines()) == 1 and len(said) <= MOST + 40
