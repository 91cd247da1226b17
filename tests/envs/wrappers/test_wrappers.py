"""Wrappers against what their docstrings say, step by step in Python."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Step
from jaxrl.envs.base import integer, real
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure, TreasureParams, TreasureState
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.action_repeat import action_repeat
from jaxrl.envs.wrappers.clip_action import clip_action
from jaxrl.envs.wrappers.discretise import discretise
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.flatten_obs import flatten_obs
from jaxrl.envs.wrappers.history import history
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.envs.wrappers.resample_task import resample_params
from jaxrl.envs.wrappers.scalarise import scalarise
from jaxrl.envs.wrappers.with_reward import with_reward

KEY = jax.random.key(0)


class CountParams(NamedTuple):
    end: jax.Array
    limit: jax.Array
    bonus: jax.Array


@dataclass(frozen=True)
class Count:
    """State counts steps; obs and reward are the new count (+ bonus); ends at `end`."""

    name: str = "Count"
    reward_dim: None = None
    observation_space = Box(0.0, 1e6, (1,))
    action_space = Box(-1.0, 2.0, (2, 2))

    def default_params(self):
        return CountParams(integer(1000), integer(10), real(0.0))

    def sample_params(self, key):
        return CountParams(integer(1000), integer(10), jax.random.uniform(key))

    def time_limit(self, params):
        return params.limit

    def item(self, params, state):
        return state

    def reset(self, key, params):
        return integer(0), jnp.zeros(1)

    def step(self, key, state, action, params):
        state = state + 1
        x = state.astype(jnp.float32)
        return state, Step(x[None], x + params.bonus, state >= params.end, {"action": action})


def play(env, steps, params=None, action=None):
    """`(first obs, [Step])` by jitted steps."""
    params = env.default_params() if params is None else params
    action = jnp.zeros((2, 2)) if action is None else action
    state, obs = jax.jit(env.reset)(KEY, params)
    step, outs = jax.jit(env.step), []
    for t in range(steps):
        state, out = step(jax.random.key(t), state, action, params)
        outs.append(jax.tree.map(np.asarray, out))
    return obs, outs


def test_finite_horizon_ends_at_H_and_shows_h():
    obs, outs = play(finite_horizon(Count(), 3), 3)
    assert int(obs["h"]) == 0 and [int(o.obs["h"]) for o in outs] == [1, 2, 3]
    assert [bool(o.terminated) for o in outs] == [False, False, True]
    assert [float(o.reward) for o in outs] == [1, 2, 3]
    params = finite_horizon(Count(), 3).default_params()
    _, outs = play(finite_horizon(Count(), 3), 3, params._replace(env=params.env._replace(end=integer(2))))
    assert [bool(o.terminated) for o in outs] == [False, True, True]


def test_finite_horizon_appends_one_hot():
    obs, outs = play(finite_horizon(Count(), 2, one_hot=True), 2)
    assert obs.tolist() == [0, 1, 0, 0]
    assert [o.obs.tolist() for o in outs] == [[1, 0, 1, 0], [2, 0, 0, 1]]


def test_horizons_are_vmapped():
    env = finite_horizon(Count(), 6)
    params = env.default_params()
    axes = jax.tree.map(lambda _: None, params)._replace(horizon=0)
    many = params._replace(horizon=jnp.array([2, 4, 6]))

    def length(params):
        state, _ = env.reset(KEY, params)
        ends = []
        for _ in range(6):
            state, out = env.step(KEY, state, jnp.zeros((2, 2)), params)
            ends.append(out.terminated)
        return jnp.argmax(jnp.stack(ends)) + 1

    assert jax.jit(jax.vmap(length, (axes,)))(many).tolist() == [2, 4, 6]


def test_finite_horizon_of_tables_is_the_time_indexed_mdp():
    mdp = random_mdp(KEY, 3, 2)
    env = finite_horizon(Tabular(3, 2), 4)
    params = env.default_params()._replace(env=mdp, horizon=integer(3))
    tables = env.to_tabular(params)
    assert tables.P.shape == (4, 3, 2, 3)
    for h in range(4):
        np.testing.assert_array_equal(tables.P[h], mdp.P)
        np.testing.assert_array_equal(tables.R[h], mdp.R if h < 3 else 0 * mdp.R)
    state = env.state_at(params, 2, 1)
    assert int(state.h) == 1 and int(env.state_index(params, state)) == 2


def test_observe_time():
    obs, outs = play(observe_time(Count()), 3)
    np.testing.assert_allclose([obs[1], *(o.obs[1] for o in outs)], [0, 0.1, 0.2, 0.3], rtol=1e-6)
    obs, outs = play(observe_time(Count(), 0.001), 3)
    np.testing.assert_allclose([obs[1], *(o.obs[1] for o in outs)], [0, 0.001, 0.002, 0.003], rtol=1e-6)
    env = observe_time(Tabular(3, 2), 0.5)
    _, outs = play(env, 2, action=jnp.int32(0))
    assert [float(o.obs["time"]) for o in outs] == [0.5, 1.0]
    assert env.observation_space["obs"] == Discrete(3)


def test_history_holds_the_last_items():
    env = history(Count(), 3, observe=True)
    obs, outs = play(env, 5)
    shown = [obs["history"].tolist(), *(o.obs["history"].tolist() for o in outs)]
    assert shown == [[0, -1, -1], [0, 1, -1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]


def test_with_reward_reads_its_parameters_and_tables_agree():
    def bonus(params, state, action, next_state):
        return params.reward[state.h, state.env.s, action] + 10.0 * next_state.env.s

    def zero():
        return jnp.zeros((3, 4, 2))

    env = with_reward(finite_horizon(Tabular(4, 2), 3), bonus, init=zero)
    params = env.default_params()
    table = jnp.asarray(np.random.default_rng(0).random((3, 4, 2)), jnp.float32)
    params = params._replace(reward=table)
    tables = jax.tree.map(np.asarray, jax.jit(env.to_tabular)(params))
    assert tables.R.shape == (3, 4, 2, 4)
    step = jax.jit(env.step)
    for h in range(3):
        for s in range(4):
            for a in range(2):
                state = env.state_at(params, s, h)
                after, out = step(jax.random.key(s), state, jnp.int32(a), params)
                t = int(after.env.s)
                assert float(out.reward) == pytest.approx(float(table[h, s, a]) + 10 * t)
                assert tables.R[h, s, a, t] == pytest.approx(float(out.reward))
                assert env.reward(params, state, jnp.int32(a), after) == out.reward


def test_scalarise_is_the_inner_product_everywhere():
    env = scalarise(DeepSeaTreasure(), (0.25, 0.75))
    params = env.default_params()
    state = TreasureState(integer(0), integer(0))
    after, out = env.step(KEY, state, jnp.int32(1), params)
    assert float(out.reward) == pytest.approx(0.25 * 0.7 - 0.75)
    assert env.reward_dim is None and float(env.reward(params, state, 1, after)) == float(out.reward)
    inner = jax.jit(DeepSeaTreasure().to_tabular)(params.env)
    np.testing.assert_allclose(jax.jit(env.to_tabular)(params).R, inner.R @ np.array([0.25, 0.75]), atol=1e-6)
    weights = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    axes = jax.tree.map(lambda _: None, params)._replace(w=0)
    rewards = jax.vmap(lambda p: env.step(KEY, state, jnp.int32(1), p)[1].reward, (axes,))(
        params._replace(w=weights)
    )
    np.testing.assert_allclose(rewards, [0.7, -1.0], rtol=1e-6)


def test_action_repeat_adds_rewards_and_stops():
    env = action_repeat(Count(), 3)
    params = env.default_params()._replace(end=integer(5))
    _, outs = play(env, 2, params)
    # steps 1 2 3, then 4 5 and the end; a sixth step is neither taken nor paid
    assert [float(o.reward) for o in outs] == [1 + 2 + 3, 4 + 5]
    assert [float(o.obs[0]) for o in outs] == [3, 5]
    assert [bool(o.terminated) for o in outs] == [False, True]
    assert int(env.time_limit(params)) == 4  # ceil(10 / 3)
    assert int(action_repeat(Count(), 1).time_limit(params)) == 10


def test_action_repeat_uses_fresh_randomness():
    env = action_repeat(Tabular(50, 1), 2)
    params = env.default_params()
    # a uniform law over the successors: equal draws would only ever visit the fixed points of one uniform
    params = params.replace(P=jnp.full((50, 1, 50), 1 / 50))
    start = Tabular(50, 1).state_at(params, 0)
    single = jax.jit(jax.vmap(lambda k: Tabular(50, 1).step(k, start, 0, params)[0].s))
    double = jax.jit(jax.vmap(lambda k: env.step(k, start, 0, params)[0].s))
    keys = jax.random.split(KEY, 200)
    assert (np.asarray(single(keys)) != np.asarray(double(keys))).mean() > 0.9


def test_discretise_is_a_grid_with_the_ends():
    env = discretise(Count(), 3)
    assert env.action_space == Discrete(81)
    grid = [-1.0, 0.5, 2.0]
    for action in (0, 1, 5, 40, 80):
        digits = [action // 27 % 3, action // 9 % 3, action // 3 % 3, action % 3]
        _, outs = play(env, 1, action=jnp.int32(action))
        np.testing.assert_allclose(outs[0].info["action"].ravel(), [grid[d] for d in digits])


def test_clip_action():
    _, outs = play(clip_action(Count()), 1, action=jnp.array([[-3.0, 0.5], [2.0, 9.0]]))
    assert outs[0].info["action"].tolist() == [[-1, 0.5], [2, 2]]


def test_flatten_obs_orders_parts_by_key():
    env = flatten_obs(finite_horizon(observe_time(Tabular(3, 2), 0.5), 2))
    params = env.default_params()
    state, obs = env.reset(KEY, params)
    s = int(state.env.env.s)
    one_hot = [float(i == s) for i in range(3)]
    # {"h": Discrete(3), "obs": {"obs": Discrete(3), "time": float}}
    assert obs.tolist() == [1, 0, 0, *one_hot, 0]
    space = env.observation_space
    assert space.shape == (7,) and space.low == (0,) * 6 + (-np.inf,) and space.high == (1,) * 6 + (np.inf,)
    assert flatten_obs(DeepSeaTreasure()).observation_space == Box([0.0, 0.0], [10.0, 10.0], (2,))


def test_resample_params_draws_a_task_per_reset_and_keeps_it():
    env = resample_params(Count())
    params = env.default_params()
    assert jax.tree.map(int, params) == (10,)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    bonuses = []
    for i in range(5):
        state, _ = reset(jax.random.key(i), params)
        first = float(step(KEY, state, jnp.zeros((2, 2)), params)[1].reward) - 1
        state, _ = step(KEY, state, jnp.zeros((2, 2)), params)
        second = float(step(KEY, state, jnp.zeros((2, 2)), params)[1].reward) - 2
        assert first == pytest.approx(second, abs=1e-6)
        bonuses.append(first)
    assert len(set(bonuses)) == 5 and 0 < min(bonuses) < max(bonuses) < 1
    assert resample_params(Tabular(3, 2)).default_params() == ()


def test_wrappers_keep_float64():
    with jax.enable_x64(True):
        env = observe_time(finite_horizon(CartPole(), 9, one_hot=True))
        params = env.default_params()
        state, obs = env.reset(KEY, params)
        _, out = env.step(KEY, state, jnp.int32(0), params)
        assert obs.dtype == out.obs.dtype == out.reward.dtype == jnp.float64
        # 1/500 is not a float32
        assert float(out.obs[-1]) == 1 / 500


def test_gradients_pass_through_wrappers():
    env = clip_action(observe_time(Pendulum()))
    params = env.default_params()
    state, _ = env.reset(KEY, params)

    @jax.jit
    def reward_after(mass):
        changed = params._replace(mass=mass)
        after, _ = env.step(KEY, state, jnp.array([0.5]), changed)
        return env.step(KEY, after, jnp.array([0.5]), changed)[1].reward

    slope = jax.grad(reward_after)(params.mass)
    difference = (reward_after(real(1.01)) - reward_after(real(0.99))) / 0.02
    assert float(slope) == pytest.approx(float(difference), rel=0.05) and float(slope) != 0


def test_params_records_nest():
    env = scalarise(finite_horizon(DeepSeaTreasure(), 4), (1, 2))
    params = env.default_params()
    assert params.w.tolist() == [1, 2] and int(params.env.horizon) == 4
    assert isinstance(params.env.env, TreasureParams)
