"""Recorded episodes against a loop over single environments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Policy
from jaxrl.data.collect import collect, host_collect, uniform
from jaxrl.data.episodes import drop_padding, episode_returns
from jaxrl.data.validate import validate
from jaxrl.envs.adapters.gymnasium import maker
from jaxrl.envs.control.cartpole import CartPole, CartPoleState
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.tabular.tabular import Tabular


def test_whole_episodes_and_nothing_else():
    env = CartPole()
    params = env.default_params()
    data = collect(
        env, uniform(env), jax.random.key(0), params, episodes=7, limit=20, meta=(("name", "toy"),)
    )
    assert data.mask is None and data.meta == (("name", "toy"),)
    lengths = np.bincount(data.episode)
    assert len(lengths) == 7 and lengths.min() < 20 and (lengths <= 20).all()
    np.testing.assert_array_equal(episode_returns(data), lengths)
    row = 0
    for length in lengths:
        state = CartPoleState(*data.obs[row])
        for i in range(length):
            np.testing.assert_array_equal(data.obs[row], jnp.stack(state))
            state, out = env.step(jax.random.key(0), state, data.action[row], params)
            np.testing.assert_allclose(data.next_obs[row], out.obs, rtol=1e-5, atol=1e-6)
            state = CartPoleState(*data.next_obs[row])
            assert bool(data.terminated[row]) == bool(out.terminated) and int(data.step[row]) == i
            assert bool(data.truncated[row]) == (i == 19 and not bool(out.terminated))
            row += 1
        assert data.terminated[row - 1] or data.truncated[row - 1]
    assert row == data.size


def test_double_precision_is_recorded_with_numbers_of_32_bits():
    with jax.enable_x64(True):
        env = Pendulum()
        params = env.default_params()
        data = collect(env, uniform(env), jax.random.key(0), params, episodes=1, limit=3)
        assert jax.tree.leaves(params)[0].dtype == np.float64
    assert {x.dtype.name for x in jax.tree.leaves(data)} == {"float32", "int32", "bool"}


def test_uniform_actions_fill_the_space():
    env = Pendulum()
    data = collect(env, uniform(env), jax.random.key(0), env.default_params(), episodes=10)
    assert data.size == 2000 and int(data.truncated.sum()) == 10
    counts = np.histogram(data.action, bins=10, range=(-2, 2))[0]
    assert np.abs(counts - 200).max() < 4.5 * np.sqrt(200)


def test_host_episodes_are_those_of_the_same_environment():
    """CartPole of gymnasium, replayed by ours; 30 steps truncate some episodes, falls end the others."""
    env = CartPole()
    make = maker("CartPole-v1", max_episode_steps=30)
    act = lambda params: uniform(env)  # noqa: E731
    data = host_collect(make, act, (), jax.random.key(0), episodes=12, action_space=env.action_space)
    lengths = np.bincount(data.episode)
    assert len(lengths) == 12 and lengths.max() == 30 > lengths.min()
    assert validate(data, env.action_space).clean
    step = jax.jit(
        jax.vmap(lambda o, a: env.step(jax.random.key(0), CartPoleState(*o), a, env.default_params())[1])
    )
    out = step(data.obs, data.action)
    np.testing.assert_allclose(out.obs, data.next_obs, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(out.terminated, data.terminated)
    assert int(data.truncated.sum()) + int(data.terminated.sum()) == 12
    cut = host_collect(make, act, (), jax.random.key(0), episodes=12, limit=5)
    assert cut.size == 60 and int(cut.truncated.sum()) == 12 and not cut.terminated.any()


def test_episodes_are_compiled_once():
    """For new parameters and keys, and for the uniform policy of an equal environment."""
    traces, traced = [], []

    def choose(scale, key, obs, memory):
        traces.append(1)
        return jax.random.uniform(key, (1,)) * scale, (), memory

    params = Pendulum().default_params()
    for i in range(3):
        policy = Policy(jax.tree_util.Partial(choose, jnp.float32(i)))
        collect(Pendulum(), policy, jax.random.key(i), params, episodes=2, limit=3)
        traced.append(len(traces))
    assert traced[0] == traced[2] > 0
    assert uniform(Pendulum()) is uniform(Pendulum())


class Nested:
    """Two steps of dict observations that hold a tuple of equal shapes; vector rewards."""

    spec = None

    def reset(self, seed=None):
        self.t = 0
        return self.observed(), {}

    def observed(self):
        t = np.float32(self.t)
        return {"pair": (np.full(2, t), np.full(2, -t)), "count": np.int64(self.t)}

    def step(self, action):
        self.t += 1 + int(action["key"])
        return self.observed(), (1.0, float(action["arm"][1][0])), self.t >= 4, False, {}

    def close(self):
        pass


def test_host_episodes_of_dicts_and_tuples():
    space = {"arm": (Box(-1.0, 1.0, (1,)), Box(-1.0, 1.0, (1,))), "key": Discrete(2)}

    def act(params):
        def choose(key, obs, memory):
            return {"arm": (jnp.zeros(1), obs["pair"][0][:1] / 8), "key": obs["count"] % 2}, (), memory

        return Policy(choose)

    data = host_collect(Nested, act, (), jax.random.key(0), episodes=2, limit=9, action_space=space)
    seen = np.tile([0, 1, 3], 2)
    np.testing.assert_array_equal(data.obs["count"], seen)
    assert isinstance(data.obs["pair"], tuple)
    np.testing.assert_array_equal(data.obs["pair"][0], np.stack([seen, seen], 1))
    np.testing.assert_array_equal(data.obs["pair"][1], -data.obs["pair"][0])
    np.testing.assert_array_equal(data.next_obs["count"], np.tile([1, 3, 5], 2))
    np.testing.assert_array_equal(data.action["key"], seen % 2)
    np.testing.assert_allclose(data.action["arm"][1][:, 0], seen / 8)
    np.testing.assert_allclose(data.reward, np.stack([np.ones(6), seen / 8], 1))
    np.testing.assert_array_equal(data.terminated, np.tile([False, False, True], 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda e, p: collect(e, uniform(e), jax.random.key(0), p, episodes=0),
            "episodes: must be >= 1, got 0",
        ),
        (
            lambda e, p: collect(e, uniform(e), jax.random.key(0), p, episodes="2"),
            "episodes: must be an int, got '2'",
        ),
        (
            lambda e, p: collect(e, uniform(e), jax.random.key(0), p, episodes=1, limit=0.5),
            "limit: must be an int, got 0.5",
        ),
        (
            lambda e, p: collect(e, uniform(e), jax.random.key(0), p, episodes=1, limit=0),
            "limit: must be >= 1",
        ),
        (
            lambda e, p: collect(Tabular(2, 2), Policy(None), jax.random.key(0), None, episodes=1),
            "limit: Tabular has no time limit",
        ),
        (
            lambda e, p: drop_padding(
                collect(e, uniform(e), jax.random.key(0), p, episodes=1, limit=1).replace(mask=jnp.ones(1))
            ),
            "drop_padding: the mask weighs rows",
        ),
        (
            lambda e, p: drop_padding(
                collect(e, uniform(e), jax.random.key(0), p, episodes=1, limit=1).replace(
                    mask=jnp.zeros(1, bool)
                )
            ),
            "drop_padding: every row is padding",
        ),
        (
            lambda e, p: collect(e, uniform(e).act, jax.random.key(0), p, episodes=1),
            "policy: must be a Policy, which",
        ),
        (
            lambda e, p: collect(e, uniform(e), jax.random.PRNGKey(0), p, episodes=1),
            "key: must be one typed key",
        ),
        (
            lambda e, p: host_collect(e, lambda _: uniform(e), (), jax.random.key(0), episodes=1),
            "make_env: must be a function that makes one",
        ),
    ],
)
def test_usage(call, message):
    env = CartPole()
    with pytest.raises(UsageError, match="^" + message):
        call(env, env.default_params())
