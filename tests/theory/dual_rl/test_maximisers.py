"""Implicit maximisers and their fixed points on the reference MDP."""

import numpy as np
import pytest

from jaxrl.dual_rl.objectives import EXPECTILE, GUMBEL, conjugate
from tests.theory.dual_rl.known import BEST, MDP, MU, T
from theory.dual_rl.maximisers import fixed_point, implicit_maximum
from theory.exact.policy_evaluation import evaluate_policy


@pytest.mark.parametrize("key", ["chi2", "tv"])
def test_relu_maximisers_reach_the_optimum_at_the_threshold(key):
    v = fixed_point(conjugate(key, "relu"), [0.8, 6 / 7 + 1e-6, 0.9], MDP, MU)
    gap = np.abs(v - BEST.v).max(1)
    assert gap[0] == pytest.approx(2.780332, abs=1e-6) and v[0, 0] == pytest.approx(5.44696007, abs=1e-8)
    assert gap[1] <= 1e-9 and gap[2] <= 1e-9


def test_exact_chi2_overshoots_and_at_one_half_is_the_behaviour():
    v = fixed_point(conjugate("chi2", "exact"), [0.5, 0.999, 1 - 1e-6], MDP, MU)
    assert v[0, 0] == pytest.approx(-0.73328431, abs=1e-8)
    np.testing.assert_allclose(v[0], evaluate_policy(MDP, MU).v, atol=1e-11)
    assert (v[1] - BEST.v).max() == pytest.approx(19.9202, abs=1e-4)
    assert (v[2] - BEST.v).max() == pytest.approx(2 / (1 - 0.9), abs=1e-4)


def test_gumbel_goes_from_the_behaviour_to_the_optimum():
    v = fixed_point(GUMBEL, [1e-3, 1.0, 1e6], MDP, MU)
    np.testing.assert_allclose(v[0], BEST.v, atol=0.02)
    assert v[1, 0] == pytest.approx(1.63319920, abs=1e-8)
    np.testing.assert_allclose(v[2], evaluate_policy(MDP, MU).v, atol=1e-4)


def test_expectiles_go_to_the_optimum():
    v = fixed_point(EXPECTILE, [0.9, 0.99, 1 - 1e-7], MDP, MU)
    assert v[0, 0] == pytest.approx(4.96331031, abs=1e-8)
    gap = (BEST.v - v).max(1)
    np.testing.assert_allclose(gap[:2], [3.059463, 0.401434], atol=1e-6)
    assert 0 <= gap[2] < 1e-5


def test_tv_is_the_quantile_of_its_level():
    rng = np.random.default_rng(3)
    q, mu = rng.normal(size=(40, 1, 6)), rng.dirichlet(np.ones(6), (40, 1))
    found = implicit_maximum(conjugate("tv", "relu"), 0.7, q, mu)[:, 0]
    for x, p, v in zip(q[:, 0], mu[:, 0], found, strict=True):
        order = np.argsort(x)
        assert v == x[order][np.searchsorted(np.cumsum(p[order]), 2 - 1 / 0.7)]


def test_at_the_threshold_chi2_is_the_maximum_and_tv_the_second_best():
    """lambda = 1 / (1 + p), p = k / n the mass of the best action: a tie of tv, broken downwards."""
    p = np.array([k / n for n in range(2, 13) for k in range(1, n)])
    q, mu = np.tile([0.0, 1.0], (len(p), 1, 1)), np.stack([1 - p, p], -1)[:, None]
    for key, expected in (("tv", 0.0), ("chi2", 1.0)):
        found = implicit_maximum(conjugate(key, "relu"), 1 / (1 + p), q, mu)
        np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=1e-7)
    three = implicit_maximum(conjugate("tv", "relu"), 1 / 1.3, [[5.0, 2.0, 7.0]], [[0.3, 0.4, 0.3]])
    assert three[0] == pytest.approx(5.0, abs=1e-10)


def test_successive_differences_shrink_by_the_discount():
    v, old, ratios = np.zeros(5), np.inf, []
    for _ in range(60):
        new = implicit_maximum(conjugate("chi2", "relu"), 0.8, T.R + 0.9 * T.P @ v, MU)
        ratios.append(np.abs(new - v).max() / old)
        v, old = new, np.abs(new - v).max()
    assert max(ratios[1:]) <= 0.9 + 1e-6
    assert ratios[-1] == pytest.approx(0.9, abs=1e-4)


@pytest.mark.parametrize(
    ("mode", "golden"),
    [("literal", (2, 4, 4)), ("relu", (2, 13.429, 19.778)), ("exact", (2, 13.429, 19.778))],
)
def test_literal_chi2_is_stuck_at_a_large_gap(mode, golden):
    q, mu = np.tile([0.0, 20.0], (3, 1, 1)), np.tile([0.9, 0.1], (3, 1, 1))
    found = implicit_maximum(conjugate("chi2", mode), [0.5, 0.7, 0.9], q, mu)[:, 0]
    np.testing.assert_allclose(found, golden, atol=5e-4)


def test_actions_without_probability_do_not_exist():
    q, mu = np.array([[1.0, 50.0, 2.0]]), np.array([[0.5, 0.0, 0.5]])
    for mode in ("relu", "exact"):
        with_it = implicit_maximum(conjugate("js", mode), 0.9, q, mu)
        assert with_it == implicit_maximum(conjugate("js", mode), 0.9, q[:, [0, 2]], mu[:, [0, 2]])
