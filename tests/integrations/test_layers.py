"""Few names for many layers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.integrations.layers import described, grouped

NAMES = st.lists(st.lists(st.sampled_from("abc012"), max_size=4).map(".".join), max_size=60, unique=True)


@settings(deadline=None, derandomize=True)
@given(NAMES, st.integers(1, 12))
def test_every_layer_has_a_name_above_it_and_the_names_are_bounded(names, most):
    found = grouped(names, most)
    assert list(found) == names and len(set(found.values())) <= most
    for name, under in found.items():
        assert under in ("(root)", "(others)") or name == under or name.startswith(under + ".")


def test_few_layers_keep_their_own_names_and_many_are_summed_up_by_the_part_they_are_in():
    names = ["", "embed", *(f"blocks.{i}.{part}" for i in range(4) for part in ("qkv", "out"))]
    assert grouped(names, 10) == {name: name or "(root)" for name in names}
    assert set(grouped(names, 9).values()) == {"(root)", "embed", "blocks.0", "blocks.1", "blocks.2", "blocks.3"}
    assert set(grouped(names, 3).values()) == {"(root)", "embed", "blocks"}


def test_a_description_of_too_many_layers_is_summed_up_and_loses_no_parameter():
    layers = [{"name": f"blocks.{i}.w", "kind": "Linear", "shapes": {"weight": [2, 3]}, "parameters": 6} for i in range(9)]
    assert described(layers, 9) == layers
    assert described(layers, 5) == [{"name": "blocks", "kind": "", "shapes": {}, "parameters": 54}]
