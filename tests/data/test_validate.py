"""Reports on datasets: what was broken is counted, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.spaces import Discrete
from jaxrl.data import d4rl
from jaxrl.data.collect import collect, uniform
from jaxrl.data.dataset import from_arrays
from jaxrl.data.foreign import with_successors
from jaxrl.data.validate import validate
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from tests.data.recordings import LENGTHS, SPACE, write_d4rl

STARTS = np.cumsum(LENGTHS) - LENGTHS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return d4rl.load(write_d4rl(tmp_path_factory.mktemp("data") / "a.hdf5"), action_space=SPACE)


def test_validation_counts_what_was_broken(data):
    """A good file is clean."""
    assert validate(data, SPACE).clean
    obs, next_obs = np.array(data.obs), np.array(data.next_obs)
    far = int(STARTS[3]) + 3  # the fourth episode is somewhere else from its fourth row on
    obs[far:] += 1000
    next_obs[far:] += 1000
    unmarked = validate(data.replace(obs=jnp.asarray(obs), next_obs=jnp.asarray(next_obs)), SPACE)
    np.testing.assert_array_equal(unmarked.findings["boundary"], [far - 1])
    assert unmarked.counts["teleport"] == 0 and not unmarked.clean
    next_obs[far - 1] += 1000
    joined = validate(data.replace(obs=jnp.asarray(obs), next_obs=jnp.asarray(next_obs)), SPACE)
    np.testing.assert_array_equal(joined.findings["teleport"], [far - 1])
    assert joined.counts["boundary"] == 0
    assert f"teleport: 1, first in row {far - 1}" in str(joined)
    assert str(joined).startswith("17 rows, 4 episodes\n")
    broken = data.replace(
        reward=data.reward.at[2].set(jnp.nan),
        action=data.action.at[5, 1].set(1.5),
        truncated=data.truncated.at[3].set(True).at[9].set(False),
    )
    counts = validate(broken, SPACE).counts
    found = {"not_finite": 1, "action": 1, "both_ends": 1, "no_end": 1}
    assert counts == {"boundary": 0, "teleport": 0, "spike": 0} | found
    assert validate(broken).counts["action"] == 0  # no space, no opinion
    wide = data.replace(action=jnp.zeros((data.size, 3)))
    assert validate(wide, SPACE).counts["action"] == validate(data, Discrete(2)).counts["action"] == data.size


def test_rest_is_no_measure_of_a_step(data):
    """An agent that mostly stands still does not teleport when it moves."""
    obs = np.zeros(np.shape(data.obs), np.float32)
    obs[data.size // 2 :] = 1
    next_obs = np.append(obs[1:], obs[-1:], 0)
    resting = data.replace(obs=jnp.asarray(obs), next_obs=jnp.asarray(next_obs))
    assert validate(resting).counts["teleport"] == 0


@pytest.mark.parametrize("env", [CartPole(), Pendulum()], ids=lambda env: env.name)
def test_resets_that_nobody_marked_are_reported(env):
    """Ten episodes of random actions joined to one; resets are no longer than a few steps."""
    data = collect(env, uniform(env), jax.random.key(1), env.default_params(), episodes=10, limit=200)
    resets = np.flatnonzero(np.diff(data.episode))
    rows = {"obs": data.obs, "action": data.action, "reward": data.reward}
    rows["terminated"] = np.zeros(data.size, bool)
    joined = from_arrays(with_successors(rows, last=np.arange(data.size) == data.size - 1))
    report = validate(joined)
    assert report.episodes == 1 and report.counts["teleport"] == report.counts["boundary"] == 0
    np.testing.assert_array_equal(report.findings["spike"], resets)
    assert validate(data).counts["spike"] == 0
