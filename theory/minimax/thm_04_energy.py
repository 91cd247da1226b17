"""Energy identity: distance to the saddle's particles is dissipated by the gap, up to linearisation.

Statement. Let V = (W2^2(mu_t, mu*) + W2^2(nu_t, nu*)) / 2 for particles whose functions are the saddle. Then
    dV/dt = -alpha^-2 ( G + alpha <dL/df, R_f>_p - alpha <dL/dg, R_g>_q ),
with R_f(x) the average of phi(x; theta*) - phi(x; theta) - grad phi(x; theta) . (theta* - theta) over the
optimal coupling, R_g likewise.

Check. A planted instance, N = 128, alpha in {1, 4}, up to t = 20: V(20) - V(0) by exact assignment against
the integral of the right side, Simpson on 100 intervals; error relative to the change.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxrl.core.types import Array
from jaxrl.minimax.flow import Trace, flow
from jaxrl.minimax.particles import Family, features
from jaxrl.minimax.velocity import Players
from theory.exact.result import Result
from theory.minimax.oracles import Planted, planted
from theory.minimax.setting import NETWORKS, at_most, coefficients, integral, reference, start

FLOWS = (1.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Scales of the flows that several theorems share."""
ALPHAS = (1.0, 4.0)


class Run(NamedTuple):
    """Start, planted problem and flow of one alpha."""

    players: Players
    plan: Planted
    trace: Trace


@cache
def instance(seed: int, width: int = 128) -> dict[float, Run]:
    """Flows by scale with dt = 0.1 to t = 20, 101 saved points."""
    made = reference()

    def one(alpha: Any) -> Run:
        players = start(jax.random.key(seed), width)
        plan = planted(NETWORKS, players, made, *coefficients(made), alpha)
        trace = flow(NETWORKS, players, plan.problem, alpha, plan.saddle, dt=0.1, steps=200, every=2)
        return Run(players, plan, trace)

    runs = jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(jnp.array(FLOWS)))
    return {alpha: jax.tree.map(lambda x, i=i: x[i], runs) for i, alpha in enumerate(FLOWS)}


def coupled(theta: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """The target's rows `[N, D]` in the order of the optimal coupling with theta `[N, D]`, and W2^2."""
    cost = np.sum((theta[:, None] - target[None]) ** 2, axis=-1)
    rows, columns = linear_sum_assignment(cost)
    return target[columns], float(cost[rows, columns].mean())


def remainder(family: Family, theta: Array, ahead: Array, x: Array) -> Array:
    """`[M]`, R at x `[M, d]` for coupled rows theta, ahead `[N, D]`."""
    now, then, step = features(family, theta, x), features(family, ahead, x), ahead - theta
    linear = now.s * (now.slope * step[:, 0])[None] + now.ds * now.b[None] * (now.inputs @ step[:, 1:].T)
    return jnp.mean(then.s * then.b[None] - now.s * now.b[None] - linear, axis=1)


class Terms(NamedTuple):
    """Terms t, V, gap, work `[S]` of the identity dV/dt = -(gap + work) / alpha^2."""

    t: np.ndarray
    V: np.ndarray
    gap: np.ndarray
    work: np.ndarray


def terms(run: Run, alpha: float) -> Terms:
    """The terms of the theorem along one flow."""
    trace, problem = run.trace, run.plan.problem
    gradients = jax.vmap(problem.gradients)(trace.f, trace.g)
    left = jax.jit(jax.vmap(remainder, (None, 0, 0, None)), static_argnums=0)
    V, work = np.zeros(len(trace.t)), np.zeros(len(trace.t))
    families, points = (NETWORKS.primal, NETWORKS.dual), (problem.x, problem.z)
    paths = zip(
        families, (trace.theta, trace.omega), run.plan.target, points, gradients, (1, -1), strict=True
    )
    for family, path, target, x, gradient, sign in paths:
        ahead, squared = zip(*(coupled(rows, target.theta) for rows in path), strict=True)
        V += np.array(squared) / 2
        work += sign * alpha * np.einsum("sm,sm->s", gradient, left(family, path, np.stack(ahead), x))
    return Terms(trace.t, V, trace.gap, work)


def check(work: float = 1.0) -> Result:
    """Relative error of the change of V, with `work` times the remainder."""
    errors = []
    with jax.enable_x64(True):
        for alpha in ALPHAS:
            found = terms(instance(4)[alpha], alpha)
            right = -integral(found.gap + work * found.work, found.t) / alpha**2
            errors.append(right / (found.V[-1] - found.V[0]) - 1)
    return at_most(errors, 2e-3)


def broken() -> Result:
    """Dissipation alone, which is the identity in the lazy limit only."""
    return check(work=0.0)
