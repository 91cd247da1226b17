"""Planning errors of a model over a finite battery of rewards.

Legend: `H` stages, `S` states, `A` actions, `n` rewards, `G` groups of stages (1, or H kernels).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array
from jaxrl.reward_free.tabular.planning import evaluate, plan

LOWER = 1 / (16 * np.sqrt(3)) ** 2
"""C of the lower bound C d^2 / epsilon^2, with the constant of the regret bound that it is derived from."""


def one_shots(H: int, S: int, A: int) -> Array:
    """Rewards float`[H S, H, S, A]` that pay 1 for one state at one stage: of total reward at most 1."""
    h, s = np.divmod(np.arange(H * S), S)
    rewards = np.zeros((H * S, H, S, A))
    rewards[np.arange(H * S), h, s] = 1
    return jnp.asarray(rewards, jnp.result_type(float))


def battery_errors(P: Array, Q: Array, rewards: Array, mu0: Array | None = None) -> Array:
    """V*(r) - V^pi(r) for each reward, `[n]`, pi optimal for r under the model Q `[G, S, A, S]`.

    P: the true kernel `[S, A, S]`. mu0: the distribution of the start `[S]`, state 0 if None. A battery
    understates the worst error over all rewards.
    """
    H = rewards.shape[1]
    policies, _ = plan(Q, rewards, H)
    reached = evaluate(P[None], rewards, policies, H)
    lost = plan(P[None], rewards, H)[1] - reached
    return lost[:, 0] if mu0 is None else lost @ mu0


@jax.jit
def largest_error(P: Array, Q: Array, rewards: Array, mu0: Array | None = None) -> Array:
    """The largest of `battery_errors`, float[]; arguments as theirs."""
    return battery_errors(P, Q, rewards, mu0).max()
