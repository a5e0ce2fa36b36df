"""A process is named by pid, start time and boot; nothing less counts as the same."""

import os
import subprocess

from secondshift.runtime import hosts


def test_this_process_lives_under_its_own_start_time_on_this_boot_only() -> None:
    pid, ticks, boot = hosts.own_pid(), hosts.own_start_ticks(), hosts.boot_id()
    assert pid == os.getpid() and ticks > 0 and boot
    assert hosts.alive(pid, ticks, boot)
    assert not hosts.alive(pid, ticks + 1, boot)
    assert not hosts.alive(pid, ticks, "another boot")
    assert not hosts.alive(0, 0, boot)


def test_a_process_that_ended_is_dead_even_before_it_is_reaped() -> None:
    process = subprocess.Popen(["sleep", "300"])
    ticks = hosts.start_ticks(process.pid)
    assert hosts.alive(process.pid, ticks, hosts.boot_id())
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not hosts.alive(process.pid, ticks, hosts.boot_id())
    process.wait()
    assert hosts.start_ticks(process.pid) == 0


def test_a_command_name_with_brackets_and_blanks_does_not_confuse_the_start_time(tmp_path: object) -> None:
    script = os.path.join(str(tmp_path), "a) R 1 (b")
    os.symlink("/bin/sleep", script)
    process = subprocess.Popen([script, "300"])
    try:
        assert abs(hosts.start_ticks(process.pid) - hosts.own_start_ticks()) < 10**7
        assert hosts.alive(process.pid, hosts.start_ticks(process.pid), hosts.boot_id())
    finally:
        process.kill()
        process.wait()
