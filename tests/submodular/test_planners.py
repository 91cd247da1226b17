"""Planners against exact values: search, the GRL iteration, Frank-Wolfe; estimators against the simulator."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spaces
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Policy
from jaxrl.envs.coverage.coverage_grid import coverage_grid, two_rooms
from jaxrl.envs.coverage.item_collection import item_collection
from jaxrl.envs.sets.combinators import OfPlaces, Sum
from jaxrl.envs.sets.grid_coverage import GridCoverage
from jaxrl.envs.sets.log_det import LogDet
from jaxrl.rollout.unroll import start, unroll
from jaxrl.submodular.exact import (
    best_value,
    covered,
    greedy_value,
    policy_value,
    successors,
    unfold,
    uniform_policy,
)
from jaxrl.submodular.frank_wolfe import entropy, frank_wolfe, occupancy
from jaxrl.submodular.grl import global_rl, modular_bound
from jaxrl.submodular.search import beam_search, greedy_rollout

W16 = tuple((7 * np.arange(16) + 3) % 11 + 1.0)


def small(weights=W16, slip=0.0, footprint="quad", start=0, states=6):
    """A 4 x 4 instance as environment, tables, and problem for the exact oracles."""
    env = coverage_grid(weights, states, rows=4, cols=4, start=start, slip=slip, footprint=footprint)
    grid, F = env.env.env, env.F
    params = env.default_params()
    mdp = jax.tree.map(np.asarray, grid.to_tabular(params.env.env))
    elements = np.asarray(params.F.elements)
    covers = np.zeros((16, 17), bool)
    covers[np.arange(16)[:, None], elements] = True
    return env, params, mdp, unfold(mdp, covered(covers[:, :16], np.asarray(weights)), states), F


ENV, PARAMS, MDP, PROBLEM, F = small()


def rollout(env, params, mdp, states, keys):
    successor, law = successors(mdp.P)
    run = partial(greedy_rollout, env.F, params.F, jnp.asarray(successor), jnp.asarray(law, jnp.float32))
    return jax.jit(jax.vmap(lambda key: run(params.env.env.start, states, key)))(keys)


def test_greedy_rollout():
    """Certain moves: the published path; slips: the mean of 4,000 rollouts against dynamic programming."""
    path = rollout(ENV, PARAMS, MDP, 6, jax.random.split(jax.random.key(0), 1))
    assert np.asarray(path.place[0]).tolist() == [0, 1, 2, 6, 10, 9] and float(path.value[0]) == 85
    env, params, mdp, problem, _ = small(slip=0.1)
    with pytest.raises(UsageError, match=r"greedy_rollout\.states: must be >= 2"):
        rollout(env, params, mdp, 1, jax.random.split(jax.random.key(1), 1))
    values = np.asarray(rollout(env, params, mdp, 6, jax.random.split(jax.random.key(1), 4000)).value)
    # false alarm 6e-5
    assert abs(values.mean() - greedy_value(problem)) < 4 * values.std() / 4000**0.5


def test_beam_search_finds_the_optimum_of_small_problems():
    ends = MDP.P.argmax(-1)
    path, value = beam_search(F, PARAMS.F, ends, 0, 6, 200)
    assert value == best_value(PROBLEM) == 91 and len(path) == 6 and path[0] == 0
    assert all(b in ends[a] for a, b in itertools.pairwise(path))
    assert beam_search(F, PARAMS.F, ends, 0, 6, 1)[1] <= value
    with pytest.raises(UsageError, match=r"beam_search\.states"):
        beam_search(F, PARAMS.F, ends, 0, 1, 5)
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
def test_best_known_values(env, width, least):
    """Two rooms can be covered entirely."""
    params = env.default_params()
    ends = np.asarray(env.env.env.to_tabular(params.env.env).P).argmax(-1)
    path, value = beam_search(env.F, params.F, ends, 34, 40, width)
    assert value >= least and len(path) == 40
    if least in (68, 21):
        assert value == least


def test_global_rl_never_falls_and_reaches_the_optimum_from_some_orders():
    """A local search: of six keys, which draw the orders, one reaches 91; greedy is 85."""
    ends = jnp.asarray(MDP.P.argmax(-1))
    over_visits = OfPlaces(F)
    one = partial(global_rl, over_visits, states=6, iterations=12, orders=32)
    run = jax.jit(jax.vmap(lambda key: one(PARAMS.F, ends, jnp.int32(0), key=key)))
    found = jax.tree.map(np.asarray, run(jnp.stack([jax.random.key(seed) for seed in range(6)])))
    assert np.all(np.diff(found.value) >= 0) and np.all(found.value[:, 0] == 31)  # stays at first
    assert found.value[:, -1].max() == best_value(PROBLEM) and np.median(found.value[:, -1]) >= 85
    best = found.value[:, -1].argmax()
    values, path = found.value[best], found.place[best]
    assert path[0] == 0
    assert all(b in np.asarray(ends)[a] for a, b in itertools.pairwise(path))
    seen = np.zeros(16, bool)
    for v in path:
        seen[np.asarray(PARAMS.F.elements)[v][np.asarray(PARAMS.F.elements)[v] < 16]] = True
    assert values[-1] == np.asarray(W16)[seen].sum()
    with pytest.raises(UsageError, match=r"global_rl\.states"):
        global_rl(over_visits, PARAMS.F, ends, jnp.int32(0), 1, jax.random.key(0), 2)
    with pytest.raises(UsageError, match=r"modular_bound\.order: 96 items, but F\.capacity is 6"):
        visits = OfPlaces(LogDet(16, 6))
        global_rl(visits, visits.default_params(), ends, jnp.int32(0), 6, jax.random.key(0), 2)
    order = jnp.arange(15, -1, -1)
    m = modular_bound(F, PARAMS.F, jnp.arange(16), order)
    assert float(m[15]) == W16[15] and float(m.sum()) == sum(W16)


def test_frank_wolfe_spreads_out():
    """A ring that can be walked around: the uniform law is attainable, and its entropy is log n."""
    n, H = 6, 11
    to = np.stack([(np.arange(n) + d) % n for d in (0, 1)], axis=1)
    P, mu0 = jnp.asarray(np.eye(n)[to], jnp.float32), jnp.asarray(np.eye(n)[0], jnp.float32)
    run = jax.jit(lambda: frank_wolfe(P, mu0, H, 300))
    found = run()
    assert float(found.value[-1]) == pytest.approx(np.log(n), abs=2e-3)
    assert np.all(np.asarray(found.gap) >= -1e-5) and float(found.gap[-10:].min()) < 0.05
    assert float(found.weight.sum()) == pytest.approx(1, abs=1e-5)
    parts = jax.jit(jax.vmap(occupancy, (None, None, 0)))(P, mu0, found.action)
    np.testing.assert_allclose(found.weight @ parts, found.occupancy, atol=1e-5)
    assert float(entropy(jnp.full(n, 1 / n))) == pytest.approx(np.log(n), abs=1e-4)
    with pytest.raises(UsageError, match=r"frank_wolfe\.horizon"):
        frank_wolfe(P, mu0, 0, 3)


def test_occupancy_does_not_determine_the_value():
    """Why convex RL is another problem: two laws of trajectories, equal occupancies, different E[F]."""
    lingering = [(0, 0, 0), (1, 1, 1)]  # each with probability 1/2
    crossing = [(0, 1, 0), (1, 0, 1)]
    share = [np.bincount(np.ravel(x), minlength=2) / 6 for x in (lingering, crossing)]
    np.testing.assert_array_equal(*share)
    assert [np.mean([len(set(path)) for path in x]) for x in (lingering, crossing)] == [1, 2]


def test_simulated_estimators_have_the_exact_means():
    """200,000 episodes of the environment, gradients of uniform actions within 4 s.e."""
    env = coverage_grid((1.0, 2.0, 3.0, 4.0), 4, rows=2, cols=2, start=0, footprint="point")
    params = env.default_params()
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))
    n = 200_000

    @jax.jit
    def run(key):
        k_start, k_run = jax.random.split(key)
        vec = start(env, policy, k_start, params, n)
        return unroll(env, policy, vec, k_run, params, length=3)[1]

    out = jax.tree.map(np.asarray, run(jax.random.key(0)))
    gain, cell = out.reward.astype(float), out.obs["obs"]
    prefix = 1 + np.cumsum(gain, axis=0)
    to_go = np.cumsum(gain[::-1], axis=0)[::-1]
    exact = {
        "to_go": (
            to_go,
            [-0.1648, 0.1552, 0.3392, -0.1648, -0.1648],
            [-0.1104, 0.1056, 0.2256, -0.1104, -0.1104],
        ),
        "marginal": (gain, [-0.2, 0.2, 0.4, -0.2, -0.2], [-0.12, 0.12, 0.24, -0.12, -0.12]),
        "prefix": (prefix, [-0.2, 0.2, 0.4, -0.2, -0.2], [-0.12, 0.12, 0.24, -0.12, -0.12]),
    }
    for weight, *rows in exact.values():
        for h, row in enumerate(rows):
            score = (np.eye(5)[out.action[h]] - 0.2) * (cell[h] == 0)[:, None]
            each = score * weight[h][:, None]
            # 30 coordinates: false alarm 2e-3, seed fixed
            assert np.all(np.abs(each.mean(0) - row) < 4 * each.std(0) / n**0.5)
    assert abs((1 + gain.sum(0)).mean() - 3.744) < 4 * gain.sum(0).std() / n**0.5


@pytest.mark.slow
def test_environment_equals_the_unfolded_problem():
    """Random actions in the simulator with slips against the exact value."""
    env, params, _, problem, _ = small(slip=0.3)
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))

    @jax.jit
    def run(key):
        k_start, k_run = jax.random.split(key)
        vec = start(env, policy, k_start, params, 20_000)
        return unroll(env, policy, vec, k_run, params, length=5, keep=("F",))[1].info["F"][-1]

    value = np.asarray(run(jax.random.key(0)))
    expected = policy_value(uniform_policy(problem, 16), problem)
    assert abs(value.mean() - expected) < 4 * value.std() / 20_000**0.5
    assert isinstance(env.F, GridCoverage)
