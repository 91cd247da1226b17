"""Observations of policies against independent loops; the contract of environments for the wrappers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Policy
from jaxrl.envs.check import check_env
from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.envs.coverage.place_grid import PlaceGrid
from jaxrl.nets.net import features
from jaxrl.rollout.unroll import Freeze, start, unroll
from jaxrl.submodular.features import FEATURES, PlainNumbers, Visited, with_features

STATES, V = 6, 12
PROBLEM = partial(coverage_grid, "bimodal", STATES, rows=3, cols=4, start=5)


def _random_episodes(env):
    def act(key, obs, memory):
        return jax.random.randint(key, (), 0, 5), {}, memory

    data, policy = env.default_params(), Policy(act)
    vec = start(env, policy, jax.random.key(0), data, 8)
    run = jax.jit(
        lambda v: unroll(env, policy, v, jax.random.key(1), data, length=STATES - 1, reset=Freeze())
    )
    return run(vec)[1]


@pytest.fixture(scope="module")
def plain():
    """Cells [T, N] of random episodes, seen by the Markov observation."""
    episodes = _random_episodes(with_features("markov", PROBLEM, V))
    return np.asarray(episodes.obs["obs"]), np.asarray(episodes.obs["h"])


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_those_of_a_loop(name, plain):
    cells, h = plain
    obs = _random_episodes(with_features(name, PROBLEM, V)).obs
    for t, n in np.ndindex(*cells.shape):
        past = cells[: t + 1, n]
        if name == "markov_raw":
            assert sorted(obs[t, n].tolist()) == sorted([cells[t, n], h[t, n]])
        if name == "history_raw":
            expected = [*past, *[-1] * (STATES - 2 - t)]
            assert obs[t, n].tolist() == expected
        if name == "visited":
            assert np.flatnonzero(obs["visited"][t, n]).tolist() == sorted(set(past.tolist()))
            assert int(obs["obs"]["obs"][t, n]) == cells[t, n]
        if name == "statistic":
            covered = {c + d for c in past.tolist() for d in (0, 1, 4, 5) if _inside(c, d)}
            assert np.flatnonzero(obs["stat"][t, n]).tolist() == sorted(covered)


def _inside(cell, offset):
    row, col = cell // 4 + offset // 4, cell % 4 + offset % 4
    return row < 3 and col < 4


@pytest.mark.parametrize("name", ["history_raw", "visited"])
def test_environments_keep_their_contract(name):
    check_env(with_features(name, partial(PROBLEM, slip=0.1), V))


def test_markov_features_are_one_hot():
    size, encode = features(with_features("markov", PROBLEM, V).observation_space)
    x = np.asarray(encode({"obs": jnp.int32(7), "h": jnp.int32(2)}))
    assert size == V + STATES and x.sum() == 2 and x[2] == 1 and x[STATES + 7] == 1


def test_refuses():
    with pytest.raises(UsageError, match=r"features: must be one of markov"):
        with_features("pixels", PROBLEM, V)
    with pytest.raises(UsageError, match=r"shows no history"):
        Visited(PROBLEM(), V)
    with pytest.raises(UsageError, match=r"shows no history"):
        PlainNumbers(PlaceGrid(2, 2), history_only=True)
    for n_items in (0, 9):
        with pytest.raises(UsageError, match=r"Visited.n_items: must be >= 12"):
            with_features("visited", PROBLEM, n_items)
