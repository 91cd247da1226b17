"""Power laws: fitted exponents with intervals, and how figures and tables show them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from jaxrl.report import plots, statistics
from jaxrl.report.tables import Score


class Slope(NamedTuple):
    """A fitted exponent.

    value: the exponent. low, high: its 95 % interval, None where the data give none. note: what the interval
    was made from.
    """

    value: float
    low: float | None
    high: float | None
    note: str

    def __str__(self) -> str:
        return f"{self.value:.3f}" + ("" if self.low is None else f" [{self.low:.3f}, {self.high:.3f}]")

    def score(self) -> Score:
        """The exponent as one line of a table, with its own interval."""
        interval = None if self.low is None or self.high is None else (self.low, self.high)
        return Score(np.array([self.value]), interval=interval, note=self.note)


def slope(x: np.ndarray, y: np.ndarray) -> Slope:
    """Least-squares exponent of the root mean square over draws of y `[draws, n]`, against sizes x `[n]`.

    The interval is that of the regression over sizes (Student's t, n - 2 degrees of freedom), which takes
    the residuals of different sizes to be independent; two sizes give none.
    """
    x, y = np.log(np.asarray(x, np.float64)), np.asarray(y, np.float64)
    note = f"regression over {len(x)} sizes, {len(y)} draws"
    fitted = stats.linregress(x, np.log(np.mean(y**2, axis=0)) / 2)
    if len(x) < 3:
        return Slope(float(fitted.slope), None, None, note)
    reach = stats.t.ppf(0.975, len(x) - 2) * fitted.stderr
    return Slope(float(fitted.slope), float(fitted.slope - reach), float(fitted.slope + reach), note)


def slope_of_draws(x: np.ndarray, y: np.ndarray) -> Slope:
    """Mean exponent of the draws of y `[draws, n]`, with Student's t interval over draws; one draw has none.

    For points of one curve, whose deviations from the line are not independent of each other.
    """
    found = slopes(x, y)
    interval = statistics.mean_interval(found[:, None])
    low, high = (None, None) if interval is None else map(float, interval)
    return Slope(float(found.mean()), low, high, f"n = {len(found)}")


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`[draws]`, the exponent of every draw of y `[draws, n]` by itself."""
    return np.polyfit(np.log(x), np.log(np.asarray(y).T), 1)[0]


def power_law(ax: Any, x: np.ndarray, y: np.ndarray, exponent: float, label: str) -> None:
    """A dotted line of slope `exponent` through the last point of y `[n]`."""
    x = np.asarray(x)
    ax.plot(x, y[-1] * (x / x[-1]) ** exponent, color=plots.GREY, linewidth=1, linestyle=":", label=label)
