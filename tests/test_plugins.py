"""Parts by name: what is ours imports, what is unknown is explained, and the watch is always on duty."""

import inspect

import pytest

from secondshift import plugins
from secondshift.records.states import State
from secondshift.testing.policy_conformance import SPACES, study


def test_every_searcher_and_scheduler_of_ours_imports_and_decides_nothing_without_a_study() -> None:
    for group in ("secondshift.searchers", "secondshift.schedulers"):
        for name in plugins.GROUPS[group]:
            assert plugins.load(group, name)(State()) == []


def test_an_unknown_name_is_answered_with_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(plugins.PluginUnknown, match=r"'halvin'.*halving, fifo.*Is 'halving' meant"):
        plugins.load("secondshift.schedulers", "halvin")


def test_the_deciders_of_a_study_stand_in_a_fixed_order_with_its_searcher_last() -> None:
    found = plugins.deciders(study(SPACES["empty"], searcher="grid", scheduler="fifo"))
    assert [name for name, _ in found] == [*plugins.WATCH, "fifo", "grid"]
    assert all(inspect.isfunction(decide) for _, decide in found)


def test_a_part_of_another_package_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint, EntryPoints

    entry = EntryPoint(name="mine", value="secondshift.policies.searchers.grid:decide", group="secondshift.searchers")
    broken = EntryPoint(name="gone", value="no_such_module:decide", group="secondshift.searchers")
    known = EntryPoints([entry, broken])
    monkeypatch.setattr(plugins, "entry_points", known.select)
    assert plugins.load("secondshift.searchers", "mine")(State()) == []
    assert plugins.names("secondshift.searchers") == ("random", "sobol", "grid", "evolution", "model", "programs", "gone", "mine")
    with pytest.raises(plugins.PluginBroken, match="no_such_module"):
        plugins.load("secondshift.searchers", "gone")
