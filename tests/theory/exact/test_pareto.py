"""Fronts by hand and by enumeration, and returns of policies one by one."""

import jax
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from jaxrl.core.errors import UsageError
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.grids.fruit_tree import FruitTree
from jaxrl.envs.tabular.mdp import make_mdp
from tests.theory.exact.problems import A, S, problem
from theory.exact import optimal_control, pareto, policy_evaluation
from theory.exact.tables import random_mdps


@pytest.mark.parametrize(("seed", "m"), [(0, 2), (1, 2), (2, 3), (3, 3), (4, 4)])
def test_convex_coverage_set_against_enumeration(seed, m):
    mdp, _ = problem(seed, reward_dim=m)
    _, returns = pareto.deterministic_returns(mdp)
    assert returns.shape == (A**S, m)
    vertices = np.unique(returns[pareto.supported(returns)], axis=0)
    got = pareto.convex_coverage_set(mdp)
    np.testing.assert_allclose(got, vertices, rtol=0, atol=1e-10)
    weights = np.random.default_rng(seed).dirichlet(np.ones(m), 50)
    for w in weights:
        assert (got @ w).max() == pytest.approx(optimal_control.solve(mdp, weights=w).j, abs=1e-9)
    front = returns[pareto.nondominated(returns)]
    for point in vertices:
        assert np.abs(front - point).max(-1).min() < 1e-10


@pytest.mark.parametrize("m", [2, 3])
def test_limited_support_says_what_it_may_miss(m):
    mdp = random_mdps(6, 1, 5, 3, gamma=0.9, reward_dim=m)[0]
    _, returns = pareto.deterministic_returns(mdp)
    weights = np.random.default_rng(m).dirichlet(np.ones(m), 2000)
    whole = pareto.linear_support(mdp)
    assert whole.gap == 0.0 and whole.solves > 2 * m
    gaps = []
    for solves in (m, m + 2, whole.solves // 2, whole.solves):
        found = pareto.linear_support(mdp, solves)
        assert found.solves <= solves
        missed = ((weights @ returns.T).max(-1) - (weights @ found.points.T).max(-1)).max()
        assert missed <= found.gap + 1e-9
        gaps.append(found.gap)
    assert gaps[0] > 0.01 and gaps[-1] == pytest.approx(0.0, abs=1e-8)
    np.testing.assert_allclose(found.points, whole.points, atol=1e-9)


@pytest.mark.parametrize(("gamma", "vertices", "hull"), [(1.0, 9, 427.95), (0.99, 10, 380.26958)])
def test_fronts_of_episodes_without_discount(gamma, vertices, hull):
    """Deep Sea Treasure, where waiting costs nothing if only the treasure counts, and has rock that never
    ends; the area of the convex hull above (0, -25).
    """
    env = DeepSeaTreasure("convex")
    with jax.enable_x64(True):
        mdp = env.to_tabular(env.default_params()).replace(gamma=np.float64(gamma))
    points = pareto.convex_coverage_set(mdp)
    assert len(points) == vertices
    corners = np.vstack([points, [0, -25], points * [1, 0] + [0, -25], points * [0, 1]])
    assert ConvexHull(corners).volume == pytest.approx(hull, abs=1e-5)
    fast = pareto.linear_support(mdp, 6)
    assert fast.gap > 0.05 and len(fast.points) < vertices


@pytest.mark.slow
def test_all_leaves_of_a_fruit_tree_are_in_its_coverage_set():
    env = FruitTree(5)
    with jax.enable_x64(True):
        mdp = env.to_tabular(env.default_params()).replace(gamma=np.float64(1.0))
    found = pareto.linear_support(mdp)
    leaves = np.unique(np.float64(env.default_params().leaves), axis=0)
    np.testing.assert_allclose(found.points, leaves, atol=1e-6)


def test_supported_and_nondominated_by_hand():
    """(1, 1.7) lies below the line from (3, 0) to (0, 3); (2, 0) is dominated; (1.5, 1.5) is on the line."""
    points = np.array([[3.0, 0.0], [0.0, 3.0], [1.0, 1.7], [2.0, 0.0], [1.5, 1.5], [0.0, 3.0]])
    np.testing.assert_array_equal(pareto.nondominated(points), [1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(pareto.supported(points), [1, 1, 0, 0, 0, 1])


@pytest.mark.parametrize("entries", [1, 40, 1 << 22])
def test_returns_of_all_policies_are_those_of_each(monkeypatch, entries):
    monkeypatch.setattr(pareto, "_ENTRIES", entries)
    mdp, _ = problem(2, reward_dim=2)
    policies, returns = pareto.deterministic_returns(mdp)
    assert len(np.unique(policies, axis=0)) == A**S
    each = [policy_evaluation.evaluate_policy(mdp, policy).j for policy in policies]
    np.testing.assert_allclose(returns, each, rtol=0, atol=1e-14)


@pytest.mark.parametrize("entries", [1, 700, 1 << 22])
def test_domination_by_pairs(monkeypatch, entries):
    monkeypatch.setattr(pareto, "_ENTRIES", entries)
    points = np.random.default_rng(0).integers(0, 5, (60, 3)) / 1.0
    by_pairs = [not any(np.all(q >= p) and np.any(q > p) for q in points) for p in points]
    np.testing.assert_array_equal(pareto.nondominated(points), by_pairs)
    assert 1 < sum(by_pairs) < 60 and pareto.nondominated(np.zeros((0, 2))).shape == (0,)


def test_a_policy_that_never_ends_is_named_among_all():
    """Of two policies of state 0 one stays for ever; what they do where nobody comes does not matter."""
    P = np.zeros((3, 2, 3))
    P[0, :, 1] = P[1, :, 1] = P[2, 0, 2] = P[2, 1, 1] = 1.0
    R = np.arange(12.0).reshape(3, 2, 2)
    mdp = make_mdp(P, R, [1.0, 0, 0], gamma=1.0, terminal=(1,), reward_dim=2)
    _, returns = pareto.deterministic_returns(mdp)
    np.testing.assert_array_equal(returns, [[0, 1], [0, 1], [2, 3], [2, 3]])
    with pytest.raises(UsageError, match=r"mdp\.gamma: is 1 and state 2 never reaches"):
        pareto.deterministic_returns(mdp.replace(mu0=np.array([0.5, 0, 0.5])))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (pareto.deterministic_returns, "mdp: a front"),
        (pareto.convex_coverage_set, "mdp.reward_dim"),
        (
            lambda m: pareto.deterministic_returns(problem(0, reward_dim=2)[0], most=15),
            r"mdp: has 2\^4 deterministic policies, more than 15",
        ),
        (lambda m: pareto.linear_support(problem(0, reward_dim=2)[0], 1), "solves: is 1"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(UsageError, match=message):
        call(problem(0)[0])
