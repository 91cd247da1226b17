"""gymnax adapter against stand-ins with the interfaces of 1.0 and 0.0.9; the real one is marked `peers`."""

import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Policy
from jaxrl.envs.adapters import gymnax as adapter
from jaxrl.envs.adapters.gymnax import Gymnax
from jaxrl.rollout.unroll import start, unroll


@struct.dataclass
class Params:
    """Python numbers, as gymnax has them."""

    speed: float = 1.0
    max_steps_in_episode: int = 4


@struct.dataclass
class State:
    x: jax.Array
    time: int


class Spaces:
    """Stand-ins of gymnax's spaces, of whose classes the adapter reads the names."""

    Box = type("Box", (SimpleNamespace,), {})
    Discrete = type("Discrete", (SimpleNamespace,), {})


class Line:
    """Moves right by `speed`; terminates beyond 6."""

    def reset_env(self, key, params):
        return jnp.zeros(1), State(jnp.zeros(1), 0)

    def step_env(self, key, state, action, params):
        state = State(state.x + params.speed, state.time + 1)
        return state.x, state, 1.0, state.x[0] > 6, {"discount": 1.0}

    reset = reset_env

    def observation_space(self, params):
        return Spaces.Box(low=0.0, high=9.0, shape=(1,), dtype=jnp.float32)

    def action_space(self, params):
        return Spaces.Discrete(n=2, shape=(), sample=lambda key: jax.random.randint(key, (), 0, 2))


class Line10(Line):
    def step(self, key, state, action, params):
        obs, state, reward, terminated, info = self.step_env(key, state, action, params)
        return obs, state, reward, terminated, state.time >= params.max_steps_in_episode, info


class Line009(Line):
    def step(self, key, state, action, params):
        return self.step_env(key, state, action, params)


@pytest.fixture
def gymnax(monkeypatch):
    adapter._load.cache_clear()
    module = SimpleNamespace(registered_envs=["Line-v0"], make=lambda name: (Line10(), Params()))
    monkeypatch.setitem(sys.modules, "gymnax", module)
    yield module
    adapter._load.cache_clear()


def test_terminates_by_itself_and_truncates_in_the_rollout(gymnax):
    env = Gymnax("Line-v0")
    assert (env.observation_space, env.action_space) == (Box(0.0, 9.0, (1,)), Discrete(2))
    params = env.default_params()
    assert params.speed.dtype == jnp.float32 and not params.speed.weak_type
    fast = params.replace(speed=jnp.float32(3.0))
    params = jax.tree.map(lambda *x: jnp.stack(x), params, fast)
    policy = Policy(lambda key, obs, memory: (jnp.int32(0), (), memory))
    vec = start(env, policy, jax.random.key(0), params, 2, params_axis=0)
    _, out, _ = unroll(env, policy, vec, jax.random.key(1), params, length=8, params_axis=0)
    np.testing.assert_array_equal(np.flatnonzero(out.truncated[:, 0]), [3, 7])
    np.testing.assert_array_equal(np.flatnonzero(out.terminated[:, 1]), [2, 5])
    np.testing.assert_array_equal(out.next_obs[:, 0, 0], [1, 2, 3, 4] * 2)


def test_state_keeps_its_types(gymnax):
    env = Gymnax("Line-v0")
    params = env.default_params()
    state, _ = jax.eval_shape(env.reset, jax.random.key(0), params)
    after, out = jax.eval_shape(env.step, jax.random.key(0), state, jnp.int32(0), params)
    describe = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)  # noqa: E731
    assert describe(state) == describe(after)
    assert describe(out.reward) == ((), jnp.float32, False)


def test_an_old_gymnax_is_refused(gymnax):
    gymnax.make = lambda name: (Line009(), Params())
    with pytest.raises(MissingExtra, match=r"^gymnax: its step returns 5 values, 1.0 returns 6; install"):
        Gymnax("Line-v0")


def test_unknown_name(gymnax):
    with pytest.raises(UsageError, match=r"^Gymnax.name: gymnax has no 'Lime-v0'; did you mean 'Line-v0'\?"):
        Gymnax("Lime-v0")


def test_missing_gymnax(monkeypatch):
    adapter._load.cache_clear()
    monkeypatch.setitem(sys.modules, "gymnax", None)
    with pytest.raises(MissingExtra, match=r"pip install 'gymnax>=1\.0'"):
        Gymnax("CartPole-v1")


@pytest.mark.peers
def test_real_gymnax_cartpole():
    """Trace of gymnax 1.0.1 after one push to the right, from a given state."""
    pytest.importorskip("gymnax")
    env = Gymnax("CartPole-v1")
    params = env.default_params()
    assert int(env.time_limit(params)) == 500 and env.action_space == Discrete(2)
    state, _ = env.reset(jax.random.key(0), params)
    given = dict(
        zip(("x", "x_dot", "theta", "theta_dot"), map(jnp.float32, (0.01, -0.02, 0.03, 0.04)), strict=True)
    )
    _, out = env.step(jax.random.key(0), state.replace(**given), jnp.int32(1), params)
    np.testing.assert_allclose(out.obs, [0.0096, 0.1746792, 0.0308, -0.2430688], atol=1e-6)
    late = state.replace(**given, time=jnp.int32(499))
    assert not env.step(jax.random.key(0), late, jnp.int32(1), params)[1].terminated
