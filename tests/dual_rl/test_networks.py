"""Networks and the scaling of actions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box
from jaxrl.dual_rl.networks import networks
from tests.dual_rl.dual_tables import KEYS, OBS, quick

SIZES = {"widths": (), "activation": "relu"}


def test_actions_are_scaled_to_the_unit_box_and_back():
    nets = networks(OBS, Box(-2.0, np.array([4.0, 2.0]), (2,)), **SIZES)
    recorded = jnp.array([[1.0, 1.0], [-1.0, 0.0]])
    unit = jax.vmap(nets.unit)(recorded)
    np.testing.assert_allclose(unit, [[0, 0.5], [-2 / 3, 0]], atol=1e-6)
    np.testing.assert_allclose(jax.vmap(nets.action)(unit), recorded, atol=1e-6)
    assert float(jnp.abs(nets.unit(jnp.array([4.0, -2.0]))).max()) < 1  # the edge is never reached


@pytest.mark.parametrize("bound", [np.inf, float(np.finfo(np.float32).max)])
def test_bounds_too_wide_for_float32_are_refused(bound):
    with pytest.raises(UsageError, match="action_space: needs bounds with low < high"):
        networks(OBS, Box(-bound, bound, (1,)), **SIZES)


def test_the_value_of_a_discrete_policy_is_its_exact_expectation():
    nets = networks(OBS, KEYS, **SIZES)

    @quick
    def values(x):
        q, actor = nets.init_q(jax.random.key(0)), nets.actor.init(jax.random.key(1))
        log_pi = jax.nn.log_softmax(nets.actor.apply(actor, x))
        by_action = jnp.stack([nets.q(q, x, jnp.full(len(x), a)) for a in range(3)], -1)
        return nets.soft(q, actor, x, jax.random.key(2), 0.3), by_action, log_pi

    found, by_action, log_pi = values(jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), jnp.float32))
    wanted = (np.exp(log_pi)[None] * (by_action - 0.3 * log_pi[None])).sum(-1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_one_action_per_row_has_one_key_per_row():
    """With keys of rows the first rows do not depend on how many follow."""
    nets = networks(OBS, Box(-1.0, 1.0, (2,)), **SIZES)

    @quick
    def values(x):
        q, actor = nets.init_q(jax.random.key(0)), nets.actor.init(jax.random.key(1))
        keys = jax.random.split(jax.random.key(2), 6)
        return [nets.soft(q, actor, x[:n], keys[:n], 0.1) for n in (6, 3)]

    whole, part = values(jnp.ones((6, 3)))
    np.testing.assert_allclose(whole[:, :3], part, rtol=1e-6)
    assert len(np.unique(np.asarray(whole[0]))) == 6
