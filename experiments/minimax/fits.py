"""Power laws: slopes with intervals, and how figures say them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 2000


class Slope(NamedTuple):
    """value: fitted exponent; low, high: its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def slope(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Slope:
    """Least squares exponent of the root mean square over draws of y `[draws, n]`, against x `[n]`.

    The interval is a bootstrap of whole draws; with one draw that of the regression (Student's t).
    """
    x, y = np.log(np.asarray(x, np.float64)), np.asarray(y, np.float64)

    def fitted(rows: np.ndarray) -> np.ndarray:
        mean = np.log(np.mean(rows**2, axis=-2)) / 2
        return mean @ (x - x.mean()) / np.sum((x - x.mean()) ** 2)

    value = float(fitted(y))
    if len(y) == 1:
        error = stats.linregress(x, np.log(y[0])).stderr if len(x) > 2 else np.nan
        reach = stats.t.ppf(0.975, max(1, len(x) - 2)) * error
        return Slope(value, value - reach, value + reach)
    draws = np.random.default_rng(seed).integers(0, len(y), (RESAMPLES, len(y)))
    low, high = np.percentile(fitted(y[draws]), (2.5, 97.5))
    return Slope(value, float(low), float(high))


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`[draws]`, the exponent of every draw of y `[draws, n]` by itself."""
    return np.polyfit(np.log(x), np.log(np.asarray(y).T), 1)[0]


def power_law(ax, x: np.ndarray, y: np.ndarray, exponent: float, label: str) -> None:
    """A dotted line of slope `exponent` through the last point of y `[n]`."""
    x = np.asarray(x)
    ax.plot(x, y[-1] * (x / x[-1]) ** exponent, color=GREY, linewidth=1, linestyle=":", label=label)


GREY = "#5f6670"
