"""The divergences of dual RL: one object per generator `f`, with everything a method needs to know about it.

    D_f(p || q) = E_q[f(p / q)],    f convex, f(1) = 0

| symbol | field | meaning |
|---|---|---|
| f(t) | `f` | generator of the ratio t = p / q; `f_zero` is f(0) |
| f'(t) | `f_prime` | slope; `f_prime_inf` is f'(inf), the price per unit of p where q is 0 |
| f*(y) | `f_star` | sup_t (t y - f(t)), finite for y < f'(inf) |
| (f')^-1(y) | `f_prime_inverse` | the ratio that attains f*(y) |
| f*_p(y) | `f_star_p` | sup over t >= 0 alone: the dual of an occupancy that cannot be negative |
| w(y) | `w` | max(0, (f')^-1(y)), the ratio that attains f*_p(y) |

Functions are elementwise, pure, and take every real number: outside the domain they return +inf with
gradient 0, never NaN; at t = 0, where most slopes are -inf, the gradient of `f` is 0 as well. Every array
argument is `[...]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy

from jaxrl.core.errors import UsageError, nearest
from jaxrl.core.types import Array

Elementwise = Callable[[Array], Array]

Mode = Literal["literal", "relu", "exact"]

SURROGATES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Divergence:
    """A generator and its Legendre dual; see the table above.

    title: its name in prose. f_star_zero: whether f*(0) = 0 and (f*)'(0) = 1, so that the relu surrogate
    exists.
    """

    key: str
    title: str
    f: Elementwise
    f_prime: Elementwise
    f_star: Elementwise
    f_prime_inverse: Elementwise
    f_prime_inf: float
    f_zero: float
    f_star_zero: bool = True

    def w(self, y: Array, floor: Array | float = 0.0) -> Array:
        """`[...]`, the ratio max(floor, (f')^-1(y)): what the dual variable says about the primal one."""
        return jnp.maximum(floor, self.f_prime_inverse(y))

    def f_star_above(self, y: Array, floor: Array | float) -> Array:
        """`[...]`, sup over t >= floor of t y - f(t) for `floor` >= 0; its derivative is `w(y, floor)`."""
        at_floor = floor * y - self.f(floor + jnp.zeros_like(y))
        return jnp.where(self.f_prime_inverse(y) >= floor, self.f_star(y), at_floor)

    def f_star_p(self, y: Array) -> Array:
        """`[...]`, sup over t >= 0; its derivative is `w`."""
        return self.f_star_above(y, 0.0)

    def between(self, p: Array, q: Array) -> Array:
        """float[], D_f(p || q) of distributions `[...]`; p where q is 0 costs f'(inf) per unit."""
        inside = self.f(p / jnp.where(q > 0, q, 1))
        outside = jnp.where(p > 0, self.f_prime_inf * p, 0) if math.isfinite(self.f_prime_inf) else jnp.inf
        return jnp.where(q > 0, q * inside, jnp.where(p > 0, outside, 0)).sum()


def divergence(key: str) -> Divergence:
    """The divergence called `key`; `UsageError` with the nearest key where there is none."""
    if key not in DIVERGENCES:
        raise UsageError(f"divergence: {_unknown(key, DIVERGENCES)}")
    return DIVERGENCES[key]


@dataclass(frozen=True)
class Surrogate:
    """A convex price h(y) of a residual y, in place of f*: `h = Surrogate("chi2", "relu")`, then `h(y)`.

    exact: f*_p, the dual of the convex programme. relu: f*(y) for y > 0, else 0; an implicit maximiser.
    literal: the released formula; for chi2 it grows again below -4, so that it is no maximiser.
    Raises `UsageError` for an unknown key or mode, relu of fkl (f* ends at 0), and literal where nothing was
    released. relu of kl means kl_n, since f*(0) must be 0.
    """

    key: str
    mode: Mode

    def __post_init__(self) -> None:
        divergence(self.key)
        if self.mode not in SURROGATES:
            raise UsageError(f"surrogate: {_unknown(self.mode, SURROGATES)}")
        if self.mode == "relu" and not self.divergence.f_star_zero:
            raise UsageError(
                f"surrogate: {self.key} has no relu form, because its f* does not pass through 0 with slope"
                " 1; use exact"
            )
        if self.mode == "literal" and self.key not in ("chi2", "tv"):
            raise UsageError(
                f"surrogate: literal formulas exist for chi2 and tv, not for {self.key}; use relu"
            )

    @property
    def divergence(self) -> Divergence:
        """The generator, kl_n where relu of kl was asked for."""
        return divergence("kl_n" if (self.key, self.mode) == ("kl", "relu") else self.key)

    @property
    def edge(self) -> float:
        """The y at which h becomes infinite: f'(inf), or none for tv cut at 0, released as max(y, 0)."""
        return math.inf if self.key == "tv" and self.mode != "exact" else self.divergence.f_prime_inf

    def __call__(self, y: Array) -> Array:
        """`[...]`, h(y)."""
        if self.mode == "exact":
            return self.divergence.f_star_p(y)
        if self.key == "tv":
            return jnp.where(y > 0, y, 0)
        if self.mode == "literal":
            h = self.divergence.f_star(y)
            return jnp.where(h > 0, h, 0)
        return jnp.where(y > 0, self.divergence.f_star(jnp.where(y > 0, y, 0)), 0)

    def ratio(self, y: Array) -> Array:
        """`[...]`, the derivative of h where it is positive, else 0: the ratio t that attains h(y).

        exact: w(y). Otherwise w(y) for y > 0 and 0 below, where w of tv is 1, since h has slope 1 there.
        """
        if self.mode == "exact":
            return self.divergence.w(y)
        return jnp.where(y > 0, jnp.ones_like(y) if self.key == "tv" else self.divergence.w(y), 0)


def check_lambda(key: str, lambda_: float) -> None:
    """Raises `UsageError` unless the weight of h against the linear term makes the loss bounded below.

    A host check of a number, for constructors. 0 < lambda_ < 1; for tv, whose slope is at most 1, > 1/2.
    """
    divergence(key)
    if not 0 < lambda_ < 1:
        raise UsageError(
            f"lambda_: must lie in (0, 1), got {lambda_}; at 1 the loss has no term that lowers V"
        )
    if key == "tv" and lambda_ <= 0.5:
        raise UsageError(
            f"lambda_: must be > 1/2 for tv, got {lambda_}; the loss is unbounded below otherwise"
        )


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"{name!r} is unknown; {nearest(name, known)}"


# --- generators -------------------------------------------------------------------------------------------


def _positive(function: Elementwise, at_zero: float) -> Elementwise:
    """A generator or slope known for t > 0, with its limit at 0; +inf for negative ratios."""

    def extended(t: Array) -> Array:
        value = function(jnp.where(t > 0, t, 1))
        return jnp.where(t > 0, value, jnp.where(t == 0, at_zero, jnp.inf))

    return extended


def _below(edge: float, function: Elementwise) -> Elementwise:
    """A function of y < edge, +inf from there on."""

    def extended(y: Array) -> Array:
        return jnp.where(y < edge, function(jnp.where(y < edge, y, edge - 1)), jnp.inf)

    return extended


_LOG_2 = math.log(2.0)

_KL = Divergence(
    "kl",
    "reverse KL",
    f=_positive(lambda t: xlogy(t, t), 0.0),
    f_prime=_positive(lambda t: 1 + jnp.log(t), -math.inf),
    f_star=lambda y: jnp.exp(y - 1),
    f_prime_inverse=lambda y: jnp.exp(y - 1),
    f_prime_inf=math.inf,
    f_zero=0.0,
    f_star_zero=False,
)
_KL_N = Divergence(
    "kl_n",
    "reverse KL, normalised",
    f=_positive(lambda t: xlogy(t, t) - t + 1, 1.0),
    f_prime=_positive(jnp.log, -math.inf),
    f_star=jnp.expm1,
    f_prime_inverse=jnp.exp,
    f_prime_inf=math.inf,
    f_zero=1.0,
)
_FKL = Divergence(
    "fkl",
    "forward KL",
    f=_positive(lambda t: -jnp.log(t), math.inf),
    f_prime=_positive(lambda t: -1 / t, -math.inf),
    f_star=_below(0.0, lambda y: -1 - jnp.log(-y)),
    f_prime_inverse=_below(0.0, lambda y: -1 / y),
    f_prime_inf=0.0,
    f_zero=math.inf,
    f_star_zero=False,
)
_HEL = Divergence(
    "hel",
    "squared Hellinger",
    f=_positive(lambda t: (jnp.sqrt(t) - 1) ** 2, 1.0),
    f_prime=_positive(lambda t: 1 - jax.lax.rsqrt(t), -math.inf),
    f_star=_below(1.0, lambda y: y / (1 - y)),
    f_prime_inverse=_below(1.0, lambda y: 1 / (1 - y) ** 2),
    f_prime_inf=1.0,
    f_zero=1.0,
)
_CHI2 = Divergence(
    "chi2",
    "Pearson chi-square",
    f=lambda t: (t - 1) ** 2,
    f_prime=lambda t: 2 * (t - 1),
    f_star=lambda y: y + y**2 / 4,
    f_prime_inverse=lambda y: 1 + y / 2,
    f_prime_inf=math.inf,
    f_zero=1.0,
)
# f' jumps at t = 1, so that its inverse is 1 on a whole interval and infinite beyond
_TV = Divergence(
    "tv",
    "total variation",
    f=lambda t: jnp.abs(t - 1) / 2,
    f_prime=lambda t: jnp.sign(t - 1) / 2,
    f_star=lambda y: jnp.where(jnp.abs(y) <= 0.5, y, jnp.inf),
    f_prime_inverse=lambda y: jnp.where(y > 0.5, jnp.inf, jnp.where(y > -0.5, 1.0, -jnp.inf)),
    f_prime_inf=0.5,
    f_zero=0.5,
)
# 2 - e^y is written as -2 expm1(y - log 2), which keeps its digits at the edge
_JS = Divergence(
    "js",
    "Jensen-Shannon",
    f=_positive(lambda t: xlogy(t, t) - (t + 1) * jnp.log((t + 1) / 2), _LOG_2),
    f_prime=_positive(lambda t: jnp.log(2 * t / (t + 1)), -math.inf),
    f_star=_below(_LOG_2, lambda y: -_LOG_2 - jnp.log(-jnp.expm1(y - _LOG_2))),
    f_prime_inverse=_below(_LOG_2, lambda y: -jnp.exp(y - _LOG_2) / jnp.expm1(y - _LOG_2)),
    f_prime_inf=_LOG_2,
    f_zero=_LOG_2,
)

DIVERGENCES = {d.key: d for d in (_KL, _KL_N, _FKL, _HEL, _CHI2, _TV, _JS)}
"""Every divergence by its key."""
