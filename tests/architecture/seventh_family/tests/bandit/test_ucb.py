"""UCB1 against the regret it is known for."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxrl.bandit import ucb
from jaxrl.envs.bandit_arms import Arms


def test_regret_stays_below_the_bound_of_the_paper():
    env, hyper = Arms(3), ucb.Hyper()
    algorithm, data = ucb.make(ucb.Config(), env), env.default_params()._replace(p=jnp.array([0.9, 0.6, 0.3]))
    state = algorithm.init(jax.random.key(0), hyper, data)
    _, metrics = jax.lax.scan(lambda s, _: algorithm.step(s, hyper, data), state, length=2000)
    gaps = np.array([0.3, 0.6])
    assert metrics["regret"].sum() < 8 * np.sum(np.log(2000) / gaps) + (1 + np.pi**2 / 3) * gaps.sum()
