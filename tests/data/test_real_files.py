"""The published recordings: contents, and our environments replayed against them.

Skipped where $JAXRL_DATA does not name a folder with the files.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.data import npz, safe
from jaxrl.data.episodes import distances, episode_returns, normalise_returns
from jaxrl.data.validate import HINTS, validate
from jaxrl.envs.control.cartpole import CartPole, CartPoleState
from jaxrl.envs.control.pendulum import Pendulum, PendulumState


def cart_pole(obs, dtype):
    return CartPoleState(*jnp.asarray(obs, dtype).T)


def pendulum(obs, dtype):
    return PendulumState(jnp.asarray(np.arctan2(obs[:, 1], obs[:, 0]), dtype), jnp.asarray(obs[:, 2], dtype))


REPLAY = {
    "Pendulum": ("hcai_pendulum_expert.npz", Pendulum(), 200, pendulum),
    "CartPole": ("hcai_cartpole_expert.npz", CartPole(), 500, cart_pole),
}


@pytest.mark.parametrize("name", REPLAY)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_every_recorded_transition_replays(real, name, dtype):
    """One step from every stored observation with the raw actions."""
    file, env, limit, inject = REPLAY[name]
    data = npz.imitation(real(file), max_episode_steps=limit)
    rewards = safe.read_npz(real(file), ("rews",))["rews"]
    with jax.enable_x64(dtype == np.float64):
        params = env.default_params()
        state = inject(np.asarray(data.obs, np.float64), dtype)
        action = jnp.asarray(np.asarray(data.action), dtype if name == "Pendulum" else np.int32)
        step = jax.jit(jax.vmap(env.step, (None, 0, 0, None)))
        _, out = jax.tree.map(np.asarray, step(jax.random.key(0), state, action, params))
    assert out.obs.dtype == dtype
    assert np.abs(out.obs - np.asarray(data.next_obs, np.float64)).max() < 1e-6
    assert np.abs(out.reward - rewards).max() < (1e-6 if dtype == np.float64 else 1e-5)
    np.testing.assert_array_equal(out.terminated, data.terminated)


def test_pendulum_file(real):
    space = Pendulum().action_space
    data = npz.imitation(real("hcai_pendulum_expert.npz"), max_episode_steps=200, action_space=space)
    returns = episode_returns(data)
    assert data.size == 11200 and len(returns) == 56
    assert returns.mean() == pytest.approx(-189.4005, abs=1e-3)
    assert np.median(returns) == pytest.approx(-128.68, abs=5e-3) and returns.std() == pytest.approx(
        129.57, abs=0.01
    )
    np.testing.assert_allclose(data.obs[0], (0.3088073, 0.9511246, -0.27975237), atol=1e-7)
    assert not data.terminated.any() and int(data.truncated.sum()) == 56
    assert float(jnp.abs(data.action).max()) == pytest.approx(2 * (1 - 1e-5), abs=1e-6)
    counts = validate(data, space).counts
    # swings are long against balancing
    assert {name for name, n in counts.items() if n} == set(HINTS) and counts["spike"] < data.size / 30
    assert counts["teleport"] == (distances(data) > 10 * np.median(distances(data))).sum() > 0
    np.testing.assert_allclose(np.ptp(episode_returns(normalise_returns(data))), 1000, rtol=1e-5)


def test_cart_pole_file(real):
    data = npz.imitation(
        real("hcai_cartpole_expert.npz"), max_episode_steps=500, action_space=CartPole().action_space
    )
    returns = episode_returns(data)
    assert data.size == 26964 and returns.mean() == pytest.approx(473.05, abs=5e-3)
    # the file says that all 57 episodes are terminal; 15 of them are cut at 500 steps
    assert int(data.truncated.sum()) == (returns == 500).sum() == 15 and int(data.terminated.sum()) == 42
    at = np.asarray(data.next_obs)[np.asarray(data.terminated)]
    assert ((np.abs(at[:, 0]) > 2.4) | (np.abs(at[:, 2]) > 12 * np.pi / 180)).all()
    # the returns are known, so the factor is
    known = 1000 / (500 - returns.min())
    new = normalise_returns(data)
    np.testing.assert_allclose(new.reward, np.full(data.size, known), rtol=1e-6)


def test_door_file(real):
    """Sums over the file; the container drops the last row of each demonstration and clips actions."""
    raw = safe.read_npz(real("dapg_door_human.npz"))
    assert raw["observations"].shape == (6729, 39)
    assert raw["observations"].sum() == pytest.approx(53513.336155, abs=1e-5)
    assert raw["actions"].sum() == pytest.approx(-18649.262474, abs=1e-5)
    assert (raw["actions"].min(), raw["actions"].max()) == pytest.approx((-1.279, 1.366), abs=1e-3)
    returns = np.add.reduceat(raw["rewards"], np.cumsum(raw["lengths"]) - raw["lengths"])
    assert 230 <= returns.min() < 231 and 1496 <= returns.max() < 1497
    from jaxrl.core.spaces import Box

    space = Box(-1.0, 1.0, (28,))
    data = npz.demonstrations(real("dapg_door_human.npz"), action_space=space)
    assert data.size == 6729 - 25 and int(data.truncated.sum()) == 25 and not data.terminated.any()
    lengths = np.bincount(data.episode)
    np.testing.assert_array_equal(lengths, raw["lengths"] - 1)
    report = validate(data, space)
    assert all(n == 0 for name, n in report.counts.items() if name not in HINTS)
    assert dict(data.meta)["actions_outside"] > 0


def test_opolo_file(real):
    from jaxrl.core.spaces import Box

    path = real("opolo_hopper_expert10.npz")
    raw = safe.read_npz(path)
    np.testing.assert_allclose(raw["rewards"].reshape(10, 1000).sum(1), raw["episode_returns"], atol=2e-2)
    assert raw["episode_returns"].min() >= 3583 and raw["episode_returns"].max() < 3597
    data = npz.stable_baselines(
        path, max_episode_steps=1000, remaining_time=True, action_space=Box(-1.0, 1.0, (3,))
    )
    assert data.size == 10 * 999 and data.obs.shape[1] == 11
    np.testing.assert_array_equal(np.bincount(data.episode), np.full(10, 999))
    assert int(data.truncated.sum()) == 10 and not data.terminated.any()
    report = validate(data)
    assert report.counts["boundary"] == report.counts["no_end"] == 0
    # had the file's own successors been used, ten rows would lead into the next episode
    last = np.arange(999, 9999, 1000)
    assert (raw["next_obs"][last, -1] == 1.0).all()
