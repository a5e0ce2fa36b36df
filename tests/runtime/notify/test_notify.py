"""A brief reaches each channel once; a channel that fails is a sentence and an incident, never the end of a shift."""

import base64
import email
import email.policy
import importlib.util
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from secondshift.records import events as facts
from secondshift.records.addresses import mistake
from secondshift.records.studies import Notify
from secondshift.runtime.notify.channels import send
from secondshift.runtime.notify.letters import Letter
from secondshift.shifts import leave_owed_brief, send_owed_brief
from simulated_nights import Night, study

LETTER = Letter(
    id="s1-1", name="night-s1", subject="Brief of 밤, shift s1", text="# Brief\n지난밤\n", html="<p>지난밤</p>",
    document=json.dumps({"shift": "s1", "title": "지난밤"}),
)  # fmt: skip
SECRET = "sk3rb2Fz8Qw9LmN4pT7vXy1A"


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@contextmanager
def webhook(*answers: int) -> Iterator[tuple[str, list[tuple[dict, bytes]]]]:
    got: list[tuple[dict, bytes]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers[min(len(got), len(answers)) - 1])
            self.send_header("Content-Length", "0")
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Hook)) as port:
        yield f"http://127.0.0.1:{port}/night", got


@contextmanager
def mail_server(*, refuse: bool = False, busy: int = 0) -> Iterator[tuple[int, list[dict]]]:
    """A mail server that speaks SMTP as far as a sender needs it."""
    got: list[dict] = []
    calls = [0]

    class Smtp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            said = {"to": [], "data": b""}
            self.reply("220 here")
            calls[0] += 1
            while line := self.rfile.readline().strip().decode():
                verb = line[:4].upper()
                if verb == "EHLO":
                    self.reply("250-here", "250 8BITMIME")
                elif verb == "MAIL" and calls[0] <= busy:
                    self.reply("451 come back later")
                elif verb == "RCPT":
                    said["to"].append(line)
                    self.reply("550 nobody here" if refuse else "250 ok")
                elif verb == "DATA":
                    self.reply("354 go on")
                    lines = []
                    while (row := self.rfile.readline()) != b".\r\n":
                        lines.append(row.removeprefix(b".") if row.startswith(b"..") else row)
                    got.append({**said, "data": b"".join(lines)})
                    self.reply("250 taken")
                else:
                    self.reply("221 bye" if verb == "QUIT" else "250 ok")
                    if verb == "QUIT":
                        return

        def reply(self, *lines: str) -> None:
            self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp)) as port:
        yield port, got


def test_a_file_channel_writes_the_page_into_a_folder_or_over_a_file_by_its_ending(tmp_path: Path) -> None:
    assert send(f"file:{tmp_path}/briefs", LETTER, {}).sent
    assert (tmp_path / "briefs" / "night-s1.html").read_text("utf-8") == LETTER.html
    assert send(f"file://{tmp_path}/last.json", LETTER, {}).sent
    assert json.loads((tmp_path / "last.json").read_text("utf-8"))["shift"] == "s1"
    assert send(f"file:{tmp_path}/last.md", LETTER, {}).sent and (tmp_path / "last.md").read_text("utf-8") == LETTER.text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["briefs", "last.json", "last.md"]


def test_a_webhook_gets_the_briefs_json_and_is_tried_again_with_the_same_key_while_it_is_busy() -> None:
    with webhook(503, 200) as (address, got):
        outcome = send(address, LETTER, {}, pauses_s=(0.0, 0.0))
    assert outcome.sent and outcome.detail == "answered 200"
    assert [json.loads(body)["title"] for _, body in got] == ["지난밤", "지난밤"]
    assert {headers["Idempotency-Key"] for headers, _ in got} == {"s1-1"}


@pytest.mark.parametrize(("answer", "tries"), [(404, 1), (302, 1), (500, 3), (429, 3)])
def test_a_webhook_that_refuses_is_not_tried_again_and_never_followed_elsewhere(answer: int, tries: int) -> None:
    with webhook(answer) as (address, got):
        outcome = send(address, LETTER, {}, pauses_s=(0.0, 0.0))
    assert not outcome.sent and str(answer) in outcome.detail and len(got) == tries


def test_the_user_and_password_of_a_webhook_are_shown_in_a_header_and_not_in_the_address() -> None:
    with webhook(200) as (address, got):
        outcome = send("env:HOOK", LETTER, {"HOOK": address.replace("//", "//kim:p%40ss@")})
    assert outcome.sent and got[0][0]["Authorization"] == "Basic " + base64.b64encode(b"kim:p@ss").decode()
    assert "kim" not in got[0][0]["Host"]


def test_a_mail_holds_text_and_page_and_names_its_brief() -> None:
    with mail_server(busy=1) as (port, got):
        outcome = send(f"mailto:kim@lab.org,lee@lab.org?server=127.0.0.1:{port}&from=night@lab.org", LETTER, {}, pauses_s=(0.0,))
    assert outcome.sent, outcome.detail
    (taken,) = got
    mail = email.message_from_bytes(taken["data"], policy=email.policy.default)
    assert mail["Subject"] == LETTER.subject and mail["To"] == "kim@lab.org, lee@lab.org" and "s1-1" in mail["Message-ID"]
    assert len(taken["to"]) == 2
    assert "지난밤" in mail.get_body(("plain",)).get_content() and "<p>지난밤" in mail.get_body(("html",)).get_content()


def test_a_mail_that_is_refused_says_so() -> None:
    with mail_server(refuse=True) as (port, got):
        outcome = send(f"mailto:kim@lab.org?server=127.0.0.1:{port}", LETTER, {}, pauses_s=())
    assert not outcome.sent and "550" in outcome.detail and not got


def test_a_password_is_never_sent_in_the_clear() -> None:
    address = "mailto:kim@lab.org?server=127.0.0.2:1&user=kim&password=hunter22"
    with mail_server() as (port, _):
        outcome = send("env:M", LETTER, {"M": address.replace("127.0.0.2:1", f"127.0.0.2:{port}")}, pauses_s=())
    assert not outcome.sent and "hunter22" not in outcome.detail


def test_a_secret_address_comes_from_the_environment_and_is_masked_whatever_goes_wrong() -> None:
    address = f"http://kim:{SECRET}@127.0.0.1:1/hooks/{SECRET}?key={SECRET}"
    outcome = send("env:HOOK", LETTER, {"HOOK": address}, pauses_s=())
    assert not outcome.sent and SECRET not in outcome.detail and outcome.detail
    assert "HOOK is not set" in send("env:HOOK", LETTER, {}).detail


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # in apprise itself
def test_apprise_hands_the_brief_to_a_service_that_it_knows() -> None:
    pytest.importorskip("apprise", reason="the extra notify is not installed")
    with webhook(200) as (address, got):
        outcome = send(address.replace("http://", "json://"), LETTER, pauses_s=())
    assert outcome.sent and outcome.detail == "taken by apprise"
    sent = json.loads(got[0][1])
    assert sent["title"] == LETTER.subject and "지난밤" in sent["message"]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # in apprise itself
def test_a_service_that_refuses_what_apprise_hands_over_is_an_outcome_without_its_secret() -> None:
    pytest.importorskip("apprise", reason="the extra notify is not installed")
    with webhook(403) as (address, got):
        outcome = send(address.replace("http://", f"json://kim:{SECRET}@"), LETTER, pauses_s=())
    assert got and not outcome.sent and "refused" in outcome.detail and SECRET not in outcome.detail


@pytest.mark.skipif(importlib.util.find_spec("apprise") is not None, reason="the extra `notify` is installed here")
def test_any_other_service_needs_the_optional_package_and_says_how_to_get_it() -> None:
    assert "secondshift[notify]" in send("env:X", LETTER, {"X": "ntfy://topic"}).detail


@pytest.mark.parametrize(
    "channel",
    ["file:", "https://", "mailto:", "mailto:kim", "slack://a/b/c", "env:", "env:A-B", f"https://hooks.example.org/{SECRET}",
     "https://kim:pw@example.org/x", "https://example.org/x?token=1", "mailto:k@l.org?user=k&password=p", "mailto:k@l?to=x",
     "http://[::1"],
)  # fmt: skip
def test_a_study_file_names_no_address_that_is_wrong_or_holds_a_secret(channel: str) -> None:
    assert mistake(channel)


@pytest.mark.parametrize(
    "channel", ["file:/b", "file:~/b.html", "https://example.org/hook", "env:HOOK", "mailto:k@l.org?server=h:25&tls=ssl"]
)
def test_a_plain_address_is_fine(channel: str) -> None:
    assert not mistake(channel)


def written(folder: Path, ledger: object, state: object, shift: str) -> tuple[str, ...]:
    (folder / "briefs").mkdir(exist_ok=True)
    for kind in ("md", "html", "json"):
        (folder / "briefs" / f"{shift}.{kind}").write_text(f"# Brief of night, shift {shift}")
    return (f"briefs/{shift}.md",)


def after_a_shift(folder: Path, *channels: str) -> Night:
    for name in ("spool/tmp", "attempts", "trials"):
        (folder / name).mkdir(parents=True)
    night = Night(folder, study(notify=Notify(channels=channels)))
    night.run()
    return night


def test_each_channel_is_sent_to_once_although_the_engine_dies_between_two(tmp_path: Path) -> None:
    night = after_a_shift(tmp_path, f"file:{tmp_path}/a.md", f"file:{tmp_path}/b.md")
    leave_owed_brief(night.engine, written)
    (tmp_path / "a.md").unlink()
    state = night.engine.state
    night.take_over(state)
    leave_owed_brief(night.engine, written)
    leave_owed_brief(night.engine, written)
    sent = night.payloads(facts.BriefSent)
    assert [(s.shift, s.channel.rpartition("/")[2], s.outcome) for s in sent] == [("s1", "a.md", "sent"), ("s1", "b.md", "sent")]
    assert not (tmp_path / "a.md").exists(), "it was sent again"
    assert len(night.payloads(facts.BriefWritten)) == 1


def test_an_engine_that_died_before_it_sent_owes_the_brief(tmp_path: Path) -> None:
    night = after_a_shift(tmp_path, f"file:{tmp_path}/a.md")
    night.engine.record([facts.BriefWritten(shift="s1", files=written(tmp_path, None, None, "s1"))])
    night.take_over(night.engine.state)
    leave_owed_brief(night.engine, written)
    assert (tmp_path / "a.md").exists() and len(night.payloads(facts.BriefSent)) == 1


def test_a_channel_added_after_the_brief_gets_the_next_one(tmp_path: Path) -> None:
    night = after_a_shift(tmp_path)
    leave_owed_brief(night.engine, written)
    more = replace(study(), notify=Notify(channels=(f"file:{tmp_path}/a.md",)))
    night.engine.record([facts.StudyAmended(study=more, changed=("notify.channels",))])
    send_owed_brief(night.engine)
    assert not night.payloads(facts.BriefSent) and not (tmp_path / "a.md").exists()


def test_a_channel_that_fails_is_an_incident_and_the_others_are_sent_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    night = after_a_shift(tmp_path, f"file:{tmp_path}/file/below/b.md", f"file:{tmp_path}/good.md")
    leave_owed_brief(night.engine, written)
    assert [s.outcome for s in night.payloads(facts.BriefSent)] == ["failed", "sent"]
    (incident,) = (i.incident for i in night.payloads(facts.IncidentOpened))
    assert "could not be sent" in incident.finding and incident.closed
    assert not night.engine.state.incidents and (tmp_path / "good.md").exists()


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # in apprise itself
def test_apprise_hands_a_page_on_as_plain_text() -> None:
    pytest.importorskip("apprise", reason="the extra notify is not installed")
    page = replace(LETTER, html="", text="What: t1: *not* _markdown_")
    with webhook(200) as (address, got):
        assert send(address.replace("http://", "json://"), page, pauses_s=()).sent
    assert "*not* _markdown_" in json.loads(got[0][1])["message"]


def test_a_page_by_mail_is_text_alone(tmp_path: Path) -> None:
    page = replace(LETTER, html="", text="What: t1")
    with mail_server() as (port, got):
        assert send(f"mailto:kim@lab.org?server=127.0.0.1:{port}", page, {}, pauses_s=()).sent
    mail = email.message_from_bytes(got[0]["data"], policy=email.policy.default)
    assert not mail.is_multipart() and mail.get_content().strip() == "What: t1"
