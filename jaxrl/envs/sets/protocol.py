"""The protocol of set functions: folds over items with a statistic of fixed shape.

Legend: `n` items of a ground set, `T` items in order. A ground set is a pytree with leaves `[n, ...]`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.tree import tree_take, tree_where
from jaxrl.core.types import Array, PyTree


class SetFunction(Protocol):
    """F as a fold over items: hashable, compared by value; any record of these five functions is one.

    The statistic has a shape that does not depend on the number of items; every number of F is a leaf of its
    own parameters. Optional members:

    features   `(params, stat) -> pytree of floats`, what a policy is shown of the statistic where the
               statistic itself is not fit to be seen
    holds      `(items [n, ...]) -> bool[n]` on the host, which items F knows; maximisers refuse the others
    capacity   the most items that F can hold, None for no limit
    timed      whether items are `Visit(h, v)`
    table, table_scores, table_add
               scores of a whole ground set, kept from item to item where that is cheaper than `gain` of each,
               see `LogDet` and `submodular.greedy`
    """

    def default_params(self) -> PyTree:
        """The default parameters, strongly typed arrays."""
        ...

    def init(self, params: PyTree) -> PyTree:
        """The statistic of the empty set."""
        ...

    def gain(self, params: PyTree, stat: PyTree, item: PyTree) -> Array:
        """float[], the marginal gain F(S + item) - F(S)."""
        ...

    def add(self, params: PyTree, stat: PyTree, item: PyTree) -> tuple[PyTree, Array]:
        """`(statistic of S + item, gain)`."""
        ...

    def value(self, params: PyTree, stat: PyTree) -> Array:
        """float[], F(S), 0 for the empty set."""
        ...


class Visit(NamedTuple):
    """A place at a time, as element of a set. h: int32[]; v: the item of the state."""

    h: Array
    v: PyTree


# --- checks of parameters and items, on the host -----------------------------------------------------------


def check_capacity(name: str, F: SetFunction, items: int, what: str = "items") -> None:
    """Raises `UsageError` where F cannot hold `items` items; `name` is the field that asks for so many."""
    capacity = getattr(F, "capacity", None)
    if capacity is not None and capacity < items:
        raise UsageError(
            f"{name}: {items} {what}, but F.capacity is {capacity}; make F with capacity >= {items}"
        )


def check_shape(F: SetFunction, field: str, x: Array, shape: tuple[int, ...]) -> None:
    """Raises `UsageError` where the parameters `x` `[...]` of F are not `[*shape]`: indices would be cut."""
    if x.shape != shape:
        raise UsageError(f"{type(F).__name__}.{field}: has shape {x.shape}, but F is made for {shape}")


def check_ground(name: str, F: SetFunction, ground: PyTree) -> int:
    """The number of items n of `ground` `[n, ...]`; `name` is the field that holds it.

    Raises `UsageError` where the leaves differ in length, and for items that F does not know, where F says
    which it knows and `ground` is not traced.
    """
    lengths = {np.shape(x)[:1] for x in jax.tree.leaves(ground)}
    if len(lengths) != 1 or () in lengths:
        raise UsageError(f"{name}: must have leaves [n, ...] of one length n, got shapes {sorted(lengths)}")
    traced = any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(ground))
    if hasattr(F, "holds") and not traced:
        known = np.asarray(F.holds(ground))
        if not known.all():
            i = int(np.argmin(known))
            raise UsageError(f"{name}: entry {i} is {_shown(ground, i)}, which is no item of {F}")
    return lengths.pop()[0]


def indices_below(items: Any, n: int) -> np.ndarray:
    """bool[...], which of the `items` `[...]` are integers 0 .. n - 1."""
    items = np.asarray(items)
    if items.dtype.kind not in "iu":
        return np.zeros(items.shape, bool)
    return (items >= 0) & (items < n)


def finite_weights(weight: Any, name: str) -> np.ndarray:
    """float[...] in the default dtype, the `weight` of a set function; `name` begins what is raised.

    Raises `UsageError` for entries below 0 or NaN, and for entries or a sum that are not finite in that
    dtype: gains of infinity are followed by gains that are no number.
    """
    weight, dtype = np.asarray(weight), jnp.result_type(float)
    if weight.dtype.kind not in "biuf":
        raise UsageError(f"{name}: must hold numbers, got entries of type {weight.dtype}")
    if not np.all(weight >= 0):
        raise UsageError(f"{name}: has negative or NaN entries, and F would not be monotone")
    with np.errstate(over="ignore"):
        cast = weight.astype(dtype)
        if not np.isfinite(cast.sum()):
            raise UsageError(f"{name}: has entries whose sum is not finite in {dtype}; rescale them")
    return cast


def nonnegative(weight: Any, shape: tuple[int, ...] | None = None, name: str = "nonnegative.weight") -> Array:
    """float[...], host check of weights: of a `Sum` `[n]`, of `Modular` `[V]`, of visits `[H + 1, V]`.

    Raises `UsageError`, which begins with `name`, for another `shape` and as `finite_weights`.
    """
    if shape is not None and np.shape(weight) != shape:
        raise UsageError(f"{name}: has shape {np.shape(weight)}, not {shape}")
    return jnp.asarray(finite_weights(weight, name))


def _shown(ground: PyTree, i: int) -> str:
    entry = jax.tree.map(lambda x: np.asarray(x)[i].tolist(), ground)
    return repr(entry)


# --- values of whole sets ----------------------------------------------------------------------------------


def evaluate(F: SetFunction, params: PyTree, items: PyTree, mask: Array | None = None) -> Array:
    """float[], F of the items `[T, ...]` where `mask` bool[T] is set, by folding them in their order."""
    if mask is None:
        mask = jnp.ones(jax.tree.leaves(items)[0].shape[:1], bool)

    def body(stat: PyTree, row: tuple[PyTree, Array]) -> tuple[PyTree, None]:
        item, taken = row
        return tree_where(taken, F.add(params, stat, item)[0], stat), None

    return F.value(params, jax.lax.scan(body, F.init(params), (items, mask))[0])


def gains(F: SetFunction, params: PyTree, stat: PyTree, ground: PyTree) -> Array:
    """float[n], the marginal gain of every item of `ground` `[n, ...]` over one set."""
    return jax.vmap(F.gain, (None, None, 0))(params, stat, ground)


def curvature(F: SetFunction, params: PyTree, ground: PyTree) -> Array:
    """float[], total curvature 1 - min_s F(s | S - s) / F({s}) over `ground` `[n, ...]`, where F({s}) > 0.

    0 for modular functions, 1 where some item is worthless beside all others. O(n^2) additions. Raises
    `UsageError` for more items than F can hold, and for items that F does not know.

    Equation: conforti1984submodular [total curvature]
    """
    n = check_ground("curvature.ground", F, ground)
    check_capacity("curvature.ground", F, n)

    def last(i: Array) -> Array:
        def body(stat: PyTree, j: Array) -> tuple[PyTree, None]:
            return tree_where(j == i, stat, F.add(params, stat, tree_take(ground, j))[0]), None

        stat, _ = jax.lax.scan(body, F.init(params), jnp.arange(n))
        return F.gain(params, stat, tree_take(ground, i))

    alone = gains(F, params, F.init(params), ground)
    ratio = jax.lax.map(last, jnp.arange(n)) / jnp.where(alone > 0, alone, 1)
    return 1 - jnp.min(jnp.where(alone > 0, ratio, 1))
