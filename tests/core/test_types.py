"""Records of the layer: ends of a transition, policies as arguments of compiled functions."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxrl.core.types import Policy, Transition


def test_done_is_the_union_of_both_ends():
    ends = jnp.array([False, True, False]), jnp.array([False, False, True])
    np.testing.assert_array_equal(Transition((), (), (), (), *ends, (), {}).done, [False, True, True])


def scaled(scale, key, obs, memory):
    return scale * obs, (), memory


def test_parameters_of_a_partial_are_arguments_and_plain_functions_are_static():
    traces = []

    @jax.jit
    def act(policy, obs):
        traces.append(policy)
        return policy.act(jax.random.key(0), obs, policy.memory)[0]

    for scale in (2.0, 3.0):
        assert act(Policy(Partial(scaled, scale)).as_tree(), 1.0) == scale
    plain = Policy(lambda key, obs, memory: (5.0 * obs, (), memory))
    assert act(plain.as_tree(), 1.0) == act(plain.as_tree(), 1.0) == 5.0
    assert len(traces) == 2
