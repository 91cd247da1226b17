"""MORL/D (Felten et al. 2024, 2311.12495): learners that share what they find, one per subproblem.

M learners with vector critics, each for the scalarisation of its own weights. The switches of the framework:

    scalarisation    u(G) = w . G, or Tchebycheff u(G) = -max_j w_j (z*_j - G_j) with z* above the best seen
    transfer         a learner goes on from its nearest neighbour where that serves its own weights better
    adaptation       weights move away from the nearest member of the archive (Czyzak and Jaszkiewicz 1998)

u is taken of the expected return, never of a reward or a value vector, of which it would not be additive: the
actor ascends grad u(G) . A. A replay memory shared by all learners has no meaning for PPO and is left out.

Legend: `M` learners, `m` objectives, `C` members. `data` is the environment's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxrl.baselines import ppo
from jaxrl.core.fields import NonNegative, Positive, Size
from jaxrl.core.tree import tree_take, tree_where
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.morl import archive as archives
from jaxrl.morl import scalarised
from jaxrl.morl.archive import Archive
from jaxrl.morl.learners import check_learner, evaluator, snapshot
from jaxrl.morl.preferences import archive_policy, observation_space
from jaxrl.morl.scalarised import check_hyper, offer, start_learners, train_learners

_LEARNT = ("params", "opt_state", "moments", "scale")


@dataclass(frozen=True)
class Config(scalarised.Config):
    """Static choices: those of the scalarised population, and the switches of the decomposition."""

    scalarisation: Literal["weighted sum", "tchebycheff"] = "weighted sum"
    """What a learner ascends: the weighted sum of the returns, or minus the worst weighted gap to the utopian
    point."""
    transfer: bool = False
    """Whether a learner takes over the parameters of its neighbour in weights where they serve it better."""
    adapt: bool = False
    """Whether the weights are adapted to the archive."""
    exchange: Size = 10
    """Evaluations between two exchanges, in which transfer and adaptation take place."""


@struct.dataclass
class Hyper(scalarised.Hyper):
    """Hyper-parameters of the scalarised population, whose `weights` are the first ones here, and more."""

    margin: NonNegative = 0.5
    """How far the utopian point lies above the best return seen per objective, >= 0. Paper's code: 0.5."""
    factor: Positive = 1.1
    """Factor of an adapted weight, or its reciprocal, > 0. Paper's code: 1.1."""
    apart: NonNegative = 0.1
    """Distance of returns below which a member of the archive is no neighbour, >= 0. Paper's code: 0.1."""


@struct.dataclass
class State:
    """Learners, leaves `[M, ...]`, their weights and values, and the archive; `key` never changes.

    weights, values: float[M, m]; best: float[m], largest return seen; updates: int32[], evaluations so far.
    """

    learners: ppo.State
    weights: Array
    values: Array
    best: Array
    archive: Archive
    key: Key
    updates: Array


def tchebycheff_weights(weights: Array, values: Array, utopia: Array) -> Array:
    """Direction of the gradient of -max_j w_j (z*_j - G_j): the unit vector of the worst gap, float[m].

    weights, values, utopia: float[m]. Equation: felten2024morld [Tchebycheff scalarisation]
    """
    return jax.nn.one_hot(jnp.argmax(weights * (utopia - values)), len(weights), dtype=weights.dtype)


def adapted_weights(weights: Array, values: Array, archive: Archive, factor: Array, apart: Array) -> Array:
    """Weights float[m] after one adaptation to the member of the archive nearest to `values` [m].

    Objectives in which the policy is at least as good as that member are weighted by `factor` more, the
    others less, and the sum is 1 again; unchanged where no member is farther than `apart`.
    Equation: felten2024morld [Pareto simulated annealing]
    """
    difference = jnp.where(archive.valid[:, None], values[None] - archive.entries.returns, jnp.inf)
    distance = jnp.sqrt(jnp.square(difference).sum(-1))
    distance = jnp.where(archive.valid & (distance > apart), distance, jnp.inf)
    nearest = jnp.argmin(distance)
    moved = weights * jnp.where(difference[nearest] >= 0, factor, 1 / factor)
    return jnp.where(jnp.isfinite(distance[nearest]), moved / moved.sum(), weights)


def neighbours(weights: Array) -> Array:
    """Index of the nearest other row by squared distance, int32[M], of weights float[M, m]; M = 1: itself."""
    gap = jnp.square(weights[:, None] - weights[None]).sum(-1)
    return jnp.argmin(jnp.where(jnp.eye(len(weights), dtype=bool), jnp.inf, gap), -1).astype(jnp.int32)


def make(config: Config, env: Env) -> Algorithm:
    """The decomposition on `env`; one update is `config.updates` PPO updates per learner, then insertion.

    Its policies act on `{"obs", "preference"}` as the member of the archive with the largest w . G.

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
        weights, reference = jnp.asarray(hyper.weights), jnp.asarray(hyper.reference)
        return State(
            learners=learners,
            weights=weights,
            # no return is known yet: every gap is that of the reference point
            values=jnp.broadcast_to(reference, weights.shape),
            best=reference,
            archive=archives.empty(tree_take(snapshot(learners), 0), m, config.capacity),
            key=k_run,
            updates=jnp.zeros((), jnp.int32),
        )

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        ascended = state.weights
        if config.scalarisation == "tchebycheff":
            utopia = state.best + hyper.margin
            ascended = jax.vmap(tchebycheff_weights, (0, 0, None))(state.weights, state.values, utopia)
        learners, losses = train_learners(inner, state.learners, ascended, hyper, config.updates, data)
        values, archive, measured = offer(evaluate, state, snapshot(learners), hyper, data)
        best = jnp.maximum(state.best, values.returns.max(0))
        found, updates = values.returns, state.updates + 1
        exchanging = updates % config.exchange == 0
        moved = jnp.zeros(len(state.weights), bool)
        if config.transfer:
            near = neighbours(state.weights)
            gain = _utility(config, state.weights, found[near], best + hyper.margin)
            moved = exchanging & (gain > _utility(config, state.weights, found, best + hyper.margin))
            own = {name: getattr(learners, name) for name in _LEARNT}
            taken = jax.vmap(tree_where)(moved, tree_take(own, near), own)
            learners = learners.replace(**taken)
            found = jnp.where(moved[:, None], found[near], found)
        weights = state.weights
        if config.adapt:
            adapted = jax.vmap(adapted_weights, (0, 0, None, None, None))
            changed = adapted(weights, found, archive, hyper.factor, hyper.apart)
            weights = jnp.where(exchanging, changed, weights)
        after = State(learners, weights, found, best, archive, state.key, updates)
        metrics = losses | {"transferred": moved.sum(), "utility": (found * weights).sum(-1)}
        return after, metrics | measured

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return policy(state.archive, greedy)

    reads = observation_space(env.observation_space, m)
    return Algorithm(init, step, act, origin=Origin(__name__, config, reads, env.action_space, env))


def _utility(config: Config, weights: Array, values: Array, utopia: Array) -> Array:
    """Scalarised values float[M] of `values` [M, m] for the learners' own weights [M, m]."""
    if config.scalarisation == "weighted sum":
        return (weights * values).sum(-1)
    return -(weights * (utopia[None] - values)).max(-1)
