"""Planners against exact values: greedy rollouts and beam search."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.coverage.coverage_grid import coverage_grid, two_rooms
from jaxrl.envs.coverage.item_collection import item_collection
from jaxrl.envs.sets.combinators import Sum
from jaxrl.envs.sets.log_det import LogDet
from jaxrl.submodular.exact import best_value, greedy_value, successors
from jaxrl.submodular.search import beam_search, greedy_rollout
from tests.submodular.sixteen_cells import problem

ENV, PARAMS, MDP, PROBLEM, F = problem()


def rollout(env, params, mdp, states, keys):
    successor, probability = successors(mdp.P)
    run = partial(
        greedy_rollout, env.F, params.F, jnp.asarray(successor), jnp.asarray(probability, jnp.float32)
    )
    return jax.jit(jax.vmap(lambda key: run(params.env.env.start, states, key)))(keys)


def test_greedy_rollouts_follow_the_published_path_and_have_the_exact_mean():
    """Certain moves: the published path; slips: the mean of 4,000 rollouts against dynamic programming."""
    path = rollout(ENV, PARAMS, MDP, 6, jax.random.split(jax.random.key(0), 1))
    assert np.asarray(path.place[0]).tolist() == [0, 1, 2, 6, 10, 9] and float(path.value[0]) == 85
    env, params, mdp, unfolded, _ = problem(slip=0.1)
    with pytest.raises(UsageError, match=r"greedy_rollout\.states: must be >= 2"):
        rollout(env, params, mdp, 1, jax.random.split(jax.random.key(1), 1))
    values = np.asarray(rollout(env, params, mdp, 6, jax.random.split(jax.random.key(1), 4000)).value)
    # false alarm 6e-5
    assert abs(values.mean() - greedy_value(unfolded)) < 4 * values.std() / 4000**0.5


@pytest.mark.parametrize("wide", [False, True])
def test_greedy_rollouts_take_the_tables_of_the_oracles_in_either_precision(wide):
    """Host tables of 64 bits, as `exact.successors` makes them, with a host index as start."""
    with jax.enable_x64(wide):
        _, params, mdp, _, F = problem()
        path = greedy_rollout(F, params.F, *successors(mdp.P), 0, 6, jax.random.key(0))
        assert path.place.dtype == jnp.int32 and np.asarray(path.place).tolist() == [0, 1, 2, 6, 10, 9]


@pytest.mark.parametrize(
    ("at", "states", "sentence"),
    [
        (7, 3, "start: must be integers"),
        (0, 3.5, "states: must be an int"),
        (0, 1, "states: must be"),
    ],
)
def test_greedy_rollouts_refuse_what_is_no_place_and_no_number_of_states(at, states, sentence):
    table, chance = np.array([[0], [1]]), np.ones((2, 1, 1))
    with pytest.raises(UsageError, match=rf"greedy_rollout\..*{sentence}"):
        greedy_rollout(F, PARAMS.F, table, chance, at, states, jax.random.key(0))
    with pytest.raises(UsageError, match=r"greedy_rollout\.successor, start"):
        greedy_rollout(F, PARAMS.F, table + 9, chance, 0, 3, jax.random.key(0))


def test_beam_search_finds_the_optimum_of_small_problems():
    ends = MDP.P.argmax(-1)
    path, value = beam_search(F, PARAMS.F, ends, 0, 6, 200)
    assert value == best_value(PROBLEM) == 91 and len(path) == 6 and path[0] == 0
    assert all(b in ends[a] for a, b in itertools.pairwise(path))
    assert beam_search(F, PARAMS.F, ends, 0, 6, 1)[1] <= value
    with pytest.raises(UsageError, match=r"beam_search\.states"):
        beam_search(F, PARAMS.F, ends, 0, 1, 5)
    for outside, at in ((np.where(ends == 3, 16, ends), 0), (ends, 16), (ends, -1), (ends / 1.0, 0)):
        with pytest.raises(UsageError, match=r"beam_search\.ends, start: must be integers"):
            beam_search(F, PARAMS.F, outside, at, 6, 5)
    wrapped = Sum((LogDet(16, 3),))
    with pytest.raises(UsageError, match=r"beam_search\.states: 6 items, but F\.capacity is 3"):
        beam_search(wrapped, wrapped.default_params(), ends, 0, 6, 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "width", "least"),
    [
        (two_rooms(), 4000, 68),
        (coverage_grid("bimodal"), 1000, 51.44),
        (coverage_grid("gorilla"), 3000, 2687),
        (item_collection(), 500, 21),
    ],
)
def test_wide_beams_find_the_best_known_values(env, width, least):
    """Two rooms can be covered entirely."""
    params = env.default_params()
    ends = np.asarray(env.env.env.to_tabular(params.env.env).P).argmax(-1)
    path, value = beam_search(env.F, params.F, ends, 34, 40, width)
    assert value >= least and len(path) == 40
    if least in (68, 21):
        assert value == least
