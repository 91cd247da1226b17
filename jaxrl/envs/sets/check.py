"""Checks by trial whether a record of functions is a monotone submodular set function on a small ground set.

Legend: `n` items of the ground set, `m` subsets.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.sets.protocol import SetFunction, check_capacity, check_ground, evaluate

EXHAUSTIVE = 9  # items up to which all subsets are tried
_SAMPLES = 400


def check_set_function(
    F: SetFunction, params: PyTree, ground: PyTree, *, seed: int = 0, tolerance: float | None = None
) -> None:
    """Silent if F keeps its promises on subsets of `ground` `[n, ...]`: all of them for n <= 9, else 400.

    Promises: the statistic keeps its structure, F(empty) = 0, `add` returns `gain`, gains telescope to
    `value`, order does not matter, no gain is negative (monotone), F(A + a) + F(A + b) >= F(A + a + b) + F(A)
    (submodular). An item that counts again when visited again is twice in `ground`.

    tolerance: of all comparisons, default 1e-5 in float32 and 1e-9 in float64, relative to F of `ground`.
    Raises `UsageError`, one sentence that begins with the function and the promise it breaks.
    """
    name = type(F).__name__
    n = check_ground(f"{name}: ground", F, ground)
    check_capacity(f"{name}: ground", F, n)
    ground = jax.tree.map(jnp.asarray, ground)
    _check_structure(name, F, params, tree_take(ground, 0))
    rng = np.random.default_rng(seed)
    folded = _Folded(F, params, ground)

    if n <= EXHAUSTIVE:
        subset, a, b = np.unravel_index(np.arange(2**n * n * n), (2**n, n, n))
        sets = (subset[:, None] >> np.arange(n)) % 2 == 1
    else:
        sets = rng.random((_SAMPLES, n)) < rng.random((_SAMPLES, 1))
        a, b = rng.integers(n, size=(2, _SAMPLES))
    with_a, with_b = sets | np.eye(n, dtype=bool)[a], sets | np.eye(n, dtype=bool)[b]
    nothing, one, other, both = map(folded.values, (sets, with_a, with_b, with_a | with_b))
    scale = max(1.0, float(np.abs(folded.values(np.ones((1, n), bool))).max()))
    if tolerance is None:
        tolerance = 1e-9 if jnp.result_type(float) == np.float64 else 1e-5
    small = scale * tolerance

    def promise(holds: Any, sentence: str) -> None:
        if not np.all(holds):
            raise UsageError(f"{name}: {sentence}")

    empty = float(folded.values(np.zeros((1, n), bool))[0])
    promise(empty == 0, f"F(empty set) is {empty}, not 0")
    promise(np.isfinite(both), "a value is not finite")
    promise(one - nothing >= -small, f"is not monotone: a gain is {(one - nothing).min():.3g}")
    second = one + other - both - nothing
    promise(second >= -small, f"is not submodular: F(A+a) + F(A+b) - F(A+a+b) - F(A) is {second.min():.3g}")

    for _ in range(8):
        order = rng.permutation(n)
        added, gained, value = folded.along(order)
        differ = np.abs(gained - added).max()
        promise(differ <= small, f"gain and add differ by {differ:.3g}")
        total = np.cumsum(added)
        worst = np.argmax(np.abs(total - value))
        promise(
            np.abs(total - value) <= small, f"gains sum to {total[worst]:.6g}, but F is {value[worst]:.6g}"
        )
        first = folded.along(np.arange(n))[2][-1]
        promise(abs(value[-1] - first) <= small, f"depends on the order: {value[-1]:.6g} and {first:.6g}")


class _Folded:
    """Compiled folds over one ground set."""

    def __init__(self, F: SetFunction, params: PyTree, ground: PyTree) -> None:
        self._many = jax.jit(jax.vmap(lambda mask: evaluate(F, params, ground, mask)))

        def along(order: Array) -> tuple[Array, Array, Array]:
            def body(stat: PyTree, item: PyTree) -> tuple[PyTree, tuple[Array, Array]]:
                gain = F.gain(params, stat, item)
                stat, added = F.add(params, stat, item)
                return stat, (added, gain, F.value(params, stat))

            return jax.lax.scan(body, F.init(params), tree_take(ground, order))[1]

        self._along = jax.jit(along)

    def values(self, masks: np.ndarray) -> np.ndarray:
        """float64[m], F of the subsets `masks` bool[m, n], each distinct one computed once."""
        distinct, back = np.unique(masks, axis=0, return_inverse=True)
        return np.asarray(self._many(distinct), np.float64)[back]

    def along(self, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Three float64[n], after each item of `order`: what `add` returned, `gain` before it, the value."""
        added, gained, value = (np.asarray(x, np.float64) for x in self._along(order))
        return added, gained, value


def _check_structure(name: str, F: SetFunction, params: PyTree, item: PyTree) -> None:
    before = jax.eval_shape(F.init, params)
    after, gain = jax.eval_shape(F.add, params, before, item)
    if before != after:
        raise UsageError(f"{name}: add turns the statistic {before} into {after}; keep its shapes and dtypes")
    for call, out in (("add", gain), ("gain", jax.eval_shape(F.gain, params, before, item))):
        if out.shape != () or not jnp.issubdtype(out.dtype, jnp.floating):
            raise UsageError(
                f"{name}: the gain of {call} is {out.dtype}{list(out.shape)}, not a float scalar"
            )
