"""Instances of the lower bound: their signs, the scale of errors, and rows of the table."""

import jax
import numpy as np
import pytest

from experiments.reward_free import lower_bound
from jaxrl.core.errors import UsageError


def test_members_have_the_same_random_signs_for_every_budget():
    config = lower_bound.Config(dimensions=(4,), budgets=(250, 1000), seeds=5)
    theta = np.asarray(lower_bound._instances(config, 4).theta)
    signs = np.sign(theta[:, 1:]).reshape(2, 5, 3)
    np.testing.assert_array_equal(signs[0], signs[1])
    assert len(np.unique(signs[0], axis=0)) > 1


def test_a_policy_of_wrong_signs_alone_loses_twice_what_signs_at_random_lose():
    config = lower_bound.Config(dimensions=(4,), budgets=(250,), seeds=2)
    mixture = jax.tree.map(lambda x: x[0], lower_bound._instances(config, 4))
    P, H = np.asarray(mixture.to_tabular().P), 16
    found = (H - 1) / H * (P[0, :, lower_bound.REWARDING].max() - P[0, :, lower_bound.REWARDING].min())
    gap = 1 / np.sqrt(6 * 250) / (4 * np.sqrt(2))
    np.testing.assert_allclose(found, 2 * 3 * gap * (H - 1) / H, rtol=1e-4)


def result(error):
    """Errors `[N, seeds]` of one method in dimension 4."""
    budget = np.array([100, 400])[: len(error)]
    return {
        "method": np.array(["UCRL-RFE"]),
        "d": np.array([4]),
        "budget": budget,
        "horizon": np.array(16),
        "error": np.asarray(error)[None, None],
    }


def test_chance_is_half_the_error_of_wrong_signs_alone_and_stands_beside_every_method():
    """Half of 2 (d - 1) Delta (H - 1) / H, times sqrt(K) / d, at every K; a member of that error is at 0."""
    chance = 3 * (1 / np.sqrt(6 * 100) / (4 * np.sqrt(2))) * 15 / 16
    found = lower_bound.scores(result([[chance, chance]]))
    row = found["signs at random, d = 4, K = 100: error times sqrt(K) / d"]
    np.testing.assert_allclose(row.values, [chance * 10 / 4])
    less = found["UCRL-RFE, d = 4, K = 100: the same less that of random signs"]
    np.testing.assert_allclose(less.values, 0, atol=1e-15)


def test_the_bound_on_theta_is_its_norm_for_all_signs_and_another_for_every_budget():
    config = lower_bound.Config(dimensions=(4,), budgets=(250, 1000), seeds=3)
    theta = np.asarray(lower_bound._instances(config, 4).theta, np.float64).reshape(2, 3, 4)
    norms = np.linalg.norm(theta, axis=-1)
    np.testing.assert_allclose(norms, norms[:, :1].repeat(3, 1), rtol=1e-6)
    gaps = 1 / np.sqrt(6 * np.array([250, 1000])) / (4 * np.sqrt(2))
    np.testing.assert_allclose(norms[:, 0], 1 + 3 * gaps, rtol=1e-5)


def test_errors_on_the_bound_have_the_prefactor_one():
    bound = 4 / (16 * np.sqrt(3)) / np.sqrt([100, 400])
    found = lower_bound.scores(result(np.tile(bound[:, None], (1, 3))))
    for K in (100, 400):
        np.testing.assert_allclose(
            found[f"UCRL-RFE, d = 4, K = {K}: error times sqrt(K) / d"], 1 / (16 * np.sqrt(3))
        )
        over = found[f"UCRL-RFE, d = 4, K = {K}: K d^-2 times the squared mean error, over C"]
        np.testing.assert_allclose((over.values[0], *over.interval), 1)


def test_the_interval_of_the_prefactor_is_that_of_the_mean_squared():
    error = np.array([[0.01, 0.02, 0.03]])
    found = lower_bound.scores(result(error))
    over = found["UCRL-RFE, d = 4, K = 100: K d^-2 times the squared mean error, over C"]
    scaled = error[0] * 10 / 4
    reach = 4.302652729911275 * scaled.std(ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(over.interval, (0, 768 * (scaled.mean() + reach) ** 2))
    np.testing.assert_allclose(over.values, 768 * scaled.mean() ** 2)


def test_budgets_that_are_no_multiples_are_refused():
    with pytest.raises(UsageError, match=r"Config\.budgets: must increase .* multiples of 10, got \(15,\)"):
        lower_bound.Config(budgets=(15,))
