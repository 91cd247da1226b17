"""Demand design: sales against price, where price also answers to what the econometrician does not see.

psi(t) = 2 ((t - 5)^4 / 600 + e^(-4 (t - 5)^2) + t / 10 - 2), f0(p, t, s) = 100 + (10 + p) s psi(t) - 2 p;
x = (p, t, s) is price, time of year, and taste; z = (c, t, s) has the cost shifter in place of the price.
"""

from __future__ import annotations

import numpy as np

from jaxrl.minimax.designs.record import Sample


def psi(t: np.ndarray) -> np.ndarray:
    """Seasonal effect at times `t`, any shape."""
    return 2 * ((t - 5) ** 4 / 600 + np.exp(-4 * (t - 5) ** 2) + t / 10 - 2)


def structural(x: np.ndarray) -> np.ndarray:
    """Structural function f0 `[n]` at `x [n, 3]` = (price, time, taste).

    Equation: hartford2017deepiv [demand design]
    """
    p, t, s = x.T
    return 100 + (10 + p) * s * psi(t) - 2 * p


def demand(n: int, *, rho: float, seed: int) -> Sample:
    """`n` sales, with correlation `rho` in [-1, 1] between noise of price and of sales.

    Draw order of `default_rng(seed)`, as in the released DFIV code (2010.07154): taste, time, cost, price
    noise, sales noise. ValueError for rho outside [-1, 1].
    """
    if not -1 <= rho <= 1:
        raise ValueError(f"rho: a correlation lies in [-1, 1], got {rho}")
    draw = np.random.default_rng(seed)
    s = draw.choice(np.arange(1, 8), n).astype(np.float64)
    t = draw.uniform(0, 10, n)
    c = draw.normal(0, 1, n)
    v = draw.normal(0, 1, n)
    e = rho * v + draw.normal(0, np.sqrt(1 - rho**2), n)
    x = np.stack([25 + (c + 3) * psi(t) + v, t, s], -1)
    truth = structural(x)
    return Sample(x, np.stack([c, t, s], -1), truth + e, truth)


def grid() -> tuple[np.ndarray, np.ndarray]:
    """`(x [2800, 3], f0 [2800])`: 20 prices in [10, 25] by 20 times in [0, 10] by 7 tastes."""
    axes = np.meshgrid(np.linspace(10, 25, 20), np.linspace(0, 10, 20), np.arange(1.0, 8), indexing="ij")
    x = np.stack([a.ravel() for a in axes], -1)
    return x, structural(x)
