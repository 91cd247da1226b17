"""A validated `TabularMDP` as float64 numpy arrays, and policies as tables: what every oracle reads.

Legend: `S` states, `A` actions, `H` steps, `m` reward components.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import TabularMDP, validate


class Tables(NamedTuple):
    """float64. P: `[S, A, S]` or `[H, S, A, S]`; R: expected rewards `[S, A]`, `[S, A, m]` or `[H, ...]`;
    mu0: `[S]`; gamma: float; terminal: bool`[S]`.
    """

    P: np.ndarray
    R: np.ndarray
    mu0: np.ndarray
    gamma: float
    terminal: np.ndarray

    @property
    def horizon(self) -> int | None:
        """H of time-indexed tables, None of stationary ones."""
        return len(self.P) if self.P.ndim == 4 else None

    @property
    def reward_dim(self) -> int | None:
        """Components m of vector rewards, None of scalar ones."""
        return self.R.shape[-1] if self.R.ndim == self.P.ndim else None


def tables(mdp: TabularMDP, horizon: int | None = None) -> Tables:
    """The MDP in float64, with expected rewards; time-indexed if it is, or if `horizon` is given.

    Distributions are divided by their sums, so that rows rounded to float32 sum to 1 in float64 too. Numbers
    that were rounded (rewards, gamma) stay rounded: build the MDP under `jax.enable_x64(True)` for exact
    ones. Raises `UsageError` for invalid tables, and for a horizon that contradicts them.
    """
    validate(mdp)
    P, R, mu0 = (np.asarray(x, np.float64) for x in (mdp.P, mdp.R, mdp.mu0))
    P, mu0 = P / P.sum(-1, keepdims=True), mu0 / mu0.sum()
    if mdp.reward_on_successor:
        R = np.einsum("...sat,...sat->...sa" if mdp.reward_dim is None else "...sat,...satm->...sam", P, R)
    if horizon is not None and mdp.horizon is None:
        if horizon < 1:
            raise UsageError(f"horizon: must be >= 1, got {horizon}")
        P, R = (np.broadcast_to(x, (horizon, *x.shape)) for x in (P, R))
    elif horizon not in (None, mdp.horizon):
        raise UsageError(f"horizon: is {horizon}, but the tables have H = {mdp.horizon}; leave it out")
    return Tables(P, R, mu0, float(mdp.gamma), np.asarray(mdp.terminal))


def scalarised(t: Tables, weights: Any = None) -> Tables:
    """Rewards `R @ weights`; scalar rewards take no weights. Raises `UsageError` otherwise."""
    if t.reward_dim is None:
        if weights is not None:
            raise UsageError("weights: the rewards are scalar already; leave weights out")
        return t
    weights = np.asarray(weights if weights is not None else [], np.float64)
    if weights.shape != (t.reward_dim,):
        raise UsageError(
            f"weights: shape {weights.shape} must be [m] = ({t.reward_dim},) for these vector rewards"
        )
    return t._replace(R=t.R @ weights)


def policy_table(policy: Any, t: Tables) -> np.ndarray:
    """float64`[S, A]` or `[H, S, A]`, action probabilities of a policy of any usual form.

    policy: actions int`[S]` or `[H, S]`, or probabilities `[S, A]` or `[H, S, A]`; one without `H` is used in
    every step. Raises `UsageError` for other shapes, unknown actions, rows that do not sum to 1.
    """
    policy = np.asarray(policy)
    *lead, n_states, n_actions = t.P.shape[:-1]
    if np.issubdtype(policy.dtype, np.integer):
        if np.any((policy < 0) | (policy >= n_actions)):
            raise UsageError(f"policy: actions must lie in 0 .. {n_actions - 1}")
        policy = np.eye(n_actions)[policy]
    shapes = [(n_states, n_actions), (*lead, n_states, n_actions)]
    if policy.shape not in shapes:
        raise UsageError(f"policy: shape {policy.shape} is none of {shapes}, nor that of actions")
    policy = policy.astype(np.float64)
    if np.any(policy < -1e-6) or np.any(np.abs(policy.sum(-1) - 1) > 1e-5):
        raise UsageError("policy: rows must be probabilities that sum to 1")
    return np.broadcast_to(policy / policy.sum(-1, keepdims=True), shapes[-1])


def reachable(start: np.ndarray, step: np.ndarray) -> np.ndarray:
    """bool`[..., S]`, the states of `start` bool`[..., S]` and all that steps bool`[..., S, S]` lead to."""
    found = np.broadcast_to(start, step.shape[:-1])
    while True:
        more = found | (step & found[..., :, None]).any(-2)
        if np.array_equal(more, found):
            return found
        found = more


def random_mdps(
    seed: int,
    n: int,
    S: int,
    A: int,
    *,
    H: int | None = None,
    gamma: float = 0.9,
    reward_dim: int | None = None,
) -> list[TabularMDP]:
    """`n` independent MDPs, float64 numpy leaves, transitions uniform on the simplex, rewards in [0, 1]."""
    rng = np.random.default_rng(seed)
    time, tail = () if H is None else (H,), () if reward_dim is None else (reward_dim,)
    return [
        TabularMDP(
            P=rng.dirichlet(np.ones(S), (*time, S, A)),
            R=rng.random((*time, S, A, *tail)),
            mu0=rng.dirichlet(np.ones(S)),
            gamma=np.float64(gamma),
            terminal=np.zeros(S, bool),
            reward_dim=reward_dim,
        )
        for _ in range(n)
    ]


def random_policies(seed: int, n: int, S: int, A: int) -> np.ndarray:
    """float64`[n, S, A]`, rows uniform on the simplex."""
    return np.random.default_rng(seed).dirichlet(np.ones(A), (n, S))
