"""The published recordings: contents, and our environments replayed against them.

Skipped where $JAXRL_DATA does not name a folder with the files.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.data import npz, safe, snapshots
from jaxrl.data.episodes import distances, episode_returns, normalise_returns
from jaxrl.data.validate import validate
from jaxrl.envs.control.acrobot import Acrobot
from jaxrl.envs.control.cartpole import CartPole, CartPoleState
from jaxrl.envs.control.mountain_car import MountainCar
from jaxrl.envs.control.pendulum import Pendulum, PendulumState
from jaxrl.rollout.evaluate import evaluate

# sha256, as published with the files
DIGESTS = {
    "dapg_door_human.npz": "5417d6bb8abe8310dbd293a4d9f44482047b6f42b57bfa0669c5156f7b18b39b",
    "hcai_cartpole_expert.npz": "fbaa1ae6c9858480608a9636087cad5e6ea31907398b62f7691b634e4aa6ba1f",
    "hcai_pendulum_expert.npz": "cd15647301e9f8554cc4a04e0264a4d1d7bdeee12ceb838b9e5906042256e698",
    "opolo_hopper_expert10.npz": "18e825b97464951fa4673b444fd581dda7cf16af1551b867da4dca734c74a4a6",
    "trpo_Acrobot-v0.h5": "4046020628115087cce823bdf7079af7cb9938be82f72600ca17d1d7b039756d",
    "trpo_CartPole-v0.h5": "24060a4eba8f31d9bc14d4912d955945c051084863e2fa3a1491a16278f232aa",
    "trpo_Hopper-v1.h5": "4777c90d701cbc841c0cff5598cd86bbb6a3f4a9f8f22530230ff46ee22d0029",
    "trpo_MountainCar-v0.h5": "c6fd47a2455e23b45d7b395aa3dc213b9e741a181320288db99a1bb188c40a2f",
}


@pytest.fixture(scope="module")
def real(data_folder):
    """`real(name)`: path of a published file whose content is the known one."""

    def path(name):
        if not (data_folder / name).is_file():
            pytest.skip(f"real data: {name} is not in $JAXRL_DATA")
        safe.verify(data_folder / name, DIGESTS[name])
        return data_folder / name

    return path


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
    """D1: one step from every stored observation with the raw actions."""
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
    assert {name for name, n in counts.items() if n} == {"teleport"}  # swings are long against balancing
    assert counts["teleport"] == (distances(data) > 10 * np.median(distances(data))).sum() > 0
    np.testing.assert_allclose(np.ptp(episode_returns(normalise_returns(data))), 1000, rtol=1e-5)  # D6


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
    # D6: the returns are known, so the factor is
    known = 1000 / (500 - returns.min())
    new = normalise_returns(data)
    np.testing.assert_allclose(new.reward, np.full(data.size, known), rtol=1e-6)


def test_door_file(real):
    """D5: sums over the file; the container drops the last row of each demonstration and clips actions."""
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
    assert all(n == 0 for name, n in report.counts.items() if name != "teleport")
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


# D4: mean returns of sampled policies over 1,000 episodes, from an independent prototype
SAMPLED = {
    ("MountainCar", 0): -200.0,
    ("MountainCar", 20): -144.3,
    ("MountainCar", 40): -108.6,
    ("MountainCar", 60): -104.3,
    ("MountainCar", 80): -100.0,
    ("MountainCar", 100): -99.3,
    ("CartPole", 0): 30.2,
    ("CartPole", 20): 199.9,
}
TRPO = {
    "MountainCar": ("trpo_MountainCar-v0.h5", MountainCar(), 200),
    "CartPole": ("trpo_CartPole-v0.h5", CartPole(), 200),
    "Acrobot": ("trpo_Acrobot-v0.h5", Acrobot(raw=True), 200),
}


def sampled_returns(real, name, iterations):
    """{iteration: returns [1000]} of the sampled policies, all by one program."""
    file, env, limit = TRPO[name]
    found = snapshots.read(real(file))
    params = env.default_params()

    @jax.jit
    def run(snapshot, key):
        return evaluate(env, snapshots.policy(snapshot), key, params, episodes=1000, limit=limit).returns

    return {i: np.asarray(run(found[i], jax.random.key(i))) for i in iterations}


@pytest.mark.parametrize("name", ["MountainCar", "CartPole"])
def test_snapshot_returns_are_the_known_ones(real, name):
    """D4 within 3; the returns' deviation is at most 30, so that 3 is three standard errors."""
    known = {i: value for (env, i), value in SAMPLED.items() if env == name}
    for i, returns in sampled_returns(real, name, known).items():
        assert returns.mean() == pytest.approx(known[i], abs=3), (name, i)


def test_acrobot_snapshots_learn_as_their_own_log_says(real):
    """The log's returns are means of some 50 episodes, which deviate by up to 60 early and 15 late."""
    log = snapshots.training_log(real("trpo_Acrobot-v0.h5"))
    assert log["iter"].tolist() == list(range(101))
    found = {i: r.mean() for i, r in sampled_returns(real, "Acrobot", (0, 20, 100)).items()}
    for i, mean in found.items():
        assert mean == pytest.approx(log["ret"][i], abs=10), i
    assert found[0] < found[20] < found[100]


def test_a_gaussian_snapshot_is_read_as_it_is_stored(real):
    """Against a loop in float64 over the arrays of the file."""
    import h5py

    path = real("trpo_Hopper-v1.h5")
    found = snapshots.read(path)
    assert list(found) == list(range(0, 501, 20))
    obs = np.random.default_rng(0).normal(size=11)
    with h5py.File(path) as file:
        group = file["snapshots/iter0000100/GaussianPolicy"]
        mean, square = (group[f"obsnorm/Standardizer/{n}_1_D"][0] for n in ("mean", "meansq"))
        h = (obs - mean) / (np.sqrt(np.maximum(square - mean**2, 0)) + 1e-6)
        for layer in ("hidden/FeedforwardNet/layer_0", "hidden/FeedforwardNet/layer_2"):
            h = np.tanh(h @ group[f"{layer}/AffineLayer/W"][()] + group[f"{layer}/AffineLayer/b"][0])
        expected = h @ group["out/AffineLayer/W"][()] + group["out/AffineLayer/b"][0]
        deviation = np.exp(group["logstdevs_1_Da"][0])
    act = snapshots.policy(found[100], greedy=True).act
    np.testing.assert_allclose(
        act(jax.random.key(0), jnp.asarray(obs), ())[0], expected, rtol=1e-4, atol=1e-5
    )
    sample = jax.jit(jax.vmap(lambda k: snapshots.policy(found[100]).act(k, jnp.asarray(obs), ())[0]))
    drawn = np.asarray(sample(jax.random.split(jax.random.key(0), 4000)))
    # four standard errors of mean and deviation
    np.testing.assert_allclose(drawn.mean(0), expected, atol=(4 * deviation / np.sqrt(4000)).max())
    np.testing.assert_allclose(drawn.std(0), deviation, rtol=4 / np.sqrt(8000))
