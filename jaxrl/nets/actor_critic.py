"""A policy and a value function for one environment, feed-forward or behind a shared recurrent cell.

Legend: `T` steps, `N` environments, `k` observation features, `h` memory width, `m` reward components.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxrl.core.spaces import Space
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.nets import heads, net


def _same(x: Array) -> Array:
    return x


SAME = Partial(_same)
"""Features as they are."""


class ActorCritic(NamedTuple):
    """Functions on one parameter dict with the entries "actor", "critic" and, if recurrent, "cell".

    encode: `(obs) -> features [k]`; actor: features or memory -> parameters of `head`; critic: the same ->
    value, `[m]` for vector rewards; cell: `(memory [h], features) -> memory`, None if feed-forward.
    """

    n_features: int
    encode: Callable[[PyTree], Array]
    head: heads.Head
    actor: net.Net
    critic: net.Net
    cell: net.Net | None
    width: int

    def init(self, key: Key) -> PyTree:
        """Parameters."""
        k_actor, k_critic, k_cell = jax.random.split(key, 3)
        params = {"actor": self.actor.init(k_actor), "critic": self.critic.init(k_critic)}
        return params if self.cell is None else params | {"cell": self.cell.init(k_cell)}

    def policy(self, params: PyTree, *, greedy: bool, normalise: Partial = SAME) -> Policy:
        """Acts on raw observations; `aux` has the raw action and its log-probability (greedy: empty).

        normalise: of features [k], a `Partial` that holds its statistics.
        """
        act = Partial(self._best if greedy else self._drawn, params, normalise)
        return Policy(act, () if self.cell is None else jnp.zeros(self.width))

    def _best(
        self, params: PyTree, normalise: Partial, key: Key, obs: PyTree, memory: PyTree
    ) -> tuple[PyTree, PyTree, PyTree]:
        dist, memory = self._distribution(params, normalise, obs, memory)
        return self.head.to_action(self.head.mode(dist)), {}, memory

    def _drawn(
        self, params: PyTree, normalise: Partial, key: Key, obs: PyTree, memory: PyTree
    ) -> tuple[PyTree, PyTree, PyTree]:
        dist, memory = self._distribution(params, normalise, obs, memory)
        raw, log_prob = self.head.sample_and_log_prob(key, dist)
        return self.head.to_action(raw), {"raw": raw, "log_prob": log_prob}, memory

    def _distribution(
        self, params: PyTree, normalise: Partial, obs: PyTree, memory: PyTree
    ) -> tuple[Array, PyTree]:
        x = normalise(self.encode(obs))
        if self.cell is not None:
            x = memory = self.cell.apply(params["cell"], memory, x)
        return self.actor.apply(params["actor"], x), memory

    def hidden(self, params: PyTree, x: Array, memory: PyTree, restart: PyTree) -> Array:
        """What actor and critic see at each step of a window, `[T, N, h]`; feed-forward: `x` itself.

        x: float[T, N, k]; memory: float[N, h] before the window; restart: bool[T, N], begins of episodes.
        """
        if self.cell is None:
            return x
        return net.scan_memory(self.cell, params["cell"], memory, x, restart)

    def next_hidden(self, params: PyTree, hidden: Array, next_x: Array) -> Array:
        """What the critic would see at the true successor of each step, whether or not the episode ended."""
        return next_x if self.cell is None else self.cell.apply(params["cell"], hidden, next_x)


def actor_critic(
    observation_space: Space,
    action_space: Space,
    reward_dim: int | None,
    *,
    widths: tuple[int, ...] = (64, 64),
    activation: net.Activation = "tanh",
    memory: int = 0,
    squash: bool = False,
    free_log_std: bool = True,
    initial: net.Initial = "orthogonal",
) -> ActorCritic:
    """Separate networks of `widths` for actor and critic, behind a GRU of width `memory` if that is not 0.

    squash: tanh-squashed normals; free_log_std: one log standard deviation for all states (normals only).
    initial: distribution of the first weights, see `net.mlp`.

    Raises:
        ValueError: no head fits the action space, or an unknown activation or initial distribution.
    """
    k, encode = net.features(observation_space)
    head = heads.policy_head(action_space, squash=squash)
    inputs = memory or k
    free = free_log_std and head.gaussian
    return ActorCritic(
        n_features=k,
        encode=encode,
        head=head,
        actor=heads.policy(inputs, head, widths, activation, free_log_std=free, initial=initial),
        critic=heads.value(inputs, reward_dim, widths, activation, initial=initial),
        cell=net.gru(k, memory) if memory else None,
        width=memory,
    )
