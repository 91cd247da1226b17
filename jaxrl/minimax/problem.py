"""Functional minimax problems, on a grid (`Problem`) and as observations (`Points`), with one interface.

    L(f, g) = E[ g(Z) (Af(W) - b(W)) + sum_l d_l g(z_l) - g(Z)^2 / 2 + lam (f(X) - u(X))^2 / 2 ]

is minimised over f and maximised over g, where Af(w) = sum_k c_k f(x_k(w)). Both records know the points at
which players are evaluated (`primal_points [M, d]`, `dual_points [L, e]`), the value `loss(f, g)`, and
`gradients(f, g)`, the derivatives of the value in the values f `[M]` and g `[L]` there.

Legend: `n` nodes, `B` observations, `K` points of f and `J` points of g per observation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key

SUM = 1e-5  # by how much weights may miss 1: float32 sums of thousands of them do


class Problem(NamedTuple):
    """A problem on a grid; build it with `problem`, which checks it.

    T: `[nz, nx]`, (Tf)(z) = E[Af(W) | z]; h: `[nz]`, E[b(W) | z]; u: `[nx]`, anchor of the penalty; p: `[nx]`
    and q: `[nz]`, probabilities of the nodes; lam: `[]`, weight of the penalty; x: `[nx, d]` and z:
    `[nz, e]`, nodes.
    """

    T: Any
    h: Any
    u: Any
    p: Any
    q: Any
    lam: Any
    x: Any
    z: Any

    @property
    def primal_points(self) -> Any:
        """Points of f, `[nx, d]`."""
        return self.x

    @property
    def dual_points(self) -> Any:
        """Points of g, `[nz, e]`."""
        return self.z

    def loss(self, f: Array, g: Array) -> Array:
        """float[], L(f, g) of f `[nx]` and g `[nz]`."""
        value = jnp.sum(self.q * (g * (self.T @ f - self.h) - g**2 / 2))
        return value + self.lam * jnp.sum(self.p * (f - self.u) ** 2) / 2

    def gradients(self, f: Array, g: Array) -> tuple[Array, Array]:
        """`(p dL/df [nx], q dL/dg [nz])`.

        Equation: zhu2024meanfield [functional gradients]
        """
        primal = (self.q * g) @ self.T + self.lam * self.p * (f - self.u)
        return primal, self.q * (self.T @ f - self.h - g)


class Points(NamedTuple):
    """Observations as lists of evaluation points; `points` fills in what an example does not use.

    x: `[B, K, d]`, the first of each row is where the penalty acts; c: `[B, K]`, coefficients of f; b: `[B]`;
    z: `[B, J, e]`, the first of each row is Z; d: `[B, J]`, coefficients of the terms linear in g; u: `[B]`;
    weight: `[B]`, of sum 1; lam: `[]`.
    """

    x: Any
    c: Any
    b: Any
    z: Any
    d: Any
    u: Any
    weight: Any
    lam: Any

    @property
    def primal_points(self) -> Any:
        """Points of f, `[B * K, d]`."""
        return self.x.reshape(-1, self.x.shape[-1])

    @property
    def dual_points(self) -> Any:
        """Points of g, `[B * J, e]`."""
        return self.z.reshape(-1, self.z.shape[-1])

    def loss(self, f: Array, g: Array) -> Array:
        """float[], L(f, g) of f `[B * K]` and g `[B * J]`."""
        f, g = f.reshape(self.c.shape), g.reshape(self.d.shape)
        dual = g[:, 0]
        rows = dual * ((self.c * f).sum(1) - self.b) + (self.d * g).sum(1) - dual**2 / 2
        return jnp.sum(self.weight * (rows + self.lam * (f[:, 0] - self.u) ** 2 / 2))

    def gradients(self, f: Array, g: Array) -> tuple[Array, Array]:
        """`(dL/df [B * K], dL/dg [B * J])` of f `[B * K]` and g `[B * J]`; both players see the same data."""
        f, g = f.reshape(self.c.shape), g.reshape(self.d.shape)
        primal = (self.c * g[:, :1]).at[:, 0].add(self.lam * (f[:, 0] - self.u))
        dual = jnp.asarray(self.d).at[:, 0].add((self.c * f).sum(1) - self.b - g[:, 0])
        weight = self.weight[:, None]
        return (weight * primal).reshape(-1), (weight * dual).reshape(-1)

    def rows(self, index: Any) -> Points:
        """The observations `index`, int`[b]`, equally weighted."""
        x, c, b, z, d, u = (a[index] for a in self[:6])
        return Points(x, c, b, z, d, u, jnp.full(b.shape, 1 / b.shape[0], x.dtype), self.lam)


Data = Problem | Points
Sample = Callable[[Key, Any], Data]


def problem(T: Any, h: Any, p: Any, q: Any, x: Any, z: Any, *, lam: Any = 0.0, u: Any = None) -> Problem:
    """A checked `Problem` with float64 numpy leaves; nodes may be given as `[n]` where they are scalar.

    Raises `UsageError` for lam < 0, weights that are negative or do not sum to 1, shapes that do not fit,
    and numbers that are not finite.
    """
    T, h, p, q, x, z, lam = (np.asarray(a, np.float64) for a in (T, h, p, q, x, z, lam))
    x, z = (a[:, None] if a.ndim == 1 else a for a in (x, z))
    u = np.zeros(len(x)) if u is None else np.asarray(u, np.float64)
    made = Problem(T, h, u, p, q, lam, x, z)
    expected = {"T": (len(z), len(x)), "h": (len(z),), "u": (len(x),), "p": (len(x),), "q": (len(z),)}
    for name, shape in expected.items():
        if getattr(made, name).shape != shape:
            raise UsageError(f"problem.{name}: shape {getattr(made, name).shape}, expected {shape}")
    for name, value in made._asdict().items():
        check_finite(f"problem.{name}", value)
    check_penalty("problem.lam", lam)
    check_weights("problem.p", p)
    check_weights("problem.q", q)
    return made


def points(
    x: Any, c: Any, b: Any, z: Any, *, lam: Any = 0.0, d: Any = None, u: Any = None, weight: Any = None
) -> Points:
    """Checked `Points` of arrays `x [B, K, d]`, `c [B, K]`, `b [B]`, `z [B, J, e]`.

    All have the dtype of `x`, or float64 where x holds integers. d, u: zero; weight: 1 / B, unless given.
    Raises `UsageError` as `problem` does, for numbers that are not finite in that dtype as well.
    """
    dtype = floating(x).dtype
    with np.errstate(over="ignore"):
        x, c, b, z, lam = (np.asarray(a).astype(dtype) for a in (x, c, b, z, lam))
    n = len(x)
    d = np.zeros(z.shape[:2], dtype) if d is None else np.asarray(d, dtype)
    u = np.zeros(n, dtype) if u is None else np.asarray(u, dtype)
    weight = np.full(n, 1 / n, dtype) if weight is None else np.asarray(weight, dtype)
    made = Points(x, c, b, z, d, u, weight, lam)
    if x.ndim != 3 or z.ndim != 3:
        raise UsageError(f"points.x, points.z: expected [B, K, d] and [B, J, e], got {x.shape}, {z.shape}")
    expected = {"c": x.shape[:2], "b": (n,), "z": (n, *z.shape[1:]), "d": (n, z.shape[1]), "u": (n,)}
    for name, shape in (expected | {"weight": (n,)}).items():
        if getattr(made, name).shape != shape:
            raise UsageError(f"points.{name}: shape {getattr(made, name).shape}, expected {shape}")
    for name, value in made._asdict().items():
        check_finite(f"points.{name}", value)
    check_penalty("points.lam", lam)
    check_weights("points.weight", weight)
    return made


def floating(a: Any) -> np.ndarray:
    """`a` as an array of floating point numbers: its own dtype, or float64 for integers and booleans.

    Raises `UsageError` for text, complex numbers and rows of unequal length.
    """
    try:
        a = np.asarray(a)
    except ValueError as error:
        raise UsageError("expected an array of numbers, got rows of unequal length") from error
    if a.dtype.kind not in "biuf" and not jnp.issubdtype(a.dtype, jnp.floating):
        raise UsageError(f"expected an array of real numbers, got one of {a.dtype}")
    return a if np.issubdtype(a.dtype, np.floating) else a.astype(np.float64)


def check_finite(name: str, value: np.ndarray) -> None:
    """Raises `UsageError` unless every number of `value` is finite."""
    if not np.all(np.isfinite(value)):
        raise UsageError(f"{name}: every number must be finite in {value.dtype}")


def check_penalty(name: str, lam: Any) -> None:
    """Raises `UsageError` unless lam >= 0: the problem would not be convex in f."""
    if not np.all(np.asarray(lam) >= 0):
        raise UsageError(f"{name}: must be >= 0, got {np.asarray(lam).tolist()}")


def check_weights(name: str, weights: Any) -> None:
    """Raises `UsageError` unless weights `[..., n]` are probabilities; divide them by their sum."""
    weights = np.asarray(weights, np.float64)
    total = weights.sum(-1)
    if np.any(weights < 0) or not np.all(np.abs(total - 1) < SUM):
        raise UsageError(
            f"{name}: weights must be >= 0 and sum to 1, the sum is {np.ravel(total)[0]:.6g}; divide by it"
        )


def whole(key: Key, data: Data) -> Data:
    """A sampler that draws nothing: the population, or the full batch."""
    return data


def minibatch(size: int) -> Sample:
    """A sampler of `size` observations of `Points`, with replacement and equally likely."""
    if size < 1:
        raise UsageError(f"minibatch: size must be >= 1, got {size}")

    def draw(key: Key, data: Points) -> Points:
        return data.rows(jax.random.randint(key, (size,), 0, data.b.shape[0]))

    return draw
