"""Known values of the problems with several objectives."""

import numpy as np
import pytest

from theory.exact import lp, pareto
from theory.exact.policy_evaluation import evaluate_policy
from theory.morl.instances import formula_mdp, lottery, treasure


def test_formula_problem_of_two_objectives_has_six_vertices_and_an_unsupported_point():
    vertices = [
        (4.78384145, 8.05479376),
        (5.89414093, 8.01496437),
        (7.35466152, 7.78728333),
        (7.59448949, 6.97234962),
        (7.82086516, 6.06417301),
        (7.98101807, 5.34952699),
    ]
    mdp = formula_mdp(2)
    np.testing.assert_allclose(pareto.convex_coverage_set(mdp), vertices, atol=1e-8)
    _, returns = pareto.deterministic_returns(mdp)
    front = np.unique(np.round(returns[pareto.nondominated(returns)], 8), axis=0)
    assert len(returns) == 243 and len(front) == 7
    assert np.abs(front - [7.7305792, 6.227558]).max(-1).min() < 1e-6


def test_formula_problem_of_three_objectives():
    mdp = formula_mdp(3)
    _, returns = pareto.deterministic_returns(mdp)
    assert len(np.unique(np.round(returns[pareto.nondominated(returns)], 8), axis=0)) == 47
    np.testing.assert_allclose(returns.max(0), (7.98101807, 8.05479376, 8.8324656), atol=1e-8)
    j = evaluate_policy(mdp, np.array([2, 1, 0, 0, 0])).j
    np.testing.assert_allclose(j, (7.59448949, 6.97234962, 3.99470947), atol=1e-8)


@pytest.mark.parametrize(
    ("weights", "value"),
    [((0.5, 0.5), 3.19362844), ((0.3, 0.7), 0.331976), ((0.9, 0.1), 16.06186477)],
)
def test_scalarised_values_of_the_convex_sea(weights, value):
    assert lp.primal(treasure("convex", 0.99), weights).value == pytest.approx(value, abs=1e-6)


def test_the_lottery_and_the_sure_pair():
    mdp = lottery()
    np.testing.assert_allclose(evaluate_policy(mdp, [0, 0, 0, 0]).j, [1.5, 1.5])
    np.testing.assert_allclose(evaluate_policy(mdp, [1, 0, 0, 0]).j, [2.0, 2.0])
