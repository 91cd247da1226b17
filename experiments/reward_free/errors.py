"""Planning errors of a model over a finite battery of rewards.

Legend: `H` stages, `S` states, `A` actions, `n` rewards, `G` groups of stages (1, or H kernels).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from jaxrl.reward_free.tabular.planning import evaluate, plan


def one_shots(H: int, S: int, A: int) -> Array:
    """Rewards float`[H S, H, S, A]` that pay 1 for one state at one stage: of total reward at most 1."""
    h, s = np.divmod(np.arange(H * S), S)
    rewards = np.zeros((H * S, H, S, A))
    rewards[np.arange(H * S), h, s] = 1
    return jnp.asarray(rewards, jnp.result_type(float))


def battery_errors(P: Array, Q: Array, rewards: Array, start: int = 0) -> Array:
    """V*(r) - V^pi(r) at `start` for each reward, `[n]`, pi optimal for r under the model Q `[G, S, A, S]`.

    P: the true kernel `[S, A, S]`. A battery understates the worst error over all rewards.
    """
    H = rewards.shape[1]
    policies, _ = plan(Q, rewards, H)
    reached = evaluate(P[None], rewards, policies, H)
    return (plan(P[None], rewards, H)[1] - reached)[:, start]


@jax.jit
def largest_error(P: Array, Q: Array, rewards: Array) -> Array:
    """The largest of `battery_errors`, float[]; arguments as theirs."""
    return battery_errors(P, Q, rewards).max()
