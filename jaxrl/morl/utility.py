"""Ascent of a utility of the expected return: scalarised expected returns, SER (Roijers et al. 2013).

    maximise u(G^pi),   G^pi = E[sum_t gamma^t r_t] in R^m

PPO ascends grad u(G) . A with the gradient at the latest evaluated return, which is the policy gradient of
u(G^pi) by the chain rule; u is never taken of a reward or of a value vector, of which it would not be
additive. The expected utility of the return, E[u(sum_t gamma^t r_t)], ESR, is another criterion: it is a sum
of scalar rewards on the environment wrapped by `envs.wrappers.accrued`, and needs PPO with discount 1 alone.

Legend: `M` learners that differ by their keys, `m` objectives. `data` is the environment's parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.baselines import ppo
from jaxrl.core.fields import Share, Size, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.morl.learners import EvaluationOptions, acting, check_learner, evaluator, snapshot
from jaxrl.morl.scalarised import train_learners

Utility = Callable[[Array], Array]
"""Utility of a vector return, `float[m] -> float[]`, differentiable almost everywhere."""


@dataclass(frozen=True)
class Config:
    """Static choices of the ascent."""

    learner: ppo.Config = field(default_factory=ppo.Config)
    """Static choices of PPO, the same for all learners."""
    learners: Size = 1
    """Number of learners, M, of which the best one acts: a utility that is not concave has local optima."""
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    """How the returns at which the gradient is taken are evaluated."""
    updates: Size = 1
    """PPO updates between two evaluations."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters, each a leaf that can be swept."""

    learner: ppo.Hyper = field(default_factory=ppo.Hyper)
    """Hyper-parameters of PPO, of which `w` is set by this algorithm."""
    gamma: Share = 0.99
    """Discount of the returns of which the utility is taken, in [0, 1]."""
    anneal_entropy: Share = 1.0
    """Fraction of the entropy bonus that is gone after `learner.updates_total` updates of PPO, in [0, 1]."""


@struct.dataclass
class State:
    """Learners, leaves `[M, ...]`, and their returns float[M, m]; `key` never changes.

    updates: int32[], evaluations after the first.
    """

    learners: ppo.State
    returns: Array
    key: Key
    updates: Array


def make(config: Config, env: Env, utility: Utility) -> Algorithm:
    """Ascent of `utility` on `env`; one update is `config.updates` PPO updates of every learner.

    Its policies are those of the learner with the largest utility. Metrics `utility` `[M]`, and `returns/j`
    of the best learner.

    Raises `UsageError` for scalar rewards, and for exact evaluation without tables.
    """
    check_learner(config.learner, env, config.evaluation)
    inner, nets = ppo.make(config.learner, env), ppo.networks(config.learner, env)
    evaluate = evaluator(config.learner, env, config.evaluation)
    m = env.reward_dim
    assert m is not None

    def values(learners: ppo.State, key: Key, hyper: Hyper, data: PyTree) -> Array:
        keys = streams(key, config.learners)
        return jax.vmap(evaluate, (0, 0, None, None))(keys, snapshot(learners), data, hyper.gamma).returns

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        k_learners, k_run = jax.random.split(key)
        k_first, k_rest = jax.random.split(k_run)
        start = jax.vmap(lambda k: inner.init(k, hyper.learner.replace(w=jnp.ones(m)), data))
        learners = start(streams(k_learners, config.learners))
        return State(learners, values(learners, k_first, hyper, data), k_rest, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        weights = jax.vmap(jax.grad(utility))(state.returns)
        learners, metrics = train_learners(inner, state.learners, weights, hyper, config.updates, data)
        returns = values(learners, stream(state.key, state.updates), hyper, data)
        found = jax.vmap(utility)(returns)
        best = {f"returns/{j}": x for j, x in enumerate(returns[jnp.argmax(found)])}
        after = State(learners, returns, state.key, state.updates + 1)
        return after, metrics | best | {"utility": found}

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        best = jnp.argmax(jax.vmap(utility)(state.returns))
        return acting(config.learner, nets, tree_take(snapshot(state.learners), best), greedy)

    origin = Origin(__name__, config, env.observation_space, env.action_space, env)
    return Algorithm(init, step, act, origin=origin)
