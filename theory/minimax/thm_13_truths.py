"""Closed forms of prices, values and representers solve their conditional moment equations.

Statement. The series of Burnside solves v = E[kappa(x') (1 + v(x')) | x]; e^(-d - k x') satisfies
E[m R | z] = 1; the values of an AR(1) chain with reward r = sum c_k h_k are sum c_k / (1 - gamma a^k) h_k;
those of ring and Garnet chains are discounted sums; x and D / e - (1 - D) / (1 - e) represent E g'(X) and the
average treatment effect, E sin'(X) = e^(-1/2) and E rho^2 = 2 + 2 e^(1/2).

Check. Solutions of the grid problems (least squares, lam = 0) minus these forms; in units of 1e-7 for the
series of prices (relative), of 1e-10 for the rest (norm of L2(p)).
"""

from __future__ import annotations

import numpy as np

from jaxrl.minimax import instances
from jaxrl.minimax.instances import Burnside, gaussian_grid
from theory.exact.result import Result
from theory.minimax import truth
from theory.minimax.oracles import saddle
from theory.minimax.setting import at_most


def instance(economy: Burnside) -> tuple[np.ndarray, np.ndarray]:
    """Prices at the nodes, `[n]`, by solving the deviation problem and by the series."""
    made = instances.burnside(economy)
    solved = economy.level * (1 + 0.01 * saddle(made)[0])
    return solved, truth.burnside_price(economy.mean + economy.sd * made.x[:, 0], economy)


def check(sign: float = 1.0) -> Result:
    """All errors; prices against the series with `sign` times the persistence."""
    errors = []
    for economy in (Burnside(), Burnside(rho=0.5, s=0.02)):
        solved, _ = instance(economy)
        _, series = instance(economy._replace(rho=sign * economy.rho))
        errors.append(np.abs(solved / series - 1).max() / 1e-7)

    pricing = instances.discount_factor(n=16)
    off = [pricing.T @ truth.discount(pricing.x[:, 0]) - 1]
    chain = instances.ar1(0.9, 0.9)
    x = chain.x[:, 0]
    value = truth.ar1_value(truth.sin_coefficients(24), 0.9, 0.9)
    off.append(np.sqrt(chain.p) * (instances.hermite(x, 24) @ value - saddle(chain)[0]))
    square = instances.ar1(0.9, 0.95, reward=lambda s: -(s**2))
    off.append(np.sqrt(chain.p) * (truth.ar1_quadratic_value(x, 0.9, 0.95) - saddle(square)[0]))
    for made, gamma in ((instances.ring(), 0.95), (instances.garnet(), 0.9)):
        P = (np.eye(len(made.h)) - made.T) / gamma
        off.append(truth.chain_value(P, made.h, gamma) - saddle(made)[0])
    grid = gaussian_grid(40)
    off.append(np.array([grid.p @ (grid.x * np.sin(grid.x)) - grid.p @ np.cos(grid.x)]))
    off.append(np.array([grid.p @ np.cos(grid.x) - np.exp(-0.5)]))
    off.append(saddle(instances.average_derivative())[0] - gaussian_grid(16).x)
    e = 1 / (1 + np.exp(-grid.x))
    parts = [truth.treatment_representer(d, grid.x) for d in (1.0, 0.0)]
    norm = grid.p @ (e * parts[0] ** 2 + (1 - e) * parts[1] ** 2)
    off.append(np.array([norm - 2 - 2 * np.exp(0.5)]))
    effect = grid.p @ (e * parts[0] * np.sin(1 + grid.x) + (1 - e) * parts[1] * np.sin(grid.x))
    off.append(np.array([effect - grid.p @ (np.sin(1 + grid.x) - np.sin(grid.x))]))
    return at_most([*errors, *(np.sqrt(np.sum(x**2)) / 1e-10 for x in off)], 1.0)


def broken() -> Result:
    """The persistence of growth with the wrong sign."""
    return check(sign=-1.0)
