"""Utilities of the vector return of an episode, exactly: the best E[u(G)], G = sum_t gamma^t r_t.

The best action depends on the return so far, so that a problem is unfolded into pairs of state and return,
step by step, until every episode has ended. For small problems in which returns take few values.

Legend: `K` pairs of a step, `E` edges between two steps, `S` states, `A` actions, `m` objectives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.tables import tables

Utility = Callable[[np.ndarray], np.ndarray]
"""Utilities of vector returns, float64[K, m] -> float64[K]."""


class Layer(NamedTuple):
    """What can be seen before a step: state int[K], returns float64[K, m], gamma^t of the next reward."""

    state: np.ndarray
    returns: np.ndarray
    discount: float


class Edges(NamedTuple):
    """How a step leads on: from pair `k` by `action` to `to`, int[E] each, with probability float64[E]."""

    k: np.ndarray
    action: np.ndarray
    to: np.ndarray
    probability: np.ndarray


class Unfolded(NamedTuple):
    """Pairs before every step and after the last one, edges between them, and the first distribution."""

    layers: list[Layer]
    edges: list[Edges]
    start: np.ndarray


def unfold(mdp: TabularMDP, most: int = 100_000) -> Unfolded:
    """Pairs of state and return of a problem with vector rewards whose episodes all end.

    Raises `UsageError` for scalar rewards, time-indexed tables, and where a step has more than `most` pairs
    or episodes are longer than 1000 steps.
    """
    t = tables(mdp)
    if t.reward_dim is None or t.horizon is not None:
        raise UsageError("mdp: a return of several objectives needs stationary tables with vector rewards")
    R = np.asarray(mdp.R, np.float64)
    R = R if mdp.reward_on_successor else np.broadcast_to(R[:, :, None], (*t.P.shape, t.reward_dim))
    state = np.flatnonzero(t.mu0)
    layers, edges = [Layer(state, np.zeros((len(state), t.reward_dim)), 1.0)], []
    while not t.terminal[layers[-1].state].all():
        if len(layers) > 1000:
            raise UsageError(
                "mdp: has episodes of more than 1000 steps; the unfolded problem needs short ones"
            )
        own = layers[-1]
        k, action, after = np.nonzero(t.P[own.state])
        s = own.state[k]
        returns = own.returns[k] + own.discount * R[s, action, after]
        # equal returns that were summed in another order differ by rounding
        pairs, first, to = np.unique(
            np.c_[after, np.round(returns, 9)], axis=0, return_index=True, return_inverse=True
        )
        if len(pairs) > most:
            raise UsageError(f"most: step {len(layers)} has {len(pairs)} pairs, more than {most}")
        edges.append(Edges(k, action, to.ravel(), t.P[s, action, after]))
        layers.append(Layer(after[first], returns[first], own.discount * t.gamma))
    return Unfolded(layers, edges, t.mu0[state])


def best_expected_utility(unfolded: Unfolded, utility: Utility) -> tuple[float, list[np.ndarray]]:
    """The largest E[u(G)], and by step the best actions int[K], the lowest of those that tie."""
    value, actions = utility(unfolded.layers[-1].returns), []
    count = 1 + max((int(edges.action.max()) for edges in unfolded.edges), default=0)
    for layer, edges in zip(unfolded.layers[-2::-1], unfolded.edges[::-1], strict=True):
        q = np.zeros((len(layer.state), count))
        np.add.at(q, (edges.k, edges.action), edges.probability * value[edges.to])
        actions.append(q.argmax(-1))
        value = q.max(-1)
    return float(unfolded.start @ value), actions[::-1]


def outcomes(unfolded: Unfolded, policy: Callable[[int, Layer], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64[K, m] of whole episodes under `policy`, and their probabilities float64[K].

    policy: of the number of a step, from 0, and of its layer: probabilities of actions float[K, A].
    """
    weight = unfolded.start
    for step, (layer, edges) in enumerate(zip(unfolded.layers, unfolded.edges, strict=False)):
        flow = weight[edges.k] * np.asarray(policy(step, layer), np.float64)[edges.k, edges.action]
        weight = np.bincount(edges.to, flow * edges.probability, int(edges.to.max()) + 1)
    return unfolded.layers[-1].returns, weight
