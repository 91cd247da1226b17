"""Preference-conditioned PPO: one network for all preferences, trained for those that are drawn.

The counterpart of a set of policies: actor and critic read the preference w beside the observation, w is
drawn uniformly from the simplex for every episode, and the actor ascends w . G(s, w). Envelope Q-learning
(Yang et al. 2019, 1908.08342) conditions in the same way. After every update the network is evaluated for
the rows of a lattice of preferences, and these policies are offered to an archive, as in `scalarised.py`.

Legend: `W` preferences of the evaluation, `m` objectives. `data` is the environment's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxrl.baselines import ppo
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.envs.wrappers.prefer import prefer
from jaxrl.morl import archive as archives
from jaxrl.morl import scalarised
from jaxrl.morl.archive import Archive
from jaxrl.morl.learners import (
    Evaluated,
    acting,
    check_learner,
    exact_values,
    sampled_values,
    snapshot,
)
from jaxrl.morl.preferences import observation_space
from jaxrl.morl.scalarised import check_hyper, entropy_bonus, offer


@dataclass(frozen=True)
class Config(scalarised.Config):
    """Static choices: those of the scalarised population, for one learner."""


@struct.dataclass
class Hyper(scalarised.Hyper):
    """Hyper-parameters: those of the scalarised population, with the preferences of the evaluation.

    weights: float[W, m], for which the network is evaluated; training draws its own.
    """


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
    inner, nets = ppo.make(config.learner, shown), ppo.networks(config.learner, shown)

    def evaluate(key: Key, policy: dict[str, PyTree], data: PyTree, gamma: Array) -> Evaluated:
        w = policy["preference"]
        if config.evaluation.kind == "exact":
            states = jnp.arange(data.n_states)
            x = jax.vmap(lambda s: nets.encode({"obs": s, "preference": w}))(states)
            x = policy["moments"].normalise(x) if config.learner.normalise_obs else x
            return exact_values(data, jax.nn.softmax(nets.actor.apply(policy["params"]["actor"], x)), gamma)
        whole = acting(config.learner, nets, policy, config.evaluation.kind == "greedy")
        chosen = Policy(Partial(_preferring, whole.act, w), whole.memory)
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
        weights = jnp.asarray(hyper.weights)

        def update(learner: ppo.State, _: None) -> tuple[ppo.State, dict[str, Any]]:
            own = with_sum(hyper).replace(entropy=entropy_bonus(hyper, learner.updates))
            return inner.step(learner, own, data)

        learner, metrics = jax.lax.scan(update, state.learner, length=config.updates)
        policies = jax.vmap(candidate, (None, 0))(snapshot(learner), weights)
        values, archive, found = offer(evaluate, state, policies, hyper, data)
        losses = {"loss": metrics["loss"].mean(), "entropy": metrics["entropy"].mean()}
        utility = {"utility": (values.returns * weights).sum(-1)}
        return State(learner, archive, state.key, state.updates + 1), losses | utility | found

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return acting(config.learner, nets, snapshot(state.learner), greedy)

    reads = observation_space(env.observation_space, m)
    return Algorithm(init, step, act, origin=Origin(__name__, config, reads, env.action_space, env))


def _preferring(whole: Partial, w: Array, key: Key, obs: PyTree, memory: PyTree) -> Any:
    return whole(key, {"obs": obs, "preference": w}, memory)
