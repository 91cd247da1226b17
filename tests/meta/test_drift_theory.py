"""The drifts that are trained are those of the theory, which were written down apart from them."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.meta import drift
from jaxrl.meta.objective import MASKS, Time
from theory.meta import definitions as theory

R = np.geomspace(0.2, 5, 41)[:, None] * np.ones(7)
A = np.linspace(-3, 3, 7) * np.ones((41, 1))


def trained(phi, n=0.0, N=40.0):
    """The library's drift in float32."""
    r, a = jnp.asarray(R, jnp.float32), jnp.asarray(A, jnp.float32)
    return np.asarray(drift.f(phi, r, jnp.log(r), a, Time(jnp.float32(n), jnp.float32(N), MASKS["paper"])))


@pytest.mark.parametrize("initial", [0.0, 1.0])
@pytest.mark.parametrize("progress", [0.0, 0.5, 0.975])
@pytest.mark.parametrize("features", [8, 16])
def test_networks_agree_with_their_definition(features, progress, initial):
    net = theory.random_net(np.random.default_rng(0), 0.5, features)
    phi = {
        "parts": drift.Parts(ppo=initial, xi=theory.XI, clip=theory.CLIP),
        "W1": net.inner,
        "w2": net.outer,
    }
    found = trained(phi, 40 * progress)
    r, a = jnp.asarray(R), jnp.asarray(A)
    x = theory.features(r, a) if features == 8 else theory.timed(r, a, jnp.full(R.shape, progress))
    expected = theory.learned_drift(net, x, initial * theory.ppo_drift(r, a))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)
    assert (found > 0).any() and (found == 0).any()


@pytest.mark.parametrize("name", ["ppo", "dpo"])
def test_drifts_by_hand_agree_with_their_definition(name):
    phi = {"parts": drift.Parts(**{name: 1.0}, xi=0.0, clip=theory.CLIP)}
    function = {"ppo": theory.ppo_drift, "dpo": theory.dpo_drift}[name]
    np.testing.assert_allclose(trained(phi), function(jnp.asarray(R), jnp.asarray(A)), rtol=1e-4, atol=2e-6)
