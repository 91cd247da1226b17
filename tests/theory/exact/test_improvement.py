"""Generalised policy improvement against the policies it improves on, and against the optimum."""

import numpy as np
import pytest

from jaxrl.morl.metrics import weight_lattice
from tests.morl.finite_problems import formula_momdp
from theory.exact import improvement, optimal_control, pareto
from theory.exact.policy_evaluation import evaluate_policy

LATTICE = weight_lattice(2, 0.05)


def test_improved_policies_are_at_least_as_good_in_every_state():
    mdp = formula_momdp()
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
    mdp, lattice = formula_momdp(m=m), weight_lattice(m, 0.25)
    found = improvement.improved_returns(mdp, None, lattice)
    best = pareto.convex_coverage_set(mdp)
    np.testing.assert_allclose((found * lattice).sum(-1), (lattice @ best.T).max(-1), rtol=1e-9)


def test_values_of_what_never_ends_are_not_chosen():
    q = np.array([[[[np.nan, np.nan], [-5.0, 0.0]]]])
    assert improvement.improved_policy(q, [1.0, 0.0]).tolist() == [1]
