"""Value iteration (Bellman 1957; Puterman 1994, section 6.3) on a tabular MDP whose tables are known.

One update is one sweep, `Q_{k+1}(s, a) = R(s, a) + gamma sum_t P(t | s, a) max_b Q_k(t, b)`, from `Q_0 = 0`.
The sweep is a gamma-contraction in the maximum norm, so after k updates
    |Q_k - Q*| <= gamma^k max|R| / (1 - gamma)             before anything is run,
    |Q_k - Q*| <= gamma / (1 - gamma) |Q_k - Q_{k-1}|      from the metric `residual`,
and the policy that is greedy in Q loses at most 2 / (1 - gamma) times its error in any state.

Legend: `S` states, `A` actions. `data` is the `TabularMDP`, so vmapping over tasks is vmapping over MDPs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, struct
from jaxrl.envs.tabular.mdp import TabularMDP, expected_reward, validate
from jaxrl.envs.tabular.tabular import Tabular


@dataclass(frozen=True)
class Config:
    """Static choices of value iteration: there are none, the sizes are the environment's."""


@struct.dataclass
class Hyper:
    """Hyper-parameters of value iteration: there are none, the discount is the MDP's."""


class State(NamedTuple):
    """State of value iteration.

    q: float[S, A]; updates: int32[], sweeps so far; key: unused, the sweep is deterministic.
    """

    q: Array
    key: Key
    updates: Array


def make(config: Config, env: Tabular) -> Algorithm:
    """Value iteration for the MDPs that `env` simulates; `data` is one of them.

    Raises:
        UsageError: a finite horizon, or vector rewards.
    """
    if env.H is not None:
        raise UsageError(f"env.H: must be None, got {env.H}; value iteration is for stationary MDPs")
    if env.reward_dim is not None:
        raise UsageError(f"env.reward_dim: must be None, got {env.reward_dim}; scalarise the rewards first")

    def init(key: Key, hyper: Hyper, data: TabularMDP) -> State:
        if (data.n_states, data.n_actions, data.horizon) != (env.S, env.A, None):
            raise UsageError(
                f"data: an MDP with S, A, H = {data.n_states}, {data.n_actions}, {data.horizon} given to an "
                f"algorithm for {env.S}, {env.A}, None; use Tabular.of(data)"
            )
        q = jnp.zeros((env.S, env.A), expected_reward(data).dtype)
        return State(q, key, jnp.zeros((), jnp.int32))

    def check(data: TabularMDP) -> None:
        validate(data)

    def step(state: State, hyper: Hyper, data: TabularMDP) -> tuple[State, dict[str, Array]]:
        q = sweep(state.q, data)
        return State(q, state.key, state.updates + 1), {"residual": jnp.abs(q - state.q).max()}

    def best(q: Array, key: Key, obs: Array, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        s = jnp.argmax(obs) if env.one_hot else obs
        return jnp.argmax(q[s]).astype(jnp.int32), (), memory

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return Policy(Partial(best, state.q))

    origin = Origin(__name__, config, env.observation_space, env.action_space, env)
    return Algorithm(init, step, act, check=check, origin=origin)


def sweep(q: Array, mdp: TabularMDP) -> Array:
    """The Bellman optimality operator applied to `q` `[S, A]`."""
    return expected_reward(mdp) + mdp.gamma * jnp.einsum("sat,t->sa", mdp.P, q.max(-1))


def error_bound(residual: Array, gamma: Array) -> Array:
    """float[], a bound on `|Q_k - Q*|` from `residual = |Q_k - Q_{k-1}|`; infinite where `gamma` is 1."""
    return gamma / (1 - gamma) * residual
