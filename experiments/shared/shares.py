"""Shares of runs for which something holds, as a table reports them."""

from __future__ import annotations

import numpy as np

from jaxrl.report.statistics import proportion_interval
from jaxrl.report.tables import Score


def share(
    holds: np.ndarray,
    among: np.ndarray | None = None,
    *,
    better: str | None = None,
    note: str = "",
    derived: bool = True,
) -> Score:
    """The share of members `holds` bool[M], with Clopper and Pearson's interval at every number of members.

    among: bool[M], the members that are counted, by default all; the values of others are NaN, and without
    any there is no interval. better, note, derived: as in `Score`.
    """
    counted = np.ones(len(holds), bool) if among is None else np.asarray(among, bool)
    holds, n = np.asarray(holds, bool), int(counted.sum())
    interval = proportion_interval(int((holds & counted).sum()), n) if n else None
    return Score(np.where(counted, holds.astype(float), np.nan), better, interval, note, derived)
