"""Constrained policy optimisation (Achiam et al. 2017, 1705.10528) with several constraints, for PPO.

    maximise g . x    subject to    c_j + b_j . x <= 0  for j = 1 .. k,    x . H x / 2 <= delta

for a step x of the policy's parameters: `g` is the gradient of the estimated return of the objective that is
extended, `b_j` minus that of a constrained one, `c_j = d_j - G_j` its violation, and `H` the Fisher matrix
plus a multiple of the identity. Only k + 1 systems with H have the size of the parameters, and conjugate
gradients solve them; with

    q = g . H^-1 g,   r_j = b_j . H^-1 g,   S_ij = b_i . H^-1 b_j,   x = alpha H^-1 g + sum_j beta_j H^-1 b_j

what is left has k + 1 unknowns and is solved exactly, by the sets of constraints that may be equalities.

Legend: `k` constraints, `m = k + 1` objectives, `T` steps, `N` environments, `B = T N` samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.baselines import natural, ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.linear import solve_positive
from jaxrl.core.tree import flatten_time
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.morl.objectives import return_estimate

MOST_OBJECTIVES = 9  # 2^8 sets of constraints
_RIDGE = 1e-9  # added to the diagonal of S, which is brought to ones
_SHRINK = 0.8  # of the step, at each trial of the line search


@dataclass(frozen=True)
class Config:
    """Static choices of constrained policy optimisation."""

    iterations: Size = 10
    """Conjugate-gradient iterations for each system with the Fisher matrix. Paper: 10."""
    trials: Size = 10
    """Lengths of the step that are tried, each 0.8 times the one before; if none fits, there is no step.
    Paper: 10."""

    def __post_init__(self) -> None:
        check_fields(self)


class Limits(NamedTuple):
    """What one update reads, as `ppo.Hyper.surrogate`.

    extended: float[m], 1 for the objective that is extended and 0 elsewhere; thresholds: float[m], lower
    bounds d, read where `extended` is 0; returns: float[m], G of the policy before the update; length:
    float[], E[sum_t gamma^t] over an episode; delta: float[], largest mean divergence of a step, in nats;
    damping: float[], multiple of the identity that is added to the Fisher matrix.
    """

    extended: Array
    thresholds: Array
    returns: Array
    length: Array
    delta: Array
    damping: Array


class Solution(NamedTuple):
    """Step of the sub-problem, in the coordinates of the module's docstring.

    alpha: float[]; beta: float[k]; gain: float[], g . x; nu: float[k], multipliers of the constraints; lam:
    float[], multiplier of the trust region; feasible: bool[], whether any point meets all constraints;
    violation: float[], v = least x . H x / 2 with c + B^T x <= 0, above delta where infeasible; meaningless
    where a violated constraint has no gradient, which no step mends: infeasible, and the step is about 0.
    """

    alpha: Array
    beta: Array
    gain: Array
    nu: Array
    lam: Array
    feasible: Array
    violation: Array


def check_objectives(m: int) -> None:
    """Raise `UsageError` for more objectives than the active sets are enumerated for."""
    if m > MOST_OBJECTIVES:
        raise UsageError(
            f"optimiser: CPO solves for at most {MOST_OBJECTIVES - 1} constraints and {m} objectives have "
            f'{m - 1}; use "barrier" or "lagrangian"'
        )


def sub_problem(q: Array, r: Array, S: Array, c: Array, delta: Array) -> Solution:
    """Best step of the sub-problem; where it is infeasible the step towards its nearest feasible point.

    q: float[]; r, c: float[k]; S: float[k, k]; delta: float[] > 0. For each of the 2^k sets A of constraints
    taken as equalities

        y = S_AA^-1 r_A,   z = S_AA^-1 c_A,   alpha = sqrt((2 delta - c_A . z) / (q - r_A . y)),
        beta_A = -(alpha y + z)

    is the best point of the trust region, and the best of those that meet all constraints is the solution,
    with the multipliers lam = 1 / alpha, nu = y + lam z. Infeasible iff max_{mu >= 0} mu . c - mu S mu / 2,
    over the same sets, is above delta; then x = -sqrt(delta / v) H^-1 B mu.
    Equation: achiam2017cpo [sub-problem with several constraints]
    """
    k = len(r)
    # constraints of unit length: S has ones on its diagonal
    unit = jax.lax.rsqrt(jnp.maximum(jnp.diagonal(S), jnp.finfo(S.dtype).tiny))
    r, c, S = unit * r, unit * c, unit[:, None] * S * unit[None]
    sets = jnp.asarray((np.arange(2**k)[:, None] >> np.arange(k)) & 1, S.dtype)

    def one(active: Array) -> tuple[Array, Array, Array, Array, Array]:
        return _candidate(active, q, r, S, c, delta)

    alpha, y, z, gain, ok = jax.vmap(one)(sets)
    best = jnp.argmax(jnp.where(ok, gain, -jnp.inf))
    alpha, y, z = alpha[best], y[best], z[best]
    lam = jnp.where(alpha > 0, 1 / jnp.where(alpha > 0, alpha, 1.0), 0.0)
    feasible = ok.any()
    violation, mu = _nearest(sets, S, c)
    back = -jnp.sqrt(delta / jnp.where(feasible, 1.0, violation)) * mu
    beta = jnp.where(feasible, -(alpha * y + z), back)
    alpha = jnp.where(feasible, alpha, 0.0)
    return Solution(
        alpha=alpha,
        beta=unit * beta,
        gain=alpha * q + beta @ r,
        nu=jnp.where(feasible, unit * (y + lam * z), 0.0),
        lam=jnp.where(feasible, lam, 0.0),
        feasible=feasible,
        violation=violation,
    )


def _solve_set(active: Array, S: Array, right: Array) -> Array:
    """S_AA^-1 right_A, float[k, n] with zeros outside of A; active: float[k] of ones and zeros."""
    both = active[:, None] * active[None]
    matrix = both * S + jnp.diag(1 - active + _RIDGE)
    return solve_positive(matrix, active[:, None] * right)


def _candidate(
    active: Array, q: Array, r: Array, S: Array, c: Array, delta: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """`(alpha, y, z, gain, ok)` of one set of equalities; `ok`: it lies in the trust region and meets all."""
    eps = jnp.finfo(S.dtype).eps
    y, z = _solve_set(active, S, jnp.stack([r, c], axis=1)).T
    # the squared length of what is left of the gradient, for the y that was found
    left = q - 2 * r @ y + y @ S @ y
    left = jnp.where(left > 32 * eps * q, left, 0.0)
    room = 2 * delta - z @ S @ z
    alpha = jnp.where(left > 0, jnp.sqrt(jnp.maximum(room, 0.0) / jnp.where(left > 0, left, 1.0)), 0.0)
    beta = -(alpha * y + z)
    slack = c + alpha * r + S @ beta
    tolerance = jnp.sqrt(eps) * (jnp.abs(c) + jnp.sqrt(2 * delta))
    meets = jnp.all((slack <= tolerance) | (active > 0)) & (room >= 0)
    # an inconsistent set has no solution: what elimination makes of it violates an equality of its own
    own = jnp.all((jnp.abs(c - S @ z) <= 1e3 * tolerance) | (active == 0))
    gain = alpha * q + beta @ r
    return alpha, y, z, gain, meets & own & jnp.isfinite(gain)


def _nearest(sets: Array, S: Array, c: Array) -> tuple[Array, Array]:
    """`(v, mu [k])`, the value and the maximiser of mu . c - mu S mu / 2 over mu >= 0; sets: `[2^k, k]`."""
    mu = jax.vmap(lambda active: _solve_set(active, S, c[:, None])[:, 0])(sets)
    value = mu @ c / 2
    allowed = jnp.all(mu >= 0, axis=1) & jnp.isfinite(value)
    best = jnp.argmax(jnp.where(allowed, value, -jnp.inf))
    return jnp.maximum(value[best], jnp.finfo(S.dtype).tiny), mu[best]


def learning_step(config: Config) -> ppo.Learn:
    """The step of the policy, then PPO's epochs for the critic: the argument `learn` of `ppo.make`.

    `ppo.Hyper.surrogate` must be `Limits`. Metrics besides those of the critic's epochs: `cpo/feasible`
    (whether the sub-problem has a feasible point; else the step is a recovery), `cpo/active` (constraints
    with a multiplier), `cpo/length` (share of the step that the line search accepted, 0 for none), `cpo/kl`.
    The step raises `UsageError` where it is traced for a recurrent policy, for environments over several
    devices, and for more than 9 objectives.
    """

    def learn(
        parts: ppo.Parts, state: ppo.State, samples: ppo.Samples, hyper: Any, key: Key
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        _check(parts, samples)
        actor, metrics = _policy_step(config, parts, state.params["actor"], samples, hyper.surrogate)
        critic = parts._replace(surrogate=_no_surrogate)
        params, opt_state, fitted = ppo.proximal_epochs(
            critic, state, samples, hyper.replace(entropy=jnp.zeros_like(hyper.entropy)), key
        )
        return params | {"actor": actor}, opt_state, fitted | metrics

    return learn


def _check(parts: ppo.Parts, samples: ppo.Samples) -> None:
    if parts.config.memory:
        raise UsageError("Config.memory: CPO has steps for feed-forward policies alone; set memory to 0")
    if parts.axis is not None:
        raise UsageError("axis: CPO runs on one device; make the learner without `axis`")
    if samples.advantages.ndim < 3:
        raise UsageError("env: has scalar rewards, CPO needs 2 objectives at least; use jaxrl.baselines.ppo")
    check_objectives(samples.advantages.shape[-1])


def _no_surrogate(ratio: Array, advantage: Array, progress: Array, extra: dict[str, Any]) -> Array:
    return jnp.zeros_like(ratio)


def _policy_step(
    config: Config, parts: ppo.Parts, actor: PyTree, samples: ppo.Samples, limits: Limits
) -> tuple[PyTree, dict[str, Array]]:
    """Parameters of the policy after one step, and metrics."""
    nets, flat = parts.nets, flatten_time(samples)
    now = jax.lax.stop_gradient(nets.actor.apply(actor, flat.x))

    def divergence(actor: PyTree) -> Array:
        return nets.head.kl(now, nets.actor.apply(actor, flat.x)).mean()

    def estimates(actor: PyTree) -> Array:
        log_prob = nets.head.log_prob(nets.actor.apply(actor, flat.x), flat.raw)
        ratio = jnp.exp(log_prob - flat.log_prob)
        return return_estimate(ratio, flat.advantages, limits.returns, limits.length)

    step, solution = constrained_step(
        natural.fisher_product(divergence, actor),
        jax.jacrev(estimates)(actor),
        limits,
        iterations=config.iterations,
    )
    # what is met must stay met, what is violated must not get worse
    floor = jnp.where(limits.extended > 0, -jnp.inf, jnp.minimum(limits.thresholds, limits.returns))

    def moved(length: Array) -> PyTree:
        return jax.tree.map(lambda p, s: p + length * s, actor, step)

    def fits(length: Array) -> Array:
        there = moved(length)
        return (divergence(there) <= 1.5 * limits.delta) & jnp.all(estimates(there) >= floor)

    def goes_on(carry: tuple[Array, Array]) -> Array:
        trial, length = carry
        return (trial < config.trials) & ~fits(length)

    def shrink(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        return carry[0] + 1, carry[1] * _SHRINK

    trial, length = jax.lax.while_loop(goes_on, shrink, (jnp.int32(0), jnp.ones_like(limits.delta)))
    length = jnp.where(trial < config.trials, length, 0.0)
    actor = jax.tree.map(lambda new, old: jnp.where(length > 0, new, old), moved(length), actor)
    return actor, {
        "cpo/feasible": solution.feasible,
        "cpo/active": (solution.nu > 0).sum(),
        "cpo/length": length,
        "cpo/kl": divergence(actor),
    }


def constrained_step(
    product: natural.Product, gradients: PyTree, limits: Limits, *, iterations: int
) -> tuple[PyTree, Solution]:
    """`(step, solution)` of the sub-problem for gradients of all estimated returns, leaves `[m, ...]`.

    product: `v -> F v` for trees like the parameters; iterations: of conjugate gradients.
    """
    order = jnp.argsort(limits.extended, stable=True)  # the objective that is extended comes last
    sign = jnp.where(limits.extended > 0, 1.0, -1.0)
    # rows of b_1 .. b_k, g, and of their products with H^-1
    rows = jax.tree.map(lambda x: jnp.tensordot(jnp.diag(sign), x, 1)[order], gradients)
    solved = jax.vmap(
        lambda b: natural.conjugate_gradients(product, b, iterations=iterations, damping=limits.damping)
    )(rows)
    gram = sum(
        a.reshape(len(sign), -1) @ b.reshape(len(sign), -1).T
        for a, b in zip(jax.tree.leaves(rows), jax.tree.leaves(solved), strict=True)
    )
    gram = (gram + gram.T) / 2
    violation = (limits.thresholds - limits.returns)[order][:-1]
    solution = sub_problem(gram[-1, -1], gram[:-1, -1], gram[:-1, :-1], violation, limits.delta)
    weights = jnp.append(solution.beta, solution.alpha)
    return jax.tree.map(lambda x: jnp.tensordot(weights, x, 1), solved), solution
