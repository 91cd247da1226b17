"""Scalarised PPO population (Liu et al. 2025, 2410.02236): Pareto initialisation of C-MORL.

M learners with vector critics, one per preference, each ascending w_i . G; all policies on the way are
offered to one archive. One member of a population is one such run. With the whole budget it is the baseline
that C-MORL is compared with.

Legend: `M` preferences, `m` objectives, `C` members. `data` is the environment's parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Share, Size, Weights, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.morl import archive as archives
from jaxrl.morl.archive import Archive, Entries
from jaxrl.morl.hypervolume import hypervolume_device
from jaxrl.morl.learners import (
    Evaluate,
    Evaluated,
    EvaluationOptions,
    check_learner,
    evaluator,
    snapshot,
)
from jaxrl.morl.preferences import archive_policy, observation_space

Keep = Callable[[ppo.State, ppo.Hyper], dict[str, PyTree]]


@dataclass(frozen=True)
class Config:
    """Static choices of the population."""

    learner: ppo.Config = field(default_factory=ppo.Config)
    """Static choices of PPO, the same for all learners. Paper: 8 environments, 512 steps, 10 epochs, 32
    minibatches, two hidden layers of 64 units."""
    capacity: Size = 256
    """Members of the archive. Paper: 200."""
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    """How policies are evaluated before they enter the archive."""
    updates: Size = 1
    """PPO updates of every learner between two evaluations. Paper: 10, on finite problems 1."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters, each a leaf that can be swept."""

    weights: Weights
    """Preferences of the learners, float[M, m], rows of the simplex, see `preferences.preferences`."""
    reference: Weights
    """Reference point z, float[m], in units of the returns; the archive refuses returns below it."""
    learner: ppo.Hyper = field(default_factory=ppo.Hyper)
    """Hyper-parameters of PPO, of which `w` is set by this algorithm. Paper: learning rate 3e-4, discount
    0.995."""
    gamma: Share = 0.99
    """Discount of the returns that are archived and compared, in [0, 1]. Paper: 0.98 to 1 by task."""
    anneal_entropy: Share = 1.0
    """Fraction of the entropy bonus that is gone after `learner.updates_total` updates of PPO, in [0, 1]."""


@struct.dataclass
class State:
    """Learners, leaves `[M, ...]`, and the archive; `key` never changes. updates: int32[], evaluations."""

    learners: ppo.State
    archive: Archive
    key: Key
    updates: Array


def policies_alone(learners: ppo.State, hyper: ppo.Hyper) -> dict[str, PyTree]:
    """What is archived of learners, leaves `[M, ...]`: parameters and statistics."""
    return snapshot(learners)


def make(config: Config, env: Env, keep: Keep = policies_alone) -> Algorithm:
    """The population on `env`; one update is `config.updates` PPO updates of every learner, then insertion.

    Its policies act on `{"obs", "preference"}` as the member of the archive with the largest w . G.
    keep: what the archive holds of the learners, `(learners [M, ...], hyper of PPO) -> policies [M, ...]`.

    Raises `UsageError` for scalar rewards, and for exact evaluation without tables.
    """
    check_learner(config.learner, env, config.evaluation)
    inner, nets = ppo.make(config.learner, env), ppo.networks(config.learner, env)
    evaluate, policy = evaluator(config.learner, env, config.evaluation), archive_policy(config.learner, nets)
    m = env.reward_dim
    assert m is not None

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        check_hyper(hyper, m)
        k_learners, k_run = jax.random.split(key)
        learners = start_learners(inner, k_learners, hyper, data)
        free = archives.empty(tree_take(keep(learners, hyper.learner), 0), m, config.capacity)
        return State(learners, free, k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        weights = jnp.asarray(hyper.weights)
        learners, losses = train_learners(inner, state.learners, weights, hyper, config.updates, data)
        values, archive, found = offer(evaluate, state, keep(learners, hyper.learner), hyper, data)
        utility = {"utility": (values.returns * weights).sum(-1)}
        return State(learners, archive, state.key, state.updates + 1), losses | utility | found

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return policy(state.archive, greedy)

    reads = observation_space(env.observation_space, m)
    return Algorithm(init, step, act, origin=Origin(__name__, config, reads, env.action_space, env))


def start_learners(inner: Algorithm, key: Key, hyper: Hyper, data: PyTree) -> ppo.State:
    """Learners at the start, leaves `[M, ...]`, one for each row of `hyper.weights`."""
    weights = jnp.asarray(hyper.weights)
    start = jax.vmap(lambda k, w: inner.init(k, hyper.learner.replace(w=w), data))
    return start(streams(key, len(weights)), weights)


def train_learners(
    inner: Algorithm, learners: ppo.State, weights: Array, hyper: Any, updates: int, data: PyTree
) -> tuple[ppo.State, dict[str, Array]]:
    """`updates` updates of PPO of every learner for its row of `weights` [M, m]: `(learners, metrics)`.

    learners: leaves `[M, ...]`; hyper: with `learner` and `anneal_entropy`. The bonus of the entropy shrinks
    with the updates of PPO. Metrics are the loss of every learner and the mean entropy. PPO's advantage is
    w . A, with the row of a learner as its w. Equation: liu2025cmorl [Pareto initialisation]
    """

    def update(learners: ppo.State, _: None) -> tuple[ppo.State, dict[str, Any]]:
        entropy = entropy_bonus(hyper, learners.updates[0])

        def one(learner: ppo.State, w: Array) -> tuple[ppo.State, dict[str, Any]]:
            return inner.step(learner, hyper.learner.replace(w=w, entropy=entropy), data)

        return jax.vmap(one)(learners, weights)

    learners, metrics = jax.lax.scan(update, learners, length=updates)
    losses = {f"loss/{i}": x for i, x in enumerate(metrics["loss"].mean(0))}
    return learners, losses | {"entropy": metrics["entropy"].mean()}


def entropy_bonus(hyper: Any, updates: Array) -> Array:
    """Weight of the entropy after `updates` int32[] updates of PPO, float[], by `hyper.anneal_entropy`."""
    progress = jnp.minimum(updates / hyper.learner.updates_total, 1.0)
    return hyper.learner.entropy * (1 - hyper.anneal_entropy * progress)


def offer(
    evaluate: Evaluate, state: Any, policies: PyTree, hyper: Hyper, data: PyTree
) -> tuple[Evaluated, Archive, dict[str, Array]]:
    """Values of policies, leaves `[M, ...]`, the archive after they were offered to it, and its metrics.

    state: with `archive`, `key` and `updates`, by which the policies are evaluated and marked.
    """
    reference = jnp.asarray(hyper.reference)
    count = len(jax.tree.leaves(policies)[0])
    keys = streams(stream(state.key, state.updates), count)
    values = jax.vmap(evaluate, (0, 0, None, None))(keys, policies, data, hyper.gamma)
    new = _candidates(policies, values, state.updates)
    archive = archives.insert(state.archive, new, reference, jnp.ones(count, bool))
    return values, archive, archive_metrics(archive, reference)


def _candidates(policies: PyTree, values: Evaluated, round: Array) -> Entries:
    count, m = values.returns.shape
    return Entries(
        policy=policies,
        returns=values.returns,
        undiscounted=values.undiscounted,
        length=values.length,
        bounds=jnp.full((count, m), -jnp.inf, jnp.float32),
        start=jnp.arange(count, dtype=jnp.int32),
        objective=jnp.full(count, -1, jnp.int32),
        round=jnp.full(count, round),
    )


def archive_metrics(archive: Archive, reference: Array) -> dict[str, Array]:
    """Size of the archive, what pruning dropped, and with two or three objectives its hypervolume above
    `reference` `[m]`.
    """
    found = {"members": archive.valid.sum(), "dropped": archive.dropped}
    if len(reference) > 3:
        return found
    return found | {"hypervolume": hypervolume_device(archive.entries.returns, archive.valid, reference)}


def check_hyper(hyper: Hyper, m: int) -> None:
    """Raise `UsageError` where weights or reference do not have the shape of the rewards; may be traced."""
    shape = jnp.shape(hyper.weights)
    if len(shape) != 2 or shape[1] != m:
        raise UsageError(f"Hyper.weights: must be [M, {m}], a preference per learner, got {list(shape)}")
    if jnp.shape(hyper.reference) != (m,):
        raise UsageError(f"Hyper.reference: must be [{m}], got {list(jnp.shape(hyper.reference))}")
