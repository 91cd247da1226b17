"""Networks of dual RL for one pair of spaces: V, twin Q, discriminator and policy.

Networks see standardised features and actions in [-1, 1]. Q of discrete actions has one output per action, so
that expectations over a categorical policy are exact; with `widths=()` on one-hot states it is a table.
Policies over a `Box` are normals whose mean is a tanh and whose log standard deviation is the same in every
state.

Legend: `n` rows, `k` features, `d` action coordinates, `p` parameters of the policy head.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete, Space
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.nets import heads, net

LOG_STD = (-5.0, 2.0)
"""Range of the log standard deviation of policies."""

EDGE = 1e-5
"""Recorded actions stay this far inside [-1, 1], as in the released code."""


class Networks(NamedTuple):
    """Networks and conversions for one pair of spaces.

    encode: observation -> float32`[k]`. unit, action: recorded action -> action of the networks, and back.
    v, ratio: features `[n, k]` -> float32`[n]`. q: `(params, x [n, k], a [n, ...]) -> [2, n]`. init_q: its
    parameters. actor: features -> parameters of `head`, `[n, p]`.
    soft: `(q_params, actor_params, x [n, k], keys, temperature) -> [2, n]`, E_pi[Q - temperature log pi],
    exact for discrete actions, else by one action. keys: one key, or one of each row, `[n]`.
    """

    encode: Callable[[PyTree], Array]
    unit: Callable[[PyTree], Array]
    action: Callable[[Array], PyTree]
    v: net.Net
    ratio: net.Net
    init_q: Callable[[Key], PyTree]
    q: Callable[[PyTree, Array, Array], Array]
    actor: net.Net
    head: heads.Head
    soft: Callable[[PyTree, PyTree, Array, Key, Array], Array]


def networks(
    observation_space: Space, action_space: Space, *, widths: tuple[int, ...], activation: str
) -> Networks:
    """Networks with hidden layers of `widths`; the discriminator has tanh in place of `activation`.

    Raises:
        UsageError: actions that are neither `Discrete` nor a bounded `Box`, or an unknown activation.
    """
    if not isinstance(action_space, Box | Discrete):
        raise UsageError(f"action_space: must be Discrete or a bounded Box, got {action_space}")
    try:
        size, encode = net.features(observation_space)
        v = heads.value(size, None, widths, activation)
        ratio = heads.value(size, None, widths, "tanh")
        if isinstance(action_space, Discrete):
            return Networks(
                encode, _same, _same, v, ratio, *_discrete(size, action_space, widths, activation)
            )
        unit, action = _scaling(action_space)
        return Networks(encode, unit, action, v, ratio, *_continuous(size, action_space, widths, activation))
    except ValueError as error:
        raise UsageError(f"networks: {error}") from error


def _same(action: Array) -> Array:
    return action


def _discrete(size: int, space: Discrete, widths: tuple[int, ...], activation: str) -> tuple:
    head = heads.categorical(space.n)
    twin = net.ensemble(net.mlp((size, *widths, space.n), activation), 2)
    actor = heads.policy(size, head, widths, activation)

    def q(params: PyTree, x: Array, a: Array) -> Array:
        return (twin.apply(params, x) * jax.nn.one_hot(a, space.n)[None]).sum(-1)

    def soft(q_params: PyTree, actor_params: PyTree, x: Array, keys: Key, temperature: Array) -> Array:
        log_pi = jax.nn.log_softmax(actor.apply(actor_params, x))
        return (jnp.exp(log_pi)[None] * (twin.apply(q_params, x) - temperature * log_pi[None])).sum(-1)

    return twin.init, q, actor, head, soft


def _continuous(size: int, space: Box, widths: tuple[int, ...], activation: str) -> tuple:
    head = heads.normal(Box(-1.0, 1.0, space.shape))
    d = head.size // 2
    plain = heads.policy(size, head, widths, activation, free_log_std=True)
    twin = net.ensemble(heads.value(size + d, None, widths, activation), 2)

    def apply(params: PyTree, x: Array) -> Array:
        dist = plain.apply(params, x)
        return jnp.concatenate([jnp.tanh(dist[..., :d]), jnp.clip(dist[..., d:], *LOG_STD)], -1)

    def q(params: PyTree, x: Array, a: Array) -> Array:
        return twin.apply(params, jnp.concatenate([x, a.reshape(*x.shape[:-1], d)], -1))

    def soft(q_params: PyTree, actor_params: PyTree, x: Array, keys: Key, temperature: Array) -> Array:
        draw = head.sample_and_log_prob if keys.ndim == 0 else jax.vmap(head.sample_and_log_prob)
        raw, log_prob = draw(keys, apply(actor_params, x))
        return q(q_params, x, head.to_action(raw)) - temperature * log_prob[None]

    return twin.init, q, net.Net(plain.init, apply), head, soft


def _scaling(space: Box) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    low, high = (np.broadcast_to(np.float32(b), space.shape) for b in (space.low, space.high))
    with np.errstate(over="ignore", invalid="ignore"):
        middle, half = (high + low) / 2, (high - low) / 2
    if not (np.all(np.isfinite(middle)) and np.all(np.isfinite(half)) and np.all(half > 0)):
        raise UsageError(
            "action_space: needs bounds with low < high whose difference is finite as float32, got"
            f" [{space.low}, {space.high}]"
        )
    return lambda a: jnp.clip((a - middle) / half, -1 + EDGE, 1 - EDGE), lambda u: u * half + middle
