"""Linear mixtures: the feature of a value function, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mixture import make_mixture, phi_V
from jaxrl.envs.tabular.mixture_generators import lock, random_mixture


def test_phi_V_turns_expectations_into_products():
    mixture = random_mixture(jax.random.key(0), 5, 3, 4)
    V = np.random.default_rng(0).normal(size=5)
    P = np.asarray(mixture.to_tabular().P, np.float64)
    phi, theta = np.asarray(mixture.phi, np.float64), np.asarray(mixture.theta, np.float64)
    loop = np.array([[sum(phi[s, a, t] * V[t] for t in range(5)) for a in range(3)] for s in range(5)])
    np.testing.assert_allclose(phi_V(mixture.phi, jnp.asarray(V, jnp.float32)), loop, atol=1e-5)
    np.testing.assert_allclose(loop @ theta, P @ V, atol=1e-5)


def test_invalid_mixtures_are_refused():
    mixture = jax.tree.map(np.asarray, lock(3, 2, 0.9, 0.1))
    with pytest.raises(UsageError, match=r"phi \. theta: row .* sums to"):
        make_mixture(mixture.phi, 1.01 * mixture.theta)
    with pytest.raises(UsageError, match=r"phi \. theta: entry .* is -"):
        wrong = mixture.theta.copy()
        wrong[1] = -0.1
        make_mixture(mixture.phi, wrong)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: make_mixture(np.ones((2, 2, 2)), [1.0]),
            r"mixture\.phi: shape \(2, 2, 2\)",
        ),
        (lambda: make_mixture(np.ones((2, 1, 2, 3)), [1.0]), r"mixture\.theta: shape"),
        (
            lambda: make_mixture(np.ones((2, 1, 2, 1)), [1.0]),
            r"mixture\.phi \. theta: row \(0, 0\) sums to 2",
        ),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
