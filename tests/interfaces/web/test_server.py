"""The window lets its own extension in and nobody else, takes each idea once, and shows what it was given as text."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from interfaces.bad_nights import bad_night, shard
from interfaces.nights import STUDY, Night, complete, eventful
from interfaces.web.windows import Open, opened, study
from secondshift.interfaces.cli.serving import newest_brief
from secondshift.interfaces.messages.catalogue import say
from secondshift.interfaces.web import counter, pairing, server
from secondshift.ledger.opening import open_ledger
from secondshift.records.events import IdeaCaptured, VerdictReached
from secondshift.records.ideas import Idea, Verdict
from secondshift.runtime import spool
from secondshift.runtime.spool import pending
from simulated_nights import until

ID = "1x5k0q2b9d0-abcdefghjkmn"
OTHER = "1x5k0q2b9d1-abcdefghjkmn"
IDEA = {"id": ID, "text": "Warm the learning rate up", "why": "early spikes"}
HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)>'


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Open]:
    """Of a study before its first night."""
    with opened(study(tmp_path / "fresh", None)) as found:
        yield found


@pytest.fixture
def morning(tmp_path: Path) -> Iterator[Open]:
    """Of a study with an eventful night behind it."""
    with opened(study(tmp_path / "digits", eventful())) as found:
        yield found


# --- who is let in ---


@pytest.mark.parametrize("given", ["Bearer " + "x" * 43, "Bearer", "", None, "Basic abc", "bearer"], ids=str)
@pytest.mark.parametrize("path", ["/now", "/ideas", "/ticket", "/nothing", "/"])
def test_without_the_right_secret_nothing_is_said(window: Open, path: str, given: str | None) -> None:
    status, said, _ = window.ask(path, {} if path == "/ticket" else None, Authorization=given)
    assert (status, said["error"]) == (401, "secret")


def test_an_idea_with_a_wrong_secret_is_not_taken(window: Open) -> None:
    assert window.ask("/ideas", IDEA, Authorization="Bearer wrong")[0] == 401
    assert pending(window.folder) == []


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:{port}", "chrome-extension://" + "a" * 32, server.EXTENSION + "."]
)
def test_a_page_of_another_origin_is_refused_even_with_the_secret(window: Open, origin: str) -> None:
    status, said, headers = window.ask("/ideas", IDEA, Origin=origin.format(port=window.port))
    assert (status, said["error"]) == (403, "origin") and pending(window.folder) == []
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", None]
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(window: Open, host: str | None) -> None:
    status, said, _ = window.ask("/now", Host=host and host.format(port=window.port))
    assert (status, said["error"]) == (403, "host")


def test_two_hosts_are_refused(window: Open) -> None:
    answer = talk(window, f"GET /now HTTP/1.1\r\nHost: 127.0.0.1:{window.port}\r\nHost: evil.example\r\n\r\n")
    assert answer.startswith("HTTP/1.1 403")


def test_its_own_extension_and_this_machines_name_are_let_in(window: Open) -> None:
    assert window.ask("/now", Origin=server.EXTENSION)[0] == 200
    assert window.ask("/now", Host=f"localhost:{window.port}")[0] == 200


def test_a_preflight_of_a_web_page_gets_no_permission(window: Open) -> None:
    status, _, headers = window.ask("/ideas", verb="OPTIONS", Origin="http://evil.example", Access_Control_Request_Method="POST")
    assert status == 501 and not [name for name in headers if name.lower().startswith("access-control")]


def test_it_listens_on_this_machines_own_address_only(tmp_path: Path) -> None:
    at = counter.Counter(file=tmp_path / "secondshift.toml", folder=tmp_path, newest_brief=newest_brief)
    found = server.Window(at, 0)
    found.server_close()
    assert found.server_address[0] == "127.0.0.1"


def test_a_new_secret_ends_the_old_one_at_once(window: Open) -> None:
    pairing.new_secret(window.folder)
    assert window.ask("/now")[0] == 401


def test_the_secret_is_kept_nowhere_and_its_digest_is_private(window: Open) -> None:
    window.ask("/ideas", IDEA)
    assert (window.folder / pairing.FILE).stat().st_mode & 0o777 == 0o600
    for file in window.place.rglob("*"):
        assert not file.is_file() or window.secret.encode() not in file.read_bytes(), file


def test_a_key_that_others_could_have_written_counts_as_none(window: Open) -> None:
    (window.folder / pairing.FILE).chmod(0o666)
    assert window.ask("/now")[0] == 401 and pairing.proof(window.folder, window.port, "n" * 20) == ""


def test_the_proof_is_of_this_study_this_port_and_this_nonce(window: Open) -> None:
    nonce = "abcdefghijklmnop"
    status, said, _ = window.ask(f"/hello?nonce={nonce}", Authorization=None)
    assert status == 200 and said["proof"] == pairing.proof(window.folder, window.port, nonce)
    assert said["proof"] != pairing.proof(window.folder, window.port + 1, nonce)
    assert said["proof"] != pairing.proof(window.folder, window.port, nonce + "q")
    assert window.ask("/hello?nonce=short", Authorization=None)[0] == 400


# --- what is too much ---


def test_a_body_that_is_too_large_is_refused_before_it_is_read(window: Open) -> None:
    status, said, _ = window.ask("/ideas", {**IDEA, "text": "x" * server.LIMIT_BYTES})
    assert (status, said["error"]) == (413, "large") and pending(window.folder) == []
    head = f"POST /ideas HTTP/1.1\r\nHost: 127.0.0.1:{window.port}\r\nAuthorization: Bearer {window.secret}\r\n"
    assert talk(window, head + "Content-Length: 999999999\r\n\r\n").startswith("HTTP/1.1 413")  # without a byte of it


@pytest.mark.parametrize(
    ("headers", "raw", "status"),
    [({"Content_Length": None}, b"", 411), ({"Transfer_Encoding": "chunked", "Content_Length": None}, b"0\r\n\r\n", 411),
     ({"Content_Length": "-1"}, b"", 411), ({"Content_Type": "text/plain"}, b"{}", 415),
     ({}, b"{", 400), ({}, b"[]", 400), ({}, b"[" * 5000, 400), ({}, b"\xff", 400), ({}, b'{"id":NaN}', 400)],
    ids=["no length", "chunked", "negative", "plain text", "broken", "a list", "deep", "not UTF-8", "NaN"],
)  # fmt: skip
def test_a_body_that_is_none_is_refused(window: Open, headers: dict, raw: bytes, status: int) -> None:
    assert window.ask("/ideas", raw=raw, verb="POST", **headers)[0] == status
    assert pending(window.folder) == []


@pytest.mark.parametrize(
    ("change", "status"),
    [({"id": "../../evil"}, 400), ({"id": ""}, 400), ({"id": 7}, 400), ({"text": " \n"}, 400), ({"text": 1}, 400),
     ({"why": []}, 413), ({"text": "x" * 10_001}, 413), ({"text": "\ud800"}, 503)],
    ids=["a path", "empty", "a number", "blank", "no text", "a list", "long", "half a letter"],
)  # fmt: skip
def test_an_idea_that_is_none_is_refused_with_a_sentence(window: Open, change: dict, status: int) -> None:
    found, said, _ = window.ask("/ideas", {**IDEA, **change})
    assert found == status and len(said["text"]) > 20
    assert pending(window.folder) == [] and not (window.place / "evil.json").exists()


@pytest.mark.parametrize(
    "path", ["/../secondshift.toml", "/%2e%2e/secondshift.toml", "//etc/passwd", "/.secondshift/window.key", "/now/../ideas"]
)
def test_no_address_leads_to_a_file(window: Open, path: str) -> None:
    status, said, _ = window.ask(path)
    assert status in (400, 404) and "command" not in json.dumps(said)


@pytest.mark.parametrize("path", ["/now?" + "&".join(f"a{n}=1" for n in range(20)), "http://[/now"], ids=["many", "half"])
def test_an_address_that_cannot_be_read_is_refused(window: Open, path: str) -> None:
    assert window.ask(path)[0] == 400


@pytest.mark.parametrize("fault", [ValueError("a\nb"), KeyError("x"), OSError("gone")], ids=repr)
def test_a_fault_of_ours_is_told_to_who_asked(window: Open, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    monkeypatch.setattr(counter.Counter, "now", lambda *_: (_ for _ in ()).throw(fault))
    status, said, _ = window.ask("/now")
    assert status == 500 and "fault of secondshift itself" in said["text"] and "\n" not in said["text"]
    assert window.ask("/ideas")[0] == 200


def test_endless_headers_end(window: Open) -> None:
    answer = talk(window, "GET /now HTTP/1.1\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(200)) + "\r\n")
    assert answer.startswith("HTTP/1.1 431")
    assert talk(window, "GET /" + "a" * 70_000 + " HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 414")


def test_a_request_that_trickles_in_is_cut_off(tmp_path: Path) -> None:
    with (
        opened(study(tmp_path / "slow", None), deadline_s=1.0) as window,
        socket.create_connection(("127.0.0.1", window.port)) as line,
    ):
        began = time.monotonic()
        line.settimeout(10)
        try:
            while time.monotonic() - began < 8:
                line.sendall(b"G")
                time.sleep(0.1)
        except OSError:
            pass
        assert time.monotonic() - began < 5
        assert window.ask("/now")[0] == 200


def test_many_silent_connections_do_not_grow_without_bound(tmp_path: Path) -> None:
    with opened(study(tmp_path / "silent", None), deadline_s=2.0) as window:
        before = threading.active_count()
        lines = [socket.create_connection(("127.0.0.1", window.port)) for _ in range(80)]
        time.sleep(0.5)
        assert threading.active_count() - before <= 2 * server.AT_ONCE
        time.sleep(2.5)
        assert window.ask("/now")[0] == 200
        for line in lines:
            line.close()


def talk(window: Open, text: str) -> str:
    """Say something to the window as it is, and hear what it says."""
    with socket.create_connection(("127.0.0.1", window.port), timeout=10) as line:
        line.sendall(text.encode())
        line.shutdown(socket.SHUT_WR)
        heard = b""
        try:
            while part := line.recv(65536):
                heard += part
        except ConnectionResetError:
            pass
    return heard.decode()


# --- ideas ---


def test_an_idea_is_a_request_in_the_spool(window: Open) -> None:
    assert window.ask("/ideas", IDEA)[:2] == (201, {"id": ID, "state": "waiting"})
    [request] = pending(window.folder)
    assert (request.id, request.verb, request.who) == (ID, "idea", request.args["author"])
    assert request.args["text"] == IDEA["text"] and request.args["why"] == "early spikes"


def test_an_idea_sent_twice_counts_once_also_when_an_engine_has_taken_it_meanwhile(window: Open) -> None:
    assert window.ask("/ideas", IDEA)[0] == 201
    assert window.ask("/ideas", IDEA)[:2] == (200, {"id": ID, "state": "waiting"})
    take_up(window)
    assert pending(window.folder) == []
    assert window.ask("/ideas", IDEA)[:2] == (200, {"id": ID, "state": "recorded"})
    assert pending(window.folder) == []


def test_many_sending_the_same_idea_at_once_make_one(window: Open) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(window.ask("/ideas", IDEA)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200] * 7 + [201] and len(pending(window.folder)) == 1


def test_an_id_that_is_another_ideas_is_a_conflict_and_changes_nothing(window: Open) -> None:
    window.ask("/ideas", IDEA)
    assert window.ask("/ideas", {**IDEA, "text": "Something else"})[0] == 409
    assert [r.args["text"] for r in pending(window.folder)] == [IDEA["text"]]


def test_a_real_engine_takes_an_idea_up_once_and_the_window_tells_what_became_of_it(tmp_path: Path) -> None:
    night = bad_night(tmp_path, shard)
    with opened(tmp_path) as window:
        assert window.ask("/ideas", IDEA)[0] == 201
        assert [one["state"] for one in window.ask("/ideas")[1]["ideas"]] == ["waiting"]
        until(night, lambda: bool(night.engine.state.ideas))
        assert window.ask("/ideas", IDEA)[:2] == (200, {"id": ID, "state": "recorded"})
        window.ask("/ideas", {"id": OTHER, "text": "둘째 생각"})
        until(night, lambda: len(night.engine.state.ideas) == 2 and pending(window.folder) == [])
        second, first = window.ask("/ideas?lang=ko")[1]["ideas"]
    assert (first["id"], first["idea"], first["text"], first["why"]) == (ID, "e1", IDEA["text"], IDEA["why"])
    assert (second["text"], second["state"], second["state_words"]) == ("둘째 생각", "open", say("ideas.state_open", "ko"))
    assert "secondshift idea e1" in first["answer"] and len(night.engine.state.ideas) == 2


def test_a_judged_idea_shows_its_gain(tmp_path: Path) -> None:
    night = Night().open()
    idea = Idea(id="e1", text="slower", author="kim", also=("lee",), candidate="c2", baseline="c1", params={"lr": 0.3})
    found = Verdict(idea="e1", candidate="c2", baseline="c1", decision="supported", ending="better", pairs=9, effect=0.0123)
    night.add(IdeaCaptured(idea=replace(idea, state="held up"), decision="d1"), VerdictReached(verdict=found))
    with opened(study(tmp_path / "judged", night.close())) as window:
        [shown] = window.ask("/ideas")[1]["ideas"]
    assert (shown["state_words"], shown["gain"], shown["pairs"], shown["authors"]) == ("held up", "+0.0123", 9, ["kim", "lee"])


def test_ideas_are_taken_before_the_first_night(window: Open) -> None:
    assert window.ask("/now")[1]["mood"] == "rests"
    assert window.ask("/ideas", IDEA)[0] == 201
    assert window.ask("/ideas")[1]["all"] == 1


def test_requests_of_other_kinds_are_no_ideas(window: Open) -> None:
    spool.put_request(window.folder, "stop", {"trial": "t4"}, "kim")
    assert window.ask("/ideas")[1] == {"ideas": [], "all": 0}


def test_a_full_or_closed_disk_is_told_and_nothing_is_acknowledged(window: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "put_request", lambda *_, **__: (_ for _ in ()).throw(server.LedgerFull()))
    status, said, _ = window.ask("/ideas", IDEA)
    assert (status, said["error"]) == (507, "storage")
    monkeypatch.undo()
    assert window.ask("/ideas", IDEA)[0] == 201


def take_up(window: Open) -> None:
    """What an engine does with the spool: record, then discard."""
    ledger = open_ledger(window.folder)
    try:
        held = Night().open().record(ledger) and ledger.lease()
        assert held is not None
        ledger.append(pending(window.folder), at=time.time(), token=held.token)
        for request in pending(window.folder):
            spool.discard(window.folder, request.id)
    finally:
        ledger.close()


SERVE = "import sys; from secondshift.interfaces.cli.main import main; main(sys.argv[1:])"


@pytest.mark.slow
def test_killing_the_server_in_the_middle_of_a_post_loses_nothing_acknowledged(tmp_path: Path) -> None:
    place = study(tmp_path / "killed", None)
    secret = pairing.new_secret(place / ".secondshift")
    acknowledged: set[str] = set()
    sent: list[str] = []
    for kill in range(8):
        process = serve(place, "--json", "--port", "0")
        assert process.stdout
        port = json.loads(process.stdout.readline())["port"]
        stop = threading.Timer(0.15 + 0.03 * kill, os.kill, (process.pid, signal.SIGKILL))
        stop.start()
        window = Open(place=place, port=port, secret=secret)
        for n in range(10_000):
            name = f"{kill:0>11}-{n:0>6}"
            sent.append(name)
            try:
                if window.ask("/ideas", {"id": name, "text": f"idea {kill}.{n}"})[0] == 201:
                    acknowledged.add(name)
            except (OSError, ValueError, http.client.HTTPException):
                break
        stop.join()
        process.communicate(timeout=20)
    waiting = [r.id for r in pending(place / ".secondshift")]
    assert acknowledged <= set(waiting) and len(acknowledged) > 20
    with opened(place, secret=secret) as window:  # and what was not acknowledged is sent again
        for name in sent:
            kill, n = name.split("-")
            assert window.ask("/ideas", {"id": name, "text": f"idea {int(kill)}.{int(n)}"})[0] in (200, 201)
    waiting = [r.id for r in pending(place / ".secondshift")]
    assert sorted(waiting) == sorted(set(sent)) and len(waiting) == len(set(waiting))


def serve(place: Path, *more: str) -> "subprocess.Popen[str]":
    """The verb in a process of its own."""
    command = [sys.executable, "-c", SERVE, "serve", "--study", str(place), *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


# --- what is shown ---


def test_the_night_is_told_in_both_languages_and_in_the_readers_zone(morning: Open) -> None:
    en, ko = morning.ask("/now?lang=en&zone=Asia/Seoul")[1], morning.ask("/now?lang=ko&zone=Asia/Seoul")[1]
    assert en["study"] == ko["study"] == "digits" and en["brief"] is True
    assert any("Best seen so far: t2" in line for line in en["lines"]) and any("가장 좋은 실험: t2" in line for line in ko["lines"])
    assert morning.ask("/now?lang=xx&zone=../../etc/passwd")[0] == 200


def test_running_trials_have_bars(tmp_path: Path) -> None:
    night = Night().open()
    night.log(night.start(night.queue({})), [2.3, 1.5, 1.1])
    with opened(study(tmp_path / "going", night)) as window:
        [bar] = window.ask("/now")[1]["running"]
    assert bar["trial"] == "t1" and bar["progress"] == pytest.approx(3 / 9) and bar["value"] == "1.1"


def test_the_brief_is_opened_by_a_ticket_once(morning: Open) -> None:
    assert morning.ask("/brief", Authorization=None)[0] == 401
    ticket = morning.ask("/ticket", {})[1]["ticket"]
    status, page, headers = morning.ask(f"/brief?ticket={ticket}&lang=ko", Authorization=None)
    assert status == 200 and '<html lang="ko">' in page and headers["Content-Type"].startswith("text/html")
    assert morning.ask(f"/brief?ticket={ticket}", Authorization=None)[0] == 401


def test_a_ticket_ends_by_itself(window: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "TICKET_S", -1.0)
    ticket = window.ask("/ticket", {})[1]["ticket"]
    assert window.ask(f"/brief?ticket={ticket}")[0] == 401


def test_no_brief_before_the_first_night_is_a_sentence(window: Open) -> None:
    ticket = window.ask("/ticket", {})[1]["ticket"]
    status, said, _ = window.ask(f"/brief?ticket={ticket}")
    assert status == 404 and "nothing to brief" in said


def test_every_answer_forbids_scripts_frames_and_caches(morning: Open) -> None:
    ticket = morning.ask("/ticket", {})[1]["ticket"]
    for path in ("/now", "/ideas", f"/brief?ticket={ticket}", "/nothing"):
        headers = morning.ask(path)[2]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "script" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert headers["Server"].strip() == "secondshift"


def test_text_of_runs_and_people_is_text(tmp_path: Path) -> None:
    night = Night(study=replace(STUDY, name=HOSTILE)).open()
    complete(night, {}, [0.5] * 9)
    args = {"text": HOSTILE + "\u202e\x1b[31m", "why": HOSTILE}
    night.add(IdeaCaptured(idea=Idea(id="e1", author=HOSTILE, **args), decision="d1"))
    with opened(study(tmp_path / "hostile", night.close())) as window:
        _, now, headers = window.ask("/now")
        assert headers["Content-Type"] == "application/json" and now["study"].startswith("<script>")  # as data; the page sets text
        [idea] = window.ask("/ideas")[1]["ideas"]
        assert idea["text"] == HOSTILE and idea["authors"] == [HOSTILE]
        ticket = window.ask("/ticket", {})[1]["ticket"]
        page = window.ask(f"/brief?ticket={ticket}")[1]
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page


def test_nothing_is_logged(window: Open, capfd: pytest.CaptureFixture[str]) -> None:
    window.ask("/now")
    window.ask("/nothing", Authorization="Bearer wrong")
    talk(window, "nonsense\r\n\r\n")
    assert capfd.readouterr() == ("", "")


# --- the verb ---


def test_the_verb_shows_a_code_once_and_ends_quietly(tmp_path: Path) -> None:
    place = study(tmp_path / "verb", None)
    code = re.compile(r'"pairing": "secondshift-(\d+)-([\w-]{43})"')
    for shown, more in ((True, ()), (False, ()), (True, ("--new-token",))):
        process = serve(place, "--json", "--port", "0", *more)
        assert process.stdout
        line = process.stdout.readline()
        found = code.search(line)
        assert bool(found) is shown, line
        if found:
            assert Open(place=place, port=int(found[1]), secret=found[2]).ask("/now")[0] == 200
        process.terminate()
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


def test_a_person_at_a_terminal_sees_the_code_once(tmp_path: Path) -> None:
    place = study(tmp_path / "typed", None)
    for shown in (True, False):
        ours, theirs = os.openpty()
        command = [sys.executable, "-c", SERVE, "serve", "--port", "0", "--lang", "ko", "--study", str(place)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        seen = ""
        while not re.search(r"secondshift-\d+-[\w-]{43}|--new-token", seen):
            seen += os.read(ours, 4096).decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        os.close(ours)
        found = re.search(r"secondshift-(\d+)-([\w-]{43})", seen)
        assert bool(found) is shown and "창을 열었습니다" in seen


def test_a_long_study_is_folded_before_anybody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(study(tmp_path / "digits", eventful())) as window:
        desk_of = counter.Counter(file=window.place / "secondshift.toml", folder=window.folder, newest_brief=newest_brief)
        desk_of.look_ahead()
        assert desk_of._sitting is not None and (seen := desk_of._sitting._desk) is not None and seen._known is not None
        desk_of.close()
        monkeypatch.setattr("secondshift.interfaces.cli.desk.open_desk", lambda _: (_ for _ in ()).throw(server.LedgerFull()))
        desk_of.look_ahead()  # nobody asked, so nobody is told
        desk_of.close()


def test_a_code_never_goes_into_a_pipe_unasked(tmp_path: Path) -> None:
    place = study(tmp_path / "piped", None)
    process = serve(place, "--port", "0")
    _, told = process.communicate(timeout=30)
    assert process.returncode == 2 and "terminal" in told and not (place / ".secondshift" / pairing.FILE).exists()


def test_a_new_code_for_a_window_that_is_open_already(tmp_path: Path) -> None:
    place = study(tmp_path / "open", None)
    with opened(place) as window:
        out, _ = serve(place, "--json", "--new-token", "--port", str(window.port)).communicate(timeout=30)
        assert window.ask("/now")[0] == 401
        renewed = json.loads(out)["pairing"].split("-", 2)[2]
        assert Open(place=place, port=window.port, secret=renewed).ask("/now")[0] == 200


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    place = study(tmp_path / "taken", None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        process = serve(place, "--json", "--port", str(other.getsockname()[1]))
        _, told = process.communicate(timeout=30)
    assert process.returncode == 2 and "--port" in told
