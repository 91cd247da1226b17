"""Fronts by hand and by enumeration, and returns of policies one by one."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import make_mdp
from tests.theory.exact.problems import A, S, problem
from theory.exact import optimal_control, pareto, policy_evaluation


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
    """Of two policies of state 0 one stays for ever."""
    mdp = make_mdp(
        [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]],
        np.zeros((2, 2, 2)),
        gamma=1.0,
        terminal=(1,),
        reward_dim=2,
    )
    with pytest.raises(UsageError, match=r"mdp\.gamma: is 1 and state 0 never reaches"):
        pareto.deterministic_returns(mdp)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (pareto.deterministic_returns, "mdp: a front"),
        (pareto.convex_coverage_set, "mdp.reward_dim"),
        (
            lambda m: pareto.deterministic_returns(problem(0, reward_dim=2)[0], most=15),
            r"mdp: has 2\^4 deterministic policies, more than 15",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(UsageError, match=message):
        call(problem(0)[0])
