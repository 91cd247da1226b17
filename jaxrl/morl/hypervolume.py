"""Hypervolume: the volume that a set of returns dominates above a reference point, all objectives maximised.

    HV(X; z) = volume of the union over x in X of the boxes [z, x]

Exact on the host for any number of objectives, compiled for two and three, and by quasi-Monte-Carlo where the
exact computation is too large: its cost grows exponentially with the number of objectives.

Legend: `n` points, `m` objectives, `z` reference point.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array

# most non-dominated points that are computed exactly, by the number of objectives; more than nine: as nine
LARGEST_EXACT = {2: 1_000_000, 3: 100_000, 4: 400, 5: 200, 6: 100, 7: 80, 8: 60, 9: 50}
_SHIFTS = 16
_TOGETHER = 4  # boxes that one step of the compiled sweep in three objectives takes


class Hypervolume(NamedTuple):
    """A hypervolume and how it was obtained; `low` and `high` equal `value` where it is exact."""

    value: float
    low: float
    high: float
    method: Literal["exact", "quasi-Monte-Carlo"]


def hypervolume(points: Any, reference: Any, samples: int = 1 << 16) -> Hypervolume:
    """Hypervolume of float`[n, m]` points above float`[m]`, exact up to `LARGEST_EXACT` points.

    Beyond that it is estimated by 16 randomly shifted quasi-Monte-Carlo sets of `samples` points in all, with
    the 95 % interval of Student's t over the shifts. Computed in float64 on the host. Raises `UsageError` for
    shapes that do not agree and for numbers that are not finite.
    """
    boxes = _boxes(points, reference)
    if len(boxes) <= LARGEST_EXACT[min(max(boxes.shape[1], 2), 9)]:
        value = _exact(boxes)
        return Hypervolume(value, value, value, "exact")
    return _estimate(boxes, samples)


def exact_hypervolume(points: Any, reference: Any) -> float:
    """Hypervolume of float`[n, m]` points above float`[m]`, however long it takes.

    Raises `UsageError` as `hypervolume` does.
    """
    return _exact(_boxes(points, reference))


def hypervolume_device(points: Array, valid: Array, reference: Array) -> Array:
    """Hypervolume of the valid rows of float`[n, m]` for two or three objectives, float`[]`, compiled.

    valid: bool`[n]`; reference: float`[m]`. Raises `UsageError` for another number of objectives.
    """
    m = points.shape[-1]
    if m not in (2, 3):
        raise UsageError(
            f"points: have {m} objectives; the compiled hypervolume takes 2 or 3, use `hypervolume`"
        )
    size = points - reference[None]
    inside = valid & jnp.all(size > 0, -1)
    first, second, *third = jnp.where(inside[:, None], size, 0).T
    place = jnp.arange(len(first), dtype=jnp.int32)
    # sorting what is needed along with the keys spares gathers, and the order of equal sides does not count
    first, second, order = jax.lax.sort((-first, second, place), num_keys=1, is_stable=False)
    width = -first - jnp.append(-first[1:], 0)
    if m == 2:
        return width @ jax.lax.cummax(second)
    depth, second, rank = jax.lax.sort((-third[0][order], second, place), num_keys=1, is_stable=False)
    thickness = -depth - jnp.append(-depth[1:], 0)
    padding = -len(first) % _TOGETHER
    rows = (jnp.pad(x, (0, padding)).reshape(-1, _TOGETHER) for x in (thickness, second, rank))

    def body(
        carry: tuple[Array, Array], rows: tuple[Array, Array, Array]
    ) -> tuple[tuple[Array, Array], None]:
        height, depths = carry
        for thick, y, first_place in zip(*rows, strict=True):
            height = jnp.maximum(height, jnp.where(place >= first_place, y, 0))
            depths = depths + thick * height
        return (height, depths), None

    # by column of equal first side: the height that is reached, and its integral over the third side
    (_, depths), _ = jax.lax.scan(body, (jnp.zeros_like(width), jnp.zeros_like(width)), tuple(rows))
    return width @ depths


def _boxes(points: Any, reference: Any) -> np.ndarray:
    """Sides of the boxes above the reference point, float64`[k, m]`, of four and more the maximal ones."""
    points, reference = np.asarray(points, np.float64), np.asarray(reference, np.float64)
    if points.ndim != 2 or reference.shape != points.shape[1:] or not len(reference):
        raise UsageError(
            f"points, reference: must be [n, m] and [m], got {list(points.shape)} and {list(reference.shape)}"
        )
    boxes = points - reference
    if not np.isfinite(boxes).all():
        raise UsageError("points, reference: must be finite")
    if boxes.size and boxes.min() <= 0:
        boxes = boxes[(boxes > 0).all(-1)]
    # the sweeps in two and three objectives pass over dominated boxes
    return boxes if boxes.shape[1] < 4 else _maximal(np.unique(boxes, axis=0))


def _maximal(boxes: np.ndarray) -> np.ndarray:
    """The rows that no other row is at least as large as in every coordinate; of equal rows the first."""
    # a dominating row has a larger sum, so that a row is compared with the kept rows alone
    boxes = boxes[np.argsort(-boxes.sum(-1), kind="stable")]
    if len(boxes) > 512:
        keep = np.zeros(len(boxes), bool)
        for i, box in enumerate(boxes):
            keep[i] = not (boxes[:i][keep[:i]] >= box).all(-1).any()
        return boxes[keep]
    at_least = (boxes[:, None] >= boxes[None]).all(-1)
    return boxes[~np.triu(at_least, 1).any(0)]


def _exact(boxes: np.ndarray) -> float:
    """Volume of the union of boxes that start at zero, float64`[k, m]`.

    Sorted by the last side, box k adds its last side times what the boxes before it leave of its base, which
    is a hypervolume of one objective less: that of their bases cut to its own.
    """
    m = boxes.shape[1]
    if not len(boxes):
        return 0.0
    if m == 1:
        return float(boxes.max())
    if m == 2:
        boxes = boxes[np.argsort(-boxes[:, 0], kind="stable")]
        return float((boxes[:, 0] - np.append(boxes[1:, 0], 0)) @ np.maximum.accumulate(boxes[:, 1]))
    order = np.argsort(-boxes[:, -1], kind="stable")
    if m == 3:
        return _exact_three(*boxes.T[:, order].tolist())
    boxes = boxes[order]
    bases = boxes[:, :-1]
    volume = 0.0
    for k, (base, last) in enumerate(zip(bases, boxes[:, -1], strict=True)):
        volume += last * (math.prod(base) - _exact(_maximal(np.minimum(bases[:k], base))))
    return float(volume)


def _exact_three(first: list[float], second: list[float], last: list[float]) -> float:
    """Volume of boxes, by their sides in descending order of the last one, by a sweep over their bases.

    A box adds its last side times what its base adds to the union of the bases before it. The union is a
    staircase: a step is found by bisection, and every box adds one step and removes those that it covers.
    """
    # corners of the union of bases, x ascending and y descending, between two that are never reached
    xs, ys = [0.0, math.inf], [math.inf, 0.0]
    volume = 0.0
    for x, y, z in zip(first, second, last, strict=True):
        right = bisect_right(xs, x)
        level = ys[right]
        if level >= y:
            continue
        left = right - 1
        begin, top = xs[left], ys[left]
        added = (x - begin) * (y - level)
        if top >= y:  # no corner is covered
            volume += z * added
            xs.insert(right, x)
            ys.insert(right, y)
            continue
        while top < y:
            left -= 1
            end, level = begin, top
            begin, top = xs[left], ys[left]
            added += (end - begin) * (y - level)
        volume += z * added
        left += 1
        xs[left], ys[left] = x, y
        if left + 1 < right:
            del xs[left + 1 : right], ys[left + 1 : right]
    return volume


def _estimate(boxes: np.ndarray, samples: int) -> Hypervolume:
    """Quasi-Monte-Carlo estimate of the volume of boxes float64[k, m].

    A box is drawn in proportion to its volume and a point uniformly in it; the reciprocal of the number of
    boxes that hold the point, times the sum of all volumes, has the volume of the union as its mean (Karp and
    Luby, 1985), with a relative error that does not grow with the number of objectives.
    """
    from scipy import stats

    volumes = boxes.prod(-1)
    total = volumes.sum()
    m = boxes.shape[1]
    per_shift = max(1, samples // _SHIFTS)
    # additive recurrence with the powers of the root of x^(d+1) = x + 1 (Roberts 2018), d = m + 1
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (m + 2))
    steps = root ** -np.arange(1.0, m + 2)
    shifts = np.random.default_rng(0).random((_SHIFTS, 1, m + 1))
    draws = (shifts + np.arange(per_shift)[:, None] * steps) % 1.0
    chosen = np.searchsorted(np.cumsum(volumes) / total, draws[..., 0], side="right").clip(max=len(boxes) - 1)
    inside = draws[..., 1:] * boxes[chosen]
    means = np.array([_mean_reciprocal(x, boxes) for x in inside]) * total
    half = stats.t.ppf(0.975, _SHIFTS - 1) * means.std(ddof=1) / math.sqrt(_SHIFTS)
    value = float(means.mean())
    return Hypervolume(value, value - float(half), value + float(half), "quasi-Monte-Carlo")


def _mean_reciprocal(inside: np.ndarray, boxes: np.ndarray) -> float:
    """Mean of one over the number of boxes that hold a point, over points float64`[k, m]`."""
    count = np.zeros(len(inside))
    for box in boxes:
        count += (inside <= box).all(-1)
    return float((1 / np.maximum(count, 1)).mean())
