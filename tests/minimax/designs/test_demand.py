"""The demand design: published moments, and draws in the published order."""

import math

import numpy as np
import pytest

from jaxrl.minimax.designs import demand


def test_demand_grid_has_the_published_moments():
    x, truth = demand.grid()
    assert x.shape == (2800, 3)
    np.testing.assert_allclose([truth.mean(), truth.var()], [-190.679670, 32643.652496], atol=1e-6)
    np.testing.assert_allclose(truth[:3], [41.66666667, 3.33333333, -35], atol=1e-8)


def test_demand_draws_in_the_published_order():
    n, rho, seed = 7, 0.5, 3
    data = demand.demand(n, rho=rho, seed=seed)
    draw = np.random.default_rng(seed)
    s, t, c, v = (
        draw.choice(list(range(1, 8)), n),
        draw.uniform(0, 10, n),
        draw.normal(size=n),
        draw.normal(size=n),
    )
    e = rho * v + draw.normal(0, math.sqrt(1 - rho**2), n)
    for i in range(n):
        season = 2 * ((t[i] - 5) ** 4 / 600 + math.exp(-4 * (t[i] - 5) ** 2) + t[i] / 10 - 2)
        p = 25 + (c[i] + 3) * season + v[i]
        np.testing.assert_allclose(data.x[i], [p, t[i], s[i]], rtol=1e-14)
        np.testing.assert_allclose(data.z[i], [c[i], t[i], s[i]], rtol=0)
        np.testing.assert_allclose(data.y[i], 100 + (10 + p) * s[i] * season - 2 * p + e[i], rtol=1e-12)
    with pytest.raises(ValueError, match=r"rho: a correlation lies in \[-1, 1\], got 1.5"):
        demand.demand(3, rho=1.5, seed=0)
