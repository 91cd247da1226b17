"""Programmes over finite visits: reference values, agreement with backward induction, and what is refused."""

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import riverswim
from jaxrl.envs.tabular.mixture_generators import lock
from theory.exact import finite_lp, occupancy, optimal_control
from theory.exact.tables import random_mdps


def kernel_of(mixture):
    return np.asarray(mixture.phi) @ np.asarray(mixture.theta)


@pytest.fixture(scope="module")
def river():
    with jax.enable_x64(True):
        return np.asarray(riverswim(6).P)


def test_best_visits_are_those_of_an_optimal_policy():
    for mdp in random_mdps(3, 4, S=4, A=2, H=3, gamma=1.0):
        out = finite_lp.best_visits(mdp.P, mdp.R, mdp.mu0)
        assert out.value == pytest.approx(optimal_control.solve(mdp).j, abs=1e-9)
        policy = occupancy.policy_of(out.visits)
        np.testing.assert_allclose(occupancy.finite_occupancy(mdp, policy), out.visits, atol=1e-9)


def test_largest_visits_of_the_river(river):
    found = finite_lp.largest_visits(river, 20)
    expected = (1, 0.8182821694, 0.7876025337, 0.7244193792, 0.6216594372, 0.4618584791)
    np.testing.assert_allclose(found.max(0), expected, atol=1e-9)
    reward = np.zeros((20, 6, 2))
    reward[12, 3] = 1.0
    assert finite_lp.best_visits(river, reward).value == pytest.approx(found[12, 3], abs=1e-9)


def test_uniform_coverage_of_the_river_is_met_by_its_visits(river):
    out = finite_lp.uniform_coverage(river, 20)
    assert out.value == pytest.approx(0.0344070925, abs=1e-8)
    assert out.visits.mean(0).min() == pytest.approx(out.value, abs=1e-9)
    right = np.broadcast_to(np.arange(2) == 1, (6, 2))
    assert finite_lp.uniform_coverage(river, 20, pairs=right).value == pytest.approx(0.1468435625, abs=1e-8)


@pytest.mark.parametrize(
    ("sizes", "H", "t"),
    [
        ((6, 3, 0.9, 0.0), 7, 0.0081336660),
        ((6, 3, 0.9, 0.1), 8, 0.0077271790),
        ((3, 2, 0.9, 0.1), 5, 0.0460227273),
    ],
)
def test_uniform_coverage_of_the_pairs_of_a_lock(sizes, H, t):
    n, A = sizes[:2]
    with jax.enable_x64(True):
        P = kernel_of(lock(*sizes))
    pairs = np.broadcast_to(np.arange(n + 2)[:, None] < n, (n + 2, A))
    assert finite_lp.uniform_coverage(P, H, pairs=pairs).value == pytest.approx(t, abs=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda P: finite_lp.best_visits(P, np.zeros((2, 6))), r"reward: must be finite numbers \[H, S, A\]"),
        (
            lambda P: finite_lp.best_visits(P, np.zeros((2, 6, 3))),
            r"reward: shape .* does not fit",
        ),
        (lambda P: finite_lp.largest_visits(P, 0), "H: must be an integer >= 1"),
        (lambda P: finite_lp.largest_visits(P[:, :, :3], 2), r"P: shape .* is neither \[S, A, S\]"),
        (lambda P: finite_lp.largest_visits(P[None], 2), "P: has transitions of 1 steps, not of H = 2"),
        (lambda P: finite_lp.largest_visits(P * 1.1, 2), "P: rows must be probabilities"),
        (lambda P: finite_lp.largest_visits(P, 2, 6), r"mu0: must be a state in 0 \.\. 5"),
        (lambda P: finite_lp.uniform_coverage(P, 2, pairs=np.zeros((6, 2), bool)), "pairs: must be bool"),
    ],
)
def test_what_is_no_problem_is_refused(river, call, message):
    with pytest.raises(UsageError, match=message):
        call(river)
