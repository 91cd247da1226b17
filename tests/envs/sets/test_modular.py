"""Modular functions by hand."""

import jax.numpy as jnp
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.modular import Modular


def test_a_revisit_counts_again():
    F, weight = Modular(3), jnp.array([1.0, 2.0, 4.0])
    stat = F.init(weight)
    for item, total in ((2, 4.0), (0, 5.0), (2, 9.0)):
        assert float(F.gain(weight, stat, jnp.int32(item))) == float(weight[item])
        stat, _ = F.add(weight, stat, jnp.int32(item))
        assert float(F.value(weight, stat)) == total


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Modular(9).init(jnp.ones(8)), "Modular.weight: has shape"),
        (lambda: Modular(0), "Modular.n_items: must be >= 1"),
        (lambda: Modular(2.0), "Modular.n_items: must be an int"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Modular(0), r"Modular\.n_items: must be >= 1"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
