"""Freeway by the rows of a chicken that always walks, and against MinAtar where it is installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.minatar.freeway import Freeway
from tests.envs.minatar.playing import assert_equal_to, play

ENV = Freeway()
ROWS = [
    9, 9, 9, 8, 8, 8, 7, 7, 7, 6, 6, 9, 8, 8, 8, 7, 7, 7, 6, 6, 6, 5, 5, 9, 9, 9, 9, 9, 9, 9,
    8, 8, 8, 7, 7, 7, 6, 6, 6, 5, 5, 5, 4, 4, 4, 3, 3, 3, 9,
]  # fmt: skip


def begin(speed):
    """The first state with these periods, int32[8]."""
    state, _ = ENV.reset(jax.random.key(0), ENV.default_params())
    return state._replace(speed=speed, wait=jnp.abs(speed))


def uniforms(speed):
    """float[8, 2] in the middle of what gives these periods."""
    return jnp.stack([(jnp.abs(speed) - 0.5) / 5, jnp.where(speed > 0, 0.25, 0.75)], axis=1)


def test_rows_of_a_chicken_that_always_walks_up():
    speed = jnp.array([1, -2, 3, -4, 5, -1, 2, -3])
    reward, ends, obs, state = play(ENV, begin(speed), [1] * len(ROWS), np.zeros((len(ROWS), 8, 2)))
    assert state.row.tolist() == ROWS
    assert not reward.any() and not ends.any()
    assert obs[0, 9, 4, 0] == 1 and obs[0, ..., 1].sum() == 8 and obs[0, ..., 2:].sum() == 8


def test_the_other_side_pays_and_draws_new_periods():
    speed, new = jnp.full(8, 5), jnp.array([1, -1, 2, -2, 3, -4, 5, -5])
    state = begin(speed)._replace(row=jnp.int32(1), cool=jnp.int32(0))
    reward, _, _, after = play(ENV, state, [1], uniforms(new)[None])
    assert reward.tolist() == [1] and after.row[0] == 9
    np.testing.assert_array_equal(after.speed[0], new)
    assert after.col[0].tolist() == [0] * 8 and after.wait[0].tolist() == (np.abs(new) - 1).tolist()


def test_periods_and_directions_are_uniform():
    states, _ = jax.vmap(ENV.reset, (0, None))(
        jax.random.split(jax.random.key(0), 1000), ENV.default_params()
    )
    counts = np.bincount(np.asarray(states.speed).ravel() + 5, minlength=11)
    assert counts[5] == 0
    counts = np.delete(counts, 5)
    assert ((counts - 800) ** 2 / 800).sum() < 33.7  # chi-squared of 9: 1e-4 of all seeds fail


@pytest.mark.peers
def test_steps_equal_those_of_minatar(minatar):
    record = minatar("freeway", 10_000)
    assert_equal_to(record, ENV, lambda row: begin(row["start"]), lambda s, row: uniforms(row["draw"]))
