"""What the theorems share: the reference problem, its players, fitted slopes, verdicts with their own bound.

The reference is instrumental variables of correlation 0.7 with truth sin, lam = 0.1 and 16 nodes. Functions
that make arrays of jax run inside `jax.enable_x64(True)`.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from scipy.integrate import simpson

from jaxrl.core.types import Key
from jaxrl.minimax.instances import npiv_gaussian
from jaxrl.minimax.particles import Init, Particles, draw, equal_weights
from jaxrl.minimax.problem import Problem
from jaxrl.minimax.velocity import Networks, Players
from theory.exact.result import Result

RHO, LAM = 0.7, 0.1
NETWORKS = Networks()


def reference(n: int = 16) -> Problem:
    """The reference problem on `n` nodes."""
    return npiv_gaussian(RHO, LAM, n=n)


def coefficients(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """(p sin x `[n]`, p cos x / 2 `[n]`), of the planted instances."""
    x = problem.x[:, 0]
    return problem.p * np.sin(x), 0.5 * problem.p * np.cos(x)


def start(
    key: Key, width: int, networks: Networks = NETWORKS, init: Init = "sym", mean: Any = 0.0, live: Any = None
) -> Players:
    """Independent initial particles of both players, of one input each; traceable."""
    k_primal, k_dual = jax.random.split(key)
    weights = equal_weights(width, live)
    return Players(
        Particles(draw(k_primal, networks.primal, 1, width, init, mean=mean), weights),
        Particles(draw(k_dual, networks.dual, 1, width, init, mean=mean), weights),
    )


def slope(x: Any, y: Any) -> float:
    """Least squares slope of log y `[n]` against log x `[n]`."""
    return float(np.polyfit(np.log(np.asarray(x)), np.log(np.asarray(y)), 1)[0])


def distance(problem: Problem, f: Any, g: Any) -> np.ndarray:
    """`[...]`, norm in L2(p) x L2(q) of f `[..., M]`, g `[..., L]`."""
    return np.sqrt(np.asarray(f) ** 2 @ problem.p + np.asarray(g) ** 2 @ problem.q)


def integral(y: Any, t: Any) -> float:
    """Simpson's rule over equally spaced `t [S]`, S odd."""
    return float(simpson(np.asarray(y), x=np.asarray(t)))


def at_most(measured: Any, bound: float) -> Result:
    """The largest of the errors `measured` against a bound; what is not a number fails."""
    worst = float(np.max(np.abs(measured)))
    return Result(worst, bound, bool(worst <= bound))
