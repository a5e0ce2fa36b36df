"""Reasons that policies write in English are said in Korean; a new reason without Korean words fails here."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from secondshift.interfaces.messages.catalogue import filled, say
from secondshift.interfaces.messages.recorded import forms, in_korean

SOURCE = Path(__file__).parents[2] / "src/secondshift"
# Where reasons are written that windows show as they are. Incidents with a cause, pages and ideas are told from their fields.
ROOMS = (
    "policies/schedulers", "policies/searchers", "policies/models/proposals.py", "policies/models/resuming.py",
    "policies/captain/silence.py", "policies/captain/non_finite.py", "policies/captain/failure_rate.py",
    "policies/captain/interruptions.py", "policies/captain/yielding.py", "policies/captain/failures.py",
    "policies/evidence", "policies/gate", "policies/models/nominating.py", "ledger/fold_ideas.py",
    "runtime/inheriting.py",
    "standing.py", "arbitrate.py", "ledger/fold_attempts.py",
)  # fmt: skip
SHOWN = {"start", "advance", "stop", "pause", "fail", "end", "propose", "bear", "remember",
         "reopen", "Decision", "CheckpointPruned",
         "CheckpointRejected"}  # fmt: skip
GIVES_REASONS = re.compile(r"reason|refusal|ended_status|superseded|^_deadline|^_wall|^_device_time|^_trials|^_failed|^requested")


class Texts(ast.NodeVisitor):
    """Collects the reasons that one module writes: what is not literal in them is the number 7."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[int, str]] = []
        self.function = ""
        self.assigned: list[tuple[int, str, ast.expr]] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self.assigned.append((node.lineno, target.id, node.value))
                    elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                        pairs = zip(target.elts, node.value.elts, strict=True)
                        self.assigned += [(node.lineno, name.id, one) for name, one in pairs if isinstance(name, ast.Name)]
        self.visit(tree)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        before, self.function = self.function, node.name
        self.generic_visit(node)
        self.function = before

    def visit_Return(self, node: ast.Return) -> None:
        if GIVES_REASONS.search(self.function) and node.value is not None:
            last = node.value.elts[-1] if isinstance(node.value, ast.Tuple) else node.value
            self.add(last)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        for keyword in node.keywords:
            if (keyword.arg == "reason" and name in SHOWN) or keyword.arg == "word":
                self.add(keyword.value)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id == "reason":
            self.add(node.value)
        self.generic_visit(node)

    def add(self, node: ast.expr) -> None:
        either = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
        for part in node.values if isinstance(node, ast.BoolOp) else either:
            text = self.text(part, part.lineno)
            if isinstance(part, ast.Constant | ast.JoinedStr | ast.BinOp) and " " in text.strip("7 "):
                self.found.append((part.lineno, text))

    def text(self, node: ast.expr, line: int) -> str:
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else ""
        if isinstance(node, ast.JoinedStr):
            return "".join(self.text(part, line) for part in node.values)
        if isinstance(node, ast.FormattedValue):
            quoted = "'7'" if node.conversion == ord("r") else ""
            return quoted or self.text(node.value, line) or "7"
        if isinstance(node, ast.BinOp):
            return self.text(node.left, line) + self.text(node.right, line)
        if isinstance(node, ast.IfExp):
            return self.text(node.body, line)
        if isinstance(node, ast.Name):
            known = [(at, value) for at, name, value in self.assigned if name == node.id and at < line]
            return (self.text(known[-1][1], known[-1][0]) if known else "") or "7"
        return "7"


def written() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        place = SOURCE / room
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            for line, text in Texts(ast.parse(file.read_text("utf-8"))).found:
                yield f"{file.relative_to(SOURCE)}:{line}", text


class OfIncidents(Texts):
    """Collects what rooms other than the captain's write of an incident: its finding, what is done, how it ended."""

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        for keyword in node.keywords if name in ("Incident", "IncidentClosed") else ():
            if keyword.arg in ("finding", "action", "outcome"):
                whole = keyword.value.value if isinstance(keyword.value, ast.Subscript) else keyword.value
                self.add(whole)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id in ("how", "action", "finding"):
            self.add(node.value)
        self.generic_visit(node)


@pytest.mark.parametrize("room", ["runtime/devicewatch.py", "runtime/notify/deadman.py", "runtime/fits.py", "engine.py"])
def test_what_an_incident_of_no_trial_says_has_korean_words(room: str) -> None:
    found = [text for _, text in OfIncidents(ast.parse((SOURCE / room).read_text("utf-8"))).found]
    assert found or room == "runtime/fits.py", "what incidents say was not found where it was before"
    unknown = [text for text in found if in_korean(text, str) == text]
    assert not unknown, "messages/reasons.toml has no form for:\n" + "\n".join(unknown)


def test_a_brief_in_korean_says_what_befell_the_devices_in_korean() -> None:
    values = {
        "when_at": 0.0, "incident": "i1", "subject": "devices", "outcome": "a device is free again, or none is needed now",
        "finding": "no device of this host is free for this study, and none of its trials runs; others hold cpu-0 (t1.a1)",
        "action": "waits; trials start as devices become free",
    }  # fmt: skip
    said = filled("incidents.closed", values, "ko")
    assert "하나도 실행되고 있지 않습니다" in said and "장치가 비는 대로" in said and "다시 비었거나" in said and "free" not in said


def test_every_reason_that_is_written_has_korean_words() -> None:
    found = list(written())
    assert len(found) > 40, "the reasons were not found where they were before"
    unknown = [f"{where}: {text}" for where, text in found if in_korean(text, str) == text]
    assert not unknown, "messages/reasons.toml has no form for:\n" + "\n".join(unknown)


@pytest.mark.parametrize("english", [english for _, english, _ in forms()])
def test_each_form_is_found_as_itself_and_says_all_that_the_english_says(english: str) -> None:
    korean = next(korean for _, known, korean in forms() if known == english)
    places = re.findall(r"\{(\w+)\}", english)
    assert sorted(places) == sorted(re.findall(r"\{(\w+)\}", korean))
    assert english.endswith(".") == korean.endswith(".") and re.search("[가-힣]", korean)
    values = {name: f"x{number}" for number, name in enumerate(places)}
    assert in_korean(english.format(**values), str) == korean.format(**values)


def test_a_reason_within_a_reason_is_said_too() -> None:
    was, often = "ended by signal 9, which was not ours", "interruption 1 of at most 3 without progress"
    said = in_korean(f"t3 goes on from step 40: it was interrupted ({was}; {often}).", str)
    assert said == (
        "t3 실험을 40스텝부터 이어 갑니다. 중단된 까닭: secondshift가 보내지 않은 신호 9번으로 끝났습니다"
        "(나아간 것 없이 1번째, 최대 3번)."
    )


def test_what_is_not_known_stays_as_it_was_recorded_and_english_is_never_touched() -> None:
    assert in_korean("kim's own words, with no form", str) == "kim's own words, with no form"
    assert say("night.reason", "en", reason="The deadline of the shift has come.").endswith(": The deadline of the shift has come.")
    assert say("night.reason", "ko", reason="All 5 trials of the budget have ended: 4 complete, 1 failed.") == (
        "끝난 까닭: 예산으로 정한 실험 5개가 모두 끝났습니다(4 완료, 1 실패)."
    )


@pytest.mark.parametrize("seen", [
    "a step takes 0.1 s, and took 1 s where it was slow and 0.1 s before that",
    "a step takes 1 s, and took 1 s where it was slow and 0.1 s before that: it is not the device",
    "t3 is complete; the checkpoint of step 100 is kept, saved at val_loss 0.774462",
    "no other device was free when it was started again; it is left as it is",
    "no other device was free when it was started again",
])  # fmt: skip
def test_what_an_act_that_saves_time_came_to_is_said_in_korean(seen: str) -> None:
    told = in_korean(seen, str)
    assert told != seen and all(number in told for number in re.findall(r"[0-9.]*[0-9]", seen.replace("t3", "")))
