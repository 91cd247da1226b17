"""Phase two: policies for rewards that come after exploration, by backward induction on an estimated model.

Legend: `H` largest horizon, `S` states, `A` actions, `n` rewards side by side. Stages count from 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.reward_free.features import Form
from jaxrl.reward_free.rewards import ROUNDING, check_reward
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


def check_rewards(rewards: Array, H: int, S: int, A: int, *, per_step: bool = False) -> None:
    """Raises UsageError unless all rewards `[n, H, S, A]` are in the class R, naming the first that is not.

    per_step: whether every entry may be up to 1 instead. Values of traced rewards are not known and pass.
    """
    if rewards.ndim != 4 or rewards.shape[1:] != (H, S, A):
        raise UsageError(f"rewards: shape {rewards.shape} is not [n, H, S, A] = [n, {H}, {S}, {A}]")
    if isinstance(rewards, jax.core.Tracer):
        return
    for i, each in enumerate(np.asarray(rewards, np.float64)):
        most = each.max(initial=0)
        if per_step and most > 1 + ROUNDING and np.isfinite(most):
            h, s, a = (int(x) for x in np.argwhere(each == most)[0])
            raise UsageError(
                f"rewards[{i}]: at stage {h}, state {s}, action {a} it is {most:g}; divide it by that, for"
                " at most 1 is allowed"
            )
        in_range = per_step & np.isfinite(each) & (each > 0)
        try:
            check_reward(np.where(in_range, 0, each), H, S, A)
        except UsageError as error:
            raise UsageError(f"rewards[{i}]: {str(error).removeprefix('reward: ')}") from error


def table_policy(table: Array) -> Policy:
    """The policy of a table int32[H, S] on observations `{"obs": state, "h": step}` of `finite_horizon`."""
    return Policy(Partial(_look_up, table))


def _look_up(table: Array, key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
    h = jnp.minimum(obs["h"], table.shape[0] - 1)
    return table[h, obs["obs"]], (), memory
