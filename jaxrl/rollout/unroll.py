"""Stepping a batch of environments: the one place where episodes end and restart.

Legend: `T` steps, `N` environments, `m` reward components.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Share, Size, check_fields, check_leaf, check_value
from jaxrl.core.prng import step_keys, streams
from jaxrl.core.tree import tree_broadcast, tree_take, tree_where
from jaxrl.core.types import Array, Key, Policy, PyTree, Transition
from jaxrl.envs.base import Env, HasTimeLimit
from jaxrl.rollout.stats import EpisodeStats


class VecState(NamedTuple):
    """A batch of running episodes, leaves `[N, ...]`.

    elapsed: int32[N] steps since the reset; ep_return, ep_discounted: float[N] or [N, m] so far;
    ended: bool[N], only ever set under `Freeze`.
    """

    env_state: PyTree
    obs: PyTree
    memory: PyTree
    elapsed: Array
    ep_return: Array
    ep_discounted: Array
    ended: Array


@dataclass(frozen=True)
class Resample:
    """A fresh reset per environment and step, selected where done. Exact; right when reset is cheap."""


@dataclass(frozen=True)
class Pool:
    """`size` fresh starts per unroll; a done environment takes a uniformly random one.

    Every start has exactly the initial distribution; two starts of one unroll coincide with probability
    1/size. Right when reset is expensive. With parameters per environment the pool is per environment.
    """

    size: Size
    """Number of fresh starts per unroll."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Freeze:
    """No reset: a finished environment is held; its later rows have reward 0 and are marked terminated."""


Reset = Resample | Pool | Freeze


def start(
    env: Env,
    policy: Policy,
    key: Key,
    params: PyTree,
    n: int,
    *,
    params_axis: int | None = None,
    offset: int | Array = 0,
) -> VecState:
    """`n` fresh episodes; `offset` is the global index of the first one (sharded batches).

    Raises `UsageError` if `n` is below 1.
    """
    n = check_value("n", n, Size)
    return _start(env, policy.as_tree(), key, params, n, params_axis, offset)


@partial(jax.jit, static_argnames=("env", "n", "params_axis"), inline=True)
def _start(
    env: Env, policy: Policy, key: Key, params: PyTree, n: int, params_axis: int | None, offset: int | Array
) -> VecState:
    env_state, obs = jax.vmap(env.reset, (0, params_axis))(streams(key, n, offset), params)
    one = params if params_axis is None else tree_take(params, 0)
    shape_of_key = jax.ShapeDtypeStruct(key.shape, key.dtype)
    _, out = jax.eval_shape(
        lambda k_act, k_env, s, o, p: env.step(k_env, s, policy.act(k_act, o, policy.memory)[0], p),
        shape_of_key,
        shape_of_key,
        tree_take(env_state, 0),
        tree_take(obs, 0),
        one,
    )
    zeros = jnp.zeros((n, *out.reward.shape), out.reward.dtype)
    return VecState(
        env_state=env_state,
        obs=obs,
        memory=tree_broadcast(policy.memory, n),
        elapsed=jnp.zeros(n, jnp.int32),
        ep_return=zeros,
        ep_discounted=zeros,
        ended=jnp.zeros(n, bool),
    )


def unroll(
    env: Env,
    policy: Policy,
    vec: VecState,
    key: Key,
    params: PyTree,
    *,
    length: int,
    limit: int | Array | None = None,
    gamma: float | Array = 1.0,
    params_axis: int | None = None,
    reset: Reset = Resample(),
    keep: tuple[str, ...] = (),
    offset: int | Array = 0,
) -> tuple[VecState, Transition, EpisodeStats]:
    """`length` steps of `N` environments; returns `(vec, Transition [T, N, ...], EpisodeStats)`.

    limit: int or int32[N], the step count at which an unfinished episode is truncated; None takes the
        environment's own `time_limit`, or no limit where it has none.
    gamma: discount of the sums in `EpisodeStats.discounted`, nothing else.
    params: shared by all environments, or `[N, ...]` with `params_axis=0`; parameters survive resets.
    keep: names of `Step.info` entries to record.
    offset: global index of the first environment, so that results do not depend on how a batch is sharded.

    A call outside of jit is compiled once per environment, shapes and function of the policy, see `Policy`.

    Raises `UsageError` for sizes and limits below 1, a discount outside of [0, 1], and names that `Step.info`
    lacks.
    """
    length = check_value("length", length, Size)
    check_limit(limit, vec.elapsed.shape[0])
    check_leaf("gamma", gamma, Share)
    options = (length, params_axis, reset, tuple(keep))
    return _unroll(env, policy.as_tree(), vec, key, params, limit, gamma, offset, *options)


def check_policy(policy: Policy) -> None:
    """Raises `UsageError` for a function, or anything else, in place of a `Policy`."""
    if not isinstance(policy, Policy):
        raise UsageError(f"policy: must be a Policy, which Policy(function) makes, got {policy!r:.80}")


def check_limit(limit: int | Array | None, n: int) -> None:
    """Raises `UsageError` unless `limit` is None, an int >= 1, or `n` of them; traced values are not read."""
    if limit is None:
        return
    if isinstance(limit, str) or (isinstance(limit, int) and limit >= 2**31):
        raise UsageError(f"limit: must be whole steps, int or int32[N], got {limit!r}")
    shape, dtype = jnp.shape(limit), jnp.result_type(limit)
    if shape not in ((), (n,)):
        raise UsageError(f"limit: shape {shape} is neither () nor [N] = ({n},)")
    if not jnp.issubdtype(dtype, jnp.integer):
        raise UsageError(f"limit: must be whole steps, int or int32[N], got {dtype}")
    least = 1 if isinstance(limit, jax.core.Tracer) else np.asarray(limit).min()
    if least < 1:
        raise UsageError(f"limit: must be >= 1 step, got {least}")


# inlined where the caller is traced
@partial(jax.jit, static_argnames=("env", "length", "params_axis", "reset", "keep"), inline=True)
def _unroll(
    env: Env,
    policy: Policy,
    vec: VecState,
    key: Key,
    params: PyTree,
    limit: int | Array | None,
    gamma: float | Array,
    offset: int | Array,
    length: int,
    params_axis: int | None,
    reset: Reset,
    keep: tuple[str, ...],
) -> tuple[VecState, Transition, EpisodeStats]:
    n = vec.elapsed.shape[0]
    k_steps, k_pool = jax.random.split(key)
    limits = _limits(env, params, params_axis, limit, n)
    step = jax.vmap(env.step, (0, 0, 0, params_axis))
    fresh = jax.vmap(env.reset, (0, params_axis))
    pool = (
        _draw_pool(env, k_pool, params, params_axis, reset.size, n, offset)
        if isinstance(reset, Pool)
        else None
    )
    memory0 = tree_broadcast(policy.memory, n)

    def body(
        carry: tuple[VecState, EpisodeStats], t: Array
    ) -> tuple[tuple[VecState, EpisodeStats], Transition]:
        vec, stats = carry
        k_act, k_env, k_reset = step_keys(k_steps, t, n, offset)
        action, aux, memory = jax.vmap(policy.act)(k_act, vec.obs, vec.memory)
        env_state, out = step(k_env, vec.env_state, action, params)
        live = ~vec.ended
        reward = tree_where(live, out.reward, jnp.zeros_like(out.reward))
        elapsed = vec.elapsed + live
        discount = jnp.asarray(gamma, reward.dtype) ** vec.elapsed
        ep_return = vec.ep_return + reward
        ep_discounted = vec.ep_discounted + reward * discount.reshape((n,) + (1,) * (reward.ndim - 1))
        terminated = out.terminated & live
        truncated = (elapsed >= limits) & ~terminated & live
        done = terminated | truncated
        stats = stats.add(done, ep_return, ep_discounted, elapsed, truncated)
        stepped = VecState(env_state, out.obs, memory, elapsed, ep_return, ep_discounted, vec.ended)
        info = {name: _entry(out.info, name) for name in keep}

        if isinstance(reset, Freeze):
            held = tree_where(vec.ended, vec, stepped._replace(ended=done))
            record = Transition(vec.obs, action, reward, held.obs, terminated, truncated, aux, info)
            # padding rows count as terminated: no estimator bootstraps from or across them
            return (held, stats), record._replace(terminated=terminated | vec.ended)

        record = Transition(vec.obs, action, reward, out.obs, terminated, truncated, aux, info)
        if pool is None:
            state0, obs0 = fresh(k_reset, params)
        else:
            state0, obs0 = _take_pool(pool, k_reset, params_axis)
        zeros = jnp.zeros_like(ep_return)
        restarted = VecState(state0, obs0, memory0, jnp.zeros_like(elapsed), zeros, zeros, vec.ended)
        return (tree_where(done, restarted, stepped), stats), record

    reward_shape = jax.ShapeDtypeStruct(vec.ep_return.shape[1:], vec.ep_return.dtype)
    (vec, stats), transitions = jax.lax.scan(
        body, (vec, EpisodeStats.zeros(reward_shape)), jnp.arange(length)
    )
    return vec, transitions, stats


def _limits(env: Env, params: PyTree, params_axis: int | None, limit: int | Array | None, n: int) -> Array:
    if limit is None:
        if not isinstance(env, HasTimeLimit):
            return jnp.full(n, jnp.iinfo(jnp.int32).max)
        limit = env.time_limit(params) if params_axis is None else jax.vmap(env.time_limit)(params)
    return jnp.broadcast_to(jnp.asarray(limit, jnp.int32), (n,))


def _entry(info: dict[str, Array], name: str) -> Array:
    if name not in info:
        raise UsageError(f"keep: {name!r} is not in Step.info of this environment, which has {sorted(info)}")
    return info[name]


def _draw_pool(
    env: Env, key: Key, params: PyTree, params_axis: int | None, size: int, n: int, offset: int | Array
) -> PyTree:
    many = jax.vmap(env.reset, (0, None))
    if params_axis is None:
        return many(streams(key, size), params)
    return jax.vmap(lambda k, p: many(streams(k, size), p), (0, params_axis))(streams(key, n, offset), params)


def _take_pool(pool: PyTree, keys: Array, params_axis: int | None) -> PyTree:
    size = jax.tree.leaves(pool)[0].shape[0 if params_axis is None else 1]
    index = jax.vmap(lambda k: jax.random.randint(k, (), 0, size))(keys)
    return jax.vmap(tree_take, (None if params_axis is None else 0, 0))(pool, index)
