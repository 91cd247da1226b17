"""Credits: factors of the score of an action, where rewards are marginal gains of a set function.

With gains r_t = F(tau_{0:t+1}) - F(tau_{0:t}) and f = F({s_0}):

    to_go      r_t + r_{t+1} + ..  = F(tau) - F(tau_{0:t})  the gradient of E F: theorem 2 of 2307.13372
    total      f + r_0 + .. + r_{T-1}  = F(tau)             the same mean, a larger variance
    marginal   r_t                                          myopic: each action for its own gain alone
    prefix     f + r_0 + .. + r_t  = F(tau_{0:t+1})         the mean of `marginal`, a larger variance;
                                                            what the released grid code does
    gae        generalised advantage of r                   biased by the critic, unless lambda is 1

Legend: `T` steps, `N` episodes. Every array argument is `[T, N]`.
"""

from __future__ import annotations

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.envs.base import Env
from jaxrl.envs.wrappers.finite_horizon import actions_per_episode
from jaxrl.rollout.returns import gae, reward_to_go

Sum = Literal["to_go", "total", "marginal", "prefix"]
SUMS: tuple[Sum, ...] = get_args(Sum)
Credit = Literal["to_go", "total", "marginal", "prefix", "gae"]


def check_length(name: str, length: int, env: Env) -> None:
    """Raises `UsageError` unless `length` actions are an episode of `env`, where its horizon is known."""
    actions = actions_per_episode(env)
    if actions not in (None, length):
        raise UsageError(
            f"{name}: must be {actions}, the actions of an episode with {actions + 1} visited states, got "
            f"{length}"
        )


def signal(credit: Sum, reward: Array, cut: Array, first: float | Array = 0.0) -> Array:
    """Sums of rewards that a credit consists of, float[T, N], without a baseline.

    reward: float[T, N]; cut: bool[T, N], the next row belongs to another episode. first: float[] or float[N],
    the value F({s_0}) before the first action. Raises `UsageError` for an unknown credit and for another
    shape of cut than that of reward.
    """
    if cut.shape != reward.shape:
        raise UsageError(f"signal.cut: shape {cut.shape} is not that of reward, {reward.shape}")
    if credit not in SUMS:
        raise UsageError(f"credit: must be one of {', '.join(SUMS)}, got {credit!r}")
    if credit == "marginal":
        return reward
    later = reward_to_go(reward, cut)
    if credit == "to_go":
        return later
    before = _before(reward, cut, first)
    return before + (later if credit == "total" else reward)


def mixture(share: Array, reward: Array, cut: Array, first: float | Array = 0.0) -> Array:
    """Sum of the four signals times their `share` float[4], in the order of `SUMS`; float[T, N].

    A credit is a vector of numbers here, so that members of a population can have different ones.
    """
    parts = jnp.stack([signal(credit, reward, cut, first) for credit in SUMS])
    return jnp.tensordot(share, parts, axes=1)


def advantages(
    reward: Array, value: Array, cut: Array, gamma: float | Array, lambda_: float | Array
) -> Array:
    """Generalised advantages of whole episodes, float[T, N]; nothing is left to gain after a cut.

    reward, value: float[T, N]; cut: bool[T, N].
    """
    after = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])
    discount = jnp.where(cut, 0, jnp.full_like(reward, 1.0) * gamma)
    return gae(reward, value, after, discount, cut, lambda_)


def _before(reward: Array, cut: Array, first: float | Array) -> Array:
    """float[T, N], the value of the episode before each step, f + r_0 + .. + r_{t-1}."""
    first = jnp.broadcast_to(jnp.asarray(first, reward.dtype), reward.shape[1:])

    def body(total: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        reward, cut = row
        return jnp.where(cut, first, total + reward), total

    return jax.lax.scan(body, first, (reward, cut))[1]
