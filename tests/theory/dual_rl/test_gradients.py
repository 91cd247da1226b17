"""Where value functions come to rest under each gradient, on the reference MDP."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.dual_rl.divergences import divergence
from jaxrl.dual_rl.objectives import GUMBEL
from tests.theory.dual_rl.known import D_O, MDP, MU, T, value
from theory.dual_rl.duality import dual_v
from theory.dual_rl.gradients import at_rest, semi_q
from theory.dual_rl.maximisers import fixed_point
from theory.exact.occupancy import flow_residual


def test_the_semi_gradient_of_kl_is_soft_value_iteration():
    rest = at_rest(MDP, D_O, "kl_n", 1.0, "semi")
    v = np.zeros(5)
    for _ in range(400):
        v = np.log((MU * np.exp(T.R + 0.9 * T.P @ v)).sum(1))
    np.testing.assert_allclose(rest.v, v, atol=1e-12)
    np.testing.assert_allclose(rest.v, fixed_point(GUMBEL, 1.0, MDP, MU), atol=1e-12)
    np.testing.assert_allclose(rest.v, [1.6331992, 2.1456802, 1.67788734, 2.22666641, 1.71547905], atol=1e-8)
    assert value(rest.policy) == pytest.approx(0.39685231, abs=1e-8)
    assert 0.1 * T.mu0 @ rest.v == pytest.approx(0.18961522, abs=1e-8)
    assert 0.1 * T.mu0 @ rest.v >= dual_v(MDP, D_O, "kl").value


@pytest.mark.parametrize("key", ["kl_n", "chi2", "hel"])
def test_every_gradient_is_at_rest_and_in_its_own_place(key):
    rests = {g: at_rest(MDP, D_O, key, 0.3, g) for g in ("full", "semi", "orthogonal")}
    assert all(rest.update <= 1e-11 for rest in rests.values())
    assert np.abs(rests["semi"].policy - rests["full"].policy).max() > 1e-3
    d = rests["orthogonal"].d
    u, through = d.sum(1), 0.9 * np.einsum("sa,sat->t", d, T.P)
    share = through @ u / (u @ u)
    np.testing.assert_allclose(D_O.sum(1) + through, (1 + share) * u, atol=1e-11)
    np.testing.assert_allclose(rests["semi"].d.sum(1), D_O.sum(1), atol=1e-11)
    assert flow_residual(MDP, rests["full"].d) <= 1e-11


def test_one_sampled_successor_inflates_the_square():
    v = np.array([1, -2, 3, 0.5, -1])
    sampled = (D_O[..., None] * T.P * (T.R[..., None] + 0.9 * v) ** 2).sum()
    exact = (D_O * (T.R + 0.9 * T.P @ v) ** 2).sum()
    np.testing.assert_allclose(
        [sampled, exact, sampled - exact], [2.89426847, 0.75701437, 2.1372541], atol=1e-8
    )


@pytest.mark.parametrize(("key", "alpha"), [("chi2", 1.0), ("chi2", 0.1), ("kl", 0.3), ("kl_n", 0.3)])
def test_the_semi_gradient_of_q_is_a_saddle_and_rests_with_that_of_v(key, alpha):
    """Both sides of max_pi min_Q with a frozen target, by derivatives of the objective as it is written."""
    q, policy = semi_q(MDP, D_O, key, alpha)
    f, states = divergence(key), D_O.sum(1)
    with jax.enable_x64(True):
        target = T.R + T.gamma * T.P @ (policy * q).sum(1)
        slope = jax.grad(
            lambda x: states @ (policy * x).sum(1) + alpha * (D_O * f.f_star((target - x) / alpha)).sum()
        )(jnp.asarray(q))
    np.testing.assert_allclose(slope, 0, atol=1e-10)
    best = q.max(1, keepdims=True)
    np.testing.assert_allclose(policy * (best - q), 0, atol=1e-10)  # it acts where Q is largest
    np.testing.assert_allclose(best[:, 0], at_rest(MDP, D_O, key, alpha, "semi").v, atol=1e-10)
    if key == "chi2":  # whose ratios reach 0 where the regulariser is weak
        assert (alpha < 1) == bool((best - q > 1e-2).any() and (policy == 0).any())
