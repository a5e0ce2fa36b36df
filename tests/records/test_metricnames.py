"""Whose a metric is."""

from secondshift.records.metricnames import MACHINE, of_machine, of_script
from secondshift.tracking import wire


def test_a_metric_is_the_scripts_the_machines_or_hidden() -> None:
    assert [of_script(name) for name in ("loss", "sys/cpu", wire.WALL, "system/loss")] == [True, False, False, True]
    assert [of_machine(name) for name in ("loss", "sys/cpu", wire.WALL)] == [False, True, False]


def test_what_the_sdk_samples_has_the_names_of_the_machine() -> None:
    assert wire.SYS == MACHINE and all(map(of_machine, (wire.STEP_S, wire.DATA_S, wire.RSS_MB)))
