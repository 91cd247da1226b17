"""Weighted sums of the components of a reward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.base import integer
from jaxrl.envs.catalogue import make
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure, TreasureState
from jaxrl.envs.wrappers.scalarise import scalarise
from tests.envs.wrappers.counting import KEY


def test_scalarise_is_the_inner_product_everywhere():
    env = scalarise(DeepSeaTreasure(), (0.25, 0.75))
    params = env.default_params()
    state = TreasureState(integer(0), integer(0))
    after, out = env.step(KEY, state, jnp.int32(1), params)
    assert float(out.reward) == pytest.approx(0.25 * 0.7 - 0.75)
    assert env.reward_dim is None and float(env.reward(params, state, 1, after)) == float(out.reward)
    inner = jax.jit(DeepSeaTreasure().to_tabular)(params.env)
    np.testing.assert_allclose(jax.jit(env.to_tabular)(params).R, inner.R @ np.array([0.25, 0.75]), atol=1e-6)
    weights = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    axes = jax.tree.map(lambda _: None, params)._replace(w=0)
    rewards = jax.vmap(lambda p: env.step(KEY, state, jnp.int32(1), p)[1].reward, (axes,))(
        params._replace(w=weights)
    )
    np.testing.assert_allclose(rewards, [0.7, -1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scalarise(CartPole(), (1, 2)), r"Scalarise\.env: CartPole has a scalar"),
        (
            lambda: scalarise(make("ResourceGathering"), (1, 2)),
            r"Scalarise\.w: 2 weights for 3 reward components",
        ),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
