"""The weights of vector rewards must fit the environment."""

import jax
import jax.numpy as jnp
import pytest

from jaxrl.baselines import ppo, reinforce
from jaxrl.baselines.checks import check_weights
from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.tabular import Tabular


@pytest.mark.parametrize(("reward_dim", "w"), [(None, jnp.ones(2)), (3, jnp.ones(2)), (3, None), (3, 1.0)])
@pytest.mark.parametrize("method", [ppo, reinforce])
def test_weights_must_fit_the_reward(method, reward_dim, w):
    env = Tabular(2, 2, reward_dim=reward_dim)
    algorithm = method.make(method.Config(n_envs=2, minibatches=2) if method is ppo else method.Config(), env)
    with pytest.raises(UsageError, match=r"^Hyper\.w: \S+ (has scalar|needs 3)"):
        jax.eval_shape(algorithm.init, jax.random.key(0), method.Hyper(w=w), ())


def test_fitting_weights_pass():
    check_weights(Tabular(2, 2), None)
    check_weights(Tabular(2, 2, reward_dim=3), (1.0, 2.0, 3.0))
