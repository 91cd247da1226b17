"""The gradient of the return needs no gradient of the state distribution.

Statement. For a finite MDP with gamma < 1, a differentiable policy pi_theta, and its normalised *discounted*
state occupancy d,
    grad J = 1 / (1 - gamma) sum_s d(s) sum_a grad pi(a | s) Q(s, a).
(Sutton, McAllester, Singh, Mansour 2000, theorem 1.)

Check. Tabular softmax on 20 random MDPs: the right side against automatic differentiation through the linear
solve of J.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.occupancy import discounted_occupancy
from theory.exact.policy_evaluation import differentiable_return, evaluate_policy, policy_model
from theory.exact.result import Result, identity
from theory.exact.tables import random_mdps, tables


def instance(seed: int, n: int = 20) -> tuple[list[TabularMDP], np.ndarray]:
    """`n` random MDPs of 5 states and 3 actions, logits `[n, 5, 3]` of a policy for each."""
    return random_mdps(seed, n, 5, 3), np.random.default_rng(seed + 1).normal(size=(n, 5, 3))


def discounted(mdp: TabularMDP, pi: np.ndarray) -> np.ndarray:
    """`[S]`, the distribution d of the theorem."""
    return discounted_occupancy(mdp, pi).sum(-1)


def check(states: Callable[..., np.ndarray] = discounted) -> Result:
    """Gradient by automatic differentiation minus the formula, in the logits."""
    errors = []
    with jax.enable_x64(True):
        grad = jax.jit(jax.grad(lambda logits, t: differentiable_return(jax.nn.softmax(logits), t)))
        for mdp, logits in zip(*instance(4), strict=True):
            pi = np.asarray(jax.nn.softmax(jnp.asarray(logits)))
            values = evaluate_policy(mdp, pi)
            # of softmax logits: grad pi(a | s) = pi(a | s) (e_a - pi(. | s))
            formula = states(mdp, pi)[:, None] * pi * (values.q - values.v[:, None]) / (1 - float(mdp.gamma))
            errors.append(np.asarray(grad(jnp.asarray(logits), tables(mdp))) - formula)
    return identity(np.array(errors))


def stationary(mdp: TabularMDP, pi: np.ndarray) -> np.ndarray:
    """`[S]`, the distribution of states in the long run, which samples without gamma^t approach."""
    P, _ = policy_model(tables(mdp), pi)
    return np.linalg.matrix_power(P, 1000)[0]


def broken() -> Result:
    """States weighted without gamma^t, as most implementations do."""
    return check(stationary)
