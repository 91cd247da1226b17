"""Policies of TRPO: read as they are stored, and as good as their own log says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput
from jaxrl.data import snapshots
from jaxrl.envs.control.acrobot import Acrobot
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.mountain_car import MountainCar
from jaxrl.rollout.evaluate import evaluate
from tests.data.recordings import write_d4rl

# mean returns of sampled policies over 1,000 episodes, from an independent prototype
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
    """Within 3; the returns' standard deviation is at most 30, so that 3 is three standard errors."""
    known = {i: value for (env, i), value in SAMPLED.items() if env == name}
    for i, returns in sampled_returns(real, name, known).items():
        assert returns.mean() == pytest.approx(known[i], abs=3), (name, i)


def test_acrobot_snapshots_learn_as_their_own_log_says(real):
    """The log's returns are means of some 50 episodes; standard deviations are 60 early and 15 late."""
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
        std = np.exp(group["logstdevs_1_Da"][0])
    act = snapshots.policy(found[100], greedy=True).act
    np.testing.assert_allclose(
        act(jax.random.key(0), jnp.asarray(obs), ())[0], expected, rtol=1e-4, atol=1e-5
    )
    sample = jax.jit(jax.vmap(lambda k: snapshots.policy(found[100]).act(k, jnp.asarray(obs), ())[0]))
    drawn = np.asarray(sample(jax.random.split(jax.random.key(0), 4000)))
    # four standard errors of mean and standard deviation
    np.testing.assert_allclose(drawn.mean(0), expected, atol=(4 * std / np.sqrt(4000)).max())
    np.testing.assert_allclose(drawn.std(0), std, rtol=4 / np.sqrt(8000))


def test_files_without_policies_and_beyond_the_limit(real, tmp_path):
    with pytest.raises(CorruptInput, match=r"has no group 'snapshots/iter\.\.\.'; give a file of openai"):
        snapshots.read(write_d4rl(tmp_path / "a.h5"))
    for read in (snapshots.read, snapshots.training_log):
        with pytest.raises(CorruptInput, match=r"more than the limit of 100; raise the limit"):
            read(real("trpo_CartPole-v0.h5"), limit=100)
