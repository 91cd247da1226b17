"""What a problem of instrumental regression hands to an estimator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Sample(NamedTuple):
    """`n` observations: treatment x `[n, dx]`, instrument z `[n, dz]`, outcome y `[n]`, truth f0(x) `[n]`.

    All float64. An estimator may read x, z, y; `truth` is for scores alone.
    """

    x: np.ndarray
    z: np.ndarray
    y: np.ndarray
    truth: np.ndarray

    def rows(self, index: np.ndarray | slice) -> Sample:
        """The observations at `index`."""
        return Sample(*(a[index] for a in self))


class Scale(NamedTuple):
    """Affine map of every column to mean 0 and (population) standard deviation 1."""

    mean: np.ndarray
    sd: np.ndarray

    @staticmethod
    def of(a: np.ndarray) -> Scale:
        """Moments over the first axis of `a [n, ...]`; ValueError for a constant column."""
        mean, sd = a.mean(0), a.std(0)
        if not np.all(sd > 0):
            raise ValueError("scale: a column is constant and cannot be standardised; drop it")
        return Scale(mean, sd)

    def to(self, a: np.ndarray) -> np.ndarray:
        """`a [n, ...]` in units of the scale."""
        return (a - self.mean) / self.sd

    def back(self, a: np.ndarray) -> np.ndarray:
        """Inverse of `to`."""
        return a * self.sd + self.mean


def mse(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared error of `prediction [n]` against `truth [n]`; ValueError where shapes differ."""
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction: shape {prediction.shape} is not that of the truth, {truth.shape}")
    return float(np.mean(np.square(prediction - truth)))
