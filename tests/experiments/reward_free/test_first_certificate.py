"""First certificates: measures of members, beside values of an independent implementation."""

import jax
import numpy as np
import pytest

from experiments.reward_free import accuracy_and_dimension, horizon_scaling
from experiments.reward_free.first_certificate import METHODS, certified, explore
from jaxrl.envs.tabular.mixture_generators import hard_instance


@pytest.mark.slow
def test_ucrl_rfe_certifies_the_hard_instance_after_the_known_number_of_episodes():
    """Its bonuses depend on the numbers of visits alone, which are the same in every seed here."""
    method = METHODS["UCRL-RFE, published range"]
    with jax.enable_x64(True):
        mixture = hard_instance(4, 1000)
        hypers = [{"horizon": H, "epsilon": 0.25} for H in (4, 8)]
        members = explore(method, mixture, hypers, episodes=3000, seeds=1, float64=True, progress=False)
        rows = [certified(method, member, mixture) for member in members]
    assert [row.episodes for row in rows] == [268, 2164]
    beta = [0.02 * H * np.sqrt(4 * np.log(30 * (1 + 3e5 * H**3 * 1.006846531969**2))) + 0.02 for H in (4, 8)]
    np.testing.assert_allclose([r.scaled for r in rows], [268 / beta[0] ** 2, 2164 / beta[1] ** 2], rtol=1e-9)
    assert all(row.certificate <= 0.25 for row in rows)


def result(K):
    """Runs `[n, 2]` of HF-UCRL-RFE++ at n horizons from 8 on, each twice the one before."""
    H = 8 * 2 ** np.arange(len(K))
    other = {name: np.ones_like(K) for name in ("scaled", "certificate", "plans", "rho")}
    return {"method": np.array(["HF-UCRL-RFE++"] * len(K)), "horizon": H, "episodes": K, **other}


def test_exponents_of_power_laws_are_found_and_missing_certificates_have_none():
    H = 8.0 * 2 ** np.arange(4)
    found = horizon_scaling.scores(result(np.stack([5 * H**2, 7 * H**3], -1)))
    exponent = found["HF-UCRL-RFE++: exponent of H"]
    np.testing.assert_allclose(exponent.values, 2.5)
    assert exponent.interval[0] < 2 < 3 < exponent.interval[1]
    ratio = found["HF-UCRL-RFE++: episodes at the largest over the smallest H"]
    np.testing.assert_allclose(ratio.values, [64, 512])
    assert found["HF-UCRL-RFE++: spread of episodes over beta^2, H >= 32"].values.tolist() == [0, 0]
    missing = np.stack([H, H], -1)
    missing[2, 1] = np.nan
    assert "HF-UCRL-RFE++: exponent of H" not in horizon_scaling.scores(result(missing))


def test_exponents_of_accuracy_and_dimension_are_those_of_the_runs():
    """Members of one dimension serve both fits, in whatever order they stand."""
    d, epsilon = np.array([2, 4, 4, 4, 8]), np.array([0.2, 0.4, 0.1, 0.2, 0.2])
    K = np.stack([3 * d**2 / epsilon**2, 5 * d**1.5 / epsilon**2], -1)
    other = {name: np.ones_like(K) for name in ("certificate", "scaled", "plans", "rho")}
    varied = {"epsilons": [0.4, 0.2, 0.1], "dimensions": [2, 4, 8], "varied_d": 4, "varied_epsilon": 0.2}
    varied = {name: np.array(x) for name, x in varied.items()}
    found = accuracy_and_dimension.scores({"d": d, "epsilon": epsilon, "episodes": K, **other, **varied})
    np.testing.assert_allclose(found["exponent of epsilon"].values, -2)
    np.testing.assert_allclose(found["exponent of d"].values, 1.75)
    np.testing.assert_allclose(found["d = 8, epsilon = 0.2: episodes over d^2 / epsilon^2"].values[0], 3)
