"""Instances of subset selection for both libraries; numpy alone, for the peer's environment has no jax."""

from __future__ import annotations

import hashlib

import numpy as np

WHAT = ("facility-naive", "facility-lazy", "feature-naive")


def similarity(n: int) -> np.ndarray:
    """float64[n, n], Gaussian similarities of points in five dimensions."""
    x = np.random.default_rng(0).normal(size=(n, 5))
    return np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / 2)


def features(n: int) -> np.ndarray:
    """float64[n, 20] >= 0, most of them small."""
    return np.random.default_rng(1).random((n, 20)) ** 3


def digest(selection: np.ndarray) -> str:
    """The hash of the chosen indices in their order: equal for equal selections."""
    return hashlib.sha256(np.asarray(selection, np.int64).tobytes()).hexdigest()[:12]
