"""Breakout by its reward times from either start, and against MinAtar where it is installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.minatar.breakout import Breakout
from tests.envs.minatar.playing import assert_equal_to

ENV = Breakout()
TIMES = [10, 20, 31, 42, 52, 63, 74, 84, 95, 106, 116, 127]


def begin(right):
    """The first state with the ball on the right or left side, bool[]."""
    state, _ = ENV.reset(jax.random.key(0), ENV.default_params())
    col, direction = jnp.where(right, 9, 0), jnp.where(right, 3, 2)
    return state._replace(col=col, last_col=col, direction=direction)


def chase(right):
    """Rewards and ends of 5000 steps of a paddle that moves towards the ball's column."""
    params = ENV.default_params()

    def body(state, _):
        action = jnp.where(state.col < state.pos, 1, jnp.where(state.col > state.pos, 2, 0))
        state, out = ENV.step(jax.random.key(0), state, action, params)
        return state, (out.reward, out.terminated)

    return jax.lax.scan(body, begin(right), length=5000)[1]


def test_rewards_of_a_paddle_that_follows_the_ball_come_at_the_times_of_minatar():
    reward, ends = map(np.asarray, jax.jit(jax.vmap(chase))(jnp.array([False, True])))
    for side in range(2):
        assert np.flatnonzero(reward[side])[:12].tolist() == TIMES
        assert reward[side].sum() == 417 and not ends[side].any()


def test_both_starts_are_drawn():
    states, obs = jax.vmap(ENV.reset, (0, None))(
        jax.random.split(jax.random.key(0), 200), ENV.default_params()
    )
    assert set(zip(states.col.tolist(), states.direction.tolist(), strict=True)) == {(0, 2), (9, 3)}
    assert abs(float((states.col == 9).mean()) - 0.5) < 5 * 0.5 / np.sqrt(200)  # five standard errors
    assert obs.shape == (200, 10, 10, 4) and (obs[..., 3].sum((1, 2)) == 30).all()


@pytest.mark.peers
def test_steps_equal_those_of_minatar(minatar):
    record = minatar("breakout", 10_000)
    assert_equal_to(record, ENV, lambda row: begin(row["start"][0] > 0.5), lambda state, row: None)
