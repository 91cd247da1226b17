"""MuJoCo's Hopper on the host: recorded transitions, and the snapshots' known returns. Optional libraries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import MissingExtra
from jaxrl.core.types import Policy
from jaxrl.data import npz, snapshots
from jaxrl.data.collect import host_collect
from jaxrl.data.episodes import episode_returns
from jaxrl.data.validate import HINTS, validate
from jaxrl.envs.adapters.gymnasium import maker, spaces
from jaxrl.rollout.host import host_evaluate


@pytest.fixture(scope="module")
def hopper():
    try:
        return maker("Hopper-v5")
    except MissingExtra as error:
        pytest.skip(f"Hopper: {error}")


@pytest.fixture(scope="module")
def policies(data_folder):
    if not (data_folder / "trpo_Hopper-v1.h5").is_file():
        pytest.skip("real data: trpo_Hopper-v1.h5 is not in $JAXRL_DATA")
    return snapshots.read(data_folder / "trpo_Hopper-v1.h5")


def greedy(snapshot):
    policy = snapshots.policy(snapshot, greedy=True)
    return Policy(lambda key, obs, memory: (jnp.clip(policy.act(key, obs, memory)[0], -1, 1), (), memory))


def test_recorded_transitions_replay(hopper, data_folder):
    """One step from every 20th recorded state; rows with a clipped velocity do not hold their state."""
    path = data_folder / "opolo_hopper_expert10.npz"
    if not path.is_file():
        pytest.skip("real data: opolo_hopper_expert10.npz is not in $JAXRL_DATA")
    data = npz.stable_baselines(path, max_episode_steps=1000, remaining_time=True)
    obs, next_obs = np.asarray(data.obs, np.float64), np.asarray(data.next_obs, np.float64)
    whole = (np.abs(obs[:, 5:]) < 10).all(1) & (np.abs(next_obs[:, 5:]) < 10).all(1)
    assert 0.8 < whole.mean() < 0.9
    env = hopper().unwrapped
    env.reset(seed=0)
    errors, rewards = [], []
    for i in np.flatnonzero(whole)[::20]:
        env.set_state(np.concatenate([[0.0], obs[i, :5]]), obs[i, 5:])
        found, reward, terminated, _, _ = env.step(np.asarray(data.action[i], np.float64))
        errors.append(np.abs(found[:5] - next_obs[i, :5]).max())
        rewards.append(abs(reward - float(data.reward[i])))
        assert not terminated
    assert len(errors) > 300
    # the published comparison: median 4e-5, 99 % below 4e-4, largest 2e-3; reward median 5e-4, largest 0.07
    assert np.median(errors) < 1e-4 and np.quantile(errors, 0.99) < 1e-3 and np.max(errors) < 4e-3
    assert np.median(rewards) < 1e-3 and np.max(rewards) < 0.1


@pytest.mark.slow
def test_snapshot_returns(hopper, policies):
    """Three greedy episodes each, against a prototype."""
    for iteration, known, tolerance in ((0, 74, 20), (20, 686, 100), (40, 2690, 700), (500, 3726, 75)):
        found = host_evaluate(hopper, greedy, policies[iteration], jax.random.key(0), episodes=3)
        assert found.returns.mean() == pytest.approx(known, abs=tolerance), iteration


def test_collected_episodes(hopper, policies):
    _, action_space = spaces(hopper)
    data = host_collect(
        hopper, greedy, policies[0], jax.random.key(0), episodes=4, action_space=action_space, limit=50
    )
    assert data.obs.shape[1] == 11 and data.action.shape[1] == 3 and len(episode_returns(data)) == 4
    report = validate(data, action_space)
    assert not any(n for name, n in report.counts.items() if name not in HINTS)
