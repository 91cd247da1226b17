"""Occupancies against the power series and counts of all trajectories."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import time_indexed
from tests.theory.exact.problems import GAMMA, A, M, S, never_ends, power_series, problem
from theory.exact import enumeration, occupancy


@pytest.mark.parametrize("reward_dim", [None, M])
def test_discounted_occupancy_and_visits_against_the_power_series(reward_dim):
    mdp, pi = problem(0, reward_dim=reward_dim)
    d, (j, visits) = occupancy.discounted_occupancy(mdp, pi), power_series(mdp, pi)
    np.testing.assert_allclose(d, (1 - GAMMA) * visits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(occupancy.discounted_visits(mdp, pi), visits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(occupancy.policy_of(d), pi, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.einsum("sa,sa...->...", d, mdp.R), (1 - GAMMA) * j, rtol=0, atol=1e-12)
    assert occupancy.flow_residual(mdp, d) < 1e-14
    assert occupancy.flow_residual(mdp, np.full((S, A), 1 / (S * A))) > 1e-3


@pytest.mark.parametrize("timed", [False, True])
def test_finite_occupancy_against_counts_of_all_trajectories(timed):
    H = 3
    mdp, pi = problem(1, H=H if timed else None)
    steps, paths = np.arange(H), enumeration.trajectories(mdp, pi, H)
    s, a = paths.states[:, :-1], paths.actions
    d = occupancy.finite_occupancy(mdp, pi, None if timed else H)
    counted = np.zeros((H, S, A))
    np.add.at(counted, (steps, s, a), np.broadcast_to(paths.probability[:, None], s.shape))
    np.testing.assert_allclose(d, counted, rtol=0, atol=1e-12)
    assert occupancy.flow_residual(mdp, d) < 1e-14
    assert occupancy.flow_residual(mdp, np.full((H, S, A), 1 / (S * A))) > 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: occupancy.discounted_occupancy(never_ends(), [0, 0]), "mdp.gamma"),
        (lambda m: occupancy.finite_occupancy(m, [0] * S), "horizon: is needed"),
        (lambda m: occupancy.discounted_visits(time_indexed(m, 2), [0] * S), "mdp.P"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(UsageError, match=message):
        call(problem(0)[0])
