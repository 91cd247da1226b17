"""The lazy limit: its curve, its kernel, and the steps that are stable."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax import instances, lazy
from jaxrl.minimax.flow import gap
from jaxrl.minimax.particles import COS, cos_kernel, quadrature
from jaxrl.minimax.samplers import npiv_points
from jaxrl.minimax.velocity import Networks, Players
from theory.minimax.oracles import lazy_matrix, lazy_solution, saddle
from theory.minimax.setting import reference, start

NETWORKS = Networks()


def test_lazy_curve():
    """G along the linear equation of the cosine kernel, 32 nodes; it is not monotone."""
    made = reference(32)
    with jax.enable_x64(True):
        kernel = cos_kernel(made.x[:, 0], made.x[:, 0])
        A, c = lazy.linear_system(made, kernel, kernel)
        path = lazy.lazy_flow(A, c, jnp.zeros(64), 0.05, 200)
        G = np.asarray(gap(made, path[:, :32], path[:, 32:], saddle(made)))
        A, end, kernel = np.asarray(A), np.asarray(path[-1]), np.asarray(kernel)
    np.testing.assert_allclose(A, lazy_matrix(made, kernel, kernel), atol=1e-14)
    np.testing.assert_allclose(end, lazy_solution(made, kernel, kernel, 10.0), atol=1e-11)
    np.testing.assert_allclose(G[[0, 20, 200]], [0.0339349425, 0.0295018547, 0.0055477465], rtol=0, atol=1e-8)
    assert np.argmax(G) == 69 and G.max() == pytest.approx(0.05374, abs=5e-6)
    assert G[11] == pytest.approx(0.02678, abs=5e-6) and G[11] == G[:60].min()


def test_stability_limits_and_the_warning():
    infinite = quadrature(COS, (6, 28, 16))
    for lam, limit in ((0.1, 1.4856), (0.0, 1.4875)):
        with pytest.warns(UserWarning, match=rf"eps=1\.5 is beyond the stability limit {limit - 1e-4:.3f}"):
            found = lazy.check_step(
                Networks(COS, COS), Players(infinite, infinite), instances.npiv_gaussian(0.7, lam), 1.5
            )
        assert found == pytest.approx(limit, abs=1e-4)
    assert lazy.stability_limit(np.diag([-1.0, 0.5])) == 0.0
    assert lazy.stability_limit(np.zeros((2, 2))) == np.inf
    for broken in (np.full((2, 2), np.nan), np.zeros((2, 3)), np.zeros((0, 0))):
        with pytest.raises(UsageError, match=r"stability_limit\.A: must be finite and square"):
            lazy.stability_limit(broken)
    with pytest.raises(UsageError, match=r"lazy_flow\.A, c, start"):
        lazy.lazy_flow(np.eye(2), np.ones(3), np.ones(2), 0.1, 2)
    with pytest.raises(UsageError, match="must be finite"):
        lazy.lazy_flow(np.eye(2), np.ones(2), [np.nan, 0], 0.1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = npiv_points(jax.random.key(0), 200, 0.7, lam=0.1)
        players = start(jax.random.key(1), 64)
        assert 0.3 < lazy.check_step(NETWORKS, players, rows, 0.05) < 5
