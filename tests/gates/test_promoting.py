"""Releasing an artefact: what the gate measured is what is released, and the sealed test is opened here and counted."""

import errno
import json
import math
import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gates.desks import BETTER, STUDY, WORSE_SLICE, made
from gates.test_accepting import events, state
from secondshift import plugins
from secondshift.engine import Engine
from secondshift.interfaces.brief.compose import compose
from secondshift.interfaces.cli.main import called
from secondshift.interfaces.messages.catalogue import tell
from secondshift.ledger import codec
from secondshift.ledger.fold import fold
from secondshift.records import events as facts
from secondshift.records.studies import Objective
from secondshift.runtime import acting, frozen, gating, promoting
from secondshift.runtime.opening import open_night


def openings(folder: Path) -> int:
    runs = folder.glob(".secondshift/promotions/*/tmp/openings.txt")
    return sum(len(file.read_text().splitlines()) for file in runs)


def test_a_release_is_a_whole_copy_with_a_manifest_and_opens_the_sealed_test_once(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made(tmp_path, BETTER)
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "acc 0.9" in said and "opened 1 time so far" in said and "was released" in said
    released = tmp_path / "promoted" / "e1"
    assert json.loads((released / "artefact" / "model.json").read_text()) == BETTER
    manifest = json.loads((released / "manifest.json").read_text())
    assert set(manifest["files"]) == {"model.json"} and manifest["gate"]["verdict"] == "pass"
    assert manifest["params"] == {"lr": 0.3} and manifest["who"] and manifest["sealed"][0]["value"] == 0.9
    assert openings(tmp_path) == state(tmp_path).openings == 1
    order = [e.kind for e in events(tmp_path) if e.kind.startswith(("gate.j", "promotion", "sealed"))]
    assert order == ["gate.judged", "promotion.ordered", "sealed.opened", "sealed.measured", "promotion.ended"]
    assert sorted(p.name for p in (tmp_path / "promoted").iterdir()) == ["e1"]


def test_what_the_gate_blocks_is_not_released_and_its_sealed_test_stays_shut(tmp_path: Path) -> None:
    made(tmp_path, WORSE_SLICE)
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 1
    assert not (tmp_path / "promoted").exists() and not state(tmp_path).openings and not openings(tmp_path)
    assert called(["promote", "e1", "--because", "it is a demo", "--study", str(tmp_path)]) == 0
    manifest = json.loads((tmp_path / "promoted" / "e1" / "manifest.json").read_text())
    assert manifest["because"] == "it is a demo" and manifest["gate"]["verdict"] == "block"


def test_accepting_never_opens_the_sealed_test(tmp_path: Path) -> None:
    made(tmp_path, BETTER)
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 0
    assert not events(tmp_path, "sealed.opened", "sealed.measured")
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 0
    assert len(events(tmp_path, "gate.ordered")) == 1, "what the gate measured for accept answers for promote"


def test_no_state_that_a_decision_sees_holds_what_the_sealed_test_said(tmp_path: Path) -> None:
    made(tmp_path, {**BETTER, "acc": 0.912345})
    called(["promote", "e1", "--study", str(tmp_path)])
    (measured,) = events(tmp_path, "sealed.measured")
    assert measured.payload.value == 0.912345
    before = state(tmp_path)
    event = facts.Event(seq=before.last_seq + 1, at=before.last_at, token=1, kind="sealed.measured", payload=measured.payload)
    assert fold(before, [event]) == replace(before, last_seq=event.seq)
    assert "sealed.measured" in codec.encode(measured.payload)[0]


def test_a_place_that_is_taken_is_left_alone_and_a_second_opening_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made(tmp_path, BETTER)
    (tmp_path / "promoted" / "e1").mkdir(parents=True)
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 1
    assert "there already" in capsys.readouterr().out and not list((tmp_path / "promoted" / "e1").iterdir())
    assert called(["promote", "e1", "--to", str(tmp_path / "out" / "v1"), "--study", str(tmp_path)]) == 0
    assert "opened 2 times so far" in capsys.readouterr().out
    assert (tmp_path / "out" / "v1" / "artefact" / "model.json").exists() and openings(tmp_path) == 2


def test_an_artefact_that_was_altered_after_it_was_measured_is_not_released(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made(tmp_path, BETTER)
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 0
    (tmp_path / ".secondshift" / "gates" / "gate-1" / "candidate" / "model.json").write_text("{}")
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 1
    assert "not what the gate measured" in capsys.readouterr().out and not (tmp_path / "promoted").exists()


def test_a_release_that_is_cut_short_is_finished_by_the_next_call_and_opens_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, BETTER)

    def killed(*_: object, **__: object) -> None:
        raise RuntimeError("cut short")

    with monkeypatch.context() as patch:
        patch.setattr(promoting, "_manifest", killed)
        assert called(["promote", "e1", "--study", str(tmp_path)]) == 70
    assert not (tmp_path / "promoted" / "e1").exists() and state(tmp_path).openings == 1
    called(["promote", "e1", "--to", str(tmp_path / "second"), "--study", str(tmp_path)])
    found = state(tmp_path)
    assert [one.outcome for one in found.promotions.values()] == ["released", "released"]
    assert (tmp_path / "promoted" / "e1" / "manifest.json").exists() and (tmp_path / "second" / "manifest.json").exists()
    assert found.openings == openings(tmp_path) == 2


def test_without_a_suite_and_a_sealed_test_what_held_up_is_released_as_it_is(tmp_path: Path) -> None:
    made(tmp_path, BETTER, study=STUDY.partition("[gate]")[0])
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 0
    manifest = json.loads((tmp_path / "promoted" / "e1" / "manifest.json").read_text())
    assert manifest["gate"] is None and manifest["sealed"] == [] and not state(tmp_path).openings


@pytest.mark.parametrize(("lang", "words"), [
    ("en", ("GATE BLOCK: e1", "OVERRIDE", "slice b is retired", "The sealed test was opened 1 time so far (e1)", "was released")),
    ("ko", ("게이트 차단: e1", "예외 승인", "slice b is retired", "봉인 시험을 지금까지 1번 열었습니다(e1)", "내보냈습니다")),
])  # fmt: skip
def test_the_brief_and_why_tell_of_the_gate_of_overrides_and_of_openings(
    tmp_path: Path, capsys: pytest.CaptureFixture, lang: str, words: tuple[str, ...]
) -> None:
    made(tmp_path, WORSE_SLICE)
    for verb in ("accept", "promote"):
        assert called([verb, "e1", "--because", "slice b is retired", "--study", str(tmp_path)]) == 0
    capsys.readouterr()
    brief = compose(state(tmp_path), events(tmp_path), Objective(metric="loss"), "s1", written_at=0.0)
    said = " ".join(tell(s, lang) for section in brief.sections for s in section.statements)
    assert all(word in said for word in words), said
    assert "0.9." not in said.partition("봉인 시험" if lang == "ko" else "The sealed test")[2], "a brief counts openings only"
    assert called(["why", "e1", "--lang", lang, "--study", str(tmp_path)]) == 0
    why = capsys.readouterr().out
    assert words[0] in why and words[1] in why and "acc 0.9" in why


def test_a_sealed_test_that_comes_to_nothing_is_said_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    made(tmp_path, BETTER)
    (tmp_path / "sealed.py").write_text("raise SystemExit('no data')")
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 0
    assert "came to nothing" in capsys.readouterr().out
    (measured,) = events(tmp_path, "sealed.measured")
    assert math.isnan(measured.payload.value) and "no data" in measured.payload.failed and state(tmp_path).openings == 1


def test_another_study_s_release_is_not_taken_for_this_one_s(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    place = tmp_path / "released"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made(tmp_path / name, BETTER)
        assert called(["promote", "e1", "--to", str(place), "--study", str(tmp_path / name)]) == (0 if name == "a" else 1)
    assert "there already" in capsys.readouterr().out
    assert [one.outcome for one in state(tmp_path / "b").promotions.values()] == ["failed"]


def test_a_release_whose_fact_was_lost_is_known_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, BETTER)
    with monkeypatch.context() as patch:
        patch.setattr(promoting.facts, "PromotionEnded", lambda **_: 1 / 0)
        assert called(["promote", "e1", "--study", str(tmp_path)]) == 70
    assert (tmp_path / "promoted" / "e1" / "manifest.json").exists()
    called(["promote", "e1", "--study", str(tmp_path)])
    assert [one.outcome for one in state(tmp_path).promotions.values()] == ["released"]
    assert state(tmp_path).openings == openings(tmp_path) == 1


def test_what_the_sealed_test_said_is_recorded_though_the_release_fails_and_no_draft_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, BETTER)
    put = promoting._put

    def failing(source: Path, target: Path) -> str:
        put(source, target)
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(promoting, "_put", failing)
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 1
    (measured,) = events(tmp_path, "sealed.measured")
    assert measured.payload.value == 0.9 and [one.outcome for one in state(tmp_path).promotions.values()] == ["failed"]
    assert not list((tmp_path / "promoted").iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_release_waits_for_space_and_opens_the_sealed_test_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, number: int
) -> None:
    made(tmp_path, BETTER)
    put, full = promoting._put, [True]

    def filled(source: Path, target: Path) -> str:
        if full:
            full.pop()
            raise OSError(number, os.strerror(number))
        return put(source, target)

    monkeypatch.setattr(promoting, "_put", filled)
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 0
    assert "The disk is full" in capsys.readouterr().err
    assert [one.outcome for one in state(tmp_path).promotions.values()] == ["released"]
    assert state(tmp_path).openings == openings(tmp_path) == 1


def test_what_was_released_to_a_place_is_refused_there_before_the_sealed_test_is_opened_again(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made(tmp_path, BETTER)
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 0
    for to in ([], ["--to", str(tmp_path / "promoted" / "e1")]):
        capsys.readouterr()
        assert called(["promote", "e1", *to, "--study", str(tmp_path)]) == 1
        assert "already (promotion-1)" in capsys.readouterr().out
    assert called(["promote", "e1", "--lang", "ko", "--study", str(tmp_path)]) == 1
    assert "이미" in capsys.readouterr().out
    assert state(tmp_path).openings == openings(tmp_path) == 1


def test_a_process_that_died_too_often_for_one_run_is_started_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, BETTER)
    monkeypatch.setattr(gating, "AGAIN_S", 0.0)
    with open_night(tmp_path / "secondshift.toml") as night:
        engine = Engine(ledger=night.ledger, state=night.state, executor=night.executor, clock=night.clock, hands=night.hands)
        engine.record(night.opening)
        for number, program in enumerate(("/bin/false", sys.executable)):
            args = {"idea": "e1"}
            engine.record([facts.RequestReceived(id=f"r{number}", verb="accept", who="kim", args=args, asked_at=0.0)])
            with monkeypatch.context() as patch:
                patch.setattr(sys, "executable", program)
                while engine.state.requests:
                    engine.settle("desk", plugins.desk())
                    engine.record(acting.measured(engine.state, engine.hands))
        engine.hands.suites.close()
        first, second = engine.state.gates.values()
    assert "died again and again" in first.reason and second.verdict == "pass"


def test_a_frozen_copy_is_durable_before_its_note_and_one_that_lost_its_content_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, BETTER)
    known, place, synced = state(tmp_path), tmp_path / "kept" / "candidate", list[str]()
    trial, study = known.trials["t2"], known.study
    fsync = os.fsync

    def seen(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", seen)
    place.parent.mkdir()
    frozen.freeze(tmp_path / ".secondshift", trial, (), study, place)
    names = [Path(one).name for one in synced]
    note = next(at for at, name in enumerate(names) if name.startswith("candidate.json"))
    assert {"model.json", "candidate.part", "kept"} <= set(names[:note])
    frozen.freeze(tmp_path / ".secondshift", trial, (), study, place)
    assert len(synced) == len(names), "a copy that is as it was is not made again"
    os.truncate(place / "model.json", 0)
    frozen.freeze(tmp_path / ".secondshift", trial, (), study, place)
    assert json.loads((place / "model.json").read_text()) == BETTER


def test_the_copy_that_is_released_is_durable_before_its_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, BETTER)
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 0
    synced, fsync = list[str](), os.fsync

    def seen(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", seen)
    assert called(["promote", "e1", "--study", str(tmp_path)]) == 0
    home = str(tmp_path / ".secondshift" / "promotions" / "promotion-1")
    note = next(at for at, name in enumerate(synced) if name.startswith(f"{home}/candidate.json"))
    assert {f"{home}/candidate/model.json", f"{home}/candidate", home} <= set(synced[:note])


def test_a_full_disk_says_nothing_of_an_artefact_that_is_to_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, BETTER)
    freeze, full = gating.freeze, [True]

    def filled(*args: object) -> None:
        if full:
            full.pop()
            raise OSError(errno.ENOSPC, "no space")
        freeze(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(gating, "freeze", filled)
    assert called(["accept", "e1", "--study", str(tmp_path)]) == 0
    assert state(tmp_path).gates["gate-1"].verdict == "pass"


def test_a_shift_ends_though_a_release_waits_for_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, BETTER)

    def full(*_: object) -> list[facts.Payload]:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(acting, "measured", full)
    with open_night(tmp_path / "secondshift.toml") as night:
        engine = Engine(ledger=night.ledger, state=night.state, executor=night.executor, clock=night.clock, hands=night.hands)
        engine.record(night.opening)
        engine.begin(None)
        assert engine.state.shift is not None
        engine.record([facts.RequestReceived(id="r1", verb="stop", who="kim", args={"now": True}, asked_at=0.0)])
        for _ in range(20):
            if engine.state.shift is not None:
                with suppress(OSError):
                    engine.tick()
        assert engine.state.shift is None
