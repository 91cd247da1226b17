"""What of several processes can be told in one; pairs of processes are in tests/reliability."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.run import distributed
from jaxrl.run.population import Population


def test_one_process_agrees_with_itself():
    assert not distributed.several() and distributed.is_primary()
    assert distributed.agree(3) == 3 and distributed.same_text("x") == "x"
    distributed.barrier("here")


def test_what_is_put_comes_back():
    population = Population.create(4, 1, jax.devices()[:2])
    tree = {"x": jnp.arange(8.0).reshape(4, 2), "n": jnp.arange(4)}
    placed = distributed.put(tree, population.spread)
    assert len(placed["x"].sharding.device_set) == 2
    found = distributed.fetch(placed)
    assert all(isinstance(x, np.ndarray) for x in found.values())
    np.testing.assert_array_equal(found["x"], tree["x"])


@pytest.mark.parametrize("inside", [False, True])
def test_a_mesh_of_the_caller_is_not_seen(inside):
    with jax.set_mesh(jax.make_mesh((2,), ("x",))):
        if inside:
            with distributed.no_mesh():
                assert jax.sharding.get_abstract_mesh().empty
        assert not jax.sharding.get_abstract_mesh().empty
    with distributed.no_mesh():
        assert jax.sharding.get_abstract_mesh().empty
