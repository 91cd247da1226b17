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
