"""Two-layer networks as measures: f(x) = alpha sum_i weight_i b(beta_i) s(w_i . x + c_i).

A parameter row is (beta, w_1 ... w_d, c), without c where the family has no bias. Weights sum to 1; rows of
weight 0 are padding, which moves like every other row and counts for nothing.

Legend: `N` particles, `D` parameters of one, `M` points, `d` inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Range, check_fields
from jaxrl.core.prng import streams
from jaxrl.core.types import Array, Key
from jaxrl.minimax.problem import check_finite, check_weights, floating

Init = Literal["sym", "iid", "centred"]
COLUMNS = 16  # inputs up to which gradients are products of vectors with a matrix


@dataclass(frozen=True)
class Family:
    """One neuron: b(beta) s(w . x + c), with b(beta) = bound tanh(beta / bound), or beta for bound = inf."""

    activation: Literal["tanh", "cos"] = "tanh"
    """The function s."""
    bound: Annotated[float, Range(0, open_low=True)] = 3.0
    """Bound of the outer weight b, > 0; inf for none."""
    bias: bool = True
    """Whether a neuron has an offset c."""

    def __post_init__(self) -> None:
        check_fields(self)

    def parameters(self, inputs: int) -> int:
        """Number D of parameters of a neuron with `inputs` inputs."""
        return 1 + inputs + self.bias


TANH = Family()
COS = Family("cos", float("inf"))


class Particles(NamedTuple):
    """A measure on the parameters of a neuron: rows theta `[N, D]` with weights `[N]`."""

    theta: Any
    weights: Any


class Features(NamedTuple):
    """All neurons at all points.

    b, slope: `[N]`, b(beta) and b'(beta); s, ds: `[M, N]`; inputs: `[M, D - 1]`, the
    derivative of the argument of s in (w, c).
    """

    b: Array
    slope: Array
    s: Array
    ds: Array
    inputs: Array


def particles(theta: Any, weights: Any = None) -> Particles:
    """Checked particles of rows `[N, D]`, equally weighted unless given; integers become float64.

    Raises `UsageError` for rows that are not finite, and for weights that do not sum to 1 or do not fit.
    """
    theta = floating(theta)
    weights = np.full(len(theta), 1 / max(len(theta), 1)) if weights is None else np.asarray(weights)
    if theta.ndim != 2 or not len(theta) or weights.shape != (len(theta),):
        raise UsageError(f"particles: expected theta [N, D], weights [N]; got {theta.shape}, {weights.shape}")
    check_finite("particles.theta", theta)
    check_weights("particles.weights", weights)
    return Particles(theta, weights.astype(theta.dtype))


def features(family: Family, theta: Array, x: Array) -> Features:
    """Neurons theta `[N, D]` at points x `[M, d]`."""
    beta, w = theta[:, 0], theta[:, 1:]
    if family.bias:
        x = jnp.concatenate([x, jnp.ones_like(x[:, :1])], axis=1)
    argument = x @ w.T
    if family.activation == "tanh":
        s = jnp.tanh(argument)
        ds = 1 - s**2
    else:
        s, ds = jnp.cos(argument), -jnp.sin(argument)
    if np.isinf(family.bound):
        return Features(beta, jnp.ones_like(beta), s, ds, x)
    squashed = jnp.tanh(beta / family.bound)
    return Features(family.bound * squashed, 1 - squashed**2, s, ds, x)


def output(found: Features, weights: Array, alpha: Array | float) -> Array:
    """`[M]`, the network with weights `[N]` at the points of `found`."""
    return alpha * (found.s @ (weights * found.b))


def vjp(found: Features, cotangent: Array) -> Array:
    """`[N, D]`, sum_m cotangent_m grad phi(x_m; theta_i), for cotangents `[M]`.

    Independent of the weights, so that a particle of weight 0 has the velocity of a particle.
    """
    outer = found.slope * (cotangent @ found.s)
    columns = found.inputs.shape[1]
    if columns > COLUMNS:
        inner = found.b[:, None] * (found.ds.T @ (cotangent[:, None] * found.inputs))
        return jnp.concatenate([outer[:, None], inner], axis=1)
    # a matrix product with so thin a factor takes up to four times as long on a CPU
    inners = [found.b * ((cotangent * found.inputs[:, k]) @ found.ds) for k in range(columns)]
    return jnp.stack([outer, *inners], axis=1)


def predict(family: Family, net: Particles, x: Array, alpha: Array | float) -> Array:
    """`[M]`, the network at points x `[M, d]`."""
    return output(features(family, net.theta, x), net.weights, alpha)


def gram(family: Family, net: Particles, x: Array) -> Array:
    """`[M, M]`, the tangent kernel sum_i weight_i grad phi(x; theta_i) . grad phi(x'; theta_i) at x `[M, d]`.

    Equation: zhu2024meanfield [kernel]
    """
    found = features(family, net.theta, x)
    weights = net.weights
    outer = (found.s * (weights * found.slope**2)[None]) @ found.s.T
    inner = (found.ds * (weights * found.b**2)[None]) @ found.ds.T
    return outer + inner * (found.inputs @ found.inputs.T)


def cos_kernel(x: Array, y: Array) -> Array:
    """`[M, L]`, the tangent kernel of infinitely many `COS` particles at scalar x `[M]`, y `[L]`.

    E over beta, w ~ N(0, 1) and c uniform: exp(-(x - y)^2 / 2) (2 + x y) / 2.
    Equation: zhu2024meanfield [cosine kernel]
    """
    gap, product = x[:, None] - y[None], x[:, None] * y[None]
    return jnp.exp(-(gap**2) / 2) * (2 + product) / 2


def draw(
    key: Key,
    family: Family,
    inputs: int,
    width: int,
    init: Init = "sym",
    *,
    mean: Any = 0.0,
    scale: Any = 1.0,
    dtype: Any = None,
) -> Array:
    """Initial rows `[width, D]`, normal with `mean` and `scale` (numbers or `[D]`); c of `cos` is uniform.

    sym: rows 2i and 2i + 1 differ in the sign of beta, so that the network is 0; iid, centred: independent.
    Row i (pair i) depends on the key and i alone, so the first rows of a wide draw are a narrow draw. c of
    `cos` is uniform on (-pi, pi), whatever `mean` and `scale` say.

    Raises `UsageError` for an odd width with sym.
    """
    check_init(init, width)
    size = family.parameters(inputs)
    independent = width // 2 if init == "sym" else width
    dtype = jnp.zeros(()).dtype if dtype is None else dtype
    keys = streams(key, independent)
    rows = jax.vmap(lambda k: jax.random.normal(k, (size,), dtype))(keys)
    mean, scale = (jnp.broadcast_to(jnp.asarray(a, dtype), (size,)) for a in (mean, scale))
    theta = mean[None] + scale[None] * rows
    if family.activation == "cos" and family.bias:
        # the normal draw of c, mapped to a uniform one
        theta = theta.at[:, -1].set(jnp.pi * jax.scipy.special.erf(rows[:, -1] / np.sqrt(2)))
    return jnp.repeat(theta, 2, axis=0).at[1::2, 0].multiply(-1) if init == "sym" else theta


def check_init(init: str, width: int) -> None:
    """Raises `UsageError` for an unknown mode, a width below 1, or an odd width with mirror pairs."""
    if init not in get_args(Init):
        raise UsageError(f"init: {init!r} is none of {get_args(Init)}")
    if width < 1 or (init == "sym" and width % 2):
        raise UsageError(f"width: must be >= 1, and even with init='sym' (mirror pairs), got {width}")


def check_moments(record: Any, sizes: set[int], *fields: str) -> None:
    """Raises `UsageError` for a field of several numbers that are not one per parameter of every network.

    sizes: numbers of parameters of a particle in the networks that the fields serve.
    """
    for field in fields:
        value = getattr(record, field)
        if isinstance(value, tuple) and sizes != {len(value)}:
            wanted = " and ".join(map(str, sorted(sizes)))
            raise UsageError(
                f"{type(record).__name__}.{field}: has {len(value)} numbers, but particles have {wanted}"
                " parameters; give one number, or one per parameter"
            )


def equal_weights(width: int, live: Array | int | None = None) -> Array:
    """`[width]`, 1 / live for the first `live` particles and 0 for the padding; default no padding.

    NaN where `live` is larger than `width`, since it may be traced: weights would not sum to 1.
    """
    live = width if live is None else live
    live = jnp.where(jnp.asarray(live) <= width, jnp.asarray(live), jnp.nan)
    return jnp.where(jnp.arange(width) < live, 1.0, 0.0) / live


def displacement(net: Particles, start: Array) -> Array:
    """float[], root of the weighted mean squared distance of the particles from rows `[N, D]`.

    An upper bound of W2 between the two measures, attained where the identity is an optimal coupling.
    """
    return jnp.sqrt(jnp.sum(net.weights * jnp.sum((net.theta - start) ** 2, axis=1)))


def quadrature(family: Family, orders: tuple[int, int, int], scale: float = 1.0) -> Particles:
    """The initial distribution of a family with one input as weighted particles, for infinite width.

    orders: Gauss-Hermite nodes of beta and w, then of c (`tanh`) or midpoints on (-pi, pi) (`cos`). Float64
    rows in the order of (beta, w, c). Exact for `cos` beyond the first orders; `tanh` has poles, its kernel
    is known to 1e-3 only.
    """
    if not family.bias:
        raise UsageError("quadrature: the family must have a bias")
    axes = []
    for k, order in enumerate(orders):
        if k == 2 and family.activation == "cos":
            nodes, weights = (2 * np.arange(order) + 1 - order) * np.pi / order, np.full(order, 1 / order)
        else:
            nodes, weights = np.polynomial.hermite_e.hermegauss(order)
            nodes, weights = scale * nodes, weights / weights.sum()
        axes.append((nodes, weights))
    grids = np.meshgrid(*(nodes for nodes, _ in axes), indexing="ij")
    weights = np.einsum("i,j,k->ijk", *(weights for _, weights in axes))
    return particles(np.stack([grid.ravel() for grid in grids], axis=1), weights.ravel())
