"""Aggregates of scores over runs and tasks, with stratified bootstrap intervals (Agarwal et al., 2021).

Legend: scores `x` are `[..., n, m]`, `n` runs (seeds) of `m` tasks; leading axes (curve points, resamples)
are kept. A score that is not finite is refused: sorting would rank a diverged run above every other one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_CHUNK = 2_000_000  # numbers drawn at a time by the bootstrap: about 16 MB


def iqm(x: np.ndarray) -> np.ndarray:
    """Interquartile mean `[...]`: all `n m` values pooled, `floor(n m / 4)` cut at each end."""
    x = _scores(x)
    pooled = np.sort(x.reshape(*x.shape[:-2], -1), axis=-1)
    cut = pooled.shape[-1] // 4
    return pooled[..., cut : pooled.shape[-1] - cut].mean(-1)


def mean(x: np.ndarray) -> np.ndarray:
    """Mean `[...]` over runs and tasks."""
    return _scores(x).mean((-2, -1))


def median(x: np.ndarray) -> np.ndarray:
    """Median `[...]` over tasks of the mean over runs."""
    return np.median(_scores(x).mean(-2), -1)


def optimality_gap(x: np.ndarray) -> np.ndarray:
    """Mean shortfall `[...]` from the normalised score 1; what exceeds 1 does not count."""
    return 1.0 - np.minimum(_scores(x), 1.0).mean((-2, -1))


def probability_of_improvement(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """P(X > Y) `[...]`: mean over tasks of the Mann-Whitney fraction, ties 1/2; `y` may have other `n`."""
    x, y = _scores(x)[..., :, None, :], _scores(y)[..., None, :, :]
    return ((x > y) + 0.5 * (x == y)).mean((-3, -2, -1))


def performance_profile(x: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Fraction `[..., k]` of all runs whose score exceeds each of the thresholds `[k]`."""
    x = _scores(x)
    return (x[..., None] > np.asarray(thresholds)).mean((-3, -2))


def bootstrap(
    statistic: Callable[..., np.ndarray],
    *scores: np.ndarray,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval `(low, high)`, each shaped like `statistic(*scores)`.

    Stratified: for each task the `n` runs are drawn with replacement, independently of the other tasks and of
    the other arguments. All leading axes share the draws, so that a curve is resampled by whole runs.
    """
    if resamples < 1:
        raise ValueError(f"resamples: must be >= 1, got {resamples}")
    if not 0 < level < 1:
        raise ValueError(f"level: must lie in (0, 1), got {level}")
    arrays = [_scores(x) for x in scores]
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK // sum(x.size for x in arrays))
    draws = [
        statistic(*(_resample(rng, x, min(size, resamples - done)) for x in arrays))
        for done in range(0, resamples, size)
    ]
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(np.concatenate(draws), (tail, 100.0 - tail), axis=0)
    return low, high


def diverged_as_worst(x: np.ndarray, worst: float) -> np.ndarray:
    """Scores with every value that is not finite replaced by `worst`: an aggregate over all planned runs."""
    x = np.asarray(x, np.float64)
    return np.where(np.isfinite(x), x, worst)


def _resample(rng: np.random.Generator, x: np.ndarray, count: int) -> np.ndarray:
    """`[count, ..., n, m]`: runs drawn with replacement, each task its own draw."""
    n, m = x.shape[-2:]
    index = rng.integers(0, n, (count, n, m))
    return np.moveaxis(x[..., index, np.arange(m)], -3, 0)


def _scores(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    if x.ndim < 2 or x.shape[-1] == 0 or x.shape[-2] == 0:
        raise ValueError(f"scores: expected [..., n runs, m tasks] with n, m >= 1, got shape {x.shape}")
    bad = int(np.count_nonzero(~np.isfinite(x)))
    if bad:
        raise ValueError(
            f"scores: {bad} of {x.size} are not finite; report them, then aggregate the finished runs or"
            " `diverged_as_worst`"
        )
    return x
