"""ReCOIL matches mixtures, for every policy, without a reward and without coverage.

Statement. For gamma < 1, beta in (0, 1), a policy pi with occupancy d, any distributions d^E and d^S, y =
gamma P^pi Q - Q:
    -D_f(beta d + (1 - beta) d^S || beta d^E + (1 - beta) d^S)
        = min_Q beta (1 - gamma) E_{d0, pi}[Q] + E_mix[f*(y)] - (1 - beta) E_dS[y]
(sikchi2024dual). If d^E is an occupancy, the maximum over pi is 0, attained by d^E alone, wherever d^S has
weight.

Check. 20 random MDPs, random policies, beta 0.1, 0.5, 0.9, divergences in turn; d^S lacks the expert's
action in 3 of 5 states. Value of the Q form, and value and occupancy of the V form.
"""

from __future__ import annotations

import itertools

import numpy as np

from jaxrl.dual_rl.divergences import DIVERGENCES
from theory.dual_rl.duality import recoil_q, recoil_v, recoil_value
from theory.dual_rl.reference import Problem, random_problems
from theory.exact.occupancy import discounted_occupancy, policy_of
from theory.exact.result import Result, identity
from theory.exact.tables import random_policies


def instance(seed: int, n: int = 20) -> tuple[list[Problem], np.ndarray]:
    """`n` random problems with uncovered experts and a policy `[n, 5, 3]` for each."""
    return random_problems(seed, n, uncovered=3), random_policies(seed + 1000, n, 5, 3)


def check(mixed: bool = True) -> Result:
    """Left minus right, and V form minus the expert."""
    errors, choices = [], itertools.cycle(itertools.product(DIVERGENCES, (0.1, 0.5, 0.9)))
    for (problem, noise), (key, beta) in zip(zip(*instance(11), strict=True), choices, strict=False):
        mdp, d_e, d_s = problem.mdp, problem.d_e, problem.d_s
        # within the support of the mixture, so that every divergence is finite
        pi = (policy_of(d_e) + policy_of(d_s) * noise) / (1 + policy_of(d_s) * noise).sum(1, keepdims=True)
        pi = pi / pi.sum(1, keepdims=True)
        d = discounted_occupancy(mdp, pi)
        value = recoil_value(d, d_e, d_s if mixed else d_e, beta, key)
        best = recoil_v(mdp, d_e, d_s, beta, key)
        errors += [recoil_q(mdp, pi, d_e, d_s, beta, key).value - value, best.value]
        errors.append(np.abs(best.d - d_e).max())
    return identity(np.array(errors))


def broken() -> Result:
    """Mixtures with the expert in place of the suboptimal data."""
    return check(mixed=False)
