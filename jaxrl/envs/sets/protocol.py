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
    own parameters. Optional are a function `features(params, stat) -> pytree of floats`, what a policy is
    shown of the statistic where the statistic itself is not fit to be seen; an attribute `capacity`, the most
    items it can hold, None for no limit; and an attribute `timed`, true where items are `Visit(h, v)`.
    """

    def default_params(self) -> PyTree:
        """Strongly typed arrays."""
        ...

    def init(self, params: PyTree) -> PyTree:
        """Statistic of the empty set."""
        ...

    def gain(self, params: PyTree, stat: PyTree, item: PyTree) -> Array:
        """float[], F(S + item) - F(S)."""
        ...

    def add(self, params: PyTree, stat: PyTree, item: PyTree) -> tuple[PyTree, Array]:
        """`(statistic of S + item, gain)`."""
        ...

    def value(self, params: PyTree, stat: PyTree) -> Array:
        """float[], F(S), 0 for the empty set."""
        ...


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


def nonnegative(weight: Any, shape: tuple[int, ...] | None = None, name: str = "nonnegative.weight") -> Array:
    """float[...], host check of weights: of a `Sum` `[n]`, of `Modular` `[V]`, of visits `[H + 1, V]`.

    Raises `UsageError`, which begins with `name`, for entries below 0 or NaN, and for another `shape`.
    """
    weight = np.asarray(weight)
    if shape is not None and weight.shape != shape:
        raise UsageError(f"{name}: has shape {weight.shape}, not {shape}")
    if not np.all(weight >= 0):
        raise UsageError(f"{name}: has negative or NaN entries, and F would not be monotone")
    return jnp.asarray(weight, jnp.result_type(float))


class Visit(NamedTuple):
    """A place at a time, as element of a set. h: int32[]; v: the item of the state."""

    h: Array
    v: PyTree


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
    `UsageError` for more items than F can hold.

    Equation: conforti1984submodular [total curvature]
    """
    n = jax.tree.leaves(ground)[0].shape[0]
    check_capacity("curvature.ground", F, n)

    def last(i: Array) -> Array:
        def body(stat: PyTree, j: Array) -> tuple[PyTree, None]:
            return tree_where(j == i, stat, F.add(params, stat, tree_take(ground, j))[0]), None

        stat, _ = jax.lax.scan(body, F.init(params), jnp.arange(n))
        return F.gain(params, stat, tree_take(ground, i))

    alone = gains(F, params, F.init(params), ground)
    ratio = jax.lax.map(last, jnp.arange(n)) / jnp.where(alone > 0, alone, 1)
    return 1 - jnp.min(jnp.where(alone > 0, ratio, 1))
