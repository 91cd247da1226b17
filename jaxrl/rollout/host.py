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
from jaxrl.core.fields import Share, Size, check_value
from jaxrl.core.prng import check_key, step_keys, streams
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

    Raises `UsageError` if `episodes` or `limit` is below 1, if nothing bounds the length of an episode, for a
    discount outside of [0, 1], a key that is not one typed key, and an environment that does not return what
    gymnasium's do, or observations that are no numbers.
    """
    for name, given in (("make_env", make_env), ("policy", policy)):
        if not callable(given) or isinstance(given, Policy):
            raise UsageError(f"{name}: must be a function that makes one, got {given!r:.80}")
    check_key(key)
    check_value("gamma", gamma, Share)
    episodes, limit = check_value("episodes", episodes, Size), check_value("limit", limit, Size | None)
    k_start, k_steps = jax.random.split(key)
    seeds = np.asarray(jax.vmap(jax.random.bits)(streams(k_start, episodes)))
    memory = tree_broadcast(policy(params).memory, episodes)
    envs = [make_env() for _ in range(episodes)]
    try:
        spec = getattr(envs[0], "spec", None)
        if limit is None and getattr(spec, "max_episode_steps", None) is None:
            raise UsageError("limit: the environment has no time limit of its own; pass the number of steps")
        obs = [reset_of(env, int(seed))[0] for env, seed in zip(envs, seeds, strict=True)]
        rewards: list[list[Any]] = [[] for _ in envs]
        terminated, live, t = np.zeros(episodes, bool), np.ones(episodes, bool), 0
        first = _stacked(obs)
        while live.any():
            stacked = _stacked(obs, first)
            actions, memory = _act(policy, params, k_steps, np.int32(t), stacked, memory)
            actions, t = jax.tree.map(np.asarray, actions), t + 1
            for i in np.flatnonzero(live):
                action = jax.tree.map(lambda x, i=i: x[i], actions)
                obs[i], reward, terminated[i], truncated, _ = step_of(envs[i], action)
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


def reset_of(env: Any, seed: int) -> tuple[Any, dict[str, Any]]:
    """`env.reset(seed=seed)`; UsageError where that is not gymnasium's pair of observation and dict."""
    found = env.reset(seed=seed)
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)):
        raise UsageError(f"make_env: reset returns {_kind(found)}, not (obs, info) as in gymnasium >= 0.26")
    return found


def step_of(env: Any, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
    """`env.step(action)`; UsageError where it is not gymnasium's five values, with numbers as rewards."""
    found = env.step(action)
    if not (isinstance(found, tuple) and len(found) == 5):
        wanted = "(obs, reward, terminated, truncated, info) as in gymnasium >= 0.26"
        raise UsageError(f"make_env: step returns {_kind(found)}, not {wanted}")
    reward = np.asarray(found[1])
    if reward.dtype.kind not in "biuf" or reward.ndim > 1:
        raise UsageError(f"make_env: a reward is {found[1]!r:.60}, not a number or a vector of numbers")
    return found


def _kind(found: Any) -> str:
    return f"{len(found)} values" if isinstance(found, tuple) else type(found).__name__


def _stacked(obs: list[Any], first: PyTree = None) -> PyTree:
    """Leaves `[n, ...]`; UsageError where observations differ, from `first` too, or are no numbers."""
    try:
        stacked = jax.tree.map(lambda *x: np.stack(x), *obs)
    except ValueError as error:
        raise UsageError(f"make_env: observations differ in structure or shape ({error!s:.120})") from error
    if first is not None and _form(stacked) != _form(first):
        raise UsageError("make_env: observations change structure or shape from one step to the next")
    leaves = jax.tree.leaves(stacked)
    text = [x.dtype for x in leaves if x.dtype.kind not in "biuf"]
    if text or not leaves:
        held = f"hold {text[0]}" if text else "are empty"
        raise UsageError(f"make_env: observations {held}, not numbers; wrap the environment")
    return stacked


def _form(tree: PyTree) -> tuple[Any, list[tuple[int, ...]]]:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [x.shape for x in leaves]


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
