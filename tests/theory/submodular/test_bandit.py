"""Values of the eps-bandit problems to their digits."""

import jax
import numpy as np
import pytest

from theory.submodular import bandit


@pytest.mark.parametrize(("eps", "most"), [(0.0, 10), (0.1, 9.25), (0.3, 8.05), (2 / 3, 62 / 9)])
def test_uniform_value_and_optimum_of_three_places(eps, most):
    """All policies are equal at eps 2/3."""
    with jax.enable_x64(True):
        problem = bandit.three_places(eps)
        assert problem.table[:3, 3].tolist() == [6, 4, 4]
        assert float(bandit.extension(np.full((2, 3), 1 / 3), problem)) == pytest.approx(62 / 9, abs=1e-12)
        assert bandit.best(problem) == pytest.approx(most, abs=1e-12)


def test_continuous_greedy_on_the_half_problem():
    with jax.enable_x64(True):
        problem = bandit.half()
        assert bandit.best(problem) == 1.99
        assert float(bandit.extension(bandit.myopic(problem), problem)) == 1
        for iterations, value in ((100, 1.9702), (1000, 1.97911)):
            reached = float(bandit.extension(bandit.continuous_greedy(problem, iterations), problem))
            assert reached == pytest.approx(value, abs=6e-6)


@pytest.mark.parametrize("places", [5, 10])
def test_the_tight_problem_has_a_strict_local_optimum_at_places_over_two_places_minus_three(places):
    with jax.enable_x64(True):
        problem = bandit.tight(places)
        assert bandit.best(problem) == pytest.approx(4 - 6 / places, abs=1e-12)
        local = np.zeros((1, 2, places))
        local[:, :, 0] = 1
        assert float(bandit.values(local, problem)[0]) == 2
        assert float(bandit.gaps(local, problem)[0]) == 0
        other = np.zeros((1, 2, places))
        other[0, 0, -1] = other[0, 1, 0] = 1
        assert float(bandit.values(other, problem)[0]) == pytest.approx(2 - 3 / places, abs=1e-12)


def test_the_uniform_policy_of_twins_is_stationary():
    with jax.enable_x64(True):
        problem, uniform = bandit.twins(4), np.full((1, 4, 4), 0.25)
        assert float(bandit.values(uniform, problem)[0]) == pytest.approx(4 * (1 - 0.75**4), abs=1e-12)
        assert float(bandit.gaps(uniform, problem)[0]) == pytest.approx(0, abs=1e-12)
        assert bandit.best(problem) == 4


def test_gaps_are_the_best_linear_improvement_over_all_vertices():
    with jax.enable_x64(True):
        problem = bandit.random_bandit(3, 0.1)
        policy = np.random.default_rng(0).dirichlet(np.ones(3), 3)
        slope = jax.grad(bandit.extension)(policy, problem)
        improvement = max(float(np.sum(slope * (q - policy))) for q in bandit.vertices(problem))
        assert float(bandit.gaps(policy[None], problem)[0]) == pytest.approx(improvement, abs=1e-12)


def test_the_decoy_has_increasing_gains():
    table = bandit.both_or_decoy(4).table
    nothing = 4
    assert table[0, 0] - table[0, nothing] > table[nothing, 0] - table[nothing, nothing]
