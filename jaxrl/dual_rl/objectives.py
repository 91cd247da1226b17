"""Equations of dual RL: value losses that are implicit maximisers, weights of policies, dual objectives.

The dual objectives are sums over rows with their weights: all pairs `[S, A]` of a table with their exact
distribution, or a batch `[n]` with its empirical one. The exact solvers and the networks descend the same
functions.

Losses are elementwise in the residual y = Q(s, a) - V(s), or r + gamma V(s') - V(s), not reduced, and convex
in V unless clipped. Every array argument is `[...]` unless its shape is given.

| symbol | argument | |
|---|---|---|
| y | `y` | residual |
| lambda | `lambda_` | weight of the conjugate against the linear term, in (0, 1) |
| b | `b` | temperature of the Gumbel loss |
| tau | `tau` | expectile level, in (0, 1) |
| d^O, d^S, d^E | `d_o`, `d_s`, `d_e` | reference, suboptimal and expert distribution over (s, a) |
| beta | `beta` | share of the policy in the mixtures of ReCOIL, in (0, 1) |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp

from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, PyTree
from jaxrl.dual_rl.divergences import Divergence, Mode, Surrogate, divergence

# --- implicit maximisers: the minimising V lies between the mean and the maximum of Q ---------------------


def dvl(y: Array, lambda_: Array | float, h: Callable[[Array], Array]) -> Array:
    """`[...]`, lambda h(y) - (1 - lambda) y, which is (1 - lambda) V + lambda h(y) but for a constant in V.

    Equation: sikchi2024dual [f-DVL value loss]
    """
    return lambda_ * h(y) - (1 - lambda_) * y


def gumbel(y: Array, b: Array | float) -> Array:
    """`[...]`, e^z - z - 1 with z = y / b; minimised by V = b log E e^(Q / b).

    Equation: garg2023extreme [Gumbel regression]
    """
    z = y / b
    return jnp.expm1(z) - z


def gumbel_rescaled(y: Array, b: Array | float, clip: Array | float, axis: str | None = None) -> Array:
    """`[n]`, the Gumbel loss as released: z cut at `clip`, and all of it times e^-m, m = max(max z, -1).

    The factor is an adaptive step size: an outlier in `y` `[n]` shrinks the gradient of every other sample,
    and samples at the clip have none. axis: mesh axis over which the batch is spread.

    Equation: garg2023extreme [Gumbel regression, released]
    """
    z = jnp.minimum(y / b, clip)
    m = jnp.maximum(spmd.largest(jax.lax.stop_gradient(z.max()), axis), -1)
    return jnp.exp(z - m) - z * jnp.exp(-m) - jnp.exp(-m)


def expectile(y: Array, tau: Array | float) -> Array:
    """`[...]`, |tau - 1{y < 0}| y^2. Not the conjugate of a divergence, but used in its place.

    Equation: kostrikov2022iql [expectile regression]
    """
    return jnp.where(y < 0, 1 - tau, tau) * y**2


def sql(y: Array, alpha: Array | float) -> Array:
    """`[...]`, (1 + y / (2 alpha))_+^2 - y / alpha; at alpha 1 twice `dvl` of exact chi2, lambda 1/2, plus 1.

    Equation: xu2023offline [SQL value loss]
    """
    positive = jnp.maximum(1 + y / (2 * alpha), 0)
    return positive**2 - y / alpha


@dataclass(frozen=True)
class Maximiser:
    """A value loss as data: `loss(y, parameter)`, finite for y < `edge`. Compared by identity.

    ratio: `(y, parameter) -> [...]`, the dual weights: what pi(a | s) / mu(a | s) is proportional to at the
        minimum; None where the loss is the conjugate of no divergence. See `dual_weight`.
    clipped: `(y [n], parameter, clip, axis) -> [n]`, what replaces `loss` on batches where that grows
        exponentially; where nothing is clipped, both have the same minimiser.
    tempered: the parameter is a temperature alpha: the ratio at the minimum is w(y / alpha).
    """

    loss: Callable[[Array, Array], Array]
    ratio: Callable[[Array, Array], Array] | None = None
    edge: float = float("inf")
    clipped: Callable[[Array, Array, Array, str | None], Array] | None = None
    tempered: bool = False

    def on_batch(self, y: Array, parameter: Array, clip: Array, axis: str | None = None) -> Array:
        """`[n]`, `clipped` where there is one, else `loss`, of residuals `[n]`.

        axis: mesh axis over which the batch is spread.
        """
        return self.loss(y, parameter) if self.clipped is None else self.clipped(y, parameter, clip, axis)


def _tempered_ratio(key: str) -> Callable[[Array, Array], Array]:
    return lambda y, alpha: divergence(key).w(y / alpha)


GUMBEL = Maximiser(gumbel, _tempered_ratio("kl_n"), clipped=gumbel_rescaled, tempered=True)
EXPECTILE = Maximiser(expectile)
SQL = Maximiser(sql, _tempered_ratio("chi2"), tempered=True)


@cache
def conjugate(key: str, mode: Mode) -> Maximiser:
    """The `dvl` loss of `Surrogate(key, mode)`, whose parameter is lambda; refusals as there."""
    h = Surrogate(key, mode)

    def loss(y: Array, lambda_: Array) -> Array:
        return dvl(y, lambda_, h)

    def clipped(y: Array, lambda_: Array, clip: Array, axis: str | None) -> Array:
        return loss(jnp.minimum(y, clip), lambda_)

    return Maximiser(loss, lambda y, lambda_: h.ratio(y), h.edge, clipped if key in ("kl", "kl_n") else None)


# --- policy extraction ------------------------------------------------------------------------------------


def awr_weight(y: Array, temperature: Array | float, cap: Array | float = 100.0) -> Array:
    """`[...]`, min(exp(T y), cap), the weight of log pi(a | s); `temperature` T is inverse.

    Equation: peng2019awr [advantage weight]
    """
    return jnp.minimum(jnp.exp(temperature * y), cap)


def dual_weight(maximiser: Maximiser, y: Array, parameter: Array | float) -> Array:
    """`[...]`, the ratio of the policy to the data that the dual program attains at the residual `y`.

    The minimum over V of E_mu[(1 - lambda) V + lambda h(Q - V)] has E_mu[h'(y)] = (1 - lambda) / lambda, so
    that mu(a | s) h'(y(s, a)) is, but for that constant, a distribution over actions: the primal solution,
    since h'(y) is the ratio t that attains h(y) = sup_t (t y - f(t)). Hence 1{y > 0} for tv cut at 0, (1 + y
    / 2) 1{y > 0} for chi2 cut at 0, (1 + y / 2)_+ for exact chi2. The parameter lambda does not divide y, a
    temperature alpha does: of the loss alpha f*(y / alpha) + V the ratio is (f*)'(y / alpha).

    Where V has reached the largest Q, no residual is positive: the weights of losses cut at 0 are all 0
    there, and what is missing of (1 - lambda) / lambda belongs to the actions with y = 0, at the kink of h.

    Raises `UsageError` for a maximiser without a divergence (the expectile).
    """
    if maximiser.ratio is None:
        raise UsageError("maximiser: the expectile is the conjugate of no divergence; use awr weights")
    return maximiser.ratio(y, parameter)


def logistic(logit: Array, slope: Array, label: float, penalty: Array | float) -> Array:
    """`[n]`, log(1 + e^(-label c)) + penalty |grad c|^2: the loss of a discriminator whose logit is c.

    logit: `[n]`, c(s). slope: `[n, k]`, its gradient in the features. label: 1 for the expert's states, -1
    for the data's. Without penalty c = log d^E(s) / d^S(s) is the minimum of the sum of both means.
    """
    return jax.nn.softplus(-label * logit) + penalty * jnp.square(slope).sum(-1)


# --- targets of Q, and the gradient through a target ----------------------------------------------


def huber(error: Array, delta: Array | float) -> Array:
    """`[...]`, error^2 / 2 up to `delta`, linear beyond; `delta` may be infinite."""
    size = jnp.minimum(jnp.abs(error), delta)
    return size * (jnp.abs(error) - size / 2)


def recoil_target(
    next_v: Array, not_done: Array, end: Array | float, gap: Array | float, gamma: Array | float
) -> Array:
    """`[...]`, -g + gamma V(s'), where V(s') is `end` if the episode terminated.

    next_v, not_done: `[...]`, V(s') and 1 - terminated. end: see `recoil_end`; released: -G = -g / (1 -
    gamma). Expert pairs have the target G instead, and no reward enters: g is the distance per step between
    expert and the rest.

    Equation: sikchi2024dual [ReCOIL target, released]
    """
    return -gap + gamma * (not_done * next_v + (1 - not_done) * end)


def recoil_end(d_e: Array | float, d_mix: Array | float, gap: Array | float, gamma: Array | float) -> Array:
    """float[], the value of an absorbing state in ReCOIL as released: the fixed point of its own two squares.

        V = (dE G + dmix (-g + gamma V)) / (dE + dmix),  G = g / (1 - gamma)

    d_e, d_mix: float[], how often the expert and the unlabelled data end, each time to stay for another step,
    times the weights of their squares where these differ. G where only the expert ends; -G, the released
    value, where it never does; NaN where nobody does.
    """
    return (d_e * gap / (1 - gamma) - d_mix * gap) / (d_e + d_mix * (1 - gamma))


def without_reversal(forward: PyTree, backward: PyTree) -> PyTree:
    """`backward` less its component along `forward`: what V(s') adds to the gradient through V(s).

    Both are gradients in the same parameters, leaves `[...]`.

    Equation: mao2024odice [orthogonal gradient]
    """
    along = sum(jnp.vdot(f, b) for f, b in _pairs(forward, backward))
    square = sum(jnp.vdot(f, f) for f, _ in _pairs(forward, forward))
    share = along / jnp.maximum(square, 1e-10)
    return jax.tree.map(lambda f, b: b - share * f, forward, backward)


def _pairs(first: PyTree, second: PyTree) -> zip:
    return zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)


# --- dual objectives; the start term is (1 - gamma) E_d0[value] ---------------------------------------------


def dual_objective(start: Array, y: Array, d_o: Array, alpha: Array | float, divergence: Divergence) -> Array:
    """float[], (1 - gamma) E_d0[V] + alpha E_dO[f*_p(y)], y = (r + gamma P V - V) / alpha, minimised over V.

    start: float[], the first term; y, d_o: `[...]`. Upper bound of E_d[r] - alpha D_f(d || dO) for every
    occupancy d, provided y <= f'(inf) wherever d is positive and dO is 0.

    Equation: sikchi2024dual [dual-V]
    """
    return start + alpha * _expected(divergence.f_star_p(y), d_o)


def kl_objective(
    start: Array, y: Array, d_o: Array, alpha: Array | float, axis: str | None = None
) -> tuple[Array, Array]:
    """`dual_objective` of kl minimised over shifts of y `[...]`: start + alpha log E_dO[e^y], float[].

    Also y `[...]` at the best shift, where the ratios e^(y - 1) with weights `d_o` `[...]` sum to 1. V is
    determined up to a constant only. axis: mesh axis over which the rows are spread; the value and its
    gradient are then those of all rows once they are averaged over the axis.

    Equation: ma2022smodice [KL value loss]
    """
    if axis is None:
        level = jax.scipy.special.logsumexp(y, b=d_o)
        return start + alpha * level, y - level + 1
    top = spmd.largest(jax.lax.stop_gradient(jnp.where(d_o > 0, y, -jnp.inf).max()), axis)
    own = _expected(jnp.exp(y - top), d_o)
    whole = spmd.mean(jax.lax.stop_gradient(own), axis)
    level = top + jnp.log(whole)
    return start + alpha * (level + own / whole - 1), y - level + 1


def dual_q_objective(
    start: Array, y: Array, d_o: Array, alpha: Array | float, divergence: Divergence
) -> Array:
    """float[], (1 - gamma) E_{d0, pi}[Q] + alpha E_dO[f*(y)], y = (r + gamma P^pi Q - Q) / alpha.

    start: float[], the first term; y, d_o: `[...]`. Its minimum over Q is E_d[r] - alpha D_f(d || dO) at the
    occupancy d of pi, which the flow equations fix: no clamp is needed.

    Equation: sikchi2024dual [dual-Q]
    """
    return start + alpha * _expected(divergence.f_star(y), d_o)


def mixture(beta: Array | float, d: Array, d_s: Array) -> Array:
    """`[...]`, beta d + (1 - beta) d_s.

    Equation: sikchi2024dual [mixture distribution]
    """
    return beta * d + (1 - beta) * d_s


def recoil_floor(beta: Array | float, d_e: Array, d_s: Array) -> Array:
    """`[...]`, (1 - beta) dS / dmix: the least ratio of the policy's mixture to the expert's if d >= 0.

    0 where the mixture is 0.
    """
    d_mix = mixture(beta, d_e, d_s)
    return (1 - beta) * d_s / jnp.where(d_mix > 0, d_mix, 1)


def recoil_objective(
    start: Array, y: Array, d_e: Array, d_s: Array, beta: Array | float, conjugate_y: Array
) -> Array:
    """float[], beta (1 - gamma) E_d0[value] + E_mix[conj(y)] - (1 - beta) E_dS[y], y = gamma P value - value.

    start: float[], (1 - gamma) E_d0[value], of V, or of Q under pi; y, d_e, d_s: `[...]`; conjugate_y:
    `[...]`, f*(y) in the Q form, `f_star_above(y, floor)` in the V form, where `recoil_floor` is exact and
    0 a relaxation. No reward enters.

    Equation: sikchi2024dual [ReCOIL]
    """
    return beta * start + _expected(conjugate_y, mixture(beta, d_e, d_s)) - (1 - beta) * _expected(y, d_s)


def _expected(values: Array, weights: Array) -> Array:
    """Sum of `values` with `weights`; infinite values do not count where the weight is 0."""
    return jnp.where(weights > 0, weights * jnp.where(weights > 0, values, 0), 0).sum()
