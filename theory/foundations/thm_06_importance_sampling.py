"""Per-decision importance sampling is unbiased.

Statement. For policies pi, mu with mu > 0 wherever pi > 0 and episodes of H steps,
    E_mu [ sum_t gamma^t (prod_{k <= t} pi(a_k | s_k) / mu(a_k | s_k)) r_t ] = J(pi)
(Precup, Sutton, Singh 2000, theorem 1).

Check. Exact expectation over all trajectories of 20 random MDPs (2 states, 2 actions, 4 steps); J(pi) by
backward recursion.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from jaxrl.rollout.returns import per_decision_importance_sampling
from theory.exact.enumeration import trajectories
from theory.exact.policy_evaluation import evaluate_policy
from theory.exact.result import Result, identity
from theory.exact.tables import random_mdps, random_policies

HORIZON = 4


def instance(seed: int, n: int = 20) -> tuple[list[TabularMDP], np.ndarray, np.ndarray]:
    """`n` random MDPs of 2 states and 2 actions, target and behaviour policies `[n, 2, 2]`."""
    target, behaviour = random_policies(seed + 1, 2 * n, 2, 2).reshape(2, n, 2, 2)
    return random_mdps(seed, n, 2, 2), target, behaviour


def check(estimator: Callable[..., jax.Array] = per_decision_importance_sampling) -> Result:
    """Expectation of the estimate of the first step minus J(pi)."""
    errors = []
    with jax.enable_x64(True):
        estimate = jax.jit(estimator)
        for mdp, pi, mu in zip(*instance(6), strict=True):
            paths = trajectories(mdp, mu, HORIZON)
            s, a = paths.states[:, :-1].T, paths.actions.T
            ends = np.broadcast_to((np.arange(HORIZON) == HORIZON - 1)[:, None], s.shape)
            discount = float(mdp.gamma) * ~ends
            arrays = (mdp.R[s, a], np.zeros(s.shape), discount, ends, pi[s, a] / mu[s, a])
            first = np.asarray(estimate(*(jnp.asarray(x) for x in arrays))[0])
            errors.append(paths.probability @ first - evaluate_policy(mdp, pi, HORIZON).j)
    return identity(np.array(errors))


def broken() -> Result:
    """Ratios one step late: a reward without the ratio of the action that earned it."""

    def late(reward, next_value, discount, cut, ratio):
        shifted = jnp.concatenate([jnp.ones_like(ratio[:1]), ratio[:-1]])
        return per_decision_importance_sampling(reward, next_value, discount, cut, shifted)

    return check(late)
