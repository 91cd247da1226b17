"""Exact gradients against differences, and the optimisers of the extension without sampling noise."""

import numpy as np
import pytest

from jaxrl.morl.hypervolume import exact_hypervolume
from theory.morl import ascent


@pytest.fixture(scope="module")
def problem():
    return ascent.sea()


def test_gradients_and_fisher_matrix_are_those_of_differences(problem):
    sea, _ = problem
    rng = np.random.default_rng(0)
    logits, move = rng.normal(size=(2, 62, 4))
    point = ascent.evaluate(sea, logits)
    h = 1e-5
    ahead, behind = (ascent.evaluate(sea, logits + sign * h * move) for sign in (1, -1))
    slope = (ahead.returns - behind.returns) / (2 * h)
    np.testing.assert_allclose((point.gradients * move).sum((1, 2)), slope, rtol=1e-6)
    # x = H^-1 g solves the damped system, whose product is the curvature of the divergence
    d = point.visits / point.visits.sum()
    x = ascent.solved(point, move[None], 0.1)[0]
    centred = x - (point.pi * x).sum(-1, keepdims=True)
    np.testing.assert_allclose(d[:, None] * point.pi * centred + 0.1 * x, move, atol=1e-10)
    there = ascent.evaluate(sea, logits + 1e-3 * x).pi
    kl = d @ (point.pi * np.log(point.pi / there)).sum(-1)
    assert kl == pytest.approx(1e-6 * (d @ (point.pi * centred * x).sum(-1)) / 2, rel=1e-2)


def test_the_start_holds_what_weights_find(problem):
    sea, start = problem
    returns = np.array([ascent.evaluate(sea, logits).returns for logits in start])
    assert exact_hypervolume(returns, ascent.Z) == pytest.approx(3162.4, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("damping", "volume"), [(0.1, 3948.1), (0.001, 4016.4), (0.00001, 4032.9)])
def test_cpo_is_feasible_in_every_iterate(problem, damping, volume):
    study = ascent.run(*problem, ascent.trust_region(damping), searched=True)
    assert study.feasible == 1.0 and study.infeasible == 0 and study.gain > 1.0
    assert study.volume == pytest.approx(volume, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "volume", "feasible"),
    [
        (0.0, 4160.2, (0.0, 0.7)),
        (5.0, 4106.1, (0.7, 0.9)),
        (50.0, 4063.5, (0.7, 0.9)),
        (1000.0, 4051.2, (0.7, 0.9)),
    ],
)
def test_steps_without_a_trust_region_for_the_constraint_break_it(problem, rate, volume, feasible):
    """Without multiplier (rate 0) for the most part; the hypervolume ranks that run first all the same."""
    study = ascent.run(*problem, ascent.lagrangian(0.1, rate), searched=False)
    assert feasible[0] <= study.feasible < feasible[1]
    assert study.volume == pytest.approx(volume, rel=0.01)
