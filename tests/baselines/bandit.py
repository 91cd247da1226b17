"""A problem of one observation for agents with a replay memory, and what their tests share."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.core import spmd
from jaxrl.core.spaces import Box
from jaxrl.core.types import Step, Transition
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.rollout.evaluate import evaluate

OBS, ACTIONS = Box(0.0, 1.0, (1,)), Box(-2.0, 6.0, (1,))
SIZES = {"n_envs": 4, "gradient_steps": 2, "batch_size": 16, "capacity": 2000, "widths": (8,)}


@dataclasses.dataclass(frozen=True)
class Bandit:
    """One observation, reward -((a - peak) / 4)^2, an end after every step or, with `limit`, a time limit."""

    limit: int | None = None
    peak: float = 4.0
    name: str = "Bandit"
    reward_dim: int | None = None
    observation_space: Box = OBS
    action_space: Box = ACTIONS

    def default_params(self):
        return jnp.zeros(())

    def time_limit(self, params):
        return jnp.int32(self.limit or 10**6)

    def reset(self, key, params):
        return jnp.zeros(1), jnp.ones(1)

    def step(self, key, state, action, params):
        reward = jnp.ones(()) if self.limit else -jnp.square((action[0] - self.peak) / 4)
        return state, Step(jnp.ones(1), reward, jnp.asarray(self.limit is None), {})


@functools.cache
def programs(agent, env, config):
    """`init` and `step` of a module of `jaxrl.baselines`, each compiled once for all tests."""
    algorithm = agent.make(config, env)
    return jax.jit(algorithm.init), jax.jit(algorithm.step, donate_argnums=0)


def run(agent, env, config, hyper, updates):
    """States before and after `updates` updates, and the metrics of each update as numpy arrays."""
    init, step = programs(agent, env, config)
    hyper = jax.tree.map(jnp.float32, hyper)
    first = init(jax.random.key(0), hyper, env.default_params())
    state, history = init(jax.random.key(0), hyper, env.default_params()), []
    for _ in range(updates):
        state, metrics = step(state, hyper, env.default_params())
        history.append(metrics)
    return first, state, jax.tree.map(lambda *rows: np.stack(rows), *history)


def batch(rows=6):
    """Random transitions, some terminated, some truncated."""
    k_obs, k_next, k_action, k_reward = jax.random.split(jax.random.key(1), 4)
    index = jnp.arange(rows)
    return Transition(
        obs=jax.random.uniform(k_obs, (rows, 1)),
        action=jax.random.uniform(k_action, (rows, 1), minval=-2.0, maxval=6.0),
        reward=jax.random.normal(k_reward, (rows,)),
        next_obs=jax.random.uniform(k_next, (rows, 1)),
        terminated=index % 3 == 0,
        truncated=index % 3 == 1,
        aux=(),
        info={},
    )


def numpy_critic(params, i, x, a):
    """Critic `i` of the twins as plain matrix products; one hidden layer of relu."""
    layers = [jax.tree.map(lambda w: np.asarray(w[i], np.float64), params[f"Dense_{j}"]) for j in range(2)]
    hidden = np.maximum(np.concatenate([x, a], -1) @ layers[0]["kernel"] + layers[0]["bias"], 0)
    return (hidden @ layers[1]["kernel"] + layers[1]["bias"])[:, 0]


def assert_four_devices_equal_one(agent, config, hyper, tolerance, **options):
    """Compares the ends of three updates with environments and batches split over devices and not.

    The gradient steps are plain, since an optimiser that rescales would hide a factor.
    """
    env, options = Bandit(limit=3), options | {"optimiser": optax.identity()}
    one, split = (agent.make(config, env, axis=axis, **options) for axis in (None, "data"))
    many = spmd.data_parallel(split, spmd.mesh("data"), agent.state_specs("data"))
    init, ends = jax.jit(one.init), []
    for algorithm in (one, many):
        state = init(jax.random.key(0), hyper, env.default_params())
        step = jax.jit(algorithm.step)
        for _ in range(3):
            state, metrics = step(state, hyper, env.default_params())
        ends.append((state.learner, state.buffer, state.vec, metrics))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), *ends)


def pendulum_returns(agent, hyper):
    """float[4], mean returns of 64 episodes after 16,000 env steps on Pendulum, per seed (random: -1200)."""
    env = Pendulum()
    params = env.default_params()
    config = agent.Config(n_envs=8, gradient_steps=8, batch_size=128, capacity=20_000, widths=(64, 64))
    algorithm = agent.make(config, env)

    @jax.jit
    def learn_and_evaluate(keys):
        def member(keys):
            state = algorithm.init(keys[0], hyper, params)
            state = jax.lax.fori_loop(0, 2000, lambda _, s: algorithm.step(s, hyper, params)[0], state)
            policy = algorithm.act(state, hyper, True)
            return evaluate(env, policy, keys[1], params, episodes=64).returns.mean()

        return jax.lax.map(member, keys)

    return learn_and_evaluate(jax.random.split(jax.random.key(0), (4, 2)))
