"""The catalogue: two languages that say the same things, and no sentence that is missing or idle."""

import re
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.interfaces.messages.catalogue import PLACE, say, sentences
from secondshift.interfaces.messages.formats import LANGUAGES, duration, moment, number
from secondshift.interfaces.plain import clean, last_line, one_line
from secondshift.records.events import KIND_OF

INTERFACES = Path(__file__).resolve().parents[2] / "src" / "secondshift" / "interfaces"
TABLES = "|".join(sorted({key.partition(".")[0] for key in sentences("en")} - {"word"}))
FILLED = re.compile(r'"((?:' + TABLES + r')\.[a-z_]*(?:\{[^}]*\}[a-z_]*)*)"')


def used_keys() -> set[str]:
    """Every key that the code names; a key with a part filled in at run time as a pattern."""
    found: set[str] = set()
    for file in INTERFACES.rglob("*.py"):
        found.update(FILLED.findall(file.read_text("utf-8")))
    found -= set(KIND_OF.values())  # `incident.opened` is a kind of fact, too
    found -= {"page.css", "handover.md"}  # names of files
    return found


def as_pattern(key: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{.*?\\\}", "[a-z_]+", re.escape(key)) + r"\Z")


def test_both_languages_have_the_same_sentences() -> None:
    assert set(sentences("en")) == set(sentences("ko"))


@pytest.mark.parametrize("key", sorted(sentences("en")))
def test_a_sentence_needs_the_same_values_in_both_languages(key: str) -> None:
    en, ko = ({m[1] for m in PLACE.finditer(sentences(lang)[key])} for lang in LANGUAGES)
    assert en == ko


def test_every_sentence_that_the_code_says_is_in_the_catalogue() -> None:
    known = set(sentences("en"))
    missing = sorted(key for key in used_keys() if not any(as_pattern(key).match(k) for k in known))
    assert len(used_keys()) > 80, "the search for keys found hardly any; it is broken"
    assert not missing


def test_no_sentence_is_idle() -> None:
    patterns = [as_pattern(key) for key in used_keys()]
    idle = sorted(k for k in sentences("en") if not k.startswith("word.") and not any(p.match(k) for p in patterns))
    assert not idle


def test_a_step_of_training_has_one_word_in_korean() -> None:
    """It is 스텝, as Korean writing on training has it; 단계 would be a phase, and nothing of ours has phases."""
    for name in ("ko.toml", "reasons.toml"):
        text = (INTERFACES / "messages" / name).read_text("utf-8")
        assert "스텝" in text and [line for line in text.splitlines() if "단계" in line] == []


def test_korean_never_puts_a_particle_behind_a_value_that_decides_its_form() -> None:
    form = re.compile(r"\}(은|는|이|가|을|를|와|과|으로|로|이나|나|이라|라)(?![가-힣])")
    assert not [key for key, text in sentences("ko").items() if form.search(text)]


def test_braces_left_over_in_a_sentence_are_a_mistake() -> None:
    for lang in LANGUAGES:
        assert not [k for k, text in sentences(lang).items() if re.search(r"[{}]", PLACE.sub("", text))]


def test_a_missing_value_is_named() -> None:
    with pytest.raises(KeyError, match="needs a value named 'reason'"):
        say("night.reason", "en")


def test_a_word_follows_its_number() -> None:
    assert "1 trial failed" in say("failed.failed", "en", n=1, trials="t1", reason="x")
    assert "2 trials failed" in say("failed.failed", "en", n=2, trials="t1, t2", reason="x")


def test_values_are_quoted_and_sentences_are_not() -> None:
    said = say("night.reason", "en", quote=lambda t: f"<{t}>", reason="over {n}")
    assert said == "It ended because: <over {n}>."


def test_a_reason_that_ends_its_own_sentence_is_not_ended_twice() -> None:
    assert say("night.reason", "en", reason="the deadline is reached.") == "It ended because: the deadline is reached."


@pytest.mark.parametrize(
    ("seconds", "en", "ko"),
    [(0, "0 s", "0초"), (0.04, "0 s", "0초"), (59.96, "1 min", "1분"), (61, "1 min 1 s", "1분 1초"), (3600, "1 h", "1시간"),
     (7261, "2 h 1 min", "2시간 1분"), (200_000, "2 d 7 h", "2일 7시간"), (-5, "−5 s", "−5초"), (float("nan"), "?", "?")],
)  # fmt: skip
def test_durations_are_written_in_two_units(seconds: float, en: str, ko: str) -> None:
    assert (duration(seconds, "en"), duration(seconds, "ko")) == (en, ko)


def test_moments_are_in_the_readers_zone() -> None:
    seoul = timezone(timedelta(hours=9))
    assert moment(1_763_935_200.0, "en", seoul) == "24 Nov 07:00:00"
    assert moment(1_763_935_200.0, "ko", UTC) == "11월 23일 22:00:00"


def test_numbers_that_are_none_are_said_so() -> None:
    assert [number(v) for v in (float("nan"), float("inf"), -float("inf"), 1234567, 0.00012345)] == [
        "NaN",
        "∞",
        "−∞",
        "1,234,567",
        "0.0001234",
    ]


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=300))
def test_nothing_in_a_runs_output_can_steer_a_terminal(text: str) -> None:
    for shown in (clean(text), one_line(text), last_line(text)):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
        assert clean(shown) == shown
    assert "\n" not in one_line(text)


def test_terminal_sequences_leave_nothing_behind() -> None:
    assert one_line("\x1b[31mred\x1b[0m \x1b]0;title\x07plain \x1b]8;;http://x\x1b\\link") == "red plain link"


def test_the_last_words_of_a_script_are_its_own() -> None:
    said = "Traceback\nOSError: [Errno 27] File too large\nsecondshift: the attempt's folder cannot be written"
    assert last_line(said) == "OSError: [Errno 27] File too large"
    assert last_line("secondshift: no checkpoint was kept") == "secondshift: no checkpoint was kept"
