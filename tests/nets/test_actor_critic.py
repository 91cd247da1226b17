"""A policy and a value function from one record of parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxrl.core.spaces import Box, Discrete
from jaxrl.nets.actor_critic import actor_critic

OBS, KEY = Box(-9.0, 9.0, (3,)), jax.random.key(0)


def halved(scale, x):
    return x / scale


@pytest.mark.parametrize("memory", [0, 4])
def test_policies_act_by_the_head_of_the_normalised_features(memory):
    nets = actor_critic(OBS, Discrete(5), None, widths=(6,), memory=memory)
    params, obs = jax.jit(nets.init)(KEY), jnp.array([1.0, -2.0, 4.0])
    policy = nets.policy(params, greedy=False, normalise=Partial(halved, 2.0))
    x = obs / 2.0
    if memory:
        np.testing.assert_array_equal(policy.memory, np.zeros(4))
        x = nets.cell.apply(params["cell"], policy.memory, x)
    logits = nets.actor.apply(params["actor"], x)
    action, aux, after = policy.act(KEY, obs, policy.memory)
    assert aux["raw"] == action == nets.head.sample(KEY, logits)
    np.testing.assert_allclose(aux["log_prob"], jax.nn.log_softmax(logits)[action], rtol=1e-6)
    assert jnp.array_equal(after, x) if memory else after == ()
    greedy = nets.policy(params, greedy=True, normalise=Partial(halved, 2.0))
    assert greedy.act(KEY, obs, greedy.memory)[0] == logits.argmax()


def test_windows_see_the_memories_of_the_cell_and_the_true_successor():
    nets = actor_critic(OBS, Discrete(2), 3, widths=(6,), memory=4)
    params = jax.jit(nets.init)(KEY)
    x = jax.random.normal(KEY, (5, 2, 3))
    restart = jnp.zeros((5, 2), bool).at[3, 1].set(True)
    hidden = nets.hidden(params, x, jnp.ones((2, 4)), restart)
    memory = jnp.ones((2, 4))
    for t in range(5):
        memory = nets.cell.apply(params["cell"], jnp.where(restart[t][:, None], 0.0, memory), x[t])
        np.testing.assert_allclose(hidden[t], memory, rtol=1e-5, atol=1e-6)
    after = nets.next_hidden(params, hidden, x)
    np.testing.assert_allclose(after[0], nets.cell.apply(params["cell"], hidden[0], x[0]), rtol=1e-5)
    assert nets.critic.apply(params["critic"], hidden).shape == (5, 2, 3)
    plain = actor_critic(OBS, Discrete(2), None, widths=(6,))
    assert plain.hidden({}, x, (), ()) is x and plain.next_hidden({}, x, 2 * x)[0, 0, 0] == 2 * x[0, 0, 0]


@pytest.mark.parametrize("free", [True, False])
def test_standard_deviations_are_free_or_outputs_of_the_network(free):
    nets = actor_critic(OBS, Box(-1.0, 1.0, (2,)), None, widths=(6,), free_log_std=free)
    params = jax.jit(nets.init)(KEY)
    assert ("log_std" in params["actor"]) == free
    assert nets.actor.apply(params["actor"], jnp.ones(3)).shape == (4,)
