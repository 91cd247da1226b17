"""Set functions of visits (h, v), alone and as rewards of an environment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spaces
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Policy
from jaxrl.envs.coverage.place_grid import PlaceGrid
from jaxrl.envs.sets.combinators import SumParams, stack_visits
from jaxrl.envs.sets.coverage import coverage_params
from jaxrl.envs.sets.protocol import evaluate, nonnegative
from jaxrl.envs.sets.visits import Visits, coverage_with_bonus
from jaxrl.envs.wrappers.set_reward import set_episode
from jaxrl.rollout.unroll import start, unroll


@pytest.mark.parametrize("show_history", [False, True])
def test_a_bonus_by_time_and_place_is_paid(show_history):
    """Coverage plus a modular part of (h, v) in an environment, against loops over the paths."""
    states, F = 6, coverage_with_bonus(6, 9)
    env = set_episode(PlaceGrid(3, 3, 4), F, states, show_history=show_history)
    rng = np.random.default_rng(0)
    covers, weight, bonus = rng.random((9, 9)) < 0.3, rng.random(9), rng.random((states, 9))
    weights = SumParams(nonnegative([2.0, 1.0]), (coverage_params(covers, weight), nonnegative(bonus)))
    params = env.default_params()._replace(F=weights)
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))

    @jax.jit
    def run(key):
        vec = start(env, policy, key, params, 50)
        return unroll(env, policy, vec, key, params, length=states - 1, keep=("F",))[1]

    out = jax.tree.map(np.asarray, run(jax.random.key(0)))
    shown = (lambda obs: obs["obs"]["obs"]) if show_history else lambda obs: obs["obs"]
    paths = np.concatenate([shown(out.obs)[:1], shown(out.next_obs)])
    for path, gain, value in zip(paths.T, out.reward.T, out.info["F"].T, strict=True):
        worth = [
            2 * weight[covers[path[: h + 1]].any(0)].sum() + bonus[np.arange(h + 1), path[: h + 1]].sum()
            for h in range(states)
        ]
        np.testing.assert_allclose(value, worth[1:], rtol=1e-5)
        np.testing.assert_allclose(gain, np.diff(worth), atol=1e-5)
    if show_history:
        np.testing.assert_array_equal(out.next_obs["history"][-1].T, paths)
        assert set_episode(PlaceGrid(3, 3, 4), F, states, show_history=True) == env


def test_every_visit_of_the_default_counts_beside_the_places():
    """Three places covered once and six visits."""
    F = coverage_with_bonus(2, 3)
    assert float(evaluate(F, F.default_params(), stack_visits(2, 3))) == 3 + 6


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Visits(3, 2).init(jnp.ones((2, 2))), "Visits.m: has shape"),
        (lambda: coverage_with_bonus(0, 3), "Visits.n_states"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
