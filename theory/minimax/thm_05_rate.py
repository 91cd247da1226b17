"""Convergence at rate 1 / T + 1 / alpha, from the energy identity.

Statement. Let W2^2(mu_0, mu*) + W2^2(nu_0, nu*) = D^2 / alpha^2, M the largest |dL/df|_L1(p), |dL/dg|_L1(q)
and B2 the largest Hessian norm of phi, psi along the flow. While V(t) <= V(0),
    inf_{t <= T} G <= 1/T int_0^T G dt <= D^2 / (2T) + B2 M D^2 / (2 alpha),
which is O(1 / T + 1 / alpha) (Zhu et al. 2024, 2404.12312, main theorem, the rate), and
W2(mu_t, mu_0) <= 2 D / alpha.

Check. A planted instance, N = 128, alpha in {1, 8, 32}, T = 0.2 ... 20: left minus right of both, over D^2.
Hessians by automatic differentiation at all particles and nodes at 6 times; distances exact.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from jaxrl.minimax.particles import Family, features
from theory.exact.result import Result, inequality
from theory.minimax.oracles import w2
from theory.minimax.setting import NETWORKS
from theory.minimax.thm_04_energy import Run
from theory.minimax.thm_04_energy import instance as runs

ALPHAS = (1.0, 8.0, 32.0)


def instance(seed: int) -> dict[float, Run]:
    """Flows to T = 20."""
    return {alpha: runs(seed)[alpha] for alpha in ALPHAS}


def hessian_norms(family: Family, theta: Array, x: Array) -> Array:
    """`[n, M]`, spectral norms of the second derivative of a neuron in rows theta `[n, D]`, at x `[M, d]`."""

    def neuron(row: Array, point: Array) -> Array:
        found = features(family, row[None], point[None])
        return found.s[0, 0] * found.b[0]

    hessians = jax.vmap(jax.vmap(jax.hessian(neuron), (None, 0)), (0, None))(theta, x)
    return jnp.abs(jnp.linalg.eigvalsh(hessians)).max(-1)


def check(scale: float = 1.0, remainder: float = 1.0) -> Result:
    """Both margins, with D^2 times `scale` and the second term times `remainder`."""
    norms = jax.jit(hessian_norms, static_argnums=0)
    margins = []
    with jax.enable_x64(True):
        for alpha, run in instance(4).items():
            trace, problem = run.trace, run.plan.problem
            times = slice(0, None, 20)
            distances = [
                [w2(rows, target.theta) for rows in path[times]]
                for path, target in zip((trace.theta, trace.omega), run.plan.target, strict=True)
            ]
            V = np.sum(np.square(distances), axis=0) / 2
            margins.append(np.max(V[1:] - V[0]))
            D2 = scale * 2 * alpha**2 * V[0]
            gradients = [problem.gradients(f, g) for f, g in zip(trace.f, trace.g, strict=True)]
            M = max(float(np.abs(gradient).sum()) for pair in gradients for gradient in pair)
            theta, omega = (path[times].reshape(-1, 3) for path in (trace.theta, trace.omega))
            pair = norms(NETWORKS.primal, theta, problem.x), norms(NETWORKS.dual, omega, problem.z)
            B2 = max(float(x.max()) for x in pair)
            average = trace.dissipated[1:] / trace.t[1:]
            bound = D2 / (2 * trace.t[1:]) + remainder * B2 * M * D2 / (2 * alpha)
            margins.append(np.max(average - bound) / D2)
            moved = max(w2(rows, trace.theta[0]) for rows in trace.theta[times])
            margins.append((moved - 2 * np.sqrt(D2) / alpha) / np.sqrt(D2))
    return inequality(margins, 0.0)


def broken() -> Result:
    """Half of D^2 and no second term: below the constant that the lazy limit attains."""
    return check(scale=0.5, remainder=0.0)
