"""Generators of linear mixtures: validity and published instances."""

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.mdp import validate
from jaxrl.envs.tabular.mixture import validate_mixture
from jaxrl.envs.tabular.mixture_generators import (
    hard_instance,
    hashed_mixture,
    lock,
    random_mixture,
    tabular_mixture,
)


@pytest.mark.parametrize(("H", "concentration"), [(None, 0.1), (4, None)])
def test_random_mixtures_are_valid(H, concentration):
    build = jax.jit(jax.vmap(lambda k: random_mixture(k, 5, 3, 4, H=H, concentration=concentration)))
    mixtures = jax.tree.map(np.asarray, build(jax.random.split(jax.random.key(0), 50)))
    for i in range(50):
        mixture = jax.tree.map(lambda x, i=i: x[i], mixtures)
        validate_mixture(mixture)
        assert np.linalg.norm(mixture.theta, axis=-1).max() <= 2 + 1e-5  # sqrt d
        assert np.linalg.norm(mixture.phi.sum(2), axis=-1).max() <= 1 + 1e-5  # phi_V of V = 1
    validate(mixture.to_tabular())


@pytest.mark.parametrize(
    ("args", "H", "d", "norm", "best"),
    [((6, 3, 0.9, 0.1), 8, 19, 3.458323293158117, 0.531441), ((3, 2, 0.9, 0.1), 5, 7, 2.6305892876, 0.729)],
)
def test_lock_published_values(args, H, d, norm, best):
    n, A, p_good, p_bad = args
    with jax.enable_x64(True):
        mixture = lock(*args)
        P = np.asarray(mixture.to_tabular().P)
    assert mixture.dim == d
    assert np.linalg.norm(mixture.theta) == pytest.approx(norm, abs=1e-9)
    value = uniform = (np.arange(n + 2) == n).astype(float)
    for _ in range(H):
        value, uniform = (P @ value).max(1), (P @ uniform).mean(1)
    assert value[0] == pytest.approx(best, abs=1e-12)
    assert uniform[0] == pytest.approx(((p_good + (A - 1) * p_bad) / A) ** n, abs=1e-12)


def test_hashed_mixture_published_values():
    with jax.enable_x64(True):
        mixture = hashed_mixture(3, 2, 2, (7, 3, 5, 11), 13)
        P = np.asarray(mixture.to_tabular().P)
    np.testing.assert_allclose(P[0, 0], (0.21718931475029, 0.49709639953542, 0.28571428571429), atol=1e-12)
    np.testing.assert_allclose(P[0, 1], (0.21688500727802, 0.35807860262009, 0.42503639010189), atol=1e-12)
    assert np.linalg.norm(mixture.theta) == pytest.approx(1.0540925533894598, abs=1e-14)
    value = np.zeros(3)
    for _ in range(4):
        value = ((2 * np.arange(3)[:, None] + 3 * np.arange(2)) % 5 / 16 + P @ value).max(1)
    np.testing.assert_allclose(value, (0.7458416077, 0.6765194378, 0.7961637051), atol=1e-10)


@pytest.mark.parametrize(
    ("d", "H", "best", "worst"),
    [(4, 16, 0.1626686237208, 0.1498313762792), (8, 32, 0.1769343483045, None)],
)
def test_hard_instance_published_values(d, H, best, worst):
    """Reward 1 / H in state 2; the value of an action at the start is (H - 1) / H P(2 | 0, a)."""
    with jax.enable_x64(True):
        mixture = hard_instance(d)
        P = np.asarray(mixture.to_tabular().P)
        flipped = np.asarray(hard_instance(d, signs=[-1] * (d - 1)).to_tabular().P)
    theta = np.asarray(mixture.theta)
    value = np.zeros(3)
    for _ in range(H - 1):
        value = (np.arange(3) == 2) / H + (P @ value).max(1)
    action = P[0] @ value
    assert action.max() == pytest.approx(best, abs=1e-12) and action.argmax() == 2 ** (d - 1) - 1
    if worst is not None:
        assert action.min() == pytest.approx(worst, abs=1e-12) and action.argmin() == 0
        assert 1 / theta[0] == pytest.approx(0.9965942124467, abs=1e-12)
        assert np.linalg.norm(theta) == pytest.approx(1.006846531969, abs=1e-11)
    np.testing.assert_allclose(flipped[0], P[0, ::-1], atol=1e-15)


@pytest.mark.parametrize("horizon", [None, 3])
def test_tables_as_a_mixture(horizon):
    with jax.enable_x64(True):
        mdp = random_mdp(jax.random.key(0), 3, 2, H=horizon)
        mixture = tabular_mixture(mdp)
        assert mixture.dim == 18
        np.testing.assert_allclose(mixture.to_tabular().P, mdp.P, atol=1e-12)
        reward = np.asarray(mdp.R)
        np.testing.assert_array_equal(mixture.to_tabular(mdp.R, gamma=0.5).R, reward)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lock(3, 2, 1.1, 0), r"lock\.p_good: must be a probability"),
        (lambda: hard_instance(1), r"hard_instance\.d: must be >= 2"),
        (lambda: hard_instance(4, 0), r"hard_instance\.episodes: must be >= 1"),
        (lambda: hard_instance(9, 3), r"hard_instance\.episodes: with d = 9 at least 12"),
        (lambda: hard_instance(3, signs=[1, 2]), r"hard_instance\.signs: must be \+1 or -1"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
