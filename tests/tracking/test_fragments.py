"""What happens to points when their file cannot be written."""

import errno
import os
import shutil
import time

import secondshift
from secondshift.runtime.readers.fragments import collect_folder
from secondshift.tracking import fragments


def full_disk(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def total_dropped(attempt) -> int:
    return sum(int(note["points"]) for note in attempt.notes("dropped", ended=True))


def test_points_logged_while_the_disk_is_full_for_a_while_all_arrive(attempt, monkeypatch):
    run = secondshift.init()
    run.log(0, loss=0.0)
    monkeypatch.setattr(fragments.os, "write", full_disk)
    for step in range(1, 50):
        run.log(step, loss=float(step))
    assert total_dropped(attempt) == 49  # what would be lost if the process were killed now
    monkeypatch.undo()
    time.sleep(fragments.RETRY_S)
    run.log(50, loss=50.0)
    assert attempt.points("loss") == [(s, float(s)) for s in range(51)]
    run.close()
    assert run.dropped == total_dropped(attempt) == 0


def test_a_frame_that_was_written_in_part_is_completed_later(attempt, monkeypatch):
    run = secondshift.init()
    write = os.write
    monkeypatch.setattr(fragments.os, "write", lambda fd, data: write(fd, data[:11]))
    run.log(0, loss=0.0)
    monkeypatch.setattr(fragments.os, "write", full_disk)
    run.log(1, loss=1.0)
    assert attempt.points("loss") == []
    monkeypatch.undo()
    run.close()
    assert attempt.points("loss") == [(0, 0.0), (1, 1.0)] and attempt.notes("damaged", ended=True) == []


def test_beyond_what_memory_holds_points_are_dropped_and_told_when_writing_works_again(attempt, monkeypatch, capsys):
    monkeypatch.setattr(fragments, "PENDING_CAP", 2000)
    run = secondshift.init()
    monkeypatch.setattr(fragments.os, "write", full_disk)
    for step in range(100):
        run.log(step, loss=float(step))
    assert 0 < run.dropped < 100
    assert total_dropped(attempt) == 100
    monkeypatch.undo()
    time.sleep(fragments.RETRY_S)
    run.log(100, loss=1.0)
    assert len(attempt.points("loss")) + run.dropped == 101
    assert total_dropped(attempt) == run.dropped
    assert not list(attempt.folder.glob("*.dropped"))
    run.close()
    assert len([line for line in capsys.readouterr().err.splitlines() if "cannot be written" in line]) == 1


def test_a_loss_that_can_never_be_written_stands_in_a_files_name_and_is_read_once(attempt, monkeypatch):
    monkeypatch.setattr(fragments.os, "write", full_disk)
    run = secondshift.init()
    for step in range(5):
        run.log(step, a=1.0, b=2.0)
    run.close()
    (mark,) = attempt.folder.glob("*.dropped")
    assert mark.stat().st_size == 0
    chunk = next(c for c in attempt.chunks(ended=True) if c.fragment == mark.name)
    assert chunk.notes[0].values["points"] == 10 and (chunk.start, chunk.end) == (0, 1)
    assert not collect_folder(attempt.folder, {mark.name: 1}, trial="t1", attempt="t1.a1", ended=True)
    assert not attempt.chunks()  # while it runs, the count may still change


def test_a_script_that_closes_our_descriptor_loses_nothing_and_no_file_of_its_own_is_touched(attempt, tmp_path):
    run = secondshift.init()
    run.log(0, loss=0.0)
    os.close(run._fragment._fd)
    own = [os.open(tmp_path / f"own-{i}", os.O_CREAT | os.O_WRONLY) for i in range(40)]
    for step in range(1, 5):
        run.log(step, loss=float(step))
    run.close()
    for descriptor in own:
        os.close(descriptor)
    assert attempt.points("loss") == [(s, float(s)) for s in range(5)]
    assert not any(path.stat().st_size for path in tmp_path.glob("own-*")) and run.dropped == 0


def test_a_deleted_fragment_is_noticed_counted_and_replaced(attempt, monkeypatch):
    monkeypatch.setattr(fragments, "CHECK_S", 0.0)
    run = secondshift.init()
    run.log(0, loss=0.0)
    for path in attempt.folder.glob("*.frag"):
        path.unlink()
    run.log(1, loss=1.0)
    run.log(2, loss=2.0)
    run.close()
    assert attempt.points("loss") == [(1, 1.0), (2, 2.0)]
    assert run.dropped == total_dropped(attempt) == 1


def test_a_deleted_folder_never_raises(attempt, monkeypatch, capsys):
    monkeypatch.setattr(fragments, "CHECK_S", 0.0)
    run = secondshift.init()
    run.log(0, loss=0.0)
    shutil.rmtree(attempt.folder)
    for step in range(1, 10):
        run.log(step, loss=1.0)
        run.eval_due(step), run.checkpoint_due(step), run.stopping
    assert run.restore() is None
    run.close()
    assert "deleted" in capsys.readouterr().err


def test_notes_that_are_not_plain_json_are_counted_and_never_raise(attempt):
    run = secondshift.init()
    p = run.params(model=object(), path=b"bytes", huge=10**30, flag=True, nothing=None)
    assert p.huge == 10**30
    (note,) = attempt.notes("params")
    assert note["huge"] == str(10**30) and note["flag"] is True and note["nothing"] == "None"
    run.params(x="y" * 300_000)
    assert len(attempt.notes("params")[-1]["x"]) == 2000
