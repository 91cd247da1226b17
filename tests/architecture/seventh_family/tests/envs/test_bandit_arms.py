"""Bernoulli arms pay 1 with the chance of the arm."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxrl.envs.bandit_arms import Arms


def test_rewards_follow_the_chance_of_the_arm():
    env = Arms(2)
    params = env.default_params()._replace(p=jnp.array([0.2, 0.7]))
    state, _ = env.reset(jax.random.key(0), params)
    keys = jax.random.split(jax.random.key(1), 4000)
    for arm, chance in ((0, 0.2), (1, 0.7)):
        rewards = jax.vmap(lambda key, arm=arm: env.step(key, state, jnp.asarray(arm), params)[1].reward)(
            keys
        )
        assert abs(float(rewards.mean()) - chance) < 4 * np.sqrt(chance * (1 - chance) / 4000)
