"""Our program for models against a server on loopback (SIMULATED: no model): what it retries, refuses, counts, and leaves alone."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from model_endpoints import KEY, Endpoint, Step, change, says
from secondshift.runtime.agents.counting import Meter, Prices
from secondshift.runtime.agents.endpoints import opened
from secondshift.runtime.agents.models import Call, Done, OutOfTime, protected, teller
from secondshift.runtime.agents.orders import Order
from secondshift.runtime.agents.showing import shown

PROVIDERS = ("openai", "anthropic")
TRAIN = "rate = 0.01\nprint(rate)\n"
GOOD = change(("train.py", "rate = 0.01", "rate = 0.1"))
BRIEF = "## The idea (e1, by kim)\n\n```text\n[role] SIMULATED idea about train.py\n```\n"
ORDER = Order(
    provider="openai", model="m", base_url="", key_env="K", key_needed=True, input_usd=3.0, output_usd=15.0, output_tokens=2000,
    show_bytes=10_000, most_usd=1.0, timeout_s=30.0, brief="", top="", folder=".", protected=("eval.py", "data/**"),
)  # fmt: skip


@dataclass(kw_only=True)
class Played:
    """What came of one call."""

    ending: str
    detail: str
    meter: Meter
    end: Endpoint
    said: list[str]
    took_s: float
    files: Mapping[str, str]


Play = Callable[..., Played]


@pytest.fixture(params=PROVIDERS)
def play(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Play one call against these steps."""
    provider: str = request.param
    pytest.importorskip(provider, reason="the extra models is not installed")
    top = tmp_path / "tree"
    top.mkdir()
    (top / "train.py").write_text(TRAIN)
    (top / "eval.py").write_text("print('loss=1')\n")
    monkeypatch.chdir(top)

    def played(*steps: Step, unknown: Sequence[str] = (), lasts_s: float = 30.0, **keys: Any) -> Played:
        with Endpoint({"role": steps}, unknown) as end:
            url = end.url + ("/v1" if provider == "openai" else "")
            order = replace(ORDER, provider=provider, base_url=url, top=str(top), timeout_s=lasts_s, **keys)
            meter = Meter(file=tmp_path / "usage.json", prices=Prices(input_usd=3.0, output_usd=15.0), most_usd=order.most_usd)
            first, said, began = shown(BRIEF, top, lambda path: protected(order, path), 10_000), [], time.monotonic()
            endpoint = opened(order, KEY)
            call = Call(order=order, endpoint=endpoint, meter=meter, until=began + lasts_s, tell=said.append,
                        system=first.system, talk=[("user", first.prompt)])  # fmt: skip
            try:
                answer, files = call.answered()
                ending, detail = answer.decision, answer.note
            except Done as done:
                ending, detail, files = done.ending, done.detail, {}
            except OutOfTime:
                ending, detail, files = "timed out", "", {}
            endpoint.close()
        took_s = time.monotonic() - began
        return Played(ending=ending, detail=detail, meter=meter, end=end, said=said, took_s=took_s, files=files)

    return played


def told(found: Played) -> tuple[int, int]:
    """The tokens that the server told of."""
    served = [one for one in found.end.served if one.told]
    return sum(one.input_tokens for one in served), sum(one.output_tokens for one in served)


def test_limits_and_overload_are_waited_out_as_long_as_the_endpoint_asks_and_cost_nothing(play: Play) -> None:
    found = play(Step(status=429, retry_after="1"), Step(status=503, retry_after="0"), Step(status=529, retry_after="0"), GOOD)
    counts = found.meter.counts
    assert found.files == {"train.py": "rate = 0.1\nprint(rate)\n"} and 1.0 <= found.took_s < 15.0
    assert (counts.requests, counts.input_tokens, counts.output_tokens) == (4, *told(found)) and counts.input_tokens > 100
    assert counts.usd == pytest.approx((3 * counts.input_tokens + 15 * counts.output_tokens) / 1e6) and not counts.estimated
    assert all(one.key == KEY for one in found.end.served)


def test_one_that_asks_for_more_patience_than_there_is_ends_the_call_at_once(play: Play) -> None:
    found = play(Step(status=429, retry_after="600"), lasts_s=20.0)
    assert found.ending == "unreachable" and "429" in found.detail and found.took_s < 10.0 and found.meter.counts.usd == 0.0


@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_key_or_name_is_not_tried_again(play: Play, status: int) -> None:
    found = play(Step(status=status, message="no such thing"), GOOD)
    assert found.ending == "unreachable" and "no such thing" in found.detail and len(found.end.served) == 1


def test_an_answer_that_breaks_off_is_asked_for_again_and_what_nobody_counted_is_taken_at_its_most(play: Play) -> None:
    found = play(replace(GOOD, breaks=True), replace(GOOD, overloaded=True), GOOD)
    counts = found.meter.counts
    assert found.files and counts.estimated and counts.requests == 3
    assert counts.output_tokens == 2 * 2000 + told(found)[1], "an answer can have no more than max_output_tokens"
    assert counts.input_tokens >= sum(one.input_tokens for one in found.end.served)


def test_silence_ends_a_request_and_a_long_answer_is_no_silence(play: Play) -> None:
    slow = play(replace(GOOD, trickles_s=0.35), lasts_s=6.0)  # silent for 2 s at most, and longer than that in all
    assert slow.files and slow.took_s > 2.1 and slow.meter.counts.requests == 1
    stalled = play(replace(GOOD, stalls_s=20.0), GOOD, lasts_s=9.0)
    assert stalled.files and 2.5 < stalled.took_s < 9.0 and stalled.meter.counts.requests == 2


def test_json_that_is_none_is_sent_back_with_what_is_wrong_and_three_answers_are_all(play: Play) -> None:
    found = play(Step(text='{"decision": "change", "edits": ['), GOOD)
    assert found.files and "not the JSON object" in str(found.end.served[1].asked["messages"])
    given_up = play(Step(text="I have changed the rate. The loss is 0.0 now!"))
    assert given_up.ending == "crashed" and "3 answers could not be used" in given_up.detail and len(given_up.end.served) == 3


def test_protected_files_and_ways_out_are_refused_before_a_file_is_touched(play: Play) -> None:
    evil = change(("eval.py", "", "print('loss=0')\n"), ("train.py", "rate = 0.01", "rate = 5"))
    assert play(evil, GOOD).files == {"train.py": "rate = 0.1\nprint(rate)\n"}
    stubborn = play(evil)
    assert (stubborn.ending, stubborn.files) == ("refused", {}) and "eval.py, which is protected" in stubborn.detail
    for path in ("../out.py", "/etc/passwd", ".git/hooks/post-commit", "~/x", "a/../../b", ""):
        assert not play(change((path, "", "x"))).files


def test_what_is_no_change_is_told_apart(play: Play) -> None:
    assert play(says("question", "Which rate?")).ending == "question"
    assert play(says("no change", "It is tuned already.")).ending == "no change"
    declined = play(Step(text="I cannot help with that.", refuses=True))
    assert declined.ending == "no change" and "the model declined" in declined.detail


def test_no_request_is_made_that_could_pass_what_was_set_aside(play: Play) -> None:
    dear = play(GOOD, most_usd=0.02)
    assert dear.ending == "unreachable" and not dear.end.served and "price_per_call_usd" in dear.detail
    spent = play(Step(text="nonsense", output_tokens=1900), most_usd=0.07)
    assert spent.ending == "over budget" and spent.meter.counts.usd <= 0.07 and len(spent.end.served) in (1, 2)


def test_an_answer_that_is_cut_off_is_said_to_be(play: Play) -> None:
    found = play(replace(GOOD, cut=True), GOOD)
    assert found.files and "cut off at 2000 tokens" in str(found.end.served[1].asked["messages"])


@pytest.mark.parametrize("play", ["openai"], indirect=True)
def test_an_endpoint_that_counts_nothing_or_knows_no_schema_is_asked_all_the_same(play: Play) -> None:
    uncounted = play(replace(GOOD, usage=False))
    assert uncounted.files and uncounted.meter.counts.estimated and uncounted.meter.counts.output_tokens == 2000
    plain = play(GOOD, unknown=("response_format", "stream_options"))
    assert plain.files and "response_format" not in plain.end.served[0].asked
    fenced = play(replace(GOOD, text=f"```json\n{GOOD.text}\n```"))
    assert fenced.files


def test_the_counts_stand_in_the_file_before_a_request_and_after_it(play: Play) -> None:
    seen: list[Mapping[str, Any]] = []
    found = play(GOOD)
    seen.append(json.loads(found.meter.file.read_bytes()))
    found.meter.begin()
    seen.append(json.loads(found.meter.file.read_bytes()))
    assert [one["in_flight"] for one in seen] == [False, True] and seen[0]["usd"] == found.meter.counts.usd > 0.0
    assert os.listdir(found.meter.file.parent).count("usage.json") == 1


def test_the_key_is_said_nowhere(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    found = play(Step(status=401, message=f"Incorrect API key provided: {KEY}"))
    teller(KEY)(found.detail)
    teller("")(found.detail)  # even where it is not known which one it is
    assert KEY in found.detail and KEY not in capsys.readouterr().out
