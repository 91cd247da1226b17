"""Values of a given policy: a linear solve, a backward recursion, and the fixed point of linear TD.

Legend: `S` states, `A` actions, `H` steps, `m` reward components, `d` features. Arrays have a trailing axis
`[m]` where the rewards have one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.exact.tables import Tables, policy_table, reachable, tables


class Values(NamedTuple):
    """float64. v: `[S]`, or `[H + 1, S]` with v[H] = 0; q: `[S, A]` or `[H, S, A]`; j: the value of `mu0`.

    Without discount v and q are NaN in states from which the policy never ends; `mu0` does not lead there.
    """

    v: np.ndarray
    q: np.ndarray
    j: Any


def evaluate_policy(mdp: TabularMDP, policy: Any, horizon: int | None = None) -> Values:
    """Exact values of `policy` (see `policy_table`), discounted by `mdp.gamma`.

    With a horizon (time-indexed tables, or `horizon`) of H steps, else of unending episodes. Raises
    `UsageError` if `gamma` is 1 and the policy can come to a state from which it never ends.
    """
    t = tables(mdp, horizon)
    pi = policy_table(policy, t)
    if t.horizon is not None:
        return _finite(t, pi)
    v = np.zeros((len(t.mu0), *t.R.shape[2:]))
    P, r = policy_model(t, pi)
    ends = check_ends(t, P)
    live = ends & ~t.terminal
    v[live] = np.linalg.solve(np.eye(live.sum()) - t.gamma * P[np.ix_(live, live)], r[live])
    q = t.R + t.gamma * np.tensordot(t.P, v, 1)
    j = _scalar(t.mu0 @ v)
    v[~ends], q[t.P @ ~ends > 0] = np.nan, np.nan
    return Values(v, q, j)


def td_fixed_point(mdp: TabularMDP, policy: Any, features: Any, weights: Any) -> np.ndarray:
    """float64`[d]`, where expected TD(0) with linear values `features @ theta` stands still.

    theta solves Phi' D (Phi - gamma P_pi Phi) theta = Phi' D r_pi with D = diag(weights).
    features: `[S, d]`; weights: `[S]`, how often updates visit each state.
    """
    t = tables(mdp)
    if t.horizon is not None:
        raise UsageError("mdp.P: is time-indexed; the TD fixed point is for stationary MDPs")
    P, r = policy_model(t, policy_table(policy, t))
    phi = np.asarray(features, np.float64)
    weighted = phi * np.asarray(weights, np.float64)[:, None]
    return np.linalg.solve(weighted.T @ (phi - t.gamma * P @ phi), weighted.T @ r)


def differentiable_return(policy: jax.Array, t: Tables) -> jax.Array:
    """float64[] or [m], J as a jax function of the probabilities `[S, A]` or `[H, S, A]`, for `jax.grad`.

    Call it inside `jax.enable_x64(True)`; raises `UsageError` in single precision. `gamma` < 1, or a horizon.
    """
    if policy.dtype != jnp.float64:
        raise UsageError(f"policy: is {policy.dtype}; work inside `with jax.enable_x64(True)`")
    if t.horizon is None:
        P = jnp.einsum("sa,sat->st", policy, t.P)
        r = jnp.einsum("sa,sa...->s...", policy, t.R)
        return t.mu0 @ jnp.linalg.solve(jnp.eye(len(t.mu0)) - t.gamma * P, r)
    v = jnp.zeros((len(t.mu0), *t.R.shape[3:]))
    for pi, P, R in zip(jnp.broadcast_to(policy, t.P.shape[:-1])[::-1], t.P[::-1], t.R[::-1], strict=True):
        v = jnp.einsum("sa,sa...->s...", pi, R + t.gamma * jnp.tensordot(P, v, 1))
    return t.mu0 @ v


def policy_model(t: Tables, pi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(P_pi [S, S], r_pi [S])` of stationary tables."""
    return np.einsum("sa,sat->st", pi, t.P), np.einsum("sa,sa...->s...", pi, t.R)


def check_ends(t: Tables, P: np.ndarray) -> np.ndarray:
    """bool`[..., S]`, the states from which an episode ends under P `[..., S, S]`; all if `gamma` < 1.

    Raises `UsageError` if `gamma` is 1 and `mu0` leads to another state.
    """
    if t.gamma < 1:
        return np.ones(P.shape[:-1], bool)
    step = P > 0
    ends = reachable(t.terminal, np.swapaxes(step, -1, -2))
    reached = reachable(t.mu0 > 0, step)
    if (reached & ~ends).any():
        state = int(np.argwhere(reached & ~ends)[0, -1])
        raise UsageError(
            f"mdp.gamma: is 1 and state {state} never reaches a terminal state under this policy; use gamma "
            "< 1 or a horizon"
        )
    return ends


def _finite(t: Tables, pi: np.ndarray) -> Values:
    H, S = t.P.shape[:2]
    v, q = np.zeros((H + 1, S, *t.R.shape[3:])), np.zeros(t.R.shape)
    for h in reversed(range(H)):
        q[h] = t.R[h] + t.gamma * np.tensordot(t.P[h], v[h + 1], 1)
        v[h] = np.einsum("sa,sa...->s...", pi[h], q[h])
    return Values(v, q, _scalar(t.mu0 @ v[0]))


def _scalar(j: np.ndarray) -> Any:
    return float(j) if np.ndim(j) == 0 else j
