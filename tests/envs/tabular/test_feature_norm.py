"""The normalisation of features: exact values by loops, and refusals that name pair and value function."""

import itertools
import warnings

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.feature_norm import check_feature_norm, feature_norm, norm_bound
from jaxrl.envs.tabular.mixture import make_mixture
from jaxrl.envs.tabular.mixture_generators import hard_instance, hashed_mixture, lock, random_mixture


def by_loops(phi):
    S, A = phi.shape[:2]
    return max(
        np.linalg.norm(sum(v * phi[s, a, x] for x, v in enumerate(V)))
        for V in itertools.product((0, 1), repeat=S)
        for s in range(S)
        for a in range(A)
    )


def test_enumeration_equals_a_loop_and_stays_below_the_bound():
    rng = np.random.default_rng(0)
    for S, A, d in ((3, 2, 2), (5, 2, 4), (4, 3, 1)):
        phi = rng.normal(size=(S, A, S, d))
        assert feature_norm(phi) == pytest.approx(by_loops(phi), rel=1e-12)
        assert feature_norm(phi) <= norm_bound(phi).max()


def test_generated_mixtures_are_normalised():
    """Those that are meant to attain 1 do."""
    with jax.enable_x64(True):
        mixtures = [
            hashed_mixture(3, 2, 2, (7, 3, 5, 11), 13),
            lock(3, 2, 0.9, 0.1),
            hard_instance(5),
            random_mixture(jax.random.key(0), 6, 2, 3),
        ]
    norms = [feature_norm(mixture.phi) for mixture in mixtures]
    assert max(norms) <= 1 + 1e-9
    assert norms[0] == pytest.approx(1, abs=1e-12) and norms[3] == pytest.approx(1, abs=1e-12)


def stretched(S, factor, pair=(1, 0)):
    """Deterministic moves to the next state with d = 2, whose second feature cancels between two states."""
    phi = np.zeros((S, 2, S, 2))
    phi[np.arange(S), :, (np.arange(S) + 1) % S, 0] = 1
    phi[(*pair, 0, 1)], phi[(*pair, 2, 1)] = factor, -factor
    return phi


@pytest.mark.parametrize("S", [4, 20])
def test_features_beyond_the_normalisation_are_refused_with_pair_and_value_function(S):
    phi = stretched(S, 0.8)
    sentence = r"\|phi_V\| is 1\.28062 at the pair \(s, a\) = \(1, 0\) for V = 1 in the states \[2\]"
    with pytest.raises(UsageError, match=sentence):
        make_mixture(phi, [1.0, 0.0])
    scaled = make_mixture(phi / 1.2806248475, [1.2806248475, 0.0])
    assert feature_norm(scaled.phi) <= 1 + 1e-5


def test_the_tolerance_is_that_of_the_precision():
    phi = stretched(4, 0.0) * (1 + 1e-6)
    check_feature_norm(phi.astype(np.float32))
    with pytest.raises(UsageError, match="1 is allowed"):
        check_feature_norm(phi)


def test_undecided_features_of_many_states_warn():
    """Two features of opposite use: either alone has norm 0.8, and no V has both."""
    S = 15
    phi = np.zeros((S, 1, S, 2))
    phi[0, 0, 0], phi[0, 0, 1] = (0.8, -0.8), (-0.8, 0.8)
    assert by_loops(phi[:2, :, :2]) == pytest.approx(0.8 * np.sqrt(2))
    phi[0, 0, 0], phi[0, 0, 1] = (0.8, 0.0), (-0.4, 0.8)
    assert by_loops(phi[:2, :, :2]) < 1 < norm_bound(phi).max()
    with pytest.warns(UserWarning, match=r"not decided at the pair \(s, a\) = \(0, 0\), .* at most 1\.1"):
        check_feature_norm(phi)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_feature_norm(phi[:14, :, :14])  # enumerated: no doubt is left
