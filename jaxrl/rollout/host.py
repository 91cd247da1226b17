"""Evaluation on environments that live on the host: gymnasium, MuJoCo, simulators of others.

A Python loop over single environments with one compiled policy call per step for all of them. It needs no
vector environment: whoever has ended is not stepped, and rewards may be vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_value
from jaxrl.core.prng import step_keys, streams
from jaxrl.core.tree import tree_broadcast
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.rollout.evaluate import EvalResult


def host_evaluate(
    make_env: Callable[[], Any],
    policy: Callable[[PyTree], Policy],
    params: PyTree,
    key: Key,
    *,
    episodes: int,
    limit: int | None = None,
    gamma: float = 1.0,
) -> EvalResult:
    """One episode in each of `episodes` environments with gymnasium's interface; numpy arrays.

    make_env: makes a fresh environment (`jaxrl.envs.adapters.gymnasium.maker`).
    policy: the policy with the parameters `params`, e.g. `lambda state: algorithm.act(state, hyper, True)`;
        compiled once per function object, so define it once.
    limit: steps, beside the environment's own limit; needed where it has none.

    Raises `UsageError` if `episodes` or `limit` is below 1, or if nothing bounds the length of an episode.
    """
    episodes, limit = check_value("episodes", episodes, Size), check_value("limit", limit, Size | None)
    k_start, k_steps = jax.random.split(key)
    seeds = np.asarray(jax.vmap(jax.random.bits)(streams(k_start, episodes)))
    memory = tree_broadcast(policy(params).memory, episodes)
    envs = [make_env() for _ in range(episodes)]
    try:
        spec = getattr(envs[0], "spec", None)
        if limit is None and getattr(spec, "max_episode_steps", None) is None:
            raise UsageError("limit: the environment has no time limit of its own; pass the number of steps")
        obs = [env.reset(seed=int(seed))[0] for env, seed in zip(envs, seeds, strict=True)]
        rewards: list[list[Any]] = [[] for _ in envs]
        terminated, live, t = np.zeros(episodes, bool), np.ones(episodes, bool), 0
        while live.any():
            stacked = jax.tree.map(lambda *x: np.stack(x), *obs)
            actions, memory = _act(policy, params, k_steps, np.int32(t), stacked, memory)
            actions, t = jax.tree.map(np.asarray, actions), t + 1
            for i in np.flatnonzero(live):
                action = jax.tree.map(lambda x, i=i: x[i], actions)
                obs[i], reward, terminated[i], truncated, _ = envs[i].step(action)
                rewards[i].append(reward)
                live[i] = not (terminated[i] or truncated or t == limit)
    finally:
        for env in envs:
            env.close()
    return EvalResult(
        returns=np.asarray([np.sum(r, axis=0) for r in rewards], np.float32),
        discounted=np.asarray([_discounted(r, gamma) for r in rewards], np.float32),
        lengths=np.asarray([len(r) for r in rewards], np.int32),
        terminated=terminated,
    )


@partial(jax.jit, static_argnames="policy")
def _act(
    policy: Callable[[PyTree], Policy], params: PyTree, key: Key, t: Array, obs: PyTree, memory: PyTree
) -> tuple[PyTree, PyTree]:
    """`(action, memory)` of all environments, leaves `[n, ...]`."""
    n = jax.tree.leaves(obs)[0].shape[0]
    keys, _, _ = step_keys(key, t, n)
    action, _, memory = jax.vmap(policy(params).act)(keys, obs, memory)
    return action, memory


def _discounted(rewards: list[Any], gamma: float) -> Any:
    total = np.zeros_like(rewards[0], np.float64)
    for reward in reversed(rewards):
        total = reward + gamma * total
    return total
