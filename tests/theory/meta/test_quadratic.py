"""Best lifetimes on quadratics against a search that knows nothing of kernels."""

import numpy as np
import pytest
from scipy.optimize import minimize

from theory.meta import quadratic


@pytest.mark.parametrize("N", [1, 2, 3])
def test_the_kernel_gives_what_a_search_over_steps_finds(N):
    best = quadratic.best_lifetime(N)
    starts = np.random.default_rng(0).uniform(-0.5, 2, (8, N))
    found = min(minimize(lambda x: quadratic.lifetime_loss(np.exp(x)), x, tol=1e-13).fun for x in starts)
    assert best.loss == pytest.approx(found, rel=1e-8)
    assert quadratic.lifetime_loss(best.steps) == pytest.approx(best.loss, rel=1e-12)


def test_remaining_moments_add_up_to_the_loss_and_continue_a_lifetime():
    steps = np.array([0.3, 1.7, 2.9])
    half = quadratic.remaining(steps[:1])
    assert quadratic.lifetime_loss(steps[1:], half) == pytest.approx(quadratic.lifetime_loss(steps))


def test_one_noisy_update_is_its_formula():
    problem, a = quadratic.TWO_MODES, 0.7
    h, A = problem.curvature, problem.start
    expected = 0.5 * sum(h[i] * ((1 - a * h[i]) ** 2 * A[i] + a * a * h[i] ** 2) for i in range(2))
    assert quadratic.noisy_loss(problem, np.array([a])) == pytest.approx(expected)


@pytest.mark.parametrize("K", [1, 2])
def test_blocks_are_the_minimum_of_a_grid(K):
    steps = quadratic.best_block(
        quadratic.TWO_MODES, np.exp(np.random.default_rng(0).uniform(-1.5, 2.5, (16, K)))
    )
    axis = np.geomspace(0.1, 20, 400)
    grid = np.stack(np.meshgrid(*[axis] * K), -1).reshape(-1, K)
    best = min(quadratic.noisy_loss(quadratic.TWO_MODES, point) for point in grid[:: K * K])
    found = quadratic.noisy_loss(quadratic.TWO_MODES, steps)
    assert best * 0.99 <= found <= best
