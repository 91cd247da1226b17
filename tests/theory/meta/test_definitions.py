"""Drifts of the theory against published vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theory.meta import definitions as d

R, A = np.array([(0.5, 1), (0.5, -1), (0.9, 0.5), (1, 2), (1.1, -0.7), (1.5, 1), (1.5, -1), (3, 2)]).T


def filled(features):
    """The network of the vectors."""
    inner = 0.5 * np.sin(0.9 * (np.arange(4 * features) + 1) + 0.3).reshape(features, 4)
    return d.Net(inner, 0.8 * np.sin(1.7 * np.arange(1, 5) + 0.1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lpo", [0, 0, 0, 0, 0.04224342, 0, 0.18762208, 0]),
        ("lpo from ppo", [0, 0, 0, 0, 0.04224342, 0.10943994, 0.18762208, 2.41101321]),
        ("half", [0, 0.15478086, 0, 0, 0.02684908, 0.22938588, 0.17214214, 2.40655579]),
        ("end", [0, 0.47407839, 0, 0, 0.01142361, 0.35004176, 0.15233764, 3.10090702]),
        ("dpo", [0, 0.20145660, 0, 0, 0, 0.01016268, 0, 2.07194484]),
        ("ppo", [0, 0.3, 0, 0, 0, 0.3, 0, 3.6]),
    ],
)
def test_drifts_equal_the_published_vectors(name, expected):
    with jax.enable_x64(True):
        r, a = jnp.asarray(R), jnp.asarray(A)
        start = d.ppo_drift(r, a)
        found = {
            "lpo": lambda: d.learned_drift(filled(8), d.features(r, a)),
            "lpo from ppo": lambda: d.learned_drift(filled(8), d.features(r, a), start),
            "half": lambda: d.learned_drift(filled(16), d.timed(r, a, jnp.full(8, 0.5)), start),
            "end": lambda: d.learned_drift(filled(16), d.timed(r, a, jnp.ones(8)), start),
            "dpo": lambda: d.dpo_drift(r, a),
            "ppo": lambda: start,
        }[name]()
    np.testing.assert_allclose(found, expected, atol=5.1e-9)


def test_certified_radii_shrink_with_the_square_of_the_weights_and_with_the_width():
    rng = np.random.default_rng(0)
    radii = {
        (s, h): np.median([d.dead_radius(d.random_net(rng, s, 8, h), 5.0) for _ in range(9)])
        for s, h in [(0.1, 16), (10, 16), (0.1, 128), (10, 128)]
    }
    assert radii[10, 16] == pytest.approx(1e-4 * radii[0.1, 16], rel=0.5)
    assert radii[0.1, 128] == pytest.approx(radii[0.1, 16] / 8, rel=0.5)
    assert 1e-9 < radii[10, 128] < radii[10, 16] < 1e-8
