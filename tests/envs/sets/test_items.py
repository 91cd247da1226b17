"""Items by demand: what a policy is shown, and maps that are refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.items import ItemCollection

DEMAND = (("A", 2), ("B", 1))


def test_a_cell_counts_once_and_a_kind_up_to_its_demand():
    F = ItemCollection(("AAA", "B.B"), DEMAND)
    params = F.default_params()
    stat, gains = F.init(params), []
    for cell in (0, 0, 1, 2, 3, 4, 5):
        stat, gain = F.add(params, stat, jnp.int32(cell))
        gains.append(float(gain))
    assert gains == [1, 0, 1, 0, 1, 0, 0] and float(F.value(params, stat)) == 3
    shown = F.features(params, stat)
    assert np.asarray(shown["remaining"]).tolist() == [0, 0] and float(shown["visited"].sum()) == 6


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: ItemCollection(("AB", "A"), DEMAND), "ItemCollection.layout"),
        (lambda: ItemCollection(("AC",), DEMAND), "ItemCollection.layout"),
        (lambda: ItemCollection(("A",), (("A", -1),)), "ItemCollection.demand"),
        (lambda: ItemCollection(("A",), (("A", np.inf),)), "ItemCollection.demand"),
        (lambda: ItemCollection(("A",), (("A", 1e39),)).default_params(), "ItemCollection.demand: .* finite"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
