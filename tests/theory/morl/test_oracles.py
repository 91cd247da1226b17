"""Extensions, barriers and exact rounds against known values."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.morl.metrics import hull_hypervolume
from theory.exact import pareto
from theory.exact.policy_evaluation import evaluate_policy
from theory.morl import oracles
from theory.morl.instances import formula_mdp, treasure

TWO = np.array([7.82086516, 6.06417301])


@pytest.mark.parametrize(
    ("beta", "l", "expected"),
    [
        (0.9, 0, (7.95676391, 5.45775571)),
        (0.9, 1, (7.03877864, 7.83652641)),
        (0.99, 0, (7.83445503, 6.00353128)),
        (0.99, 1, (7.74265651, 6.37793141)),
    ],
)
def test_extensions_of_two_objectives(beta, l, expected):
    found = oracles.extend(formula_mdp(2), l, beta * TWO)
    np.testing.assert_allclose(found.returns, expected, atol=1e-7)


def test_extensions_of_three_objectives():
    mdp = formula_mdp(3)
    start = evaluate_policy(mdp, np.array([2, 1, 0, 0, 0])).j
    expected = [
        (7.76828501, 6.27511466, 4.23483363),
        (6.83504054, 7.80541243, 3.59523852),
        (6.83504054, 6.27511466, 5.69854266),
    ]
    for l in range(3):
        np.testing.assert_allclose(oracles.extend(mdp, l, 0.9 * start).returns, expected[l], atol=1e-7)


def test_thresholds_of_negative_returns_can_be_out_of_reach():
    """From (1, -1) a threshold of -0.9 on the time has no policy, -3.4 has treasure 17.4."""
    sea = treasure("concave", 1.0)
    with pytest.raises(UsageError, match="at_least"):
        oracles.extend(sea, 0, [0.0, -0.9])
    np.testing.assert_allclose(oracles.extend(sea, 0, [0.0, -3.4]).returns, [17.4, -3.4], atol=1e-7)
    found = oracles.extend(sea, 1, [111.6, 0.0]).returns
    np.testing.assert_allclose(found, [111.6, -17.18536585], atol=1e-7)


def test_improvement_is_zero_on_the_front_alone():
    vertices = np.array([[0.0, 2.0], [2.0, 0.0]])
    assert oracles.improvement(vertices, np.array([1.0, 1.0])) == pytest.approx(0.0, abs=1e-9)
    assert oracles.improvement(vertices, np.array([0.5, 1.0])) == pytest.approx(0.25, abs=1e-9)
    assert oracles.improvement(vertices, np.array([1.0, 2.0])) == pytest.approx(-0.5, abs=1e-9)


def test_barrier_gaps():
    mdp = formula_mdp(3)
    vertices = pareto.convex_coverage_set(mdp)
    start = evaluate_policy(mdp, np.array([2, 1, 0, 0, 0])).j
    expected = [
        (1.0346062, 0.1247082, 0.0446578, 0.0097801),
        (0.8182143, 0.1906489, 0.0443345, 0.0199955),
        (1.3788724, 0.2160631, 0.0999938, 0.0199953),
    ]
    for l in range(3):
        best = oracles.extend(mdp, l, 0.9 * start).returns[l]
        for t, gap in zip((1.0, 5.0, 20.0, 100.0), expected[l], strict=True):
            G = oracles.barrier_optimum(vertices, start, l, 0.9 * start, t)
            assert best - G[l] == pytest.approx(gap, abs=1e-4)


@pytest.mark.parametrize(
    ("m", "step", "selected", "beta", "volumes"),
    [
        (2, 0.2, 3, 0.9, (62.29247, 62.564404, 62.891696, 62.980146, 62.982926, 62.9998, 63.016861)),
        (2, 0.2, 3, 0.95, (62.29247, 62.482439, 62.705735, 62.86946, 62.983106, 63.029795, 63.051406)),
        (
            3,
            0.5,
            4,
            0.9,
            (356.882046, 406.226987, 425.378845, 429.796899, 432.795845, 433.546438, 435.695855),
        ),
        (3, 0.5, 4, 0.99, (356.882046,)),
    ],
)
def test_exact_rounds(m, step, selected, beta, volumes):
    """Ties of linear programmes may change later rounds, hence half a percent."""
    mdp = formula_mdp(m)
    found = oracles.hypervolumes(oracles.exact_rounds(mdp, step, selected, beta, 6))
    assert found[0] == pytest.approx(volumes[0], rel=1e-6)
    np.testing.assert_allclose(found[: len(volumes)], volumes, rtol=5e-3)
    hull = hull_hypervolume(pareto.convex_coverage_set(mdp), np.zeros(m))
    assert hull == pytest.approx({2: 63.15316323, 3: 451.97005152}[m], rel=1e-8)
    assert np.diff(found).min() >= -1e-6 and found[-1] < hull
    if beta == 0.99:
        # finer steps are slower
        assert found[-1] == pytest.approx(401.785241, rel=5e-3)
