"""Fixed points of value functions under the three gradients of dual-V, in expectation over all pairs.

With y = (r + gamma P V - V) / alpha, ratios w(y), d = dO w and u(s) = sum_a d(s, a), the update vanishes when

    full         (1 - gamma) d0 + gamma P'd = u           the flow equations: `duality.dual_v`
    semi         dO(s)                      = u           the target r + gamma P V is held fixed
    orthogonal   dO(s) + b                  = (1 + c) u   b = gamma P'd, c = <b, u> / <u, u>

The orthogonal gradient keeps of b, the gradient through the target, only what does not undo the rest. At rest
d therefore obeys flow equations that restart from dO(s), with discount gamma / (1 + c).

Legend: `S` states, `A` actions.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import root

from jaxrl.core.errors import NumericalFailure, UsageError
from jaxrl.core.types import Array
from jaxrl.dual_rl.divergences import Divergence, divergence
from jaxrl.dual_rl.objectives import conjugate
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.dual_rl.duality import dual_v
from theory.dual_rl.maximisers import fixed_point
from theory.exact.occupancy import policy_of
from theory.exact.tables import tables

Gradient = Literal["full", "semi", "orthogonal"]


class Rest(NamedTuple):
    """A point at which the expected update is zero.

    v: float64`[S]`; d: float64`[S, A]`, dO w; policy: float64`[S, A]`, that of `d`; update: float, largest
    entry of the expected update, which is 0 at rest.
    """

    v: np.ndarray
    d: np.ndarray
    policy: np.ndarray
    update: float


def at_rest(mdp: TabularMDP, d_o: Any, key: str, alpha: float, gradient: Gradient) -> Rest:
    """The fixed point of one gradient mode for f*_p. Smooth divergences only, `d_o` > 0 everywhere.

    Raises `UsageError` otherwise, `NumericalFailure` where no root is found.
    """
    f, d_o = divergence(key), np.asarray(d_o, np.float64)
    if key == "tv" or np.any(d_o <= 0):
        raise UsageError("d_o: gradient modes need a smooth divergence (not tv) and data on every pair")
    if gradient == "full":
        v = dual_v(mdp, d_o, key, alpha).variable
    elif gradient == "semi":
        v = _semi(mdp, d_o, key, alpha)
    elif gradient == "orthogonal":
        v = _orthogonal(mdp, d_o, f, alpha)
    else:
        raise UsageError(f"gradient: must be full, semi or orthogonal, got {gradient!r}")
    with jax.enable_x64(True):
        d = np.asarray(_occupancy(v / alpha, _arrays(mdp, d_o, alpha), f))
        update = np.abs(_field(v / alpha, _arrays(mdp, d_o, alpha), f, gradient)).max()
    return Rest(v, d, policy_of(d), float(update))


def semi_q(mdp: TabularMDP, d_o: Any, key: str, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """`(Q, policy)`, both float64`[S, A]`: the saddle of the dual over Q with a target that is held fixed.

        max_pi min_Q  E_{s ~ dO, a ~ pi}[Q] + alpha E_dO[f*((T - Q) / alpha)],   T = r + gamma P^pi Q

    Where the policy acts Q is the V of the semi-gradient in V: both come to rest at one place, and Q does
    not tell those actions apart. Elsewhere it is less. Refusals of `at_rest`; f'(inf) must be infinite.
    """
    f = divergence(key)
    if np.isfinite(f.f_prime_inf):
        raise UsageError(f"divergence: the target of Q may leave the domain of {key}; use kl, kl_n or chi2")
    rest, t = at_rest(mdp, d_o, key, alpha, "semi"), tables(mdp)
    with jax.enable_x64(True):
        ratio = np.asarray(rest.d / np.asarray(d_o, np.float64))
        least = np.asarray(f.f_prime(jnp.maximum(ratio, 1e-300)))
    return t.R + t.gamma * t.P @ rest.v - alpha * least, rest.policy


class Arrays(NamedTuple):
    """P: `[S, A, S]`; R: `[S, A]` in units of alpha; mu0: `[S]`; gamma: `[]`; d_o: `[S, A]`."""

    P: Array
    R: Array
    mu0: Array
    gamma: Array
    d_o: Array


def expected_update(v: Array, x: Arrays, f: Divergence, gradient: Gradient) -> Array:
    """`[S]`, mean gradient in V `[S]`, in units of alpha, through what the mode differentiates."""
    d = _occupancy(v, x, f)
    u, through_target = d.sum(1), x.gamma * jnp.einsum("sa,sat->t", d, x.P)
    if gradient == "full":
        return (1 - x.gamma) * x.mu0 + through_target - u
    if gradient == "semi":
        return x.d_o.sum(1) - u
    return x.d_o.sum(1) - u + through_target - (through_target @ u) / (u @ u) * u


def _occupancy(v: Array, x: Arrays, f: Divergence) -> Array:
    return x.d_o * f.w(x.R + x.gamma * x.P @ v - v[:, None])


def _arrays(mdp: TabularMDP, d_o: np.ndarray, alpha: float) -> Arrays:
    t = tables(mdp)
    return Arrays(*(jnp.asarray(x) for x in (t.P, t.R / alpha, t.mu0, t.gamma, d_o)))


def _semi(mdp: TabularMDP, d_o: np.ndarray, key: str, alpha: float) -> np.ndarray:
    """The V with u = dO(s) everywhere, which is the stationarity of the implicit maximiser at lambda 1/2."""
    t = tables(mdp)
    scaled = mdp.replace(R=t.R / alpha)
    return alpha * fixed_point(conjugate(key, "exact"), 0.5, scaled, policy_of(d_o))


_field = jax.jit(expected_update, static_argnums=(2, 3))
_slope = jax.jit(jax.jacfwd(expected_update), static_argnums=(2, 3))


def _orthogonal(mdp: TabularMDP, d_o: np.ndarray, f: Divergence, alpha: float) -> np.ndarray:
    start = _semi(mdp, d_o, f.key, alpha) / alpha
    with jax.enable_x64(True):
        args = _arrays(mdp, d_o, alpha), f, "orthogonal"
        found = root(_field, start, args, jac=_slope, tol=1e-14)
        if np.abs(_field(found.x, *args)).max() > 1e-10:
            raise NumericalFailure(
                f"gradient: no rest of the orthogonal gradient was found ({found.message})"
            )
    return alpha * found.x
