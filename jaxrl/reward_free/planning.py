"""Phase two: policies for rewards that come after exploration, by backward induction on an estimated model.

Legend: `H` largest horizon, `S` states, `A` actions, `n` rewards side by side. Stages count from 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.reward_free.features import Form
from jaxrl.reward_free.uncertainty import first_best


def plan_on_kernel(form: Form, kernel: Array, rewards: Array, horizon: Array) -> Array:
    """Optimal policies int32[n, H, S] for rewards `[n, H, S, A]` under a model, without any bonus.

    kernel: what `form.kernel` returned for an estimate, `[P, ...]`. horizon: `[]`, the stages that count; the
    policy is 0 beyond. Of equal actions the first is taken.
    """
    n, H, S, _ = rewards.shape

    def stage(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        V, policy = carry
        h = horizon - 1 - i
        Q = rewards[:, h] + form.mean(kernel, V).reshape(n, S, -1)
        return Q.max(-1), policy.at[:, h].set(first_best(Q))

    first = (jnp.zeros((n, S), kernel.dtype), jnp.zeros((n, H, S), jnp.int32))
    return jax.lax.fori_loop(0, horizon, stage, first)[1]


def check_shape(rewards: Array, H: int, S: int, A: int) -> None:
    """Raises UsageError unless rewards are `[n, H, S, A]`."""
    if rewards.ndim != 4 or rewards.shape[1:] != (H, S, A):
        raise UsageError(f"rewards: shape {rewards.shape} is not [n, H, S, A] = [n, {H}, {S}, {A}]")


def table_policy(table: Array) -> Policy:
    """The policy of a table int32[H, S] on observations `{"obs": state, "h": step}` of `finite_horizon`."""
    return Policy(Partial(_look_up, table))


def _look_up(table: Array, key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
    h = jnp.minimum(obs["h"], table.shape[0] - 1)
    return table[h, obs["obs"]], (), memory
