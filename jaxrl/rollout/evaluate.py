"""Evaluation without bias: exactly one episode per slot.

An average over the episodes that happened to end in a window with automatic resets favours short ones; every
number in a table comes from here.

Legend: `n` episodes, `m` reward components.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Share, Size, check_leaf, check_value
from jaxrl.core.prng import check_key, stream
from jaxrl.core.types import Algorithm, Array, Key, Policy, PyTree
from jaxrl.envs.base import Env, HasTimeLimit
from jaxrl.rollout.unroll import Freeze, VecState, check_limit, check_policy, start, unroll

# steps between two looks at whether every episode has ended; every such chunk has a key of its own
CHUNK = 16


class EvalResult(NamedTuple):
    """Outcomes of whole episodes.

    returns, discounted: float[n] or [n, m]; lengths: int32[n]; terminated: bool[n], else truncated.
    """

    returns: Array
    discounted: Array
    lengths: Array
    terminated: Array


def evaluate(
    env: Env,
    policy: Policy,
    key: Key,
    params: PyTree,
    *,
    episodes: int,
    limit: int | Array | None = None,
    gamma: float | Array = 1.0,
) -> EvalResult:
    """`episodes` independent episodes of at most `limit` steps, by a key that training has not used.

    Stops as soon as all episodes have ended, with the result of running all `limit` steps.

    limit: int, or int32[n]; None takes the environment's `time_limit`.
    gamma: discount of `discounted`.

    A call outside of jit is compiled once per environment, number of episodes and function of the policy: the
    parameters of an algorithm's policy are arguments of the compiled program, see `Policy`.

    Raises `UsageError` if `episodes` or `limit` is below 1, if there is no limit at all, for a discount
    outside of [0, 1], a function in place of a `Policy`, and keys that are not one typed key.
    """
    check_policy(policy)
    check_key(key)
    check_leaf("gamma", gamma, Share)
    episodes = check_value("episodes", episodes, Size)
    if limit is None and not isinstance(env, HasTimeLimit):
        raise UsageError(f"limit: {env.name} has no time limit of its own; pass the number of steps")
    check_limit(limit, episodes)
    return _evaluate(env, policy.as_tree(), key, params, limit, gamma, episodes)


# inlined where the caller is traced
@partial(jax.jit, static_argnames=("env", "episodes"), inline=True)
def _evaluate(
    env: Env,
    policy: Policy,
    key: Key,
    params: PyTree,
    limit: int | Array | None,
    gamma: float | Array,
    episodes: int,
) -> EvalResult:
    k_start, k_steps = jax.random.split(key)

    def running(carry: tuple[VecState, Array, Array]) -> Array:
        return ~jnp.all(carry[0].ended)

    def advance(carry: tuple[VecState, Array, Array]) -> tuple[VecState, Array, Array]:
        vec, truncated, chunk = carry
        vec, transitions, _ = unroll(
            env,
            policy,
            vec,
            stream(k_steps, chunk),
            params,
            length=CHUNK,
            limit=limit,
            gamma=gamma,
            reset=Freeze(),
        )
        return vec, truncated | transitions.truncated.any(0), chunk + 1

    vec = start(env, policy, k_start, params, episodes)
    first = (vec, jnp.zeros(episodes, bool), jnp.zeros((), jnp.int32))
    vec, truncated, _ = jax.lax.while_loop(running, advance, first)
    return EvalResult(vec.ep_return, vec.ep_discounted, vec.elapsed, ~truncated)


def greedy_return(algorithm: Algorithm, env: Env, episodes: int) -> Callable[..., dict[str, Array]]:
    """`(key, state, hyper, data) -> {"eval/return": float[] or float[m]}`: how a driver evaluates a member.

    The mean return of the greedy policy over `episodes` episodes; `data` are the environment's parameters.
    """

    def evaluation(key: Key, state: PyTree, hyper: Any, data: PyTree) -> dict[str, Array]:
        result = evaluate(env, algorithm.act(state, hyper, True), key, data, episodes=episodes)
        return {"eval/return": result.returns.mean(0)}

    return evaluation
