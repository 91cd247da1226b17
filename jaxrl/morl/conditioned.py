"""Preference-conditioned PPO: one network for all preferences, trained for those that are drawn.

The counterpart of a set of policies: actor and critic read the preference w beside the observation, w is
drawn uniformly from the simplex for every episode, and the actor ascends w . G(s, w). Envelope Q-learning
(Yang et al. 2019, 1908.08342) conditions in the same way. After every update the network is evaluated for
the rows of a lattice of preferences, and these policies are offered to an archive, as in `scalarised.py`.

Legend: `W` preferences of the evaluation, `m` objectives. `data` is the environment's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxrl.baselines import ppo
from jaxrl.core.fields import Share, Size, Weights, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.envs.wrappers.prefer import prefer
from jaxrl.morl import archive as archives
from jaxrl.morl.archive import Archive
from jaxrl.morl.learners import (
    Evaluated,
    EvaluationOptions,
    acting,
    check_learner,
    exact_values,
    networks,
    sampled_values,
    snapshot,
)
from jaxrl.morl.preferences import observation_space
from jaxrl.morl.scalarised import archive_metrics, candidates, check_hyper


@dataclass(frozen=True)
class Config:
    """Static choices of the conditioned learner."""

    learner: ppo.Config = field(default_factory=ppo.Config)
    """Static choices of PPO."""
    capacity: Size = 256
    """Members of the archive."""
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    """How the network is evaluated for each preference."""
    updates: Size = 1
    """PPO updates between two evaluations."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters, each a leaf that can be swept."""

    weights: Weights
    """Preferences of the evaluation, float[W, m], rows of the simplex; training draws its own."""
    reference: Weights
    """Reference point z, float[m], in units of the returns; the archive refuses returns below it."""
    learner: ppo.Hyper = field(default_factory=ppo.Hyper)
    """Hyper-parameters of PPO, of which `w` is set by this algorithm."""
    gamma: Share = 0.99
    """Discount of the returns that are archived and compared, in [0, 1]."""
    anneal_entropy: Share = 1.0
    """Fraction of the entropy bonus that is gone after `learner.updates_total` updates of PPO, in [0, 1]."""


@struct.dataclass
class State:
    """The learner and the archive; `key` never changes. updates: int32[], evaluations so far."""

    learner: ppo.State
    archive: Archive
    key: Key
    updates: Array


def make(config: Config, env: Env) -> Algorithm:
    """The conditioned learner on `env`; one update is `config.updates` PPO updates, then an evaluation.

    Its policies act on `{"obs", "preference"}`. The metric `utility` `[W]` is w . G of the present network.

    Raises `UsageError` for scalar rewards, and for exact evaluation without tables.
    """
    check_learner(config.learner, env, config.evaluation)
    m = env.reward_dim
    assert m is not None
    shown = prefer(env)
    inner, nets = ppo.make(config.learner, shown), networks(config.learner, shown)

    def of_preference(policy: dict[str, PyTree], greedy: bool, w: Array) -> Policy:
        """The network as a policy on the environment itself."""
        whole = acting(config.learner, nets, policy, greedy)
        return Policy(Partial(_preferring, whole.act, w), whole.memory)

    def values(key: Key, policy: dict[str, PyTree], w: Array, data: PyTree, gamma: Array) -> Evaluated:
        if config.evaluation.kind == "exact":
            states = jnp.arange(data.n_states)
            x = jax.vmap(lambda s: nets.encode({"obs": s, "preference": w}))(states)
            x = policy["moments"].normalise(x) if config.learner.normalise_obs else x
            return exact_values(data, jax.nn.softmax(nets.actor.apply(policy["params"]["actor"], x)), gamma)
        chosen = of_preference(policy, config.evaluation.kind == "greedy", w)
        return sampled_values(env, chosen, key, data, gamma, config.evaluation)

    def with_sum(hyper: Hyper) -> ppo.Hyper:
        # the wrapper has weighted the components already
        return hyper.learner.replace(w=jnp.ones(m))

    def candidate(policy: dict[str, PyTree], w: Array) -> dict[str, PyTree]:
        return policy | {"preference": w}

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        check_hyper(hyper, m)
        k_learner, k_run = jax.random.split(key)
        learner = inner.init(k_learner, with_sum(hyper), data)
        free = archives.empty(candidate(snapshot(learner), jnp.zeros(m)), m, config.capacity)
        return State(learner, free, k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        weights, reference = jnp.asarray(hyper.weights), jnp.asarray(hyper.reference)
        count = len(weights)

        def update(learner: ppo.State, _: None) -> tuple[ppo.State, dict[str, Any]]:
            progress = jnp.minimum(learner.updates / hyper.learner.updates_total, 1.0)
            entropy = hyper.learner.entropy * (1 - hyper.anneal_entropy * progress)
            return inner.step(learner, with_sum(hyper).replace(entropy=entropy), data)

        learner, metrics = jax.lax.scan(update, state.learner, length=config.updates)
        policy = snapshot(learner)
        keys = streams(stream(state.key, state.updates), count)
        found = jax.vmap(values, (0, None, 0, None, None))(keys, policy, weights, data, hyper.gamma)
        new = candidates(jax.vmap(candidate, (None, 0))(policy, weights), found, state.updates)
        archive = archives.insert(state.archive, new, reference, jnp.ones(count, bool))
        losses = {"loss": metrics["loss"].mean(), "entropy": metrics["entropy"].mean()}
        utility = {"utility": (found.returns * weights).sum(-1)}
        return State(learner, archive, state.key, state.updates + 1), (
            losses | utility | archive_metrics(archive, reference)
        )

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return acting(config.learner, nets, snapshot(state.learner), greedy)

    reads = observation_space(env.observation_space, m)
    return Algorithm(init, step, act, origin=Origin(__name__, config, reads, env.action_space, env))


def _preferring(whole: Partial, w: Array, key: Key, obs: PyTree, memory: PyTree) -> Any:
    return whole(key, {"obs": obs, "preference": w}, memory)
