"""Radii and constants against values computed independently, and the clamp of the printed logarithm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.reward_free import radii
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.regression import ridge
from tests.reward_free.mixtures import hashed

TABLE = [  # d, H, K, B, theory, plain
    (4, 16, 1e4, 2.0, 2300.3761, 9.6212),
    (8, 32, 1e4, np.sqrt(8), 3404.1859, 13.6499),
    (8, 1024, 1e5, np.sqrt(8), 4812.1836, 16.6479),
    (20, 1000, 1e5, np.sqrt(20), 7542.9649, 25.7150),
]


@pytest.mark.parametrize(("d", "H", "K", "bound", "theory", "plain"), TABLE)
def test_radii_of_the_table(d, H, K, bound, theory, plain):
    with jax.enable_x64(True):
        alpha, gamma = H**-0.5, d**-0.25
        assert abs(radii.hf_theory(K, H, d, bound, 0.1, alpha, gamma) - theory) < 1e-4
        assert abs(radii.hf_plain(K, H, d, bound, 0.1, alpha) - plain) < 1e-4
        for mode, expected in (("theory", theory), ("scaled", 0.3 * theory), ("plain", 0.3 * plain)):
            found = radii.hf_radius(mode, 0.3, K, H, d, bound, 0.1, alpha, gamma)
            np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_radius_of_the_theorem_is_the_general_one_after_all_steps():
    """The general bound after k H steps at R = L = 1 / alpha, sigma = 1, its maximum and e at 1 / gamma^2."""
    with jax.enable_x64(True):
        d, H, k, bound, delta = 4, 64, 1000.0, 2.0, 0.1
        alpha, gamma = H**-0.5, d**-0.25
        lam, e = radii.ridge_weight(d, bound), 1 / gamma**2
        general = radii.bernstein(k * H, d, lam, bound, delta, 1.0, 1 / alpha, 1 / alpha, e, e)
        np.testing.assert_allclose(general, radii.hf_theory(k, H, d, bound, delta, alpha, gamma), rtol=1e-12)


def test_eta_counts_steps_by_their_largest_weight():
    found = radii.eta(10.0, 4.0, 2.0, 0.5, 0.1)
    np.testing.assert_allclose(found, np.log(1 + 40 / (0.01 * 2 * 0.5)), rtol=1e-6)


def test_whole_numbers_of_episodes_and_steps_give_the_radii_of_floating_ones():
    """Episodes times steps, their square among them, leave the range of int32 from 50,000 steps on."""
    numbers = (4, 2.0, 0.1)
    for k, H in ((6250, 8), (100_000, 32), (3_000_000, 1024)):
        alpha, gamma = H**-0.5, 4**-0.25
        whole, real = (jnp.int32(k), jnp.int32(H)), (float(k), float(H))
        for found, wanted in (
            (radii.hf_theory(*whole, *numbers, alpha, gamma), radii.hf_theory(*real, *numbers, alpha, gamma)),
            (radii.hf_plain(*whole, *numbers, alpha), radii.hf_plain(*real, *numbers, alpha)),
            (radii.rfe_one(*whole, *numbers), radii.rfe_one(*real, *numbers)),
            (radii.rfe_published(*whole, *numbers), radii.rfe_published(*real, *numbers)),
            (radii.bernstein(whole[0], 4, 1.0, 2.0, 0.1, 1.0, 2.0, 1.0, 1.0, 1.0),
             radii.bernstein(real[0], 4, 1.0, 2.0, 0.1, 1.0, 2.0, 1.0, 1.0, 1.0)),
        ):  # fmt: skip
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
        np.testing.assert_allclose(
            radii.tau(*whole, alpha, gamma, 0.1),
            np.log(32 * (max(np.log(gamma**2 / alpha), 0) + 1) * (k * H) ** 2 / 0.1),
            rtol=1e-6,
        )
        for found, wanted in zip(
            radii.rfe_plus(*whole, *numbers), radii.rfe_plus(*real, *numbers), strict=True
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_orders_are_the_ceiling_of_the_theorem():
    assert radii.orders(10000, 16) == 21
    assert radii.orders(300000, 1024) == int(np.ceil(np.log2(7 * 300000 * 1024)))
    with pytest.raises(UsageError, match="K: must be >= 1, got 0"):
        radii.orders(0, 8)


def test_short_horizons_have_a_finite_logarithm():
    """For H < d / e^2 the printed argument is negative: here log(gamma^2 / alpha) + 1 = -.15."""
    d, H = 20, 2
    assert np.log(d**-0.5 / H**-0.5) + 1 < 0
    found = radii.tau(1.0, H, H**-0.5, d**-0.25, 0.1)
    np.testing.assert_allclose(found, np.log(32 * 4 / 0.1), rtol=1e-6)


def test_episodes_that_theory_radii_would_need_are_astronomical():
    with jax.enable_x64(True):
        beta = radii.hf_theory(1e4, 16, 4, 2.0, 0.1, 0.25, 4**-0.25)
        for K, low in ((1e16, 0.1), (1e20, 0.0)):
            assert radii.hf_bound(K, 16, 4, 21, beta, 2.0, 0.1) > low
        assert radii.hf_bound(1e22, 16, 4, 21, beta, 2.0, 0.1) < 0.1


def test_the_realised_radius_of_estimates_without_data_is_the_ridge_term():
    with jax.enable_x64(True):
        mixture = hashed()
        state = ridge(form_of(mixture), 1.8, (2, 3))
        rho = radii.realised(state, mixture.theta[None], 2.0)
        np.testing.assert_allclose(rho, np.sqrt(1.8) * np.linalg.norm(mixture.theta) / 2, rtol=1e-13)
        assert jnp.ndim(rho) == 0


@pytest.mark.parametrize(
    ("d", "H", "K", "bound", "first", "plus"),
    [
        (4, 16, 1e4, 2.0, 152.1660, (563.29, 884.47, 1.131e5)),
        (8, 32, 1e4, 8**0.5, 454.3458, (845.705, 1738.03, 6.289e5)),
        (8, 1024, 1e5, 8**0.5, 17805.1723, (1160.89, 2390.85, 8.86e8)),
        (20, 1000, 1e5, 20**0.5, 27797.8059, (1856.38, 5626.76, 1.258e9)),
    ],
)
def test_radii_of_ucrl_rfe_and_its_plus(d, H, K, bound, first, plus):
    with jax.enable_x64(True):
        np.testing.assert_allclose(radii.rfe_published(K, H, d, bound, 0.1), first, rtol=1e-6)
        np.testing.assert_allclose(radii.rfe_plus(K, H, d, bound, 0.1)[1:], plus, rtol=3e-4)


def test_the_radius_for_values_up_to_one_by_hand():
    np.testing.assert_allclose(
        radii.rfe_one(100, 8, 4, 2.0, 0.1), (4 * np.log(30 * 3201)) ** 0.5 + 1, rtol=1e-6
    )
