"""Where the parameter lies in the ellipsoid, PLAN is optimistic, and by at most the bonuses on its own path.

Statement. If |theta - theta*| <= beta in the metric of Gram, the values V of PLAN with theta, beta and
ceiling H satisfy V_1 >= V*_1, and those of its policy pi
    V_1 - V_1^pi <= E_{theta*, pi} sum_h min{H, 2 beta |psi_{V_{h+1}}(s_h, a_h)|}.
(zhang2021rewardfree, lemma on PLAN.)

Check. 200 random mixtures with an estimate on the boundary, random rewards in [0, 1], H = 4, every first
state.
"""

from __future__ import annotations

import numpy as np

from theory.exact.result import Result, inequality
from theory.reward_free import definitions
from theory.reward_free.instances import random_mixture

H = 4


def instance(seed: int) -> tuple[np.ndarray, ...]:
    """phi, theta*, theta, Gram, reward `[H, S, A]`, beta; 4 states, 2 actions, d = 3."""
    rng = np.random.default_rng(seed)
    mixture, beta = random_mixture(seed, 4, 2, 3), rng.uniform(0.02, 0.3)
    root = rng.normal(size=(3, 3)) * 2
    gram = root @ root.T + 0.5 * np.eye(3)
    # optimism is tight where the estimate is too small in all directions at once
    z = np.linalg.cholesky(gram).T @ -mixture.theta + 0.3 * rng.normal(size=3)
    away = np.linalg.solve(np.linalg.cholesky(gram).T, z / np.linalg.norm(z))
    return mixture.phi, mixture.theta, mixture.theta + beta * away, gram, rng.random((H, 4, 2)), beta


def check(share: float = 1.0) -> Result:
    """V* - V and V - V^pi minus the bonuses; `share` of beta is the radius of PLAN."""
    left, right = [], []
    for seed in range(200):
        phi, theta, estimate, gram, reward, beta = instance(seed)
        best, bonuses = np.zeros(4), np.zeros(4)
        plan = definitions.plan(phi, estimate, gram, reward, share * beta, H)
        for h in reversed(range(H)):
            best = (reward[h] + definitions.integrated(phi, best) @ theta).max(-1)
            at = np.arange(4), plan.policy[h]
            x = definitions.integrated(phi, plan.V[h + 1])
            bonus = np.minimum(H, 2 * share * beta * definitions.norm(x, gram))
            bonuses = (bonus + definitions.integrated(phi, bonuses) @ theta)[at]
        left += [best, plan.V[0] - definitions.values(phi, theta, plan.policy, reward)[0]]
        right += [plan.V[0], bonuses]
    return inequality(left, right)


def broken() -> Result:
    """Half of the radius."""
    return check(share=0.5)
