"""Behaviour cloning: the policy under which the recorded actions are most likely.

    minimise  - sum_i w_i log pi(a_i | s_i) / sum_i w_i

over batches drawn in proportion to `w`, or over the whole dataset. The weights are the dataset's
`mask`; with that of `best_episodes` this is %BC, which clones only the episodes of highest return (Chen et
al. 2021, 2106.01345).

Legend: `n` rows of the dataset or of a batch, `k` observation features, `p` parameters of the policy head.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from jaxrl.core import spmd
from jaxrl.core.descent import descend
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import NonNegative, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Space
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.data.check import check_dataset
from jaxrl.data.dataset import Dataset
from jaxrl.nets import heads, net
from jaxrl.nets.net import Activation


@dataclass(frozen=True)
class Config:
    """Static choices of behaviour cloning."""

    batch_size: Size | None = 256
    """Transitions per update, None for the whole dataset (tables, small linear problems)."""
    widths: tuple[Size, ...] = (256, 256)
    """Hidden units per layer; () for a linear function."""
    activation: Activation = "relu"
    """Elementwise function between layers."""
    squash: bool = False
    """Whether actions of a box are normals squashed by tanh, in place of normals clipped at the bounds."""
    free_log_std: bool = True
    """Whether one log standard deviation serves all states, in place of an output of the network."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters of behaviour cloning, each a leaf that can be swept."""

    lr: NonNegative = 3e-4
    """Learning rate of Adam, >= 0."""


@struct.dataclass
class State:
    """What an update changes, and `key`, which it does not."""

    params: PyTree
    opt_state: PyTree
    key: Key
    updates: Array


class _Nets(NamedTuple):
    """encode: observation -> float32[k]; actor: float32[..., k] -> float32[..., p]."""

    encode: Callable[[PyTree], Array]
    actor: net.Net
    head: heads.Head

    def best(self, params: PyTree, key: Key, obs: PyTree, memory: PyTree) -> tuple[PyTree, PyTree, PyTree]:
        return self.head.to_action(self.head.mode(self.actor.apply(params, self.encode(obs)))), (), memory

    def drawn(self, params: PyTree, key: Key, obs: PyTree, memory: PyTree) -> tuple[PyTree, PyTree, PyTree]:
        raw = self.head.sample(key, self.actor.apply(params, self.encode(obs)))
        return self.head.to_action(raw), (), memory


def make(
    config: Config,
    observation_space: Space,
    action_space: Space,
    *,
    optimiser: optax.GradientTransformation | None = None,
    axis: str | None = None,
) -> Algorithm:
    """Behaviour cloning; `data` of the algorithm is a `Dataset`.

    optimiser: optax transformation of the gradient, before the learning rate; default Adam.
    axis: mesh axis over which every batch is split, see `data_parallel`; state and dataset are replicated.

    Raises:
        UsageError: no policy fits the action space, or an unknown activation; from `init` and `check`, data
            that do not fit the spaces.
    """
    try:
        nets = _nets(config, observation_space, action_space)
    except ValueError as error:
        raise UsageError(f"bc.make: {error}") from error
    optimiser = optax.scale_by_adam() if optimiser is None else optimiser
    value_and_grad = spmd.pmean_grad(partial(_loss, nets, axis), axis)

    def check(data: Dataset) -> None:
        check_dataset(data, observation_space, action_space)

    def init(key: Key, hyper: Hyper, data: Dataset) -> State:
        check(data)
        k_init, k_run = jax.random.split(key)
        params = nets.actor.init(k_init)
        return State(params, optimiser.init(params), k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: Dataset) -> tuple[State, dict[str, Array]]:
        if config.batch_size is None:
            batch, weights = data, data.mask
        else:  # drawing in proportion to the mask has weighted them
            batch, weights = data.sample(stream(state.key, state.updates), config.batch_size), None
        batch = spmd.share((batch.obs, batch.action, weights), axis)
        loss, grad = value_and_grad(state.params, *batch)
        params, opt_state = descend(optimiser, grad, state.opt_state, state.params, hyper.lr)
        return State(params, opt_state, state.key, state.updates + 1), {"loss": loss}

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return Policy(Partial(nets.best if greedy else nets.drawn, state.params))

    origin = Origin(__name__, config, observation_space, action_space)
    return Algorithm(init, step, act, check=check, origin=origin)


def _nets(config: Config, observation_space: Space, action_space: Space) -> _Nets:
    size, encode = net.features(observation_space)
    head = heads.policy_head(action_space, squash=config.squash)
    free_log_std = config.free_log_std and head.gaussian
    actor = heads.policy(size, head, config.widths, config.activation, free_log_std=free_log_std)
    return _Nets(encode, actor, head)


def _loss(
    nets: _Nets, axis: str | None, params: PyTree, obs: PyTree, action: PyTree, weights: Array | None
) -> Array:
    """Average negative log-likelihood of a batch, with weights [n], bool or float, or None."""
    dist = nets.actor.apply(params, jax.vmap(nets.encode)(obs))
    log_prob = nets.head.log_prob(dist, nets.head.from_action(action))
    if weights is None:
        return -log_prob.mean()
    weights = weights.astype(log_prob.dtype)
    return -(weights * log_prob).mean() / spmd.mean(weights.mean(), axis)


def best_episodes(data: Dataset, fraction: float) -> Dataset:
    """`data` with a mask that leaves the `fraction` of its episodes with the highest returns, rounded up.

    A host function: it counts episodes, so it cannot be traced. Rows that were masked before stay so.

    Raises:
        UsageError: `fraction` outside (0, 1], or vector rewards.
    """
    if not 0 < fraction <= 1:
        raise UsageError(f"fraction: must lie in (0, 1], got {fraction}")
    if data.reward.ndim != 1:
        raise UsageError(f"data.reward: must be scalar per row, got {data.reward.shape}; scalarise it first")
    mask = np.ones(data.size, bool) if data.mask is None else np.asarray(data.mask)
    episodes, index = np.unique(np.asarray(data.episode)[mask > 0], return_inverse=True)
    returns = np.bincount(index, weights=np.asarray(data.reward)[mask > 0])
    best = episodes[np.argsort(-returns, kind="stable")[: math.ceil(fraction * len(episodes))]]
    return data.replace(mask=jnp.asarray(mask * np.isin(data.episode, best)))
