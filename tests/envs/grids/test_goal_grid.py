"""GoalGrid: the example's own numbers, and a loop."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.grids.goal_grid import GoalGrid, expert

ENV = GoalGrid()
PARAMS = ENV.default_params()


def test_the_demonstration_stops_on_its_way():
    """Five steps of at most 0.25 from (-1.2, -1.2) end at (0.05, 0.05), ten at the goal."""
    state, policy, seen = jnp.full(2, -1.2), expert(PARAMS), []
    for _ in range(11):
        action, _, _ = policy.act(jax.random.key(0), state, ())
        state, out = ENV.step(jax.random.key(0), state, action, PARAMS)
        seen.append((float(state[0]), float(out.reward)))
    assert [round(x, 5) for x, _ in seen] == [-0.95, -0.7, -0.45, -0.2, 0.05, 0.3, 0.55, 0.8, 1.05, 1.2, 1.2]
    assert [reward for _, reward in seen] == [0] * 9 + [1] * 2


def test_step_is_a_clipped_sum():
    rng = np.random.default_rng(0)
    states = rng.uniform(-1.5, 1.5, (200, 2)).astype(np.float32)
    actions = rng.uniform(-0.5, 0.5, (200, 2)).astype(np.float32)
    after, out = jax.vmap(lambda s, a: ENV.step(jax.random.key(0), s, a, PARAMS))(states, actions)
    for i in range(200):
        expected = [
            max(-1.5, min(1.5, s + max(-0.25, min(0.25, a))))
            for s, a in zip(states[i], actions[i], strict=True)
        ]
        np.testing.assert_allclose(after[i], expected, atol=1e-6)
        near = all(abs(x - 1.2) <= 0.125 for x in np.asarray(after[i]))
        assert float(out.reward[i]) == near
    assert float(out.reward.sum()) >= 1 and not out.terminated.any()


def test_picture():
    """The point right of the middle and low, the goal in the upper right corner."""
    picture = np.asarray(ENV.render(jnp.asarray([0.75, -1.0]), PARAMS))
    assert picture.shape == (120, 120, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[99, 90], (30, 100, 220))
    np.testing.assert_array_equal(picture[11, 108], (40, 160, 80))
    np.testing.assert_array_equal(picture[60, 60], (235, 235, 230))
