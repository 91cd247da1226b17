"""The saddle solves a Tikhonov problem, mode by mode for Gaussian instruments.

Statement. f* = (T'T + lam)^-1 (T'h + lam u), g* = T f* - h is where both functional gradients vanish. If
T h_k = rho^k h_k on Hermite polynomials and h = T f0, then f*_k = rho^2k c_k / (rho^2k + lam) and
g*_k = -lam rho^k c_k / (rho^2k + lam) for f0 = sum_k c_k h_k.

Check. 50 random problems: gradients at `saddle`, and a dense solve of the normal equations in its place. Four
pairs (rho, lam) with the first 16 coefficients of sin: the formula against the solver, node by node.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.minimax.instances import hermite, npiv_gaussian
from jaxrl.minimax.problem import Problem
from theory.exact.result import Result, identity
from theory.minimax.oracles import adjoint, saddle
from theory.minimax.thm_01_gap_identities import instance as random_problems
from theory.minimax.truth import sin_coefficients, tikhonov_modes

PAIRS = ((0.5, 0.1), (0.7, 1.0), (0.7, 0.01), (0.9, 0.1))


def instance(seed: int, n: int = 50) -> list[Problem]:
    """`n` random problems."""
    return random_problems(seed, n)


def check(lam_of_formula: float = 1.0) -> Result:
    """Gradients, dense solutions, and spectra with lam times `lam_of_formula`."""
    errors = []
    with jax.enable_x64(True):
        for made in instance(2):
            f, g = saddle(made)
            dense = adjoint(made) @ made.T + made.lam * np.eye(len(f))
            solved = np.linalg.solve(dense, adjoint(made) @ made.h + made.lam * made.u)
            errors += [*made.gradients(f, g), f - solved]
    c = sin_coefficients(16)
    for rho, lam in PAIRS:
        made = npiv_gaussian(rho, lam, truth=lambda x: hermite(x, 16) @ c)
        modes = tikhonov_modes(c, rho, lam * lam_of_formula)
        errors += [a - b for a, b in zip(saddle(made), modes.at(made.x[:, 0]), strict=True)]
    return identity(*errors)


def broken() -> Result:
    """Half the penalty in the formula, as if the objective had no factor 1/2."""
    return check(lam_of_formula=0.5)
