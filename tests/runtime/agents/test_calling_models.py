"""A model is asked through the ordinary door (SIMULATED: a server on loopback), and the call is settled at what its tokens cost."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_endpoints import KEY, Endpoint, Step, change
from repositories import repository
from secondshift.config import calling
from secondshift.config.agents import OURS
from secondshift.records import events as facts
from secondshift.records.agent_calls import AgentCall
from secondshift.records.ideas import Idea
from secondshift.records.states import State
from secondshift.records.studies import Agent, Launch, Model, Objective, Study
from secondshift.runtime import changes
from secondshift.runtime.agents import calling as hands
from secondshift.runtime.agents import orders
from secondshift.runtime.agents.calling import Caller, environment
from secondshift.runtime.agents.running import Run, _counting
from secondshift.runtime.agents.tunnels import OUT, reached

CALLERS: list[Caller] = []  # of the test that runs
LONG_S = 60.0
GOOD = change(("train.py", "rate = 0.01", "rate = 0.1"))
PLAYS = {"good": [Step(status=429, retry_after="0"), GOOD], "stalls": [replace(GOOD, stalls_s=60.0)]}


@pytest.fixture(scope="module")
def end() -> Iterator[Endpoint]:
    pytest.importorskip("openai", reason="the extra models is not installed")
    with Endpoint(PLAYS) as end:
        yield end


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODEL_KEY", KEY)
    return repository(tmp_path / "study", {"train.py": "rate = 0.01\n", "openai.py": "raise SystemExit(3)\n"})


def ordered(role: str, url: str, **keys: Any) -> State:
    model = Model(provider="openai", name="small", base_url=f"{url}/v1", key_env="MODEL_KEY", input_usd=3.0, output_usd=15.0)
    agent = Agent(command=OURS, model=model, turns=9, price_usd=2.0, money_usd=9.0, env=("MODEL_KEY",), hosts=(url[7:],))
    study = Study(name="s", command="python train.py", folder=".", objective=Objective(metric="loss"), horizon_steps=3,
                  agent=agent, launch=Launch(env={"PYTHONPATH": "."}))  # fmt: skip
    call = AgentCall(id="call-1", idea="e1", reserved_usd=2.0, timeout_s=40.0)
    idea = Idea(id="e1", text=f"[{role}] SIMULATED idea", author="kim")
    return State(study=study, token=1, ideas={"e1": idea}, calls={"call-1": call}, calling={"call-1": True}, **keys)


def ended(caller: Caller, state: State) -> AgentCall:
    found: list[facts.Payload] = []
    until(lambda: found.extend(caller.work(state)) or found)
    for process in caller.processes.values():
        process.wait(LONG_S)
    assert isinstance(found[0], facts.AgentEnded)
    return found[0].call


def until(act: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG_S
    while not act():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def leaving() -> Iterator[None]:
    """No process of a test waits for another call when it is over."""
    yield
    while CALLERS:
        CALLERS.pop().close()


def engine(place: Path) -> Caller:
    CALLERS.append(Caller(private=place / ".secondshift", place=place, command=calling))
    return CALLERS[-1]


def test_a_models_edits_become_the_change_and_the_call_costs_what_its_tokens_did(place: Path, end: Endpoint) -> None:
    call = ended(engine(place), ordered("good", end.url))
    assert call.ending == "changed", call.detail + (place / ".secondshift/agents/call-1/output.log").read_text()
    assert "-rate = 0.01\n+rate = 0.1\n" in changes.read(place / ".secondshift", call.change).decode()
    served = [one for one in end.served if one.told][-1]
    assert (call.requests, call.input_tokens, call.output_tokens) == (2, served.input_tokens, served.output_tokens)
    assert call.usd == pytest.approx((3 * served.input_tokens + 15 * served.output_tokens) / 1e6) and 0.0 < call.usd < 0.1
    assert served.key == KEY and not call.assumed and not call.estimated
    files = [path for path in (place / ".secondshift").rglob("*") if path.is_file()]
    assert files and not any(KEY.encode() in path.read_bytes() for path in files), "the key is in no file"


def test_a_call_that_is_cancelled_in_the_middle_of_an_answer_is_settled_at_what_that_may_cost_at_most(
    place: Path, end: Endpoint
) -> None:
    caller, state = engine(place), ordered("stalls", end.url)
    until(lambda: caller.work(state) or any(one.role == "stalls" for one in end.served))
    call = ended(caller, replace(state, ending="over"))
    assert (call.ending, call.estimated, call.assumed, call.output_tokens) == ("cancelled", True, False, 8192)
    assert 8192 * 15 / 1e6 < call.usd < 2.0


CALL = AgentCall(id="call-1", reserved_usd=2.0)


@pytest.mark.parametrize(("found", "usd", "assumed"), [
    ({"usd": 0.2, "counted": "whole"}, 0.2, False),
    ({"usd": 2.5, "counted": "whole"}, 2.5, False),  # what it did cost is what it did cost
    ({"usd": 0.2, "counted": "broken off"}, 2.0, True),
    ({"usd": 0.2, "counted": ""}, 2.0, False),  # the word of a command can only raise it
    ({"usd": 2.5, "counted": ""}, 2.5, False),
    ({"usd": 0.0, "counted": "whole", "elapsed_s": 0.0}, 0.0, False),
])  # fmt: skip
def test_what_a_call_is_settled_at(found: dict[str, Any], usd: float, assumed: bool) -> None:
    call = hands._ended(CALL, {"ending": "timed out", "elapsed_s": 1.0, **found})
    assert (call.usd, call.assumed) == (usd, assumed)
    free = hands._ended(replace(CALL, reserved_usd=0.0), {"ending": "timed out", "elapsed_s": 1.0, **found})
    assert (free.usd, free.assumed) == (0.0, False)


@pytest.mark.parametrize(("told", "counted"), [
    (None, "whole"),  # it writes before it asks for the first time
    ({"in_flight": False}, "whole"), ({"in_flight": True}, "broken off"), ({}, "broken off"), ("nonsense", "broken off"),
])  # fmt: skip
def test_only_a_program_of_ours_that_was_not_in_the_middle_of_a_request_has_counted_all(
    tmp_path: Path, told: object, counted: str
) -> None:
    (tmp_path / "out").mkdir()
    if told is not None:
        (tmp_path / "out/usage.json").write_text(json.dumps(told))
    run = Run(told=told if isinstance(told, dict) else {})
    assert _counting({"home": str(tmp_path), "counted": True}, run) == counted
    assert _counting({"home": str(tmp_path), "counted": False}, run) == ""


def test_our_program_is_made_of_nothing_that_the_study_names(place: Path) -> None:
    state = ordered("good", "http://127.0.0.1:1")
    assert state.study is not None
    words = orders.words(state.study, place, most_usd=1.0, timeout_s=9.0)
    assert words[1:3] == ["-E", "-P"] and KEY not in "".join(words)
    assert "PYTHONPATH" not in environment(state.study) and environment(state.study)["MODEL_KEY"] == KEY


def test_what_is_missing_for_a_model_is_named_and_nothing_is_sent() -> None:
    model = Model(provider="openai", name="m", key_env="NO_SUCH_KEY")
    assert orders.lacking(model, {})[-1:] == ["key"] and "key" not in orders.lacking(model, {"NO_SUCH_KEY": "x"})
    assert "key" not in orders.lacking(replace(model, key_needed=False), {})
    assert orders.lacking(replace(model, provider="no_such_package"), {"NO_SUCH_KEY": "x"}) == ["extra"]  # type: ignore[arg-type]  # none has this name


def test_without_a_sandbox_an_endpoint_is_reached_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    assert reached("http://127.0.0.1:9/v1") == ("http://127.0.0.1:9/v1", {})
    monkeypatch.setenv("HTTPS_PROXY", OUT)
    assert reached("https://llm.example.com/v1") == ("https://llm.example.com/v1", {})
    address, headers = reached("http://localhost:9/v1")
    assert address.startswith("http://127.0.0.1:") and address.endswith("/v1") and headers == {"Host": "localhost:9"}
