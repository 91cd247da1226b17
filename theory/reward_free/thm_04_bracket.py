"""The worst planning error lies between alternating linear programmes and twice the bound on total variation.

Statement. For fixed deterministic policies (pi, pi') the largest d^pi_P r - d^pi'_P r over r in R with pi'
optimal under Q is a linear programme, and the worst planning error is the largest of these optima. From
below it is bounded by any reward found, from above by 2 min{1, U} with
    U_h(s) = max_a [TV(P, Q)(s, a) + sum_x P(x | s, a) U_{h+1}(x)],   U_H = 0.

Check. Eight random pairs with two states and actions and H = 2, all 64 pairs of policies each: the lower
end meets the optimum, and the upper end lies above it and above the exact total variation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from theory.exact import planning_error
from theory.exact.result import Result
from theory.reward_free.instances import random_pair

TOLERANCE = 1e-8
Lower = Callable[[np.ndarray, np.ndarray, int], float]


def instance() -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of kernels."""
    return [random_pair(seed) for seed in range(8)]


def check(lower: Lower = lambda P, Q, H: planning_error.lower(P, Q, H).value) -> Result:
    """Largest distance of the lower end to the exact value, and violation of the upper end."""
    errors = []
    for P, Q in instance():
        exact = planning_error.exact(P, Q, 2).value
        twice = 2 * planning_error.largest_total_variation(P, Q, 2)
        upper = planning_error.upper(P, Q, 2)
        errors += [abs(lower(P, Q, 2) - exact), exact - twice, twice - upper]
    measured = float(max(errors))
    return Result(measured, TOLERANCE, measured <= TOLERANCE)


def broken() -> Result:
    """The largest error over rewards that pay single states at one stage, the usual battery."""
    battery = np.repeat(np.einsum("hk,st->hskt", np.eye(2), np.eye(2)).reshape(4, 2, 2)[..., None], 2, -1)
    return check(lambda P, Q, H: planning_error.plans(P, Q, battery).error.max())
