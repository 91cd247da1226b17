"""CartPole against gymnasium by state injection."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.control.cartpole import CartPole, CartPoleParams, CartPoleState
from tests.envs.control.parity import (
    check_constants,
    check_limit_and_start,
    check_steps,
    check_steps_in_float64,
)


def test_step_equals_gymnasium():
    check_steps("CartPole")


def test_step_equals_gymnasium_in_float64():
    check_steps_in_float64("CartPole")


def test_every_constant_means_what_it_means_in_gymnasium():
    check_constants("CartPole")


def test_time_limit_and_start_equal_gymnasium():
    check_limit_and_start("CartPole")


def test_cartpole_trace_of_gymnax():
    """Temporal trace recorded from gymnax 1.0.1: actions 1 1 0 1 0, repeated."""
    env = CartPole()
    params, step = env.default_params(), jax.jit(env.step)
    state = CartPoleState(*(jnp.float32(x) for x in (0.01, -0.02, 0.03, 0.04)))
    seen = {}
    for t in range(10):
        state, _ = step(jax.random.key(0), state, jnp.int32([1, 1, 0, 1, 0][t % 5]), params)
        seen[t + 1] = np.stack(state)
    np.testing.assert_allclose(seen[1], (0.0096, 0.1746792, 0.0308, -0.2430688), atol=1e-6)
    np.testing.assert_allclose(seen[5], (0.0313333, 0.1734950, 0.0006600, -0.2168128), atol=1e-6)
    np.testing.assert_allclose(seen[10], (0.0721157, 0.3698333, -0.0565572, -0.5370315), atol=1e-6)


@pytest.mark.parametrize("leaf", CartPoleParams._fields[:8])
def test_doubling_a_constant_changes_the_trajectory(leaf):
    """gymnax's CartPole stores the total mass, so that doubling `masscart` changes nothing there."""
    env = CartPole()
    params = env.default_params()
    if leaf != "theta_threshold":  # let the cart reach the edge of its track
        params = params._replace(theta_threshold=jnp.float32(1e3))
    changed = params._replace(**{leaf: 2 * getattr(params, leaf)})
    state, _ = env.reset(jax.random.key(0), params)

    @jax.jit
    def play(params):
        def body(state, action):
            after, out = env.step(jax.random.key(0), state, action, params)
            return after, (out.obs, out.terminated)

        return jax.lax.scan(body, state, jnp.ones(60, jnp.int32))[1]

    same = jax.tree.map(lambda x, y: bool((x == y).all()), play(params), play(changed))
    assert not all(same)


def test_derived_quantities_follow_their_leaves():
    params = CartPole().default_params()
    for leaf, factor in (("masscart", 3.0), ("masspole", 5.0), ("length", 2.0)):
        changed = params._replace(**{leaf: factor * getattr(params, leaf)})
        assert float(changed.total_mass) == pytest.approx(float(changed.masscart) + float(changed.masspole))
        assert float(changed.polemass_length) == pytest.approx(float(changed.masspole * changed.length))
