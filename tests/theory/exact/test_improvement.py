"""Generalised policy improvement against the policies it improves on, and against the optimum."""

import numpy as np
import pytest

from tests.theory.exact.problems import problem
from theory.exact import improvement, optimal_control, pareto
from theory.exact.policy_evaluation import evaluate_policy

LATTICE = np.stack([np.linspace(0, 1, 21), np.linspace(1, 0, 21)], -1)


def test_improved_policies_are_at_least_as_good_in_every_state():
    mdp, _ = problem(0, reward_dim=2)
    policies = [optimal_control.solve(mdp, weights=w).policy for w in np.eye(2)]
    values = [evaluate_policy(mdp, pi) for pi in policies]
    better = 0
    for w in LATTICE:
        improved = evaluate_policy(mdp, improvement.improved_policy(np.stack([v.q for v in values]), w))
        own = np.max([v.v @ w for v in values], axis=0)
        assert np.all(improved.v @ w >= own - 1e-9)
        better += (improved.v @ w > own + 1e-6).any()
    assert better > 0


@pytest.mark.parametrize("m", [2, 3])
def test_all_solves_leave_nothing_to_improve(m):
    mdp, _ = problem(m, reward_dim=m)
    lattice = np.random.default_rng(m).dirichlet(np.ones(m), 20)
    found = improvement.improved_returns(mdp, None, lattice)
    best = pareto.convex_coverage_set(mdp)
    np.testing.assert_allclose((found * lattice).sum(-1), (lattice @ best.T).max(-1), rtol=1e-9)


def test_values_of_what_never_ends_are_not_chosen():
    q = np.array([[[[np.nan, np.nan], [-5.0, 0.0]]]])
    assert improvement.improved_policy(q, [1.0, 0.0]).tolist() == [1]
