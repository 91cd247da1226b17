"""What counts as broken, leaf by leaf."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest

from jaxrl.core.types import Mean
from jaxrl.run import guard


class State(NamedTuple):
    net: dict
    memory: dict


def broken(params=0.0, slope=0.0, memory=0.0, metric=0.0):
    """Names of what is broken; leaves of equal shape, one that is empty, one of integers."""
    state = State(
        {"params": jnp.zeros((2, 3)).at[1, 2].set(params), "slope": jnp.zeros((2, 3)).at[0, 1].set(slope)},
        {"x": jnp.full(3, memory), "none": jnp.zeros((0, 4)), "count": jnp.arange(3)},
    )
    found = guard.broken(state, {"loss": Mean(jnp.float32(metric), jnp.float32(1))})
    assert set(found) == {"loss", "net", "memory"}
    return {name for name, bad in found.items() if bad}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, set()),
        ({"params": jnp.nan}, {"net"}),
        ({"params": -jnp.inf}, {"net"}),
        ({"slope": jnp.nan}, {"net"}),
        ({"slope": jnp.inf}, set()),  # only parameters have to be finite
        ({"memory": jnp.inf}, set()),
        ({"memory": jnp.nan, "metric": jnp.inf}, {"loss", "memory"}),
    ],
)
def test_broken_names_what_is_not_finite(values, names):
    assert broken(**values) == names


def test_simulators_buffers_and_keys_are_not_watched_at_any_depth():
    nan = jnp.full(2, jnp.nan)
    unseen = {"vec": nan, "key": jax.random.key(0), "buffer": {"obs": nan, "params": nan}}
    learners = unseen | {"params": {"buffer": jnp.ones(2), "key": jnp.ones(3)}, "scale": jnp.ones(1)}
    state = {"runs": learners, "vec": {"params": nan}, "archive": [jnp.full(2, -jnp.inf), unseen]}
    assert {name: len(leaves) for name, leaves in guard.watched(state).items()} == {"runs": 3, "archive": 1}
    assert not any(guard.broken(state, {}).values())
    assert {name: len(leaves) for name, leaves in guard.parameters(state).items()} == {"runs": 2}
    for name in ("buffer", "key"):
        learners["params"][name] = learners["params"][name].at[0].set(jnp.inf)
        assert guard.broken(state, {}) == {"runs": True, "archive": False}
        learners["params"][name] = jnp.ones(2)
