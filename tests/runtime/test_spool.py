"""The spool keeps every request it acknowledged, once, and never stumbles over what others left in it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from secondshift.errors import FolderReadOnly, SecondshiftError
from secondshift.runtime import spool
from secondshift.runtime.spool import LIMIT_BYTES, RequestInvalid, discard, pending, put_request

ASK_FOREVER = """
import sys
from secondshift.runtime.spool import put_request
while True:
    print(put_request(sys.argv[1], "stop", {"trial": "t1", "now": True}, "soak"), flush=True)
"""


def put_file(folder: Path, name: str, content: bytes) -> None:
    (folder / "spool").mkdir(parents=True, exist_ok=True)
    (folder / "spool" / name).write_bytes(content)


def whys(folder: Path) -> str:
    return "".join(file.read_text() for file in sorted((folder / "spool" / "refused").glob("*.why.txt")))


def test_a_request_waits_until_it_is_discarded(tmp_path: Path) -> None:
    request = put_request(tmp_path, "stop", {"trial": "t7", "share": 0.5, "now": True, "n": 3}, "minji")
    [seen] = pending(tmp_path)
    assert (seen.id, seen.verb, seen.who) == (request, "stop", "minji")
    assert seen.args == {"trial": "t7", "share": 0.5, "now": True, "n": 3} and seen.args["now"] is True
    assert abs(seen.asked_at - time.time()) < 60
    assert [r.id for r in pending(tmp_path)] == [request]
    discard(tmp_path, request)
    discard(tmp_path, request)
    assert pending(tmp_path) == []


def test_requests_come_back_in_the_order_in_which_they_were_made(tmp_path: Path) -> None:
    made = [put_request(tmp_path, "idea", {"n": n}, "a") for n in range(50)]
    assert [r.id for r in pending(tmp_path)] == made == sorted(set(made))
    assert [r.args["n"] for r in pending(tmp_path)] == list(range(50))


def test_asking_again_under_an_id_of_ones_own_is_asking_once(tmp_path: Path) -> None:
    own = "1x5k0q2b9d0-abcdef"
    (tmp_path / "spool" / "tmp").mkdir(parents=True)
    (tmp_path / "spool" / "tmp" / f"{own}.json").write_text("an asker was killed here")
    for _ in range(2):
        assert put_request(tmp_path, "idea", {"text": "x"}, "kim", name=own) == own
    assert [r.id for r in pending(tmp_path)] == [own]
    for bad in ("../x", "x", own.upper(), own + "/", own + "-abcdef", f"{own}\n"):
        with pytest.raises(RequestInvalid, match="is not one of a request"):
            put_request(tmp_path, "idea", {}, "kim", name=bad)


def test_threads_asking_at_once_get_ids_of_their_own(tmp_path: Path) -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend(put_request(tmp_path, "idea", {}, "a") for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(set(made)) == 80 == len(pending(tmp_path))


def test_an_asker_killed_anywhere_leaves_whole_requests_and_all_it_acknowledged(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(spool.__file__).parents[2])}
    for pause_s in (0.0, 0.013, 0.031):
        command = [sys.executable, "-c", ASK_FOREVER, str(tmp_path)]
        asker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert asker.stdout is not None
        first = asker.stdout.readline().strip()
        time.sleep(pause_s)
        asker.send_signal(signal.SIGKILL)
        rest, _ = asker.communicate(timeout=10)
        acknowledged = {first, *(line for line in rest.split("\n")[:-1])}
        there = pending(tmp_path)
        assert acknowledged <= {r.id for r in there}
        assert all(r.verb == "stop" and r.args == {"trial": "t1", "now": True} for r in there)
    assert not (tmp_path / "spool" / "refused").exists()


def test_a_request_still_being_written_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "spool" / "tmp").mkdir(parents=True)
    (tmp_path / "spool" / "tmp" / "half.json").write_bytes(b'{"format": 1, "id"')
    assert pending(tmp_path) == []
    assert (tmp_path / "spool" / "tmp" / "half.json").exists()


def test_a_request_is_synced_before_it_becomes_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    fsync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append("sync"), fsync(handle))[1])
    monkeypatch.setattr(os, "rename", lambda a, b: (seen.append("rename"), rename(a, b))[1])
    put_request(tmp_path, "stop", {}, "a")
    assert seen == ["sync", "rename", "sync"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, ""),
        (b"null", "format 1"),
        (b'{"format": 2}', "newer secondshift"),
        (b'{"format": 1, "id": "other"}', "the file's name"),
        (b'{"format": 1, "id": "bad", "args": [], "asked_at": 1}', "arguments"),
        (b'{"format": 1, "id": "bad", "args": {}, "asked_at": 1, "who": "a"}', "verb"),
        (b'{"format": 1, "id": "bad", "args": {}, "asked_at": 1, "who": "a", "verb": "\\ud800"}', "UTF-8"),
        (b'{"format": 1, "id": "bad", "args": {"x": NaN}, "asked_at": 1, "who": "a", "verb": "stop"}', "finite"),
        (b'{"format": 1, "id": "bad", "args": {"x": [1]}, "asked_at": 1, "who": "a", "verb": "stop"}', "list"),
        (b'{"format": 1, "id": "bad", "args": {"x": 9223372036854775808}, "asked_at":1,"who": "a", "verb": "v"}', "64"),
        (b" " * (LIMIT_BYTES + 1), "bytes"),
    ],
)
def test_a_damaged_file_is_moved_aside_with_a_sentence_and_the_others_are_read(
    tmp_path: Path, content: bytes, said: str
) -> None:
    put_file(tmp_path, "bad.json", content)
    good = put_request(tmp_path, "stop", {}, "a")
    assert [r.id for r in pending(tmp_path)] == [good]
    assert said in whys(tmp_path)
    assert (tmp_path / "spool" / "refused" / "bad.json").read_bytes() == content
    assert not (tmp_path / "spool" / "bad.json").exists()


def test_links_pipes_and_folders_are_refused_without_being_opened(tmp_path: Path) -> None:
    (tmp_path / "spool" / "folder.json").mkdir(parents=True)
    os.mkfifo(tmp_path / "spool" / "pipe.json")
    (tmp_path / "secret").write_text(json.dumps({"format": 1}))
    (tmp_path / "spool" / "link.json").symlink_to(tmp_path / "secret")
    assert pending(tmp_path) == []
    refused = sorted(file.name for file in (tmp_path / "spool" / "refused").glob("*.json"))
    assert refused == ["folder.json", "link.json", "pipe.json"]
    assert (tmp_path / "secret").exists()


@pytest.mark.parametrize("args", [{"x": float("nan")}, {"x": [1]}, {"x": None}, {"x": "\ud800"}, {"x": 2**70}])
def test_what_the_engine_would_refuse_is_refused_while_someone_listens(tmp_path: Path, args: dict) -> None:
    with pytest.raises(RequestInvalid, match="stop"):
        put_request(tmp_path, "stop", args, "a")
    assert pending(tmp_path) == [] and not (tmp_path / "spool").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spool").write_text("in the way")
    with pytest.raises(SecondshiftError, match="spool"):
        put_request(tmp_path, "stop", {}, "a")

    def read_only(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "fsync", read_only)
    with pytest.raises(FolderReadOnly, match="writable"):
        put_request(tmp_path / "other", "stop", {}, "a")


def test_no_spool_is_an_empty_one(tmp_path: Path) -> None:
    assert pending(tmp_path / "nowhere") == []
    discard(tmp_path / "nowhere", "x")
