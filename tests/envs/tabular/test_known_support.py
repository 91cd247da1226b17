"""Mixtures of known support against the same mixture with dense features, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.catalogue import make
from jaxrl.envs.tabular.feature_norm import feature_norm
from jaxrl.envs.tabular.generators import four_rooms, random_mdp, riverswim
from jaxrl.envs.tabular.known_support import KnownSupportMixture, known_support, validate_known_support
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture import phi_V


def test_riverswim_published_values():
    with jax.enable_x64(True):
        mdp = riverswim(6)
        mixture = known_support(mdp)
        assert (int(mixture.dim), mixture.width) == (22, 3)
        assert np.linalg.norm(mixture.theta) == pytest.approx(5.264978632, abs=1e-9)
        np.testing.assert_allclose(mixture.to_tabular().P, mdp.P, atol=1e-15)
        dense = mixture.to_dense()
        assert dense.dim == 22 and feature_norm(dense.phi) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(dense.to_tabular().P, mdp.P, atol=1e-15)
        V = np.random.default_rng(0).random(6)
        gathered = np.where(mixture.mask, V[np.asarray(mixture.successors)], 0) / np.sqrt(3)
        full = np.asarray(phi_V(dense.phi, jnp.asarray(V)))
        np.testing.assert_allclose(full[full > 0], gathered[np.asarray(mixture.mask)], atol=1e-15)


def test_four_rooms_have_1008_features():
    mixture = known_support(four_rooms(9))
    assert (int(mixture.dim), mixture.width, mixture.n_states) == (1008, 4, 68)
    default = make("KnownSupport-four-rooms").default_params()
    np.testing.assert_array_equal(default.theta, mixture.theta)


def test_the_same_uniform_numbers_give_the_states_of_dense_features():
    mixture = known_support(riverswim(6))
    dense, env = mixture.to_dense(), KnownSupportMixture.of(mixture)
    other = LinearMixture.of(dense)
    rng = np.random.default_rng(0)
    u = jnp.asarray(rng.random(300), jnp.float32)
    actions = jnp.asarray(rng.integers(3, size=300) > 0, jnp.int32)

    def run(env, params):
        def body(state, row):
            state, out = env.step_u(state, row[1], row[0], params)
            return state, (out.obs, out.terminated)

        return jax.lax.scan(body, env.reset(jax.random.key(0), params)[0], (u, actions))[1]

    states, ends = jax.jit(lambda p: run(env, p))(mixture)
    np.testing.assert_array_equal(states, jax.jit(lambda p: run(other, p))(dense)[0])
    assert len(set(np.asarray(states).tolist())) == 6 and not np.any(ends)


def test_samples_are_distributions_on_the_same_successors():
    env = KnownSupportMixture(5, 2, 3)
    sampled = env.sample_params(jax.random.key(1))
    validate_known_support(sampled)
    np.testing.assert_array_equal(sampled.successors, env.default_params().successors)
    assert not np.allclose(sampled.theta, env.default_params().theta)


def broken(**change):
    return lambda: validate_known_support(known_support(riverswim(4)).replace(**change))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: known_support(random_mdp(jax.random.key(0), 3, 2, H=4)), r"mdp\.P: is time-indexed"),
        (broken(successors=jnp.zeros((4, 2), jnp.int32)), r"mixture\.successors: int32\(4, 2\) is not"),
        (broken(successors=jnp.full((4, 2, 3), 4, jnp.int32)), r"mixture\.successors: must lie in 0 \.\. 3"),
        (broken(successors=jnp.zeros((4, 2, 3), jnp.int32)), r"stands twice at the pair \(s, a\) = \(0, 1\)"),
        (broken(mask=jnp.ones((4, 2, 3))), r"mixture\.mask: must be bool"),
        (broken(theta=jnp.ones((4, 2, 2))), r"mixture\.theta: shape \(4, 2, 2\) must be \(4, 2, 3\)"),
        (broken(theta=jnp.full((4, 2, 3), jnp.nan)), r"mixture\.theta: contains NaN"),
        (broken(theta=jnp.ones((4, 2, 3))), r"theta / sqrt k: row \(1, 1\) sums to 1\.732"),
        (lambda: KnownSupportMixture(3, 2, 4), r"KnownSupportMixture\.k: must be at most S = 3, got 4"),
        (lambda: KnownSupportMixture(60, 4, 4, "four_rooms"), r"KnownSupportMixture\.S: .* use 68, 4 and 4"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
