"""What agents with a replay memory share: static choices, the memory, uniform first actions, counted metrics.

Legend: `B` batch size, `T` steps, `N` environments, `d` action coordinates, `S` gradient steps per update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, Mean, Policy, PyTree, Transition
from jaxrl.data.buffer import RingBuffer
from jaxrl.envs.base import Env
from jaxrl.nets import heads
from jaxrl.nets.net import Activation
from jaxrl.rollout.unroll import Pool, Resample, VecState, unroll


@dataclass(frozen=True)
class Config:
    """Static choices of an actor, twin critics and their replay memory."""

    n_envs: Size = 8
    """Number of environments."""
    length: Size = 1
    """Steps of every environment per update."""
    gradient_steps: Size = 8
    """Gradient steps per update; `gradient_steps / (n_envs * length)` is the replay ratio. Paper: ratio 1."""
    batch_size: Size = 256
    """Transitions per gradient step. Paper: 256; TD3 online at first 100."""
    capacity: Size = 100_000
    """Transitions that the replay memory keeps, at least those of one update and best a multiple of them.
    Paper: 1e6."""
    widths: tuple[Size, ...] = (256, 256)
    """Hidden units per layer, of the actor and of the critics each. Paper: (256, 256); TD3 at first
    (400, 300)."""
    activation: Activation = "relu"
    """Elementwise function between layers. Paper: relu."""
    bootstrap_truncated: bool = True
    """Whether an episode cut by a time limit is valued by its successor; False treats the limit as an end."""
    reset: Resample | Pool = field(default_factory=Resample)
    """How the next episode starts: a fresh reset at every step, or one of `size` resets per update."""

    def __post_init__(self) -> None:
        check_fields(self)
        collected = self.n_envs * self.length
        if self.capacity < collected:
            raise UsageError(
                f"Config.capacity: must hold one update's {collected} transitions, got {self.capacity}"
            )


def memory(env: Env, policy: Policy, vec: VecState, key: Key, data: PyTree, capacity: int) -> RingBuffer:
    """An empty memory of `capacity` transitions of `env` under `policy`, as `stored` leaves them."""
    _, batch, _ = jax.eval_shape(lambda v: unroll(env, policy, v, key, data, length=1), vec)
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), stored(batch))
    return RingBuffer.zeros(one, capacity)


def stored(batch: Transition) -> Transition:
    """What the memory keeps of transitions, leaves `[T, N, ...]`."""
    return batch._replace(aux=(), info={})


def exploring(env: Env, policy: Policy, warm: Array) -> Policy:
    """`policy`, but uniform over the action space while `warm`, bool[]."""

    def choose(key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        k_uniform, k_policy = jax.random.split(key)
        action, _, memory = policy.act(k_policy, obs, memory)
        return jnp.where(warm, env.action_space.sample(k_uniform), action), (), memory

    return Policy(choose, policy.memory)


def counted(metrics: Mapping[str, Array], warm: Array) -> dict[str, Mean]:
    """Metrics `[S]` of the gradient steps of one update as means, which count none of them while `warm`."""
    return {
        name: Mean(jnp.where(warm, 0, v.sum()), jnp.where(warm, 0.0, v.size)) for name, v in metrics.items()
    }


def scale(action_space: Box) -> Callable[[Array], Array]:
    """A function of an action that gives its coordinates on [-1, 1], float[d]; 0 where the bounds are equal.

    Raises ValueError for a box without finite bounds.
    """
    middle, half = heads.affine(action_space)
    width = np.where(half == 0, 1, half)
    return lambda action: (action.ravel() - middle) / width
