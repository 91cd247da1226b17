"""Saddles, gaps, planted instances, exact Wasserstein distances.

Legend: `M`, `L` nodes of f and g; `N` particles, `D` parameters of one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import expm
from scipy.optimize import linear_sum_assignment

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.minimax.particles import Particles, features, gram, predict, vjp
from jaxrl.minimax.problem import Problem
from jaxrl.minimax.velocity import Networks, Players


def adjoint(problem: Problem) -> Any:
    """`[M, L]`, T' = diag(1 / p) T^T diag(q), from L2(q) to L2(p)."""
    return (problem.T * problem.q[:, None] / problem.p[None, :]).T


def saddle(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """(f* `[M]`, g* `[L]`) in float64: f* = (T'T + lam)^-1 (T'h + lam u), g* = T f* - h.

    For lam = 0 the solution of T f = h of least norm, and the best residual.
    """
    T, h, u = (np.asarray(a, np.float64) for a in (problem.T, problem.h, problem.u))
    p, q = np.sqrt(np.asarray(problem.p)), np.sqrt(np.asarray(problem.q))
    lam = float(problem.lam)
    # in the coordinates sqrt(p) f, sqrt(q) g the adjoint is the transpose: least squares in place of T'T
    S = q[:, None] * T / p
    stacked = np.vstack([S, np.sqrt(lam) * np.eye(len(p))])
    right = np.concatenate([q * h, np.sqrt(lam) * p * u])
    f = np.linalg.lstsq(stacked, right, rcond=None)[0] / p
    return f, T @ f - h


def lazy_matrix(problem: Problem, primal: np.ndarray, dual: np.ndarray) -> np.ndarray:
    """`[M + L, M + L]`, block by block, the matrix of the lazy limit for kernels `[M, M]` and `[L, L]`."""
    P, Q = np.diag(problem.p), np.diag(problem.q)
    upper = np.hstack([-problem.lam * primal @ P, -primal @ problem.T.T @ Q])
    return np.vstack([upper, np.hstack([dual @ Q @ problem.T, -dual @ Q])])


def lazy_solution(problem: Problem, primal: np.ndarray, dual: np.ndarray, t: float) -> np.ndarray:
    """`[M + L]`, (f, g) of the lazy limit at time t from 0, for kernels `[M, M]` and `[L, L]`."""
    A = lazy_matrix(problem, primal, dual)
    c = np.concatenate([problem.lam * primal @ (problem.p * problem.u), -dual @ (problem.q * problem.h)])
    return expm(t * np.block([[A, c[:, None]], [np.zeros((1, len(c) + 1))]]))[:-1, -1]


class Planted(NamedTuple):
    """A problem with the saddle (f `[M]`, g `[L]`) of the particles `target`; bound: float[], C_inf."""

    problem: Problem
    target: Players
    f: Array
    g: Array
    bound: Array

    @property
    def saddle(self) -> tuple[Array, Array]:
        """The saddle (f*, g*)."""
        return self.f, self.g


def planted(
    networks: Networks, players: Players, problem: Problem, cf: Any, cg: Any, alpha: Array | float
) -> Planted:
    """The problem whose saddle lies xi / alpha from the particles; traceable, alpha float[].

    cf: `[M]` and cg: `[L]`, coefficients: xi_i = sum_j cf_j grad phi(x_j; theta_i). T, p, q and lam > 0 are
    those of `problem`. alpha^2 V(0) <= bound = (cf^T K_phi cf + cg^T K_psi cg) / 2.
    """
    families = networks.primal, networks.dual
    sides = zip(families, players, (problem.x, problem.z), (cf, cg), strict=True)
    moved, functions, bound = [], [], 0.0
    for family, net, points, c in sides:
        xi = vjp(features(family, net.theta, points), c)
        target = Particles(net.theta + xi / alpha, net.weights)
        moved.append(target)
        functions.append(predict(family, target, points, alpha))
        bound = bound + c @ gram(family, net, points) @ c / 2
    f, g = functions
    h, u = problem.T @ f - g, f + adjoint(problem) @ g / problem.lam
    return Planted(problem._replace(h=h, u=u), Players(*moved), f, g, bound)


def w2(a: np.ndarray, b: np.ndarray) -> float:
    """Exact Wasserstein-2 distance of two uniform measures on rows `[N, D]`, by assignment.

    Entropic distances are too large by a factor that grows as the measures approach each other.
    Raises `UsageError` for clouds of different sizes.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise UsageError(f"w2: equal clouds are needed for an assignment, got {a.shape} and {b.shape}")
    cost = np.sum((a[:, None] - b[None]) ** 2, axis=-1)
    return float(np.sqrt(cost[linear_sum_assignment(cost)].mean()))


def entropic_w2(a: np.ndarray, b: np.ndarray, share: float = 0.01, iterations: int = 200) -> float:
    """Root of the transport cost of Sinkhorn's plan, for rows `[N, D]`: what must not be used for rates.

    share: entropy's weight over the mean cost. Biased by more than the distance itself where that is small.
    """
    cost = np.sum((np.asarray(a)[:, None] - np.asarray(b)[None]) ** 2, axis=-1)
    kernel = np.exp(-cost / (share * cost.mean()))
    left, right = np.ones(len(a)), np.ones(len(b))
    for _ in range(iterations):
        left = 1 / (len(a) * (kernel @ right))
        right = 1 / (len(b) * (left @ kernel))
    return float(np.sqrt(np.sum(left[:, None] * kernel * right[None] * cost)))
