"""Rewards as functions of a transition, online and in tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.with_reward import with_reward


def test_with_reward_reads_its_parameters_and_tables_agree():
    def bonus(params, state, action, next_state):
        return params.reward[state.h, state.env.s, action] + 10.0 * next_state.env.s

    def zero():
        return jnp.zeros((3, 4, 2))

    env = with_reward(finite_horizon(Tabular(4, 2), 3), bonus, init=zero)
    params = env.default_params()
    table = jnp.asarray(np.random.default_rng(0).random((3, 4, 2)), jnp.float32)
    params = params._replace(reward=table)
    tables = jax.tree.map(np.asarray, jax.jit(env.to_tabular)(params))
    assert tables.R.shape == (3, 4, 2, 4)
    step = jax.jit(env.step)
    for h in range(3):
        for s in range(4):
            for a in range(2):
                state = env.state_at(params, s, h)
                after, out = step(jax.random.key(s), state, jnp.int32(a), params)
                t = int(after.env.s)
                assert float(out.reward) == pytest.approx(float(table[h, s, a]) + 10 * t)
                assert tables.R[h, s, a, t] == pytest.approx(float(out.reward))
                assert env.reward(params, state, jnp.int32(a), after) == out.reward


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: with_reward(CartPole(), 1.0),
            r"WithReward\.fn: must be a function",
        ),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
