"""Attempts as real processes: whatever script, engine or supervisor do, each attempt ends once and leaves nobody."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from secondshift.errors import DeviceBusy, LeaseLost
from secondshift.records.orders import Order
from secondshift.records.trials import Exit
from secondshift.runtime.devices import DevicePool
from secondshift.runtime.executors.attempt_files import read_object, to_json
from secondshift.runtime.executors.folders import write_order
from secondshift.runtime.executors.local import SUPERVISOR, LocalExecutor
from secondshift.runtime.executors.processes import alive, boot_id, start_ticks
from secondshift.runtime.executors.remains import sweep
from secondshift.testing.executor_conformance import attempt_of, exit_of

PATIENCE_S = 20.0
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(os.environ["SECONDSHIFT_OUT"] + "/daemon.tmp", "w").write(str(os.getpid()))
        os.rename(os.environ["SECONDSHIFT_OUT"] + "/daemon.tmp", os.environ["SECONDSHIFT_OUT"] + "/daemon")
        os.execve("/bin/sleep", ["sleep", "300"], {} if sys.argv[1] == "cleared" else os.environ)
    os._exit(0)
os.wait()
while not os.path.exists(os.environ["SECONDSHIFT_OUT"] + "/daemon"):
    time.sleep(0.01)
time.sleep(float(sys.argv[2]))
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"


class Bench:
    """One study folder and its executor, with the few acts that the tests are made of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.executor = self.another()

    def another(self, **settings: float) -> LocalExecutor:
        """Make an executor over the same files, as an engine that starts again does."""
        return LocalExecutor(self.folder, pool=DevicePool(["cpu-0", "cpu-1"]), fingerprint=lambda _: {}, **settings)

    def order(self, *command: str, trial: str = "t1") -> Order:
        """Order a command under token 5, with 20 s and a short grace."""
        return Order(
            attempt=f"{trial}.a1", trial=trial, number=1, token=5, command=command, cwd=str(self.folder.parent),
            folder=str(self.folder / "attempts" / f"{trial}.a1"), checkpoints=str(self.folder / "c"),
            grant_s=PATIENCE_S, grace_s=0.3,
        )  # fmt: skip

    def python(self, code: str, *arguments: str) -> Order:
        """Order a Python script that starts fast."""
        return self.order(sys.executable, "-I", "-S", "-c", code, *arguments)

    def read(self, order: Order, name: str) -> dict:
        """Wait for one of the attempt's JSON files."""
        path = os.path.join(order.folder, name)
        wait_for(lambda: bool(read_object(path)), f"{name} of {order.attempt}")
        return read_object(path)

    def hear(self, order: Order, word: str) -> None:
        """Wait until the script has printed a word."""
        path = Path(order.folder, "output.log")
        wait_for(lambda: path.exists() and word in path.read_text(), f"{word!r} in the output")

    def daemon(self, order: Order) -> tuple[int, int]:
        """Wait for the daemon of the script DAEMON; return its pid and start time."""
        path = Path(order.folder, "out", "daemon")
        wait_for(path.exists, "the daemon")
        pid = int(path.read_text())
        return pid, start_ticks(pid)

    def end(self, order: Order, executor: LocalExecutor | None = None) -> Exit:
        """Poll until the attempt has ended."""
        found = []
        wait_for(lambda: bool(found.extend(self.signs(order, executor)) or ended(found)), f"the end of {order.attempt}")
        return exit_of(found)

    def signs(self, order: Order, executor: LocalExecutor | None = None) -> list:
        """Poll once."""
        return (executor or self.executor).poll([attempt_of(order)])


def ended(signs: list) -> bool:
    return any(sign.kind == "ended" for sign in signs)


def wait_for(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:g} s for {what}"
        time.sleep(0.01)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SECONDSHIFT_HOST_DIR", str(tmp_path / "devices"))
    (tmp_path / ".secondshift").mkdir()
    return Bench(tmp_path / ".secondshift")


def test_a_script_that_ignores_sigterm_is_killed_after_its_grace(bench: Bench) -> None:
    order = bench.python(DEAF)
    bench.executor.submit(order)
    bench.hear(order, "deaf")
    bench.executor.cancel(order.attempt, mode="stop", token=5, grace_s=0.3)
    exit = bench.end(order)
    assert (exit.cause, exit.signal, exit.code) == ("stop", signal.SIGKILL, None)
    assert not alive(bench.read(order, "child.json")["pid"], bench.read(order, "child.json")["start_ticks"], boot_id())


def test_a_second_request_with_less_grace_hastens_the_first(bench: Bench) -> None:
    order = bench.python(DEAF)
    bench.executor.submit(order)
    bench.hear(order, "deaf")
    begun = time.monotonic()
    bench.executor.cancel(order.attempt, mode="pause", token=5, grace_s=300.0)
    bench.executor.cancel(order.attempt, mode="kill", token=5, grace_s=0.0)
    assert bench.end(order).cause == "kill"
    assert time.monotonic() - begun < 10


def test_what_a_script_asked_to_stop_writes_in_its_grace_is_kept(bench: Bench) -> None:
    order = bench.order("sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done")
    bench.executor.submit(replace(order, grace_s=10.0))
    bench.hear(order, "up")
    bench.executor.cancel(order.attempt, mode="pause", token=5, grace_s=10.0)
    exit = bench.end(order)
    assert (exit.cause, exit.code) == ("pause", 0)
    assert exit.message.endswith("bye")
    assert Path(order.folder, "stopping").exists()


@pytest.mark.parametrize("environment", ["kept", "cleared"])
def test_a_daemon_that_left_the_group_is_found_and_ended(bench: Bench, environment: str) -> None:
    order = bench.python(DAEMON, environment, "0")
    bench.executor.submit(order)
    daemon = bench.daemon(order)
    exit = bench.end(order)
    assert (exit.code, exit.leftovers) == (0, 1)
    assert not alive(*daemon, boot_id())


def test_twenty_children_left_behind_are_all_ended(bench: Bench) -> None:
    order = bench.order("sh", "-c", "trap '' TERM; i=0; while [ $i -lt 20 ]; do sleep 300 & i=$((i+1)); done; exit 4")
    bench.executor.submit(order)
    exit = bench.end(order)
    assert (exit.code, exit.cause, exit.leftovers) == (4, "self", 20)


def test_a_child_that_leaves_by_itself_is_no_leftover(bench: Bench) -> None:
    order = bench.order("sh", "-c", "sleep 0.05 & exit 0")
    bench.executor.submit(order)
    assert bench.end(order).leftovers == 0


@pytest.mark.parametrize("environment", ["kept", "cleared"])
def test_when_a_supervisor_is_killed_its_script_and_daemons_are_ended_and_the_attempt_is_lost(
    bench: Bench, environment: str
) -> None:
    order = bench.python(DAEMON, environment, "300")
    bench.executor.submit(order)
    daemon, child = bench.daemon(order), bench.read(order, "child.json")
    wait_for(lambda: str(daemon[0]) in Path(order.folder, "family.json").read_text(), "a heartbeat")
    begun = time.monotonic()
    os.kill(bench.read(order, "claim.json")["pid"], signal.SIGKILL)
    wait_for(
        lambda: not alive(child["pid"], child["start_ticks"], boot_id()), "the script's death, by the kernel alone"
    )
    assert alive(*daemon, boot_id())
    exit = bench.end(order)
    assert exit.cause == "lost"
    assert exit.leftovers >= 1
    assert exit.elapsed_s <= time.monotonic() - begun + PATIENCE_S
    assert not alive(*daemon, boot_id())
    assert exit_of(bench.another().poll([attempt_of(order)])) == exit  # the next engine reads the same


def test_a_lost_attempt_costs_what_its_last_heartbeat_says_and_at_most_one_more(bench: Bench) -> None:
    order = bench.order("sleep", "300")
    bench.executor.submit(order)
    claim = bench.read(order, "claim.json")
    bench.read(order, "child.json")
    os.kill(claim["pid"], signal.SIGKILL)
    wait_for(lambda: not alive(claim["pid"], claim["start_ticks"], boot_id()), "the supervisor's death")
    Path(order.folder, "heartbeat").write_text("     7     41.500     7\n")
    path = Path(order.folder, "child.json")
    path.write_text(to_json({**read_object(str(path)), "started_boot_s": -1000.0}))
    assert bench.end(order).elapsed_s == pytest.approx(42.5)


def test_an_attempt_outlives_its_engine_and_its_end_is_found_by_the_next(bench: Bench) -> None:
    order = bench.order("sh", "-c", "sleep 0.4; echo done; exit 6")
    engine = os.fork()
    if engine == 0:
        try:
            bench.executor.submit(order)
            time.sleep(60)
        finally:
            os._exit(1)
    bench.read(order, "child.json")
    os.kill(engine, signal.SIGKILL)
    os.waitpid(engine, 0)
    exit = bench.end(order, bench.another())
    assert (exit.code, exit.cause, exit.message) == (6, "self", "done")


def test_a_grant_is_enforced_while_no_engine_lives(bench: Bench) -> None:
    order = replace(bench.order("sleep", "300"), grant_s=0.5)
    engine = os.fork()
    if engine == 0:
        try:
            bench.executor.submit(order)
        finally:
            os._exit(0)
    os.waitpid(engine, 0)
    wait_for(Path(order.folder, "exit.json").exists, "the exit")
    exit = bench.end(order, bench.another())
    assert (exit.cause, exit.signal) == ("grant", signal.SIGTERM)
    assert 0.5 <= exit.elapsed_s < 10


def test_a_supervisor_refuses_a_token_below_the_fence(bench: Bench) -> None:
    order = bench.order("true")
    write_order(order)
    (bench.folder / "fence").write_text("6")
    done = supervise(order)
    assert done.returncode == 3 and b"stale" in done.stderr
    assert not Path(order.folder, "claim.json").exists()
    with pytest.raises(LeaseLost):
        bench.executor.submit(order)


def test_a_supervisor_ignores_control_under_a_lower_token(bench: Bench) -> None:
    order = bench.order("sleep", "300")
    bench.executor.submit(order)
    child = bench.read(order, "child.json")
    path = Path(order.folder, "control.json")
    path.write_text(to_json({"token": 4, "ask": {"mode": "kill", "grace_s": 0, "id": "old"}}))
    time.sleep(0.6)
    (bench.folder / "fence").write_text("9")
    path.write_text(to_json({"token": 8, "ask": {"mode": "kill", "grace_s": 0, "id": "also old"}}))
    time.sleep(0.6)
    assert alive(child["pid"], child["start_ticks"], boot_id())
    assert not bench.signs(order)[1:]
    bench.another().cancel(order.attempt, mode="kill", token=9, grace_s=0.0)
    assert bench.end(order).cause == "kill"


def test_a_damaged_control_file_changes_nothing(bench: Bench) -> None:
    order = bench.order("sleep", "0.8")
    bench.executor.submit(order)
    bench.read(order, "child.json")
    asks = ('{"token": 5, "ask": 3}', '{"token": 5, "ask": {"mode": "self"}}', '{"token": 5, "ask": {"grace_s": "x"}}')
    for text in ('{"token": ', "[]", '{"token": "x"}', *asks):
        Path(order.folder, "control.json").write_text(text)
        time.sleep(0.05)
    assert (bench.end(order).code, bench.end(order).cause) == (0, "self")


@pytest.mark.parametrize("devices", [(), ("cpu-0",)])
def test_engines_that_race_to_submit_start_one_process(bench: Bench, devices: tuple[str, ...]) -> None:
    for round in range(4):
        order = replace(bench.order("sh", "-c", "echo $$ >> witness; sleep 0.1", trial=f"t{round}"), devices=devices)
        gate, opener = os.pipe()
        engines = []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                try:
                    os.read(gate, 1)
                    bench.another().submit(order)
                    os._exit(0)
                finally:
                    os._exit(1)
            engines.append(pid)
        os.write(opener, b"go")
        for pid in engines:
            os.waitpid(pid, 0)
        os.close(gate), os.close(opener)
        assert bench.end(order).code == 0, bench.end(order).message
        wait_for(lambda: set(devices) <= set(bench.executor.devices()), "the device")
    assert len((bench.folder.parent / "witness").read_text().split()) == 4


def test_a_flood_of_output_is_stopped_and_cut_at_its_cap(bench: Bench) -> None:
    order = replace(bench.order("sh", "-c", "trap '' TERM; yes 'many words'"), output_cap_mb=1.0, grace_s=30.0)
    bench.executor.submit(order)
    exit = bench.end(order)
    assert exit.cause == "stop"
    assert "output_cap_mb" in exit.message
    wait_for(lambda: Path(order.folder, "output.log").stat().st_size <= 1_000_000, "the cut")


def test_a_command_that_does_not_exist_fails_with_a_sentence(bench: Bench) -> None:
    order = bench.order("no-such-program", "--lr", "1")
    bench.executor.submit(order)
    exit = bench.end(order)
    assert exit.code == 127
    assert "no-such-program" in exit.message


def test_a_folder_that_does_not_exist_fails_with_a_sentence(bench: Bench) -> None:
    order = replace(bench.order("true"), cwd="/no/such/folder")
    bench.executor.submit(order)
    exit = bench.end(order)
    assert (exit.code, "/no/such/folder" in exit.message) == (127, True)


def test_a_process_that_only_has_the_same_pid_is_never_signalled(bench: Bench) -> None:
    bystander = subprocess.Popen(["sleep", "300"])
    try:
        order = bench.order("true")
        write_order(order)
        ticks = start_ticks(bystander.pid)
        other = {"pid": bystander.pid, "start_ticks": ticks - 1, "boot_id": boot_id(), "token": 5, "env_token": "none"}
        Path(order.folder, "claim.json").write_text(to_json(other))
        Path(order.folder, "child.json").write_text(to_json(other))
        Path(order.folder, "family.json").write_text(to_json([[bystander.pid, ticks + 1]]))
        bench.executor.cancel(order.attempt, mode="kill", token=5, grace_s=0.0)
        assert sweep(bench.folder) == 0
        exit = bench.end(order)
        assert (exit.cause, exit.leftovers) == ("lost", 0)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_an_attempt_of_an_earlier_boot_is_lost_at_once_and_nobody_is_signalled(bench: Bench) -> None:
    bystander = subprocess.Popen(["sleep", "300"])
    try:
        order = bench.order("true")
        write_order(order)
        same = {"pid": bystander.pid, "start_ticks": start_ticks(bystander.pid), "token": 5, "env_token": "none"}
        for name in ("claim.json", "child.json"):
            Path(order.folder, name).write_text(to_json({**same, "boot_id": "an earlier one", "started_boot_s": 3.0}))
        Path(order.folder, "heartbeat").write_text("7 41.5 7")
        exit = exit_of(bench.signs(order))
        assert (exit.cause, exit.elapsed_s) == ("lost", 42.5)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_two_studies_never_share_a_device(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other" / ".secondshift")
    order = replace(bench.order("sleep", "300"), devices=("cpu-0",))
    bench.executor.submit(order)
    theirs = replace(other.order("true"), cwd=str(tmp_path), devices=("cpu-1", "cpu-0"))
    with pytest.raises(DeviceBusy, match=r"cpu-0 is held by .*t1\.a1"):
        other.executor.submit(theirs)
    assert not Path(theirs.folder, "order.json").exists()
    assert other.executor.devices() == ("cpu-1",)  # what was taken before the refusal was given back
    assert other.executor.held() == {"cpu-0": f"t1.a1 of the study in {bench.folder.parent}"}
    assert bench.executor.held() == {}  # what is ours is held by nobody else
    bench.executor.cancel(order.attempt, mode="kill", token=5, grace_s=0.0)
    print(bench.end(order))
    other.executor.submit(theirs)
    assert other.end(theirs).code == 0


def test_a_device_stays_held_while_a_supervisor_is_dead_but_something_of_its_trial_lives(bench: Bench) -> None:
    order = replace(bench.python(DAEMON, "kept", "300"), devices=("cpu-0",))
    bench.executor.submit(order)
    bench.daemon(order)
    os.kill(bench.read(order, "claim.json")["pid"], signal.SIGKILL)
    time.sleep(0.2)
    assert "cpu-0" not in bench.executor.devices()
    assert bench.end(order).cause == "lost"
    wait_for(lambda: "cpu-0" in bench.executor.devices(), "the device")


def test_a_supervisor_told_to_end_pauses_its_script_and_records_it(bench: Bench) -> None:
    order = bench.order("sleep", "300")
    bench.executor.submit(order)
    bench.read(order, "child.json")
    supervisor = bench.read(order, "claim.json")["pid"]
    assert os.getsid(supervisor) == supervisor
    os.kill(supervisor, signal.SIGHUP)
    os.kill(supervisor, signal.SIGTERM)
    exit = bench.end(order)
    assert (exit.cause, exit.signal) == ("pause", signal.SIGTERM)
    assert "supervisor was told to end" in exit.message


def test_a_supervisor_that_comes_after_the_tombstone_starts_nothing(bench: Bench) -> None:
    order = bench.order("touch", "started")
    write_order(order)
    assert bench.end(order, bench.another(claim_timeout_s=0.05)).cause == "lost"
    assert supervise(order).returncode == 0
    assert not (bench.folder.parent / "started").exists()
    bench.executor.submit(order)
    assert bench.end(order).cause == "lost"


def test_an_attempt_is_given_time_to_be_claimed(bench: Bench) -> None:
    order = bench.order("true")
    write_order(order)
    assert bench.signs(order) == []
    assert not Path(order.folder, "claim.json").exists()


def test_a_request_made_before_the_start_is_obeyed(bench: Bench) -> None:
    order = bench.order("sleep", "300")
    bench.executor.cancel(order.attempt, mode="stop", token=5, grace_s=0.2)
    bench.executor.submit(order)
    assert bench.end(order).cause == "stop"


def test_a_script_gets_the_environment_that_the_contract_promises(bench: Bench) -> None:
    code = "import os, sys, json; print(json.dumps(dict(os.environ))); print(repr(sys.stdin.read()), os.getcwd())"
    order = replace(bench.python(code), seed=11, threads=3, params={"lr": 0.5}, env={"MINE": "yes", "TMPDIR": "no"})
    bench.executor.submit(order)
    assert bench.end(order).code == 0
    Path(order.folder, "environment").write_text(Path(order.folder, "output.log").read_text().splitlines()[0])
    found = read_object(str(Path(order.folder, "environment")))
    assert found["SECONDSHIFT_ATTEMPT"] == order.folder
    assert (found["SECONDSHIFT_SEED"], found["OMP_NUM_THREADS"], found["MINE"]) == ("11", "3", "yes")
    assert (found["TMPDIR"], found["SECONDSHIFT_OUT"]) == (f"{order.folder}/tmp", f"{order.folder}/out")
    assert read_object(found["SECONDSHIFT_PARAMS"]) == {"lr": 0.5}
    assert len(found["SECONDSHIFT_TOKEN"]) == 32
    assert Path(order.folder, "output.log").read_text().splitlines()[1] == f"'' {bench.folder.parent}"


def test_a_message_is_safe_to_print_whatever_the_script_wrote(bench: Bench) -> None:
    order = bench.python(r"import os; os.write(1, b'x' * 9000 + b'\n\x1b[31m\xff\x00the end\n')")
    bench.executor.submit(order)
    message = bench.end(order).message
    assert message.endswith("the end") and message.isprintable() and len(message) < 100


def test_a_sweep_ends_what_dead_supervisors_left_and_nothing_else(bench: Bench) -> None:
    orphaned, healthy = bench.python(DAEMON, "kept", "300"), bench.order("sleep", "300", trial="t2")
    bench.executor.submit(orphaned)
    bench.executor.submit(healthy)
    daemon, child = bench.daemon(orphaned), bench.read(healthy, "child.json")
    os.kill(bench.read(orphaned, "claim.json")["pid"], signal.SIGKILL)
    wait_for(lambda: sweep(bench.folder) > 0, "the sweep")
    assert not alive(*daemon, boot_id())
    assert alive(child["pid"], child["start_ticks"], boot_id())
    assert sweep(bench.folder) == 0
    bench.executor.cancel(healthy.attempt, mode="kill", token=5, grace_s=0.0)
    bench.end(healthy)


def test_an_exit_is_recorded_on_a_full_disk(bench: Bench, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", small]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount the small disk that this test fills")
    try:
        full = Bench(small / ".secondshift")
        fill = "import sys\ntry:\n  open('rest', 'wb', 0).write(b'x' * 999999); open('more', 'wb', 0).write(b'x')\n"
        order = full.python(fill + "except OSError: sys.exit(5)")
        full.executor.submit(order)
        wait_for(Path(order.folder, "exit.json").exists, "the exit")
        assert full.end(order).code == 5
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_the_loop_learns_what_code_and_environment_an_attempt_had(tmp_path: Path, bench: Bench) -> None:
    (tmp_path / "train.py").write_text("print('hello')")
    executor = LocalExecutor(bench.folder, pool=DevicePool(["cpu-0"]))
    order = bench.order("true")
    executor.submit(order)
    print(bench.end(order))
    sign = bench.another().poll([attempt_of(order)])[0]
    assert (bench.folder / "code" / sign.fingerprint["code"] / "files" / "train.py").read_text() == "print('hello')"
    assert sign.supervisor == bench.read(order, "claim.json")["pid"]
    assert sign.pid == bench.read(order, "child.json")["pid"]


def supervise(order: Order) -> subprocess.CompletedProcess[bytes]:
    """Run a supervisor by hand, as anybody may."""
    command = [sys.executable, "-I", "-S", str(SUPERVISOR), order.folder]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)


def test_what_a_failed_script_said_far_from_its_end_is_in_its_exit(bench: Bench) -> None:
    code = "print('CUDA out of memory'); [print('step', n) for n in range(3000)]; raise SystemExit({})"
    wrong = bench.python(code.format(1))
    fine = bench.order(sys.executable, "-I", "-S", "-c", code.format(0), trial="t2")
    for order in (wrong, fine):
        bench.executor.submit(order)
    failed = bench.end(wrong)
    assert failed.signs == ("oom",) and failed.unread_bytes == 0 and "memory" not in failed.message
    assert bench.end(fine).signs == ()
