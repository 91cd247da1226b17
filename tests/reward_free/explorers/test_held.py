"""The held control: how long an action lasts, and when it is drawn anew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.reward_free.explorers.held import held


def test_an_action_lasts_until_the_next_one_is_due():
    policy = held(Pendulum(), 4)

    def step(memory, key):
        action, _, memory = policy.act(key, jnp.zeros(3), memory)
        return memory, action

    keys = jax.random.split(jax.random.key(0), 10)
    _, actions = jax.jit(lambda memory: jax.lax.scan(step, memory, keys))(policy.memory)
    first, second, third = np.asarray(actions)[[0, 4, 8], 0]
    np.testing.assert_array_equal(actions[:, 0], [first] * 4 + [second] * 4 + [third] * 2)
    assert len({first, second, third}) == 3 and max(abs(first), abs(second), abs(third)) <= 2


def test_one_function_serves_equal_environments():
    assert held(Pendulum(), 4) is held(Pendulum(), 4)


def test_no_steps_are_refused():
    with pytest.raises(UsageError, match="steps: must be >= 1, got 0"):
        held(Pendulum(), 0)
