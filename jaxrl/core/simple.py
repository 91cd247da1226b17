"""An algorithm from what is its own: a start, an update and a choice.

`algorithm` supplies what `Algorithm` asks for beside that: the state with its key and its count of updates, a
fresh key for every update, policies whose parameters are leaves, and how it was made, for exports.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.tree import strong
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree


class State(NamedTuple):
    """State of a simple algorithm.

    learned: what `start` and `update` return; key: constant; updates: int32[], updates so far.
    """

    learned: PyTree
    key: Key
    updates: Array


def algorithm(
    config: Any,
    env: Any,
    start: Callable[[Key, Any, Any], PyTree],
    update: Callable[[PyTree, Key, Any, Any], tuple[PyTree, dict[str, Any]]],
    choose: Callable[[PyTree, PyTree, Key | None], PyTree],
) -> Algorithm:
    """The algorithm of three functions, made by a function `make(config, env)` of the module of `start`.

    start: `(key, hyper, data) -> learned`, any pytree of arrays and numbers. update: `(learned, key, hyper,
    data) -> (learned, metrics)`, with a fresh key at every update; it keeps structure, shapes and dtypes.
    choose: `(learned, obs, key) -> action`; `key` is None where the policy is to be greedy.

    Raises UsageError where `update` returns no pair.
    """

    def init(key: Key, hyper: Any, data: Any) -> State:
        return State(strong(start(stream(key, 0), hyper, data)), key, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Any, data: Any) -> tuple[State, dict[str, Any]]:
        pair = update(state.learned, stream(state.key, state.updates + 1), hyper, data)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise UsageError(
                f"{start.__module__}: update returns {type(pair).__name__}, not (learned, metrics)"
            )
        learned, metrics = pair
        return State(strong(learned), state.key, state.updates + 1), metrics

    def sampled(learned: PyTree, key: Key, obs: PyTree, memory: PyTree) -> tuple[PyTree, tuple[()], PyTree]:
        return choose(learned, obs, key), (), memory

    def act(state: State, hyper: Any, greedy: bool) -> Policy:
        return policy(choose, state.learned) if greedy else Policy(Partial(sampled, state.learned))

    origin = Origin(start.__module__, config, env.observation_space, env.action_space, env)
    return Algorithm(init, step, act, origin=origin)


def policy(choose: Callable[[PyTree, PyTree, Key | None], PyTree], learned: PyTree) -> Policy:
    """The greedy policy of `learned`: its action is `choose(learned, obs, None)`."""
    return Policy(Partial(_greedy(choose), learned))


@functools.lru_cache(maxsize=128)
def _greedy(choose: Callable[..., PyTree]) -> Callable[..., Any]:
    """One function per `choose`, so that what evaluates its policies is compiled once."""

    def act(learned: PyTree, key: Key, obs: PyTree, memory: PyTree) -> tuple[PyTree, tuple[()], PyTree]:
        return choose(learned, obs, None), (), memory

    return act
