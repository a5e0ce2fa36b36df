"""Tracking in real processes: killed, forked, threaded, out of disk, ended by an exception."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

LOGGER = """
import secondshift, sys
run = secondshift.init()
step = 0
while True:
    for _ in range(50):
        run.log(step, loss=float(step), acc=0.5)
        step += 1
    print(step, flush=True)
"""


def test_everything_logged_before_a_sigkill_is_read(attempt):
    child = attempt.spawn(LOGGER)
    assert child.stdout is not None
    for _ in range(40):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    out, _ = child.communicate(timeout=20)
    lines = [int(line) for line in out.splitlines(keepends=True) if line.endswith("\n")]
    logged = max(lines, default=2000)
    points = attempt.points("loss", ended=True)
    assert len(points) >= logged >= 2000
    assert points == [(s, float(s)) for s in range(len(points))]
    assert attempt.notes("closed") == [] and attempt.notes("damaged", ended=True) == []


def test_a_forked_child_writes_a_file_of_its_own_and_does_not_close_for_its_parent(attempt):
    code, out, err = attempt.play("""
import os, secondshift, signal, sys
run = secondshift.init()
run.log(0, loss=0.0)
for child in (1, 2, 3):
    if os.fork() == 0:
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        for step in range(100):
            run.log(child * 1000 + step, loss=float(child))
        run.close() if child == 1 else None
        sys.exit(0) if child < 3 else os._exit(0)
for _ in range(3):
    os.wait()
run.log(1, loss=1.0)
run.close()
""")
    assert (code, err) == (0, ""), out
    assert sorted(s for s, _ in attempt.points("loss")) == [
        0,
        1,
        *(c * 1000 + s for c in (1, 2, 3) for s in range(100)),
    ]
    assert attempt.notes("closed") == [{"clean": True, "stopping": False, "steps_done": 2}]
    assert sorted(note["worker"] for note in attempt.notes("hello")) == [False, True, True, True]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children_log_and_still_die_by_sigterm(attempt, tmp_path, method):
    script = tmp_path / "train.py"
    script.write_text(f"""
import multiprocessing, secondshift, time
def work(ready, step):
    run = secondshift.init()
    run.log(step, loss=float(step))
    ready.release()
    if step == 2:
        time.sleep(60)
if __name__ == "__main__":
    run = secondshift.init()
    context = multiprocessing.get_context("{method}")
    ready = context.Semaphore(0)
    children = [context.Process(target=work, args=(ready, step)) for step in (1, 2)]
    [child.start() for child in children]
    assert all(ready.acquire(timeout=20) for _ in children)
    children[1].terminate()
    [child.join(20) for child in children]
    assert [child.exitcode for child in children] == [0, -15], [child.exitcode for child in children]
    run.log(3, loss=3.0)
    run.close()
""")
    code, out, err = attempt.play(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')")
    assert code == 0, out + err
    assert sorted(attempt.points("loss")) == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert [note for note in attempt.notes("closed") if note["clean"]] == [
        {"clean": True, "stopping": False, "steps_done": 4}
    ]


def test_four_threads_lose_no_point(attempt):
    code, _, err = attempt.play("""
import secondshift, sys, threading
sys.setswitchinterval(1e-6)
run = secondshift.init()
def work(k):
    for step in range(5000):
        run.log(step, **{f"m{k}": float(step), "shared": float(k)})
threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
run.close()
""")
    assert (code, err) == (0, "")
    for k in range(4):
        assert attempt.points(f"m{k}") == [(s, float(s)) for s in range(5000)]
    assert len(attempt.points("shared")) == 20_000 and attempt.notes("damaged", ended=True) == []


def test_threads_that_log_while_another_forks_neither_hang_nor_lose_points(attempt):
    code, _, err = attempt.play("""
import os, secondshift, threading
run = secondshift.init()
done = threading.Event()
counts = []
def work():
    step = 0
    while not done.is_set():
        run.log(step, parent=1.0)
        step += 1
    counts.append(step)
thread = threading.Thread(target=work)
thread.start()
for child in range(30):
    pid = os.fork()
    if pid == 0:
        run.log(child, child=1.0)
        os._exit(0)
    os.waitpid(pid, 0)
done.set(); thread.join()
run.log(counts[0], total=counts[0])
run.close()
""")
    assert (code, err) == (0, "")
    assert len(attempt.points("child")) == 30
    assert len(attempt.points("parent")) == attempt.points("total")[0][1]


def test_a_file_size_limit_costs_points_that_are_counted_and_training_goes_on(attempt):
    code, out, err = attempt.play("""
import resource, secondshift, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
run = secondshift.init()
for step in range(50_000):
    run.log(step, loss=float(step))
with run.checkpoint(9) as folder:
    (folder / "model").write_bytes(b"x" * 50_000)
print("trained", run.dropped, flush=True)
run.close()
""")
    assert code == 0 and out.startswith("trained"), err
    read = attempt.points("loss", ended=True)
    lost = sum(int(note["points"]) for note in attempt.notes("dropped", ended=True))
    assert read == [(s, float(s)) for s in range(len(read))] and len(read) > 100
    assert len(read) + lost == 50_000
    assert err.count("cannot be written") == 1 and list(attempt.checkpoints.glob("step-*")) == []


def test_a_folder_that_may_not_be_written_never_raises_and_is_said_once(attempt):
    with tempfile.TemporaryDirectory() as place:  # where nobody may look: pytest's own folders are private to root
        os.chmod(place, 0o755)
        attempt.folder = Path(place) / "a" / "t1.a1"
        attempt.folder.mkdir(parents=True)
        attempt.checkpoints = Path(place) / "checkpoints"
        attempt.order(horizon_steps=100)
        attempt.folder.chmod(0o555)
        os.chmod(place, 0o555)
        code, out, err = attempt.play(
            """
import os, secondshift
secondshift.Run
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
run = secondshift.init()
assert run.params(lr=1).lr == 1 and run.restore() is None
for step in range(100):
    run.log(step, loss=1.0)
with run.checkpoint(100) as folder:
    (folder / "x").write_text("x")
run.close()
print("trained")
""",
            PYTHONDONTWRITEBYTECODE="1",
        )
        os.chmod(place, 0o755)
        attempt.folder.chmod(0o755)
    assert (code, out) == (0, "trained\n"), err
    assert err.count("cannot be written") == 1 and "Permission denied" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_really_full_disk_costs_nothing_but_what_was_counted(attempt, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this container may not mount")
    try:
        attempt.folder, attempt.checkpoints = disk / "a" / "t1.a1", disk / "checkpoints"
        attempt.folder.mkdir(parents=True)
        attempt.order(horizon_steps=10**6)
        code, out, err = attempt.play(f"""
import os, secondshift, time
run = secondshift.init()
with run.checkpoint(1) as folder:
    (folder / "model").write_bytes(b"good" * 1000)
ballast = os.open({str(disk / "ballast")!r}, os.O_CREAT | os.O_WRONLY)
try:
    while True:
        os.write(ballast, bytes(4096))
except OSError:
    os.close(ballast)
for step in range(1000):
    run.log(step, loss=float(step))
with run.checkpoint(2) as folder:
    (folder / "model").write_bytes(bytes(100_000))
print("full", len(os.listdir({str(attempt.folder)!r})), flush=True)
os.unlink({str(disk / "ballast")!r})
time.sleep(0.25)
run.log(1000, loss=1000.0)
with run.checkpoint(3) as folder:
    (folder / "model").write_bytes(b"good" * 1000)
print(run.restore().step, run.dropped)
run.close()
""")
        assert code == 0 and out.splitlines()[-1] == "3 0", out + err
        assert attempt.points("loss", ended=True) == [(s, float(s)) for s in range(1001)]
        assert sorted(path.name for path in attempt.checkpoints.iterdir()) == ["step-1", "step-3"]
        assert attempt.notes("unsaved", ended=True)[0]["step"] == 2
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_sigterm_leads_to_a_checkpoint_and_a_polite_end(attempt):
    child = attempt.spawn("""
import secondshift, time
with secondshift.init() as run:
    for step in range(run.horizon):
        run.log(step, loss=1.0)
        print(step, flush=True)
        time.sleep(0.01)
        if run.checkpoint_due(step):
            with run.checkpoint(step + 1) as folder:
                (folder / "model").write_text(str(step))
            if run.stopping:
                break
""")
    assert child.stdout is not None
    child.stdout.readline()
    os.kill(child.pid, signal.SIGTERM)
    _, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (0, "")
    (closed,) = attempt.notes("closed")
    assert closed["clean"] and closed["stopping"] and closed["steps_done"] == attempt.notes("saved")[-1]["step"]


@pytest.mark.parametrize(("end", "code"), [("raise ValueError('mine')", 1), ("sys.exit(0)", 0), ("", 0)])
def test_a_script_that_never_closes_is_not_said_to_have_closed_cleanly(attempt, end, code):
    script = f"import secondshift, sys\nrun = secondshift.init()\nrun.log(6, loss=1.0)\n{end}"
    assert attempt.play(script)[0] == code
    assert attempt.notes("closed") == [{"clean": False, "stopping": False, "steps_done": 7}]


def test_the_end_of_a_script_with_a_hundred_thousand_points_costs_little(attempt):
    code, out, err = attempt.play("""
import os, secondshift, time
run = secondshift.init()
for step in range(10_000):
    run.log(step, **{f"metric_{i}": float(i) for i in range(10)})
import atexit
atexit._run_exitfuncs, begun = atexit._run_exitfuncs, time.perf_counter()
atexit._run_exitfuncs()
print(time.perf_counter() - begun)
""")
    assert code == 0 and float(out) < 0.2, err
    assert sum(path.stat().st_size for path in attempt.folder.glob("*.frag")) <= 1_400_000
    assert sum(len(b.steps) for c in attempt.chunks() for b in c.batches if b.metric != "_wall_s") == 100_000


def test_a_handler_of_the_script_that_logs_during_a_log_call_does_not_hang(attempt):
    code, _, err = attempt.play("""
import secondshift, signal
run = secondshift.init()
count = 0
def handler(*_):
    global count
    count += 1
    run.log(count, signals=1.0)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for step in range(40_000):
    run.log(step, loss=1.0)
signal.setitimer(signal.ITIMER_REAL, 0)
run.log(0, total=count)
run.close()
""")
    assert (code, err) == (0, "")
    assert len(attempt.points("loss")) == 40_000
    assert len(attempt.points("signals")) == attempt.points("total")[0][1] > 10
