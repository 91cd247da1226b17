"""UCB1 against its formula by hand, and against the regret it is known for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxrl.bandit import ucb
from jaxrl.bandit.objectives import ucb_index
from jaxrl.envs.bandit_arms import Arms


def test_ucb_index_by_hand():
    index = ucb_index(jnp.array([0.5, 0.2]), jnp.array([4.0, 0.0]), jnp.array(4), jnp.array(1.0))
    assert index[0] == pytest.approx(0.5 + np.sqrt(2 * np.log(4) / 4), rel=1e-6)
    assert jnp.isinf(index[1])


def test_regret_stays_below_the_bound_of_the_paper():
    env, hyper = Arms(3), ucb.Hyper()
    algorithm, data = ucb.make(ucb.Config(), env), env.default_params()._replace(p=jnp.array([0.9, 0.6, 0.3]))
    state = algorithm.init(jax.random.key(0), hyper, data)
    _, metrics = jax.lax.scan(lambda s, _: algorithm.step(s, hyper, data), state, length=2000)
    gaps = np.array([0.3, 0.6])
    assert metrics["regret"].sum() < 8 * np.sum(np.log(2000) / gaps) + (1 + np.pi**2 / 3) * gaps.sum()
