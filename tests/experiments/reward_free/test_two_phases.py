"""Which rows and labels offline learners get, and in what order their returns come back."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.reward_free import two_phases
from jaxrl.core.errors import UsageError
from jaxrl.data.dataset import Dataset
from jaxrl.envs.control.point_maze import PointMaze
from jaxrl.run.sweep import member_keys

CONFIG = two_phases.Config(explorers=("held", "RND"), seeds=3, offline_steps=25, widths=(4,), batch_size=2)


def rows(value):
    """Two rows whose observations are all `value`."""
    zero = jnp.zeros(2, jnp.int32)
    return Dataset(
        obs=jnp.full((2, 4), value),
        next_obs=jnp.full((2, 4), value),
        action=jnp.zeros((2, 2)),
        reward=jnp.zeros(2),
        terminated=zero > 0,
        truncated=zero == 0,
        episode=zero,
        step=zero,
        meta=(("reward", str(value)),),
    )


@pytest.mark.parametrize(("learner", "updates"), [("TD3", 3), ("IQL", 25)])
def test_every_member_learns_from_its_own_rows_and_returns_are_by_explorer_and_seed(
    learner, updates, monkeypatch
):
    called = {}

    def train(algorithm, keys, hypers, data, **options):
        called.update(options, keys=keys, data=data)
        return SimpleNamespace(history={"eval/return": np.array([[-1.0] * 6, np.arange(6.0)])})

    monkeypatch.setattr(two_phases, "train", train)
    keys = member_keys(0, 3)
    found = two_phases.learned(
        CONFIG, None, PointMaze(), learner, keys, [rows(float(i)) for i in range(6)], "top_left"
    )
    np.testing.assert_array_equal(found, [[0, 1, 2], [3, 4, 5]])
    assert isinstance(called["data"], Dataset) == (learner == "TD3")
    assert called["updates"] == updates and not called["shared_data"]
    seen = called["data"] if learner == "TD3" else called["data"].reference
    np.testing.assert_array_equal(seen.obs[:, 0, 0], np.arange(6))
    expected = jax.random.key_data(keys[np.array([0, 1, 2, 0, 1, 2])])
    np.testing.assert_array_equal(jax.random.key_data(called["keys"]), expected)
    assert called["labels"][4] == "seed 1 of RND"


def test_estimates_count_explorers_that_learn_and_every_offline_member():
    found = two_phases.estimate(CONFIG, 2)
    assert found == {"members": 3 * (1 + 2 * 2), "compilations": 1 + 2, "env_steps": 3 * 2 * 50_000}


def test_environments_that_do_not_divide_the_steps_are_refused():
    with pytest.raises(UsageError, match=r"Config\.n_envs: must divide steps 100, got 7"):
        two_phases.Config(steps=100, n_envs=7)
