"""Measures of a set of vector returns, all objectives maximised.

    EU(X)   = mean over w in a grid of max_x w . x                expected utility
    SP(X)   = 1/(|X|-1) sum_k sum_i (v^k_(i+1) - v^k_(i))^2        sparsity, v^k sorted by objective
    MUL(X)  = max over w of (max_v w . v - max_x w . x)           maximum utility loss against a front
    gap(X)  = 1 - HV(X; z) / HV(hull; z)                          hull gap

The hypervolume has a file of its own, `hypervolume.py`.

Legend: `n` points, `m` objectives, `z` reference point, `W` preferences.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.morl.hypervolume import exact_hypervolume, hypervolume


class UtilityLoss(NamedTuple):
    """The largest loss of utility against a front, and the preference at which it occurs."""

    loss: float
    """Largest difference of utilities, in units of the returns; 0 where nothing is lost."""
    weights: np.ndarray
    """Preference float64`[m]` with that loss."""


class Certified(NamedTuple):
    """A lower confidence bound on the hypervolume of a set of policies."""

    value: float
    """Hypervolume of the lower confidence corners."""
    sampled: float
    """Hypervolume of the sample means, which is biased upwards."""
    without_spread: int
    """Number of policies whose episodes were all alike in some objective: no interval there."""


def weight_lattice(m: int, step: float) -> np.ndarray:
    """All preferences float64`[W, m]` whose entries are multiples of `step` and add up to one.

    Rows are in ascending lexicographic order. Raises `UsageError` unless `1 / step` is an integer and `m` is
    at least 1.
    """
    parts = round(1 / step) if step > 0 else 0
    if m < 1 or parts < 1 or abs(parts * step - 1) > 1e-9:
        raise UsageError(f"m, step: need m >= 1 and 1 / step an integer, got {m} and {step}")
    bars = itertools.combinations(range(parts + m - 1), m - 1)
    ends = [(-1, *bar, parts + m - 1) for bar in bars]
    return (np.diff(np.array(ends), axis=-1) - 1) / parts


def expected_utility(points: Array, valid: Array, weights: Array) -> Array:
    """Mean over preferences float`[W, m]` of the best utility among valid rows of float`[n, m]`; float`[]`.

    valid: bool`[n]`; -inf if none is.
    """
    utility = jnp.where(valid[:, None], points @ weights.T, -jnp.inf)
    return utility.max(0).mean()


def sparsity(points: Any) -> float:
    """Sum of squared gaps between neighbours in each objective, by the number of distinct points less one.

    points: float`[n, m]`, non-dominated; 0 for fewer than two distinct ones. For three objectives and more
    the neighbours differ from objective to objective, so that it is not a distance between points.
    """
    points = np.unique(np.asarray(points, np.float64), axis=0)
    if len(points) < 2:
        return 0.0
    return float((np.diff(np.sort(points, axis=0), axis=0) ** 2).sum() / (len(points) - 1))


def crowding(points: Array, valid: Array) -> Array:
    """Crowding distance of every row of float`[n, m]`, float`[n]`; -inf for rows that are not valid.

    In each objective the two ends have distance inf and a row between them the gap of its two neighbours by
    the range; the distances add up over objectives. Sorting is stable, and an objective without range adds 0
    to rows between the ends (Deb et al. 2002).
    """
    place, last = jnp.arange(len(points)), valid.sum() - 1

    def of(value: Array) -> Array:
        order = jnp.argsort(jnp.where(valid, value, jnp.inf), stable=True)
        ordered = value[order]
        spread = ordered[last] - ordered[0]
        gap = jnp.roll(ordered, -1) - jnp.roll(ordered, 1)
        scaled = jnp.where(spread > 0, gap / jnp.where(spread > 0, spread, 1), 0)
        return jnp.zeros_like(value).at[order].set(jnp.where((place == 0) | (place == last), jnp.inf, scaled))

    # empty rows may hold -inf: 0 keeps the gaps free of NaN
    distance = jax.vmap(of, 1, 1)(jnp.where(valid[:, None], points, 0)).sum(-1)
    return jnp.where(valid, distance, -jnp.inf)


def maximum_utility_loss(points: Any, front: Any) -> UtilityLoss:
    """Largest loss of utility of float`[n, m]` points against the vertices float`[k, m]` of an exact front.

    One linear programme per vertex: the largest c such that w . vertex >= w . x + c for all points x. Raises
    `UsageError` for numbers that are not finite and for points and vertices of different lengths.
    """
    from scipy.optimize import linprog

    points = _points("points", points)
    m = points.shape[1]
    front = _points("front", front, m)
    best = UtilityLoss(0.0, np.full(m, 1 / m))
    for vertex in front:
        out = linprog(
            np.r_[np.zeros(m), -1.0],
            A_ub=np.c_[points - vertex, np.ones(len(points))],
            b_ub=np.zeros(len(points)),
            A_eq=np.r_[np.ones(m), 0.0][None],
            b_eq=[1.0],
            bounds=[(0, None)] * m + [(None, None)],
        )
        if -out.fun > best.loss:
            best = UtilityLoss(-float(out.fun), out.x[:m])
    return best


def hull_hypervolume(points: Any, reference: Any) -> float:
    """Volume above float`[m]` that mixtures of the float`[n, m]` points dominate.

    That is the volume of the convex hull of the points and of their projections on the coordinate planes
    through the reference point. Points that do not exceed the reference everywhere add what their mixtures do
    only where they lie on or above it. Raises `UsageError` for numbers that are not finite and for a
    reference of another length.
    """
    from scipy.spatial import ConvexHull

    points = _points("points", points)
    reference = _points("reference", [reference], points.shape[1])[0]
    above = points[(points >= reference).all(-1)] - reference
    m = points.shape[1]
    if not len(above) or exact_hypervolume(above, np.zeros(m)) == 0:
        return 0.0
    if m == 1:
        return float(above.max())
    corners = np.array(list(itertools.product((0.0, 1.0), repeat=m)))
    return float(ConvexHull(np.unique((above[:, None] * corners).reshape(-1, m), axis=0)).volume)


def hull_gap(points: Any, front: Any, reference: Any) -> float:
    """Share of the hypervolume of the mixtures of an exact `front` that the points do not dominate.

    points: float`[n, m]`; front: float`[k, m]`, vertices of the convex coverage set; reference: float`[m]`.
    Raises `UsageError` where the front dominates no volume above the reference.
    """
    whole = hull_hypervolume(front, reference)
    if whole == 0:
        raise UsageError(
            f"front: dominates no volume above {np.asarray(reference).tolist()}; choose it lower"
        )
    return 1 - hypervolume(points, reference).value / whole


def attainment(fronts: list[Any], share: float, grid: Any) -> np.ndarray:
    """Attainment surface of several runs in two objectives: float64`[g]` over a grid of the first objective.

    At `grid[i]` it is the largest second objective that at least `share` of the runs reach together with a
    first objective of at least `grid[i]`; -inf where fewer runs reach so far (Grunert da Fonseca et al.
    2001). Raises `UsageError` unless there is a front, every front is float`[n, 2]`, and 0 < share <= 1.
    """
    if not fronts:
        raise UsageError("fronts: holds none; pass the front of one run or more")
    grid = np.asarray(grid, np.float64)
    if not 0 < share <= 1:
        raise UsageError(f"share: must be above 0 and at most 1, got {share}")
    best = np.full((len(fronts), len(grid)), -np.inf)
    for i, front in enumerate(fronts):
        front = np.asarray(front, np.float64)
        if front.ndim != 2 or front.shape[1] != 2:
            raise UsageError(f"fronts[{i}]: must be [n, 2], got {list(front.shape)}")
        reached = np.where(front[:, :1] >= grid, front[:, 1:], -np.inf)
        best[i] = reached.max(0, initial=-np.inf)
    needed = int(np.ceil(share * len(fronts) - 1e-9))
    return -np.sort(-best, axis=0)[needed - 1]


def certified_hypervolume(returns: Any, reference: Any, confidence: float = 0.95) -> Certified:
    """Lower confidence bound on the hypervolume of policies from fresh episodes, float`[n, episodes, m]`.

    The corners are mean - t sd / sqrt(episodes), with the one-sided quantile of Student's t at a level shared
    by all n m means (Bonferroni); the hypervolume grows in every coordinate, so that the true one is at least
    that with the stated confidence. Raises `UsageError` for no policy, fewer than two episodes, and numbers
    that are not finite. Fifty episodes and more are wanted: an interval without width is a false certainty
    where a rare event was not seen.
    """
    from scipy import stats

    returns = np.asarray(returns, np.float64)
    if returns.ndim != 3 or returns.shape[1] < 2 or not returns.size:
        raise UsageError(
            f"returns: must be [policies, 2 episodes or more, objectives], got {list(returns.shape)}"
        )
    if not np.isfinite(returns).all():
        raise UsageError("returns: must be finite")
    n, episodes, m = returns.shape
    mean, spread = returns.mean(1), returns.std(1, ddof=1)
    quantile = stats.t.ppf(1 - (1 - confidence) / (n * m), episodes - 1)
    corners = mean - quantile * spread / np.sqrt(episodes)
    return Certified(
        hypervolume(corners, reference).value,
        hypervolume(mean, reference).value,
        int((spread == 0).any(-1).sum()),
    )


def _points(name: str, points: Any, m: int | None = None) -> np.ndarray:
    """Finite rows float64[n, m], checked."""
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or not points.size:
        raise UsageError(f"{name}: must be [n, m] with at least one row, got {list(points.shape)}")
    if m is not None and points.shape[1] != m:
        raise UsageError(f"{name}: must have {m} objectives as the points have, got {points.shape[1]}")
    if not np.isfinite(points).all():
        raise UsageError(f"{name}: must be finite")
    return points
