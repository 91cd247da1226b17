"""Population problems on grids: instrumental variables, policy evaluation, asset prices, Riesz representers.

Every function returns a checked `Problem` of float64 numpy arrays. Their exact solutions are `theory`.

Legend: `n` nodes, `S` states.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Range, Size, check_value
from jaxrl.minimax.problem import Problem, problem

Function = Callable[[Any], Any]


class Grid(NamedTuple):
    """Gauss-Hermite nodes x and weights p of N(0, 1), `[n]`; hermite: `[n, n]`, h_k(x_j), normalised."""

    x: np.ndarray
    p: np.ndarray
    hermite: np.ndarray


def gaussian_grid(n: int) -> Grid:
    """The `n`-node grid of the standard normal distribution, exact for polynomials up to degree 2n - 1.

    Raises `UsageError` for n < 1.
    """
    n = check_value("gaussian_grid.n", n, Size)
    x, p = np.polynomial.hermite_e.hermegauss(n)
    return Grid(x, p / p.sum(), hermite(x, n))


def hermite(x: np.ndarray, n: int) -> np.ndarray:
    """`[..., n]`, the first n probabilists' Hermite polynomials at x `[...]`, of norm 1 under N(0, 1)."""
    found = [np.ones_like(x), np.asarray(x)]
    for k in range(2, n):
        found.append((x * found[-1] - math.sqrt(k - 1) * found[-2]) / math.sqrt(k))
    return np.stack(found[:n], axis=-1)


def mehler(grid: Grid, rho: float) -> np.ndarray:
    """`[n, n]`, f -> E[f(X) | Z] for standard normals of correlation rho; h_k is scaled by rho^k.

    Resolves polynomials below degree n only, and has negative entries: for population flows, not to sample.
    """
    correlation("rho", rho)
    decay = rho ** np.arange(len(grid.x))
    return (grid.hermite * decay) @ (grid.hermite.T * grid.p)


def npiv_gaussian(rho: float, lam: float, *, truth: Function = np.sin, n: int = 16) -> Problem:
    """E[Y - f(X) | Z] = 0 for Gaussian X and Z of correlation rho, with f = `truth`, smooth."""
    grid = gaussian_grid(n)
    T = mehler(grid, rho)
    return problem(T, T @ truth(grid.x), grid.p, grid.p, grid.x, grid.x, lam=lam)


def ar1(a: float, gamma: float, *, reward: Function = np.sin, lam: float = 0.0, n: int = 24) -> Problem:
    """Policy evaluation of the stationary s' = a s + sqrt(1 - a^2) xi: T = I - gamma M_a, h = r."""
    grid = gaussian_grid(n)
    T = np.eye(n) - discount(gamma) * mehler(grid, a)
    return problem(T, reward(grid.x), grid.p, grid.p, grid.x, grid.x, lam=lam)


def evaluation(P: Any, r: Any, gamma: float, weights: Any, inputs: Any, *, lam: float = 0.0) -> Problem:
    """Policy evaluation of a finite chain P `[S, S]` with rewards r `[S]`.

    weights: `[S]`, distribution of the states at which the equation must hold, which may be any (off-policy
    evaluation). inputs: `[S, d]`, what networks see of a state.
    """
    P = np.asarray(P, np.float64)
    if np.any(P < 0) or not np.allclose(P.sum(1), 1, atol=1e-8):
        raise UsageError("evaluation: rows of P must be probabilities that sum to 1")
    return problem(np.eye(len(P)) - discount(gamma) * P, r, weights, weights, inputs, inputs, lam=lam)


def ring(size: int = 20, gamma: float = 0.95, *, lam: float = 0.0) -> Problem:
    """States on a circle: +1 with probability 0.5, -1 with 0.4; r = cos w + sin(2 w) / 2 of the angle w."""
    eye = np.eye(check_value("ring.size", size, Size))
    P = 0.5 * np.roll(eye, 1, axis=1) + 0.4 * np.roll(eye, -1, axis=1) + 0.1 * eye
    w = 2 * np.pi * np.arange(size) / size
    weights = np.full(size, 1 / size)
    r = np.cos(w) + 0.5 * np.sin(2 * w)
    return evaluation(P, r, gamma, weights, np.stack([np.cos(w), np.sin(w)], axis=1), lam=lam)


def garnet(
    states: int = 30, branch: int = 4, gamma: float = 0.9, *, seed: int = 0, lam: float = 0.0
) -> Problem:
    """A random chain in which every state has `branch` successors; inputs are one-hot, weights equal.

    Raises `UsageError` for fewer than one state, and for a branch outside 1 .. states.
    """
    check_value("garnet.states", states, Size)
    check_value("garnet.branch", branch, Annotated[int, Range(1, states)])
    rng = np.random.RandomState(seed)
    P = np.zeros((states, states))
    for row in P:
        successors = rng.choice(states, branch, replace=False)
        cuts = np.sort(rng.uniform(size=branch - 1))
        row[successors] = np.diff(np.r_[0.0, cuts, 1.0])
    weights = np.full(states, 1 / states)
    return evaluation(P, rng.normal(size=states), gamma, weights, np.eye(states), lam=lam)


def off_policy(gamma: float = 0.95, *, lam: float = 0.0) -> Problem:
    """Two states 1 and 2 that both move to 2, weighted equally, with V = (1, 2): TD diverges.

    Source: Tsitsiklis and Van Roy 1997.
    """
    r = [1 - 2 * gamma, 2 - 2 * gamma]
    return evaluation([[0, 1], [0, 1]], r, gamma, [0.5, 0.5], [[1.0], [2.0]], lam=lam)


class Burnside(NamedTuple):
    """Growth x' = (1 - rho) mean + rho x + s xi, price of a claim with payoff factor beta e^(theta x')."""

    beta: float = 0.95
    """Discount factor of the household per period."""
    theta: float = -1.5
    """Exponent of growth in the payoff factor: one minus risk aversion."""
    mean: float = 0.0179
    """Stationary mean of growth per period."""
    rho: float = -0.139
    """Autocorrelation of growth, in (-1, 1)."""
    s: float = 0.0348
    """Standard deviation of the innovations of growth, > 0."""

    @property
    def sd(self) -> float:
        """Stationary standard deviation of x."""
        return self.s / math.sqrt(1 - self.rho**2)

    @property
    def level(self) -> float:
        """The price vb if growth were constant."""
        factor = self.beta * math.exp(self.theta * self.mean)
        return factor / (1 - factor)

    @property
    def radius(self) -> float:
        """Spectral radius of f -> E[kappa(x') f(x') | x]; prices exist iff it is below 1."""
        spread = self.theta * self.s / (1 - self.rho)
        return self.beta * math.exp(self.theta * self.mean + spread**2 / 2)


def burnside(
    economy: Burnside = Burnside(), *, scale: float = 0.01, lam: float = 0.0, n: int = 16
) -> Problem:
    """The price-dividend ratio v = vb (1 + scale f) of a Lucas economy, as an equation for the deviation f.

    Nodes are (x - mean) / sd. Raises `UsageError` where no price exists, though the equation has a solution.
    """
    correlation("burnside.economy.rho", economy.rho)
    if economy.radius >= 1:
        raise UsageError(f"burnside: no price exists, the spectral radius is {economy.radius:.4g} >= 1")
    grid = gaussian_grid(n)
    kappa = economy.beta * np.exp(economy.theta * (economy.mean + economy.sd * grid.x))
    A = mehler(grid, economy.rho) * kappa
    T, vb = np.eye(n) - A, economy.level
    return problem(T, (A.sum(1) - vb * T.sum(1)) / (scale * vb), grid.p, grid.p, grid.x, grid.x, lam=lam)


class Pricing(NamedTuple):
    """An economy with x' ~ N(a z, 1 - a^2), discount factor e^(-d - k x'), return e^(r(z) + b x' + sg e)."""

    d: float = 0.02
    """Rate of time preference in the discount factor."""
    k: float = 0.5
    """Price of risk: slope of the log discount factor in x'."""
    b: float = 0.8
    """Slope of the log return in x'."""
    a: float = 0.6
    """Autocorrelation of the state, in (-1, 1)."""
    sg: float = 0.1
    """Standard deviation of the return's own noise, >= 0."""

    def drift(self, z: Any) -> Any:
        """r(z), with which E[m R | z] = 1."""
        lift = self.b - self.k
        return self.d - lift * self.a * z - lift**2 * (1 - self.a**2) / 2 - self.sg**2 / 2


def discount_factor(economy: Pricing = Pricing(), *, lam: float = 0.0, n: int = 24) -> Problem:
    """E[R f(x') | z] = 1, solved by the stochastic discount factor f = m; severely ill-posed."""
    grid = gaussian_grid(n)
    z = grid.x[:, None]
    mean_return = np.exp(economy.drift(z) + economy.b * grid.x + economy.sg**2 / 2)
    T = mehler(grid, economy.a) * mean_return
    return problem(T, np.ones(n), grid.p, grid.p, grid.x, grid.x, lam=lam)


def average_derivative(*, lam: float = 0.0, n: int = 16) -> Problem:
    """The Riesz representer of g -> E g'(X), X ~ N(0, 1): T = -I, h = -rho, with rho(x) = x."""
    grid = gaussian_grid(n)
    return problem(-np.eye(n), -grid.x, grid.p, grid.p, grid.x, grid.x, lam=lam)


def discount(gamma: float) -> float:
    """`gamma`; raises `UsageError` outside [0, 1)."""
    if not 0 <= gamma < 1:
        raise UsageError(f"gamma: must lie in [0, 1), got {gamma}")
    return gamma


def correlation(name: str, rho: float) -> None:
    """Raises `UsageError` for a correlation `rho` outside (-1, 1), called `name`."""
    if not -1 < rho < 1:
        raise UsageError(f"{name}: must lie in (-1, 1), got {rho}")
