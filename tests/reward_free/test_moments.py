"""Weights from moments: one observation, a scripted run to every printed digit, what must not be mixed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.moments import Snapshot, observe, powers, variances
from jaxrl.reward_free.regression import VTRState, ridge
from tests.reward_free.mixtures import SIGMA, hashed, uniforms

GAMMA = 2**-0.25
SIGMA2 = [0.1113061819, 0.1131245743, 0.0829676293, 1.0]


def one_observation():
    """`(form, state, snapshot, V)` of four orders, with matrices (1 + m) Sigma and 1.5 times that."""
    mixture = hashed()
    form = form_of(mixture)
    scale = 1 + jnp.arange(4.0)
    gram = scale[:, None, None, None] * jnp.asarray(SIGMA)[None, None]
    inverse = jnp.asarray(np.linalg.inv(gram))
    theta = (1 - 0.1 * jnp.arange(4.0))[:, None, None] * mixture.theta[None, None]
    state = VTRState(1.5 * gram, jnp.zeros((4, 1, 2)), inverse / 1.5, jnp.zeros(4))
    return form, state, Snapshot(theta, inverse), powers(jnp.array([0.9, 0.1, 0.6]), 4)


def test_variances_of_one_observation_and_the_true_one():
    with jax.enable_x64(True):
        form, state, snapshot, V = one_observation()
        after, sigma2 = observe(form, state, snapshot, V, jnp.int32(1), jnp.int32(2), (0.25, 0.05, GAMMA))
        np.testing.assert_allclose(sigma2, SIGMA2, atol=1e-10)
        x = form.phi_at(V, jnp.int32(1))
        np.testing.assert_allclose(
            after.gram[:, 0],
            state.gram[:, 0] + x[:, :, None] * x[:, None, :] / sigma2[:, None, None],
            rtol=1e-13,
        )
        mean = x[:2] @ hashed().theta
        assert abs(mean[1] - mean[0] ** 2 - 0.0960492744) < 1e-10


def test_snapshot_and_online_matrices_are_not_interchangeable():
    """With small alpha and a large gamma the term of the online matrix decides, so the choices differ."""
    with jax.enable_x64(True):
        form, state, snapshot, V = one_observation()
        arguments = (V, jnp.int32(1), jnp.int32(2), (0.01, 0.05, 2.0))
        _, online = observe(form, state, snapshot, *arguments)
        _, frozen = observe(form, state, snapshot, *arguments, "snapshot")
        np.testing.assert_allclose(frozen[:3], np.sqrt(1.5) * online[:3], rtol=1e-12)
        assert np.all(frozen >= online)
        _, none = observe(form, state, snapshot, *arguments, "none")
        np.testing.assert_array_equal(none, 1)


def scripted_run(dtype):
    """Thirty episodes with fixed targets and actions: last sigma^2 `[H, M]`, state, visited states."""
    K, H, M = 30, 4, 3
    mixture = jax.tree.map(lambda x: x.astype(dtype), hashed())
    form, env = form_of(mixture), LinearMixture.of(mixture)
    x = jnp.arange(3)
    targets = jnp.stack([((x + 2 * h) % 3 + 1) / 4 for h in range(H)]).astype(dtype)
    radius = tuple(jnp.asarray(v, dtype) for v in (0.1, 0.1, GAMMA))

    def episode(state, inputs):
        k, u = inputs
        snapshot = Snapshot.of(state)

        def step(carry, inputs):
            state, env_state = carry
            h, u = inputs
            action = (h + k) % 2
            after, _ = env.step_u(env_state, action, u, mixture)
            V = powers(targets[h], M)
            state, sigma2 = observe(form, state, snapshot, V, env_state.s * 2 + action, after.s, radius)
            return (state, after), (sigma2, after.s)

        (state, _), out = jax.lax.scan(step, (state, env.state_at(mixture, 0)), (jnp.arange(H), u))
        return state, out

    u = jnp.asarray(uniforms(K, H), dtype)
    start = ridge(form, jnp.asarray(1.8, dtype), (M,))
    state, (sigma2, visited) = jax.jit(lambda s: jax.lax.scan(episode, s, (jnp.arange(K), u)))(start)
    return sigma2[-1], state, visited


GOLDEN = [
    (0.0405011425, 0.0198744913),
    (0.0247316057, 0.0302223861),
    (0.0344409645, 0.0150305542),
    (0.0465630411, 0.0133010685),
]


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-10), (jnp.float32, 1e-4)])
def test_the_scripted_run_gives_the_printed_digits(dtype, tolerance):
    with jax.enable_x64(True):
        sigma2, state, _ = scripted_run(dtype)
        np.testing.assert_allclose(sigma2[:, :2], GOLDEN, atol=tolerance if dtype == jnp.float64 else 2e-6)
        np.testing.assert_array_equal(sigma2[:, 2], 1)
        np.testing.assert_allclose(state.log_det, [9.792939595, 9.7553661496, 2.2313298557], atol=tolerance)
        np.testing.assert_allclose(state.theta[0, 0], [0.3662578891, 1.0930443441], atol=tolerance)


def test_float32_visits_the_states_of_float64():
    with jax.enable_x64(True):
        np.testing.assert_array_equal(scripted_run(jnp.float32)[2], scripted_run(jnp.float64)[2])


def test_powers_clip_first_and_square():
    found = powers(jnp.array([-0.5, 0.5, 2.0]), 3)
    np.testing.assert_allclose(found, [[0, 0.5, 1], [0, 0.25, 1], [0, 0.0625, 1]])


def test_variances_hold_their_floors():
    """Nothing is below alpha^2; a feature that was never seen is bounded by gamma^2 times its norm."""
    quiet = jnp.zeros(3)
    np.testing.assert_allclose(variances(quiet, quiet, quiet, 1.0, 0.3, 1.0), [0.09, 0.09, 1.0], rtol=1e-6)
    np.testing.assert_allclose(variances(quiet, quiet, jnp.full(3, 4.0), 1.0, 0.3, 0.5), 1.0)
