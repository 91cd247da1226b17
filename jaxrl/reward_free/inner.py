"""The inner maximisation, max over f in [0, 1]^S of |phi_f(s, a)| in the metric of Gram^-1, for every pair.

A convex quadratic over a box is largest at a vertex, f the indicator of a set of states; finding it is
NP-hard in general. For values in [0, c] the maximum is c times this one.

- `exact` tries all sets of up to 14 states, and for known successors the 2^k sets of the k successors of a
  pair.
- `ascent` climbs from all states and from every single state: f becomes 1 where the gradient is positive. A
  local maximum, never above the exact one.
- `l1` maximises |Gram^-1/2 phi_f|_1 with the symmetric root over 2^k sign vectors instead. With the exact
  norm n it satisfies l1 / sqrt(k) <= n <= l1.

Legend: `S` states, `P` pairs, `B` blocks of `k` features.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core import linear
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.reward_free.features import Form, KnownSupport, root
from jaxrl.reward_free.uncertainty import first_best

ENUMERATED = 14  # states, successors or features whose subsets or signs are enumerated
ASCENT_STEPS = 20
ROOT_STEPS = 40


class Largest(NamedTuple):
    """The maximum and where it is attained, for every pair: norm float[P]; sets float[P, S], indicators."""

    norm: Array
    sets: Array


def exact(form: Form, inverse: Array) -> Largest:
    """The exact maximum; inverse `[B, k, k]`. Of sets within rounding the first in lexicographic order.

    Raises:
        UsageError: more than 14 states, or more than 14 successors of a pair.

    Equation: zhang2021rfe [inner maximisation]
    """
    if isinstance(form, KnownSupport):
        return _over_successors(form, inverse)
    _check_size(form.n_states, "states")
    sets = subsets(form.n_states, inverse.dtype)

    def at(pair: Array) -> tuple[Array, Array]:
        return _best_set(form, inverse, pair, sets)

    return Largest(*jax.lax.map(at, jnp.arange(form.n_states * form.n_actions)))


def ascent(form: Form, inverse: Array) -> Largest:
    """A local maximum by ascent; inverse `[B, k, k]`."""
    S, dtype = form.n_states, inverse.dtype
    starts = jnp.concatenate([jnp.ones((1, S), dtype), jnp.eye(S, dtype=dtype)])

    def at(pair: Array) -> tuple[Array, Array]:
        phi = form.phi_at(jnp.eye(S, dtype=dtype), pair)
        curvature = phi @ inverse[form.block(pair)] @ phi.T

        def climb(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            i, f, _ = carry
            higher = (f @ curvature > 0).astype(dtype)
            return i + 1, higher, jnp.any(higher != f)

        def moving(carry: tuple[Array, Array, Array]) -> Array:
            return (carry[0] < ASCENT_STEPS) & carry[2]

        first = (jnp.zeros((), jnp.int32), starts, jnp.ones((), bool))
        return _best_set(form, inverse, pair, jax.lax.while_loop(moving, climb, first)[1])

    return Largest(*jax.lax.map(at, jnp.arange(S * form.n_actions)))


def l1(form: Form, inverse: Array) -> Largest:
    """The surrogate by the sum of absolute values, whose maximum stands in `norm`; inverse `[B, k, k]`.

    Raises:
        UsageError: more than 14 features in a block.

    Equation: zhang2021rfe [l1 surrogate]
    """
    S, k = form.n_states, form.blocks[1]
    _check_size(k, "features")
    signs = 2 * subsets(k, inverse.dtype) - 1
    roots = jax.vmap(symmetric_root)(inverse)

    def at(pair: Array) -> tuple[Array, Array]:
        phi = form.phi_at(jnp.eye(S, dtype=inverse.dtype), pair)
        gain = signs @ (phi @ roots[form.block(pair)]).T
        value = jnp.maximum(gain, 0).sum(-1)
        best = first_best(value)
        return value[best], (gain[best] > 0).astype(inverse.dtype)

    return Largest(*jax.lax.map(at, jnp.arange(S * form.n_actions)))


SolverName = Literal["exact", "ascent", "l1"]
Solver = Callable[[Form, Array], Largest]
SOLVERS: dict[str, Solver] = {"exact": exact, "ascent": ascent, "l1": l1}


def subsets(n: int, dtype: jnp.dtype) -> Array:
    """All vectors of zeros and ones `[2^n, n]` in lexicographic order."""
    return jnp.asarray(list(itertools.product((0, 1), repeat=n)), dtype)


def symmetric_root(a: Array) -> Array:
    """The symmetric square root `[k, k]` of a symmetric positive definite a `[k, k]`.

    By the iteration of Denman and Beavers, which needs inverses alone and no call that blocks in populations.
    """
    scale = jnp.trace(a) / len(a)

    def halve(_: int, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        y, z = pair
        return (y + linear.inverse_positive(z)[0]) / 2, (z + linear.inverse_positive(y)[0]) / 2

    eye = jnp.eye(len(a), dtype=a.dtype)
    return jnp.sqrt(scale) * jax.lax.fori_loop(0, ROOT_STEPS, halve, (a / scale, eye))[0]


def _best_set(form: Form, inverse: Array, pair: Array, sets: Array) -> tuple[Array, Array]:
    """The largest norm `[]` at a pair int32[] over sets `[n, S]`, and its set `[S]`."""
    x = form.phi_at(sets, pair)
    norm = root((jnp.matmul(x, inverse[form.block(pair)], precision="highest") * x).sum(-1))
    best = first_best(norm)
    return norm[best], sets[best]


def _over_successors(form: KnownSupport, inverse: Array) -> Largest:
    _check_size(form.blocks[1], "successors of a pair")
    among = subsets(form.blocks[1], inverse.dtype)

    def at(pair: Array) -> tuple[Array, Array]:
        rows = jnp.zeros((len(among), form.n_states), inverse.dtype)
        sets = rows.at[:, form.successors[pair]].max(among * form.mask[pair][None])
        return _best_set(form, inverse, pair, sets)

    return Largest(*jax.lax.map(at, jnp.arange(form.blocks[0])))


def _check_size(n: int, what: str) -> None:
    if n > ENUMERATED:
        raise UsageError(
            f'Config.inner: {n} {what} are more than the {ENUMERATED} that are enumerated; take "ascent"'
        )
