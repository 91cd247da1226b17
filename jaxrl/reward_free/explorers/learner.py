"""What the explorers share: TD3 with a learned reward in place of that of the environment.

An explorer is a `td3.Intrinsic` (init, reward, update). Its reward is computed anew for every batch that is
drawn from the replay memory, so that it never grows stale there. Its `Config` and `Hyper` extend those of
TD3. The replay memory of the last state is the dataset of the second phase.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import optax

from jaxrl.baselines import td3
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm, Array, Transition
from jaxrl.data.dataset import Dataset, Meta
from jaxrl.data.record import from_unroll
from jaxrl.envs.base import Env
from jaxrl.nets import net


def sizes(env: Env) -> tuple[int, int]:
    """`(k, d)`: numbers of observation features and of action coordinates that a module reads."""
    return net.features(env.observation_space)[0], math.prod(env.action_space.shape)


def explorer(
    module: str,
    config: td3.Config,
    env: Env,
    optimiser: optax.GradientTransformation | None,
    intrinsic: td3.Intrinsic,
) -> Algorithm:
    """TD3 online on `intrinsic`, exported under the name of the explorer's `module`.

    Raises `UsageError` where TD3 does: actions that are not a bounded box of floats, or vector rewards.
    """
    algorithm = td3.make(config, env, optimiser=optimiser, intrinsic=intrinsic)
    assert algorithm.origin is not None
    return algorithm._replace(origin=algorithm.origin._replace(module=module))


def visited(config: td3.Config, state: td3.State, meta: Meta = ()) -> Dataset:
    """What one member has seen, leaves `[n, ...]`, environment after environment, with the recorded rewards.

    Raises `UsageError` where the replay memory was too small to hold every step.
    """
    memory: Any = state.buffer
    seen = int(state.updates) * config.n_envs * config.length
    if seen > config.capacity:
        raise UsageError(f"Config.capacity: {config.capacity} rows hold no {seen} steps; make it larger")

    return _recorded(memory.data, seen, config.n_envs, meta)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _recorded(steps: Transition, seen: int, n_envs: int, meta: Meta) -> Dataset:
    """The first `seen` steps of a memory `[capacity, ...]`, in which environments alternate."""

    def rows(x: Array) -> Array:
        return x[:seen].reshape(-1, n_envs, *x.shape[1:])

    return from_unroll(jax.tree.map(rows, steps), meta=meta)
