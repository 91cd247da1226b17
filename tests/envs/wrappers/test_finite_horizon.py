"""Finite horizons against what they say, step by step, and against time-indexed tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spaces
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Policy
from jaxrl.envs.base import integer
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.rollout.unroll import Pool, Resample, start, unroll
from tests.envs.wrappers.counting import KEY, Count, play


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: finite_horizon(CartPole(), 0), r"FiniteHorizon\.H: must be >= 1, got 0"),
        (lambda: finite_horizon(CartPole(), 2.5), r"FiniteHorizon\.H: must be an int, got 2\.5"),
        (lambda: finite_horizon(CartPole(), True), r"FiniteHorizon\.H: must be an int, got True"),
        (lambda: finite_horizon(None, 3), r"FiniteHorizon\.env: must be an environment, got None"),
        (
            lambda: finite_horizon(Tabular(3, 2), 5, one_hot=True),
            r"FiniteHorizon\.one_hot: needs observations float\[n\].*flatten_obs",
        ),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize("reset", [Resample(), Pool(4)], ids=["Resample", "Pool"])
def test_inner_parameters_survive_resets(reset):
    """Three MDPs whose reward is their number, 10 episodes and more of each."""
    env = finite_horizon(Tabular(2, 2), 4)
    mdps = [make_mdp(np.full((2, 2, 2), 0.5), np.full((2, 2), reward)) for reward in (1.0, 2.0, 3.0)]
    params = env.default_params()
    many = jax.tree.map(lambda *x: jnp.stack(x), *(params._replace(env=mdp) for mdp in mdps))
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))

    @jax.jit
    def run(key):
        vec = start(env, policy, key, many, 3, params_axis=0)
        return unroll(env, policy, vec, key, many, length=44, params_axis=0, reset=reset)

    _, out, stats = run(jax.random.key(0))
    assert float(stats.count) == 33
    np.testing.assert_array_equal(out.reward, np.broadcast_to([1.0, 2.0, 3.0], (44, 3)))
