"""The four-target reacher against MuJoCo by state injection, and a published trace, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.catalogue import make
from jaxrl.envs.control.reacher import Reacher, ReacherState


def test_published_trace():
    env = Reacher()
    with jax.enable_x64(True):
        params = env.default_params()
        actions = jnp.asarray((7 * np.arange(50) + 3) % 9, jnp.int32)

        def body(state, action):
            state, out = env.step(jax.random.key(0), state, action, params)
            return state, (state, out)

        run = jax.jit(lambda state: jax.lax.scan(body, state, actions)[1])
        states, out = jax.tree.map(np.asarray, run(ReacherState(params.start, jnp.zeros(2))))
    np.testing.assert_allclose(out.reward[0], [0.53181897, -0.05604883, 0.58236822, -0.07704053], atol=1e-8)
    np.testing.assert_allclose(states.q[0], [7.24e-6, 1.5310224], atol=1e-8)
    np.testing.assert_allclose(states.qd[0], [7.3643e-4, -3.95956362], atol=1e-8)
    np.testing.assert_allclose(out.reward.sum(0), [33.161537, -15.618115, 9.783100, -4.001603], atol=1e-6)
    np.testing.assert_allclose(states.q[-1], [0.042531, -0.128521], atol=1e-6)
    np.testing.assert_allclose(states.qd[-1], [3.953848, -2.302485], atol=1e-6)
    assert not out.terminated.any() and out.reward.min() > -0.4


def injected(n, limit):
    """States and actions: anywhere, or near and beyond the elbow's limit."""
    rng = np.random.default_rng(int(limit))
    elbow = rng.choice([-1, 1], n) * rng.uniform(2.95, 3.03, n) if limit else rng.uniform(-2.5, 2.5, n)
    q = np.stack([rng.uniform(-7, 7, n), elbow], 1)
    return ReacherState(q, rng.uniform(-8, 8, (n, 2))), rng.integers(9, size=n).astype(np.int32)


@pytest.mark.parametrize(("n", "limit", "tolerance"), [(1000, False, 1e-8), (200, True, 1e-5)])
def test_steps_equal_mujoco(n, limit, tolerance):
    pytest.importorskip("mujoco")
    spec = pytest.importorskip("mo_gymnasium").make("mo-reacher-v5")
    host, env = spec.unwrapped, Reacher()
    host.reset(seed=0)
    states, actions = injected(n, limit)
    with jax.enable_x64(True):
        params = env.default_params()
        assert int(env.time_limit(params)) == spec.spec.max_episode_steps
        step = jax.jit(jax.vmap(env.step, (None, 0, 0, None)))
        after, out = jax.tree.map(np.asarray, step(jax.random.key(0), states, actions, params))
    bent = 0
    for i in range(n):
        qpos, qvel = host.data.qpos.copy(), np.zeros_like(host.data.qvel)
        qpos[:2], qvel[:2] = states.q[i], states.qd[i]
        host.set_state(qpos, qvel)
        obs, reward, terminated, _, _ = host.step(actions[i])
        np.testing.assert_allclose(after.q[i], host.data.qpos[:2], atol=tolerance)
        np.testing.assert_allclose(after.qd[i], host.data.qvel[:2], atol=tolerance)
        np.testing.assert_allclose(out.obs[i], obs, atol=tolerance)
        np.testing.assert_allclose(out.reward[i], reward, atol=1e-6)  # the package rounds to float32
        assert not terminated
        bent += abs(host.data.qpos[1]) > 3
    assert (bent > 20) == limit


def test_picture_shows_arm_and_targets():
    env = make("Reacher")
    params = env.default_params()
    state, obs = env.reset(jax.random.key(0), params)
    assert obs[:4].tolist() == pytest.approx([1, 0, 0, 1], abs=1e-4) and abs(obs[4:]).max() <= 5e-4
    picture = np.asarray(env.render(state, params))

    def colour(x, y):
        return picture[round((0.25 - y) / 0.5 * 120 - 0.5), round((x + 0.25) / 0.5 * 120 - 0.5)].tolist()

    arm, target, finger, paper = [70, 75, 85], [40, 160, 80], [200, 50, 50], [250, 250, 245]
    assert colour(0.05, 0) == arm and colour(0.1, 0.05) == arm and colour(0.1, 0.11) == finger
    assert colour(0.14, 0) == target and colour(-0.14, 0) == target and colour(-0.05, 0) == paper
