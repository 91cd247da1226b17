"""Rows of arrays beside the space that they should come from, and their weights.

Legend: `n` rows.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete, Space, is_space
from jaxrl.core.types import PyTree


def misfit(tree: PyTree, space: Space) -> str | None:
    """What keeps rows `[n, ...]` from a space in structure, shape or kind, to end a sentence, or None."""
    spaces, treedef = jax.tree.flatten(space, is_leaf=is_space)
    try:
        leaves = treedef.flatten_up_to(tree)
    except ValueError:
        return f"has the structure {jax.tree.structure(tree)}, the space {treedef}; nest the arrays likewise"
    for part, x in zip(spaces, leaves, strict=True):
        if not hasattr(x, "shape"):
            return f"holds a {type(x).__name__} where the space has an array; nest the arrays likewise"
        if x.shape[1:] != part.shape:
            return f"has shape {x.shape[1:]} per row, the space {part.shape}; reshape the array"
        if isinstance(part, Discrete) and x.dtype.kind not in "iu":
            return f"has type {x.dtype}; the space is discrete, give integers"
        if isinstance(part, Box) and (x.dtype.kind == "f") != np.issubdtype(part.dtype, np.floating):
            kind = "floats" if np.issubdtype(part.dtype, np.floating) else "integers"
            return f"has type {x.dtype}; the space has {kind}, convert the array"
    return None


def outside(tree: PyTree, space: Space, *, boxes: bool = True) -> np.ndarray:
    """bool[n], the rows that lie outside a space which they fit otherwise (`misfit`).

    Bounds are extended by the rounding of float32. boxes: False leaves parts that are a `Box` unchecked.
    """
    spaces, treedef = jax.tree.flatten(space, is_leaf=is_space)
    bad = np.zeros(len(jax.tree.leaves(tree)[0]), bool)
    for part, x in zip(spaces, treedef.flatten_up_to(tree), strict=True):
        if isinstance(part, Box) and not boxes:
            continue
        low, high = _bounds(part)
        values = np.asarray(x)
        bad |= ~((values >= low) & (values <= high)).reshape(len(values), -1).all(1)
    return bad


def bounds_of(space: Space) -> str:
    """The bounds of a space in words, for a message."""
    if isinstance(space, Discrete):
        return f"[0, {space.n - 1}]"
    return f"[{space.low}, {space.high}]" if isinstance(space, Box) else f"the bounds of {space}"


def _bounds(part: Discrete | Box) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(part, Discrete):
        return np.asarray(0), np.asarray(part.n - 1)
    low, high = (np.asarray(bound, np.float64) for bound in (part.low, part.high))
    if not np.issubdtype(part.dtype, np.floating):
        return low, high
    half = np.where(np.isfinite(low) & np.isfinite(high), high / 2 - low / 2, 0)
    ends = [np.where(np.isfinite(bound), np.abs(bound), 0) for bound in (low, high)]
    margins = [1e-6 * np.maximum(half, 1) + 2.0**-23 * end for end in ends]
    return low - margins[0], high + margins[1]


def check_weights(mask: Any, name: str) -> None:
    """Raises `UsageError` for weights `[n]` by which no row can be drawn; tracers pass.

    A weight is negative or not finite, all are zero, or their sum is beyond the normal numbers of float32.
    """
    if mask is None or not on_host(mask):
        return
    weights = np.asarray(mask)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UsageError(f"{name}: is {weights[row]} in row {row}; weights must be finite and >= 0")
    if not (weights > 0).any():
        raise UsageError(f"{name}: is zero in every row, so no row can be drawn; give one a weight")
    total, limits = float(weights.sum(dtype=np.float64)), np.finfo(np.float32)
    if not float(limits.tiny) <= total <= float(limits.max):
        raise UsageError(f"{name}: sums to {total:g}, which float32 cannot hold; divide all by the largest")


def on_host(tree: PyTree) -> bool:
    """Whether the leaves have values, which tracers and `ShapeDtypeStruct` do not."""
    return not any(isinstance(x, jax.core.Tracer | jax.ShapeDtypeStruct) for x in jax.tree.leaves(tree))
