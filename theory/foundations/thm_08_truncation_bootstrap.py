"""Bootstrapping at a time limit keeps returns unbiased.

Statement. In an MDP without end, cut by a limit of L steps that is no part of it,
    E_pi [ sum_{t < L} gamma^t r_t + gamma^L V(s_L) | s_0 ] = V(s_0),
and the same for every lambda-return of the window (Pardo, Tavakoli, Levdik, Kormushev 2018).

Check. `discount_and_cut` and `lambda_returns` on all trajectories of 10 random MDPs (2 states, 2 actions,
limit 3), followed by rows of another episode, with exact expectations.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Transition
from jaxrl.envs.tabular.mdp import TabularMDP
from jaxrl.rollout.returns import discount_and_cut, lambda_returns
from theory.exact.enumeration import trajectories
from theory.exact.policy_evaluation import evaluate_policy
from theory.exact.result import Result, identity
from theory.exact.tables import random_mdps, random_policies

LIMIT = 3


def instance(seed: int, n: int = 10) -> tuple[list[TabularMDP], np.ndarray]:
    """`n` random MDPs of 2 states and 2 actions, and a policy `[n, 2, 2]` for each."""
    return random_mdps(seed, n, 2, 2), random_policies(seed + 1, n, 2, 2)


@functools.partial(jax.jit, static_argnums=4)
def first_returns(
    batch: Transition, next_value: jax.Array, gamma: float, lambda_: float, bootstrap_truncated: bool
) -> jax.Array:
    """`[N]`, the lambda-returns of row 0."""
    discount, cut = discount_and_cut(batch, gamma, bootstrap_truncated)
    return lambda_returns(batch.reward, next_value, discount, cut, lambda_)[0]


def check(bootstrap_truncated: bool = True) -> Result:
    """E[return of row 0] - J over trajectories, for lambda 0, 1/2 and 1."""
    errors = []
    with jax.enable_x64(True):
        for mdp, pi in zip(*instance(8), strict=True):
            values, paths = evaluate_policy(mdp, pi), trajectories(mdp, pi, LIMIT)
            s, a = paths.states.T, paths.actions.T
            # a second episode, which no estimate of the first may see
            obs, action = np.concatenate([s[:-1], s[:-1, ::-1]]), np.concatenate([a, a[:, ::-1]])
            next_obs = np.concatenate([s[1:], s[1:, ::-1]])
            truncated = np.broadcast_to((np.arange(2 * LIMIT) % LIMIT == LIMIT - 1)[:, None], obs.shape)
            none = jnp.zeros(obs.shape, bool)
            reward, cut = jnp.asarray(mdp.R[obs, action]), jnp.asarray(truncated)
            batch = Transition(obs, action, reward, next_obs, none, cut, (), {})
            for lambda_ in (0.0, 0.5, 1.0):
                g = first_returns(batch, values.v[next_obs], float(mdp.gamma), lambda_, bootstrap_truncated)
                errors.append(paths.probability @ np.asarray(g) - values.j)
    return identity(np.array(errors))


def broken() -> Result:
    """The limit treated as an end of the MDP."""
    return check(bootstrap_truncated=False)
