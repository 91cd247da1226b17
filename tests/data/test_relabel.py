"""Rewards chosen afterwards: equal to those recorded online, and what cannot be computed from the rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.data.collect import collect, uniform
from jaxrl.data.dataset import from_arrays
from jaxrl.data.relabel import relabel
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.wrappers.with_reward import WithReward


def upright(obs, action, next_obs):
    return next_obs[0] - 0.1 * jnp.abs(next_obs[2]) - 0.01 * action[0] ** 2


def online(params, state, action, next_state):
    return jnp.cos(next_state.theta) - 0.1 * jnp.abs(next_state.theta_dot) - 0.01 * action[0] ** 2


@pytest.fixture(scope="module")
def recorded():
    """The same transitions with the reward of the pendulum and with another one."""
    env = Pendulum()
    other = WithReward(env, online)
    policy, params = uniform(env), env.default_params()
    return tuple(
        collect(e, policy, jax.random.key(0), params, episodes=3, limit=20, meta=(("name", "pendulum"),))
        for e in (env, other)
    )


def test_relabelled_rewards_are_those_recorded_online_and_not_those_one_step_late(recorded):
    own, other = recorded
    found = relabel(own, upright)
    np.testing.assert_allclose(found.reward, other.reward, atol=1e-6)
    assert found.reward.dtype == np.float32 and not np.allclose(own.reward, other.reward)
    late = relabel(own, lambda obs, action, next_obs: upright(obs, action, obs), "late")
    assert np.abs(late.reward - other.reward).max() > 0.1
    np.testing.assert_allclose(late.reward[1:20], found.reward[:19], atol=0.05)  # up to the action's cost


def test_all_but_reward_and_metadata_stay(recorded):
    own, _ = recorded
    found = relabel(own, upright)
    assert found.meta == (("name", "pendulum"), ("reward", "upright"))
    assert relabel(found, upright, "again").meta == (("name", "pendulum"), ("reward", "again"))
    same = jax.tree.map(np.array_equal, own.replace(reward=0, meta=()), found.replace(reward=0, meta=()))
    assert jax.tree.all(same)
    assert np.asarray(found.truncated).sum() == 3


def test_ends_of_episodes_and_vectors_of_rewards():
    flags = np.array([False, True, False, False])
    data = from_arrays(
        {
            "obs": np.arange(4.0),
            "action": np.arange(4),
            "reward": np.ones(4),
            "next_obs": np.arange(1.0, 5.0),
            "terminated": flags,
            "truncated": np.array([False, False, False, True]),
        }
    )
    found = relabel(data, lambda obs, action, next_obs: jnp.stack([next_obs, obs * action]), "both")
    np.testing.assert_array_equal(found.reward, [[1, 0], [2, 1], [3, 4], [4, 9]])
    np.testing.assert_array_equal(found.terminated, flags)
    np.testing.assert_array_equal(found.truncated, [False, False, False, True])


def test_one_function_is_compiled_once_and_double_precision_gives_float32(recorded):
    calls = []

    def counted(obs, action, next_obs):
        calls.append(isinstance(obs, jax.core.Tracer))
        return next_obs[0]

    for _ in range(3):
        relabel(recorded[0], counted)
    assert sum(calls) == 1
    with jax.enable_x64(True):
        assert relabel(recorded[0], upright).reward.dtype == np.float32


@pytest.mark.parametrize(
    ("reward", "name", "message"),
    [
        (lambda obs, action, next_obs: next_obs[8], "run", r"run cannot be computed .* obs \[3\] and action"),
        (lambda obs, action, next_obs: next_obs["speed"], "speed", "speed cannot be computed from rows"),
        (lambda obs, action, next_obs: next_obs.speed, "speed", "speed cannot be computed from rows"),
        (lambda obs, action: obs[0], "two", "two cannot be computed from rows"),
        (lambda obs, action, next_obs: {"a": obs[0]}, "dict", r"dict returns {'a': \(\)} per row; return a"),
        (lambda obs, action, next_obs: obs[None], "matrix", r"matrix returns \(1, 3\) per row"),
        (lambda obs, action, next_obs: jnp.log(obs[0] - 2), "log", "log is not finite in row 0; bound it"),
        (lambda obs, action, next_obs: obs[0], None, "name: the metadata name the reward"),
        (lambda obs, action, next_obs: obs[0] + 1j, "complex", "return a number, or a vector"),
    ],
)
def test_what_is_no_reward_of_these_rows_is_refused(recorded, reward, name, message):
    with pytest.raises(UsageError, match=message):
        relabel(recorded[0], reward, name)


def test_padding_may_have_any_reward_and_a_dataset_without_rows_is_refused(recorded):
    data = recorded[0]
    masked = data.replace(mask=np.arange(data.size) > 0)
    found = relabel(masked, lambda obs, a, x: jnp.where(obs[0] == data.obs[0, 0], jnp.nan, 1.0), "masked")
    assert np.isnan(found.reward[0]) and (np.asarray(found.reward[1:]) == 1).all()
    with pytest.raises(UsageError, match="data: has no rows"):
        relabel(jax.tree.map(lambda x: x[:0], data), upright)
