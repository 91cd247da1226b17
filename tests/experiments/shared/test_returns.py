"""Returns of members that learn from a dataset."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.shared.returns import offline_returns
from jaxrl.core.types import Algorithm, Policy
from jaxrl.envs.control.cartpole import CartPole

ENV = CartPole()


def act(state, hyper, greedy):
    """The greedy policy always pushes to one side, the other one balances."""

    def push(key, obs, memory):
        balanced = (obs[2] + 0.5 * obs[3] > 0).astype(jnp.int32)
        return (jnp.int32(0) if greedy else balanced), (), memory

    return Policy(push)


@pytest.mark.parametrize("sampled", [False, True])
def test_greedy_and_drawn_policies_are_told_apart(sampled):
    evaluation = offline_returns(Algorithm(None, None, act), ENV, 4, sampled=sampled)
    found = jax.jit(evaluation)(jax.random.key(0), None, None, None)
    assert set(found) == ({"eval/return", "eval/sampled"} if sampled else {"eval/return"})
    assert 8 <= found["eval/return"] <= 11  # a pole that is pushed to one side falls after about nine steps
    if sampled:
        assert found["eval/sampled"] > 100
    np.testing.assert_array_equal(np.shape(found["eval/return"]), ())
