"""Credits against exact gradients by enumeration, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.submodular.credit import SUMS, advantages, mixture, signal
from tests.submodular.four_cells import H, enumerate_all, probabilities, scores, values

ZERO = np.zeros((H, 4, 5))
CELLS, ACTIONS = enumerate_all()
F = values(CELLS)
GAINS = np.diff(F, axis=0)
MODULAR = np.array([1.0, 2.0, 3.0, 4.0])[CELLS[1:]]
CUT = np.arange(H)[:, None] == np.full(GAINS.shape[1], H - 1)


def _weights(credit, reward=GAINS, baseline=None, first=1.0):
    with jax.enable_x64(True):
        value = jnp.asarray(np.zeros(reward.shape) if baseline is None else baseline)
        reward, cut = jnp.asarray(reward), jnp.asarray(CUT)
        if credit == "gae":
            return np.asarray(advantages(reward, value, cut, 1.0, 1.0))
        return np.asarray(signal(credit, reward, cut, first) - value)


def _moments(w, theta=ZERO):
    """Mean [H, 4, 5] and trace of the covariance of one trajectory's estimate, weights w [H, K]."""
    p = probabilities(CELLS, ACTIONS, theta)
    each = np.einsum("kihsa,ik->khsa", scores(CELLS, ACTIONS, theta), w)
    mean = np.einsum("k,khsa->hsa", p, each)
    return mean, float(p @ np.square(each).sum((1, 2, 3)) - np.square(mean).sum())


def _j(theta, reward=GAINS):
    return float(probabilities(CELLS, ACTIONS, theta) @ (1.0 + reward.sum(0)))


def test_value_of_the_uniform_policy():
    assert _j(ZERO) == pytest.approx(3.744, abs=1e-12)
    assert _j(ZERO, MODULAR) == pytest.approx(6.736, abs=1e-12)


@pytest.mark.parametrize("credit", ["to_go", "total"])
def test_to_go_and_total_are_the_exact_gradient(credit):
    mean, _ = _moments(_weights(credit))
    expected = {
        (0, 0): (-0.1648, 0.1552, 0.3392, -0.1648, -0.1648),
        (1, 0): (-0.1104, 0.1056, 0.2256, -0.1104, -0.1104),
        (1, 1): (-0.0288, -0.0288, 0.1232, -0.0368, -0.0288),
        (1, 2): (-0.0256, 0.1184, -0.0256, -0.0256, -0.0416),
        (2, 3): (-0.008, -0.008, -0.008, 0.016, 0.008),
    }
    for (h, s), row in expected.items():
        np.testing.assert_allclose(mean[h, s], row, rtol=0, atol=1e-9)
    assert np.square(mean).sum() == pytest.approx(0.4666624, abs=1e-9)


def test_marginal_and_prefix_are_the_same_myopic_direction():
    marginal, _ = _moments(_weights("marginal"))
    prefix, _ = _moments(_weights("prefix"))
    np.testing.assert_allclose(marginal, prefix, rtol=0, atol=1e-14)
    np.testing.assert_allclose(marginal[0, 0], (-0.2, 0.2, 0.4, -0.2, -0.2), rtol=0, atol=1e-9)
    np.testing.assert_allclose(marginal[1, 0], (-0.12, 0.12, 0.24, -0.12, -0.12), rtol=0, atol=1e-9)
    np.testing.assert_allclose(marginal[2], _moments(_weights("to_go"))[0][2], rtol=0, atol=1e-14)
    assert np.square(marginal).sum() == pytest.approx(0.5868544, abs=1e-9)


def test_modular_gradient():
    mean, variance = _moments(_weights("to_go", MODULAR))
    np.testing.assert_allclose(mean[0, 0], (-0.2352, 0.1568, 0.5488, -0.2352, -0.2352), rtol=0, atol=1e-9)
    assert variance == pytest.approx(50.8744704, abs=1e-6)


def test_variances_and_their_order():
    expected = {"marginal": 5.9091456, "to_go": 16.9925376, "prefix": 28.4627456, "total": 44.7301376}
    found = {credit: _moments(_weights(credit))[1] for credit in expected}
    assert found == pytest.approx(expected, abs=1e-6)
    assert list(found.values()) == sorted(found.values())


def test_finite_differences_at_a_random_policy():
    theta = np.random.default_rng(0).normal(size=ZERO.shape)
    mean, _ = _moments(_weights("to_go"), theta)
    for index in np.ndindex(*ZERO.shape):
        step = np.zeros_like(theta)
        step[index] = 1e-5
        assert (_j(theta + step) - _j(theta - step)) / 2e-5 == pytest.approx(mean[index], abs=1e-8)


@pytest.mark.parametrize("credit", SUMS)
def test_a_baseline_of_the_past_changes_no_mean(credit):
    theta = np.random.default_rng(1).normal(size=ZERO.shape)
    table = np.random.default_rng(2).normal(size=(H, 4, 4))
    past = np.concatenate([np.zeros_like(CELLS[:1]), CELLS[:-2]])  # the state before this one
    baseline = np.stack([table[h, CELLS[h], past[h]] for h in range(H)])
    with_it, _ = _moments(_weights(credit, baseline=baseline), theta)
    without, _ = _moments(_weights(credit), theta)
    np.testing.assert_allclose(with_it, without, rtol=0, atol=1e-12)


def test_gae_with_lambda_one_is_to_go_minus_the_value():
    value = np.random.default_rng(3).normal(size=GAINS.shape)
    np.testing.assert_allclose(
        _weights("gae", baseline=value), _weights("to_go", baseline=value), rtol=0, atol=1e-12
    )


def test_sums_against_a_loop_over_ragged_episodes():
    rng = np.random.default_rng(4)
    reward, cut = rng.normal(size=(9, 3)), rng.random((9, 3)) < 0.3
    found = {c: np.asarray(signal(c, jnp.asarray(reward), jnp.asarray(cut), 2.0)) for c in SUMS}
    for n in range(3):
        begin = 0
        for t in range(9):
            end = next((u for u in range(t, 9) if cut[u, n]), 8)
            expected = {
                "to_go": reward[t : end + 1, n].sum(),
                "total": 2.0 + reward[begin : end + 1, n].sum(),
                "marginal": reward[t, n],
                "prefix": 2.0 + reward[begin : t + 1, n].sum(),
            }
            for credit, x in expected.items():
                assert found[credit][t, n] == pytest.approx(x, abs=1e-5)
            begin = t + 1 if cut[t, n] else begin


def test_mixture_is_the_weighted_sum():
    rng = np.random.default_rng(5)
    reward, cut = jnp.asarray(rng.normal(size=(6, 4))), jnp.asarray(rng.random((6, 4)) < 0.2)
    share = np.array([0.1, -0.4, 2.0, 0.3])
    expected = sum(s * np.asarray(signal(c, reward, cut, 1.5)) for s, c in zip(share, SUMS, strict=True))
    np.testing.assert_allclose(mixture(jnp.asarray(share), reward, cut, 1.5), expected, rtol=1e-5, atol=1e-5)


def test_gae_bootstraps_from_the_next_value_only_inside_the_episode():
    reward, value = jnp.asarray([[1.0], [2.0], [4.0]]), jnp.asarray([[10.0], [20.0], [40.0]])
    cut = jnp.asarray([[False], [True], [True]])
    found = np.asarray(advantages(reward, value, cut, 0.5, 0.0))
    np.testing.assert_allclose(found[:, 0], [1 + 10 - 10, 2 - 20, 4 - 40])


def test_unknown_credits_are_refused():
    x = jnp.zeros((2, 1))
    with pytest.raises(UsageError, match=r"credit: must be one of to_go"):
        signal("suffix", x, x == 0)
    for credit in ("marginal", "to_go"):
        with pytest.raises(UsageError, match=r"signal\.cut: shape \(1, 1\)"):
            signal(credit, x, x[:1] == 0)
