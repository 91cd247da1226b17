"""Preferences that are drawn for every episode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.base import Finite, RewardFn
from jaxrl.envs.check import check_env
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.grids.resource_gathering import ResourceGathering
from jaxrl.envs.wrappers.prefer import prefer
from tests.envs.wrappers.counting import KEY, Count, play


def test_preferences_are_uniform_on_the_simplex():
    env = prefer(ResourceGathering())
    keys = jax.random.split(KEY, 20_000)
    w = np.asarray(jax.jit(jax.vmap(env.reset, (0, None)))(keys, env.default_params())[1]["preference"])
    np.testing.assert_allclose(w.sum(-1), 1, rtol=1e-5)
    # moments of the Dirichlet distribution with parameters one: mean 1/3, second moments 1/6 and 1/12
    np.testing.assert_allclose(w.mean(0), 1 / 3, atol=0.01)
    np.testing.assert_allclose(w.T @ w / len(w), np.where(np.eye(3) > 0, 1 / 6, 1 / 12), atol=0.005)


def test_reward_is_weighted_and_the_preference_kept():
    env = prefer(DeepSeaTreasure())
    first, outs = play(env, 2, action=jnp.int32(3))
    w = first["preference"]
    for out in outs:
        np.testing.assert_array_equal(out.obs["preference"], w)
        np.testing.assert_allclose(out.reward, [0, -w[1]])
    inside = play(env.env, 2, action=jnp.int32(3))[1]
    np.testing.assert_array_equal(outs[-1].obs["obs"], inside[-1].obs)
    assert isinstance(env, RewardFn) and not isinstance(env, Finite)


def test_environment_passes_the_checks():
    check_env(prefer(DeepSeaTreasure("concave", float_state=True)))


def test_scalar_rewards_are_refused():
    with pytest.raises(UsageError, match=r"Prefer\.env: Count has a scalar reward"):
        prefer(Count())
