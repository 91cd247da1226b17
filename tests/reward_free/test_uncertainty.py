"""The truncated uncertainty of one policy and reward: known values, a bound, and more data that hurt."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.tabular.mixture import make_mixture
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.uncertainty import View, candidates, first_best, of_policy, prepare, start
from tests.reward_free.mixtures import OTHER_THETA, SIGMA, hashed, hashed_view


def alternating():
    """The policy (h + s) mod 2 and the reward ((2 s + 3 a) mod 5) / 16 at its actions, `[4, 3]` each."""
    h, s = np.ix_(range(4), range(3))
    policy = (h + s) % 2
    return jnp.asarray(policy, jnp.int32), jnp.asarray(((2 * s + 3 * policy) % 5) / 16)


def test_value_and_uncertainty_of_a_policy():
    with jax.enable_x64(True):
        mixture = hashed()
        form, mu0 = form_of(mixture), jnp.eye(3)[0]
        plan = jax.jit(of_policy)(form, hashed_view(0.25), *alternating(), mu0, 4)
        np.testing.assert_allclose(plan.value[0], [0.3527108961, 0.3880980861, 0.6108450075], atol=1e-10)
        np.testing.assert_allclose(plan.hat[0], [0.0201007288, 0.0228627655, 0.0233971096], atol=1e-10)
        np.testing.assert_allclose(plan.hat[1], [0.0155721268, 0.0096780434, 0.0180877648], atol=1e-10)
        assert plan.uncertainty == plan.hat[0, 0] and not np.any(plan.hat[3:]) and not np.any(plan.value[4])

        found = candidates(form, prepare(form, hashed_view(0.25)), start(plan.value[1][None]))
        u = np.asarray(found.hat).reshape(3, 2)[np.arange(3), np.asarray(plan.policy[0])]
        np.testing.assert_allclose(u, [0.0064059686, 0.0068400968, 0.0092074065], atol=1e-10)

        other = hashed_view(0.25)._replace(theta=jnp.asarray(OTHER_THETA)[None])
        value = of_policy(form, other, *alternating(), mu0, 4).value[0]
        np.testing.assert_allclose(value, [0.3442791954, 0.3741415451, 0.6199676558], atol=1e-10)


def test_the_uncertainty_bounds_the_error_of_the_value():
    """|V_theta - V_theta*| <= 2 Vhat where beta covers the distance of the parameters in both matrices."""
    with jax.enable_x64(True):
        mixture = hashed()
        form, mu0 = form_of(mixture), jnp.eye(3)[0]
        away = OTHER_THETA - np.asarray(mixture.theta)
        beta = np.sqrt(away @ (2 * SIGMA) @ away)
        view = hashed_view(beta)._replace(theta=jnp.asarray(OTHER_THETA)[None])
        estimate = of_policy(form, view, *alternating(), mu0, 4)
        true = of_policy(form, hashed_view(beta), *alternating(), mu0, 4)
        assert np.all(np.abs(estimate.value[0] - true.value[0]) <= 2 * estimate.hat[0])
        assert np.all(estimate.hat[0] < 1)


def test_more_data_can_raise_the_uncertainty():
    """Norms of signed features are not monotone in V, so that Vhat_1 may grow with the Gram matrix."""
    with jax.enable_x64(True):
        c, phi = 0.5, np.zeros((5, 1, 5, 4))
        phi[0, 0, 1], phi[0, 0, 2] = [0.5 * c, -0.5 * c, 0, 0], [0.5 * c, 0.5 * c, 0, 0]
        phi[1, 0, 3], phi[1, 0, 4] = [0.5 * c, 0, -0.5 * c, 0], [0.5 * c, 0, 0.5 * c, 0]
        phi[2, 0, 3], phi[2, 0, 4] = [0.5 * c, 0, 0, -0.5 * c], [0.5 * c, 0, 0, 0.5 * c]
        phi[3, 0, 3, 0] = phi[4, 0, 4, 0] = c
        mixture = make_mixture(phi, [2.0, 0, 0, 0])
        form, reward = form_of(mixture), jnp.zeros((3, 5)).at[2, 4].set(1)
        hat = jnp.asarray(np.diag([1e-4, 4.0, 1, 1]))[None]
        found = []
        for third in (1.0, 1 + 1e4):
            tilde = jnp.asarray(np.diag([1e-4, 1, 1 / third, 1]))[None]
            view = View(mixture.theta[None], hat, tilde, jnp.asarray(0.8))
            policy = jnp.zeros((3, 5), jnp.int32)
            found.append(float(of_policy(form, view, policy, reward, mixture.mu0, 3).uncertainty))
        np.testing.assert_allclose(found, [0.2036100797, 0.2611665793], atol=1e-10)


def test_of_equal_actions_the_first_is_taken():
    with jax.enable_x64(True):
        np.testing.assert_array_equal(first_best(jnp.array([[1, 1 + 1e-10, 0.5], [0, 1, 1]])), [0, 1])
