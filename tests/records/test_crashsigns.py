"""The fast way through a block of a log finds what the slow way through its lines finds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.records.crashsigns import LONGEST, SIGNS, signs_in, signs_in_block

SAID = {
    "oom": ["RESOURCE_EXHAUSTED: x", "torch.OutOfMemoryError", "CUDA out of memory. Tried", "Out of memory while trying",
            "oom-kill:", "MemoryError"],
    "disk_full": ["[Errno 28] No space left on device", "Disk quota exceeded"],
    "nan_in_optimizer_state": ["NaN in optimizer state", "got Inf in the gradient", "infs, parameter 3", "eigh failed to converge",
                               "svd of a matrix that is non-finite", "cholesky: not positive definite", "value=inf) parameters"],
    "launch_config_error": ["error: unrecognized arguments: --x", "absl FlagsError", "UnrecognizedFlag", "IllegalFlagValue",
                            "ConfigError", "KeyError: '--x'", "ModuleNotFoundError: x", "ImportError", "SyntaxError",
                            "FileNotFoundError"],
    "network": ["Connection reset by peer", "Connection refused", "Connection timed out", "Temporary failure in name resolution",
                "ConnectionError", "ConnectionResetError"],
    "node_lost": ["NODE_FAIL", "a node failure", "NVRM: Xid (PCI)", "uncorrectable ECC error", "preempted"],
    "nccl_timeout": ["Watchdog caught collective operation timeout"],
    "segfault": ["SIGSEGV", "Segmentation fault", "exitcode  : -11"],
    "killed": ["SIGKILL", "exitcode: -9"],
    "sigabrt": ["SIGABRT", "exitcode : -6"],
}  # fmt: skip
LINES = st.one_of(
    st.sampled_from([line for lines in SAID.values() for line in lines]),
    st.text(st.characters(codec="utf-8", exclude_characters="\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=40),
    st.sampled_from(["INFO step=3 loss=0.1", "finance information", "exitcode: 1", "inf ", "nan", "taxid 9"]),
)


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in SAID.items() for line in lines])
def test_each_way_to_say_it_is_found_in_a_line_and_in_a_block(name: str, line: str) -> None:
    assert name in signs_in([line]) and name in signs_in_block(f"a\n{line}\nb\n".encode(), frozenset())


def test_every_sign_has_an_example_here() -> None:
    assert sorted(SAID) == sorted(SIGNS)


@settings(deadline=None)
@given(st.lists(LINES, max_size=12))
def test_a_block_says_what_its_lines_say(lines: list[str]) -> None:
    assert signs_in_block("\n".join(lines).encode(), frozenset()) == signs_in(lines)


def test_of_a_line_without_an_end_only_the_beginning_counts() -> None:
    line = "x" * LONGEST + " CUDA out of memory"
    assert signs_in([line]) == signs_in_block(line.encode(), frozenset()) == frozenset()
