"""Datasets recorded from policies on compiled environments."""

from __future__ import annotations

import jax

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import sample
from jaxrl.core.types import Key, Policy, PyTree
from jaxrl.data.dataset import Dataset, Meta
from jaxrl.data.episodes import drop_padding
from jaxrl.data.record import from_unroll
from jaxrl.envs.base import Env, HasTimeLimit
from jaxrl.rollout.unroll import Freeze, start, unroll


def collect(
    env: Env,
    policy: Policy,
    key: Key,
    params: PyTree,
    *,
    episodes: int,
    limit: int | None = None,
    meta: Meta = (),
) -> Dataset:
    """`episodes` whole episodes, one after another, with the actions as they were taken.

    limit: steps, by default the environment's own limit.

    Raises `UsageError` if `episodes` or `limit` is below 1, or if there is no limit at all.
    """
    if limit is None:
        if not isinstance(env, HasTimeLimit):
            raise UsageError(f"limit: {env.name} has no time limit of its own; pass the number of steps")
        limit = int(env.time_limit(params))
    run = jax.jit(lambda key: recorded(env, policy, key, params, episodes=episodes, limit=limit))
    return drop_padding(run(key)).replace(meta=meta)


def recorded(env: Env, policy: Policy, key: Key, params: PyTree, *, episodes: int, limit: int) -> Dataset:
    """`collect` inside a program: `limit` rows for every episode, those after its end masked."""
    for name, value in (("episodes", episodes), ("limit", limit)):
        if value < 1:
            raise UsageError(f"{name}: must be >= 1, got {value}")
    k_start, k_run = jax.random.split(key)
    vec = start(env, policy, k_start, params, episodes)
    rows = unroll(env, policy, vec, k_run, params, length=limit, limit=limit, reset=Freeze())[1]
    return from_unroll(rows, frozen=True)


def uniform(env: Env) -> Policy:
    """Actions uniform over the action space."""
    return Policy(lambda key, obs, memory: (sample(env.action_space, key), (), memory))
