"""Weighting by what an action can still change has less variance: marginal < to_go < prefix < total.

Statement. On 2 x 2 coverage with weights 1 .. 4, three uniform actions from cell 0, the estimators of one
trajectory have covariances of trace 5.9091456 (marginal), 16.9925376 (to_go), 28.4627456 (prefix), 44.7301376
(total). So the released weights are both biased and noisier than the unbiased ones.

Check. The quotients of neighbours, from all trajectories, at most 1.
"""

from __future__ import annotations

import numpy as np

from theory.exact.result import Result, inequality
from theory.submodular.estimators import samples, variance, weights
from theory.submodular.instances import Problem, coverage

ORDER = ("marginal", "to_go", "prefix", "total")


def instance() -> tuple[Problem, np.ndarray]:
    """The problem and logits `[3, 4, 5]` of the uniform policy."""
    return coverage("E"), np.zeros((3, 4, 5))


def traces() -> dict[str, float]:
    """The variance of every credit in `ORDER`, and of the gains to come of single states ("modular")."""
    x = samples(*instance())
    return {credit: variance(x, weights(credit, x)) for credit in (*ORDER, "modular")}


def check(order: tuple[str, ...] = ORDER) -> Result:
    """Each variance against the next one."""
    found = np.array([traces()[credit] for credit in order])
    return inequality(found[:-1] / found[1:], 1.0)


def broken() -> Result:
    """The claim with total and to_go exchanged."""
    return check(("marginal", "total", "prefix", "to_go"))
