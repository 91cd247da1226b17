"""Learners of C-MORL: PPO with a vector critic, what is kept of a policy, and how it is evaluated.

Legend: `m` objectives, `S` states, `A` actions, `n` episodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_fields
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.envs.base import Env
from jaxrl.envs.tabular.mdp import TabularMDP
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.nets.actor_critic import SAME, ActorCritic
from jaxrl.rollout.evaluate import evaluate
from jaxrl.rollout.normalise import ReturnScale, RunningMoments

Evaluate = Callable[[Key, dict[str, PyTree], PyTree, Array], "Evaluated"]
DOUBLINGS = 12  # exact values are sums over 2^12 steps


@dataclass(frozen=True)
class EvaluationOptions:
    """How policies are evaluated before they enter the archive."""

    kind: Literal["exact", "sampled", "greedy"] = "sampled"
    """Values of the stochastic policy on the tables of a finite problem ("exact"), episodes of the stochastic
    policy, or episodes of its most likely actions ("greedy"). Deterministic actions hide what stochastic
    policies gain where the front is concave."""
    episodes: Size = 16
    """Number of episodes per policy; one is enough where policy and environment are deterministic."""
    limit: Size | None = None
    """Steps after which an episode is cut; None takes the time limit of the environment."""

    def __post_init__(self) -> None:
        check_fields(self)


class Evaluated(NamedTuple):
    """Values of one policy.

    returns, undiscounted: float[m]; length: float[], E[sum_t gamma^t] over the steps of an episode.
    """

    returns: Array
    undiscounted: Array
    length: Array


def check_learner(config: ppo.Config, env: Env, options: EvaluationOptions) -> None:
    """Raise `UsageError` for an environment without vector rewards, and where exact values do not exist."""
    if env.reward_dim is None or env.reward_dim < 2:
        count = "scalar rewards" if env.reward_dim is None else "1 objective"
        raise UsageError(f"env: {env.name} has {count}, C-MORL needs 2 at least; use jaxrl.baselines.ppo")
    if options.kind == "exact" and (not isinstance(env, Tabular) or env.H is not None or config.memory):
        raise UsageError(
            f'EvaluationOptions.kind: "exact" needs stationary tables and no memory, {env.name} has none;'
            ' use Tabular.of(env.to_tabular(params)) or "sampled"'
        )


def snapshot(state: ppo.State) -> dict[str, PyTree]:
    """Parameters and statistics of a learner, from which it can act and go on learning."""
    scale = state.scale.moments if isinstance(state.scale, ReturnScale) else ()
    return {"params": state.params, "moments": state.moments, "scale": scale}


def resumed(state: ppo.State, policy: dict[str, PyTree]) -> ppo.State:
    """A fresh learner that goes on from a snapshot: new optimiser, new episodes."""
    scale = state.scale
    if isinstance(scale, ReturnScale):
        scale = scale.replace(moments=policy["scale"])
    return state.replace(params=policy["params"], moments=policy["moments"], scale=scale)


def acting(config: ppo.Config, nets: ActorCritic, policy: dict[str, PyTree], greedy: bool) -> Policy:
    """The policy of a snapshot on the observations of the environment."""
    normalise = Partial(RunningMoments.normalise, policy["moments"]) if config.normalise_obs else SAME
    return nets.policy(policy["params"], greedy=greedy, normalise=normalise)


def exact_values(mdp: TabularMDP, pi: Array, gamma: Array) -> Evaluated:
    """Values of probabilities `pi` `[S, A]` on stationary tables, without a linear solve.

        V = sum_t (gamma P)^t r    by doubling: V <- V + M V, M <- M M, from M = gamma P

    over 2^12 steps, so that discounts of at most 0.995 lose less than 1e-8; values without discount are
    those of so many steps where a policy never ends. gamma: float[]. Batched LAPACK calls can wait for ever
    inside a population, products cannot.
    """
    live = (~mdp.terminal).astype(pi.dtype)
    R = mdp.R
    if mdp.reward_on_successor:
        R = jnp.einsum("sat,satm->sam", mdp.P, R)
    r = jnp.einsum("sa,sam->sm", pi, R) * live[:, None]
    r = jnp.concatenate([r, live[:, None]], axis=1)
    P = jnp.einsum("sa,sat->st", pi, mdp.P) * (live[:, None] * live[None])

    def double(carry: tuple[Array, Array, Array, Array], _: None) -> tuple[tuple, None]:
        power, factor, discounted, total = carry
        discounted = discounted + factor * (power @ discounted)
        return (power @ power, factor * factor, discounted, total + power @ total), None

    first = (P, jnp.asarray(gamma, pi.dtype), r, r)
    (_, _, discounted, total), _ = jax.lax.scan(double, first, length=DOUBLINGS)
    value, plain = mdp.mu0 @ discounted, mdp.mu0 @ total
    return Evaluated(value[:-1], plain[:-1], value[-1])


def sampled_values(
    env: Env, policy: Policy, key: Key, params: PyTree, gamma: Array, options: EvaluationOptions
) -> Evaluated:
    """Means over whole episodes; gamma: float[]."""
    out = evaluate(env, policy, key, params, episodes=options.episodes, limit=options.limit, gamma=gamma)
    steps, below = out.lengths.astype(out.returns.dtype), gamma < 1
    discounted = (1 - gamma**steps) / jnp.where(below, 1 - gamma, 1.0)
    length = jnp.where(below, discounted, steps).mean()
    return Evaluated(out.discounted.mean(0), out.returns.mean(0), length)


def evaluator(config: ppo.Config, env: Env, options: EvaluationOptions) -> Evaluate:
    """Evaluation of one snapshot, `(key, policy, params of the environment, gamma float[]) -> Evaluated`."""
    nets = ppo.networks(config, env)

    def on_tables(key: Key, policy: dict[str, PyTree], params: PyTree, gamma: Array) -> Evaluated:
        x = jnp.eye(params.n_states)
        x = policy["moments"].normalise(x) if config.normalise_obs else x
        return exact_values(params, jax.nn.softmax(nets.actor.apply(policy["params"]["actor"], x)), gamma)

    def by_episodes(key: Key, policy: dict[str, PyTree], params: PyTree, gamma: Array) -> Evaluated:
        chosen = acting(config, nets, policy, options.kind == "greedy")
        return sampled_values(env, chosen, key, params, gamma, options)

    return on_tables if options.kind == "exact" else by_episodes
