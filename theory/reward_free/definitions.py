"""Printed definitions of reward-free exploration, written out in numpy for one problem at a time.

Stages are h = 0 .. H - 1 here. V_H = 0 everywhere.

Legend: `S` states, `A` actions, `d` features, `H` stages. phi `[S, A, S, d]`, theta `[d]`, Gram matrices
`[d, d]`, policies int`[H, S]`, rewards `[H, S, A]`; all float64.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np


def integrated(phi: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Features of a value function, phi_V(s, a) = sum_x phi(s, a, x) V(x), `[S, A, d]`."""
    return np.einsum("satd,t->sad", phi, V)


def norm(x: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Norm |x| in the metric of the inverse of `gram`, `[...]`; x `[..., d]`."""
    return np.sqrt(np.maximum(np.einsum("...i,...i->...", x, x @ np.linalg.inv(gram)), 0))


def sets(S: int) -> np.ndarray:
    """Indicators of all subsets of states, float64`[2^S, S]`, state 0 most significant."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=S)))


def largest_norm(phi: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest |phi_f(s, a)| over f in [0, 1]^S, `[S, A]`, and the first maximiser, `[S, A, S]`."""
    f = sets(len(phi))
    norms = norm(np.einsum("satd,nt->nsad", phi, f), gram)
    first = (norms >= norms.max(0) - 1e-9).argmax(0)
    return norms.max(0), f[first]


def surrogate(phi: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Largest l1 norm of Gram^(-1/2) phi_f over f in [0, 1]^S, with the symmetric root, `[S, A]`."""
    values, vectors = np.linalg.eigh(gram)
    half = phi @ (vectors / np.sqrt(values)) @ vectors.T
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=phi.shape[-1])))
    return np.maximum(np.einsum("satd,nd->nsat", half, signs), 0).sum(-1).max(0)


def pseudo_reward(phi: np.ndarray, gram: np.ndarray, beta: float, H: int) -> np.ndarray:
    """Rewards min{1, (2 beta / H) max over f in [0, H - h]^S of |phi_f|} with h from 1, `[H, S, A]`."""
    left = H - 1.0 - np.arange(H)[:, None, None]
    return np.minimum(1, 2 * beta / H * left * largest_norm(phi, gram)[0])


class Plan(NamedTuple):
    """Optimistic values V `[H + 1, S]`, and the first best actions, policy int`[H, S]`."""

    V: np.ndarray
    policy: np.ndarray


def plan(
    phi: np.ndarray, theta: np.ndarray, gram: np.ndarray, reward: np.ndarray, beta: float, most: float
) -> Plan:
    """Optimistic values, Q = [r + <phi_V, theta> + beta |phi_V|]_[0, most], from the last stage on."""
    H, S = reward.shape[:2]
    V, policy = np.zeros((H + 1, S)), np.zeros((H, S), int)
    for h in reversed(range(H)):
        x = integrated(phi, V[h + 1])
        q = np.clip(reward[h] + x @ theta + beta * norm(x, gram), 0, most)
        V[h], policy[h] = q.max(-1), (q >= q.max(-1, keepdims=True) - 1e-9).argmax(-1)
    return Plan(V, policy)


def values(phi: np.ndarray, theta: np.ndarray, policy: np.ndarray, reward: np.ndarray) -> np.ndarray:
    """Values `[H + 1, S]` of a policy under a parameter, not clipped."""
    H, S = policy.shape
    V = np.zeros((H + 1, S))
    for h in reversed(range(H)):
        q = reward[h] + integrated(phi, V[h + 1]) @ theta
        V[h] = q[np.arange(S), policy[h]]
    return V


class Uncertainty(NamedTuple):
    """Uncertainty u `[H, S]` of one step and Vhat `[H + 1, S]` of the rest; values V `[H + 1, S]`."""

    u: np.ndarray
    Vhat: np.ndarray
    V: np.ndarray


def uncertainty(
    phi: np.ndarray, theta: np.ndarray, policy: np.ndarray, reward: np.ndarray, grams: Any, beta: float
) -> Uncertainty:
    """Truncated uncertainty of a policy and a reward; grams: (hat, tilde) of order 0.

    u_h = min{1, beta |phi_{V_{h+1}}|_tilde}, and
    Vhat_h = min{1, u_h + 2 beta |phi_{Vhat_{h+1}}|_hat + <phi_{Vhat_{h+1}}, theta>} at the policy's action.
    """
    H, S = policy.shape
    V, states = values(phi, theta, policy, reward), np.arange(S)
    u, Vhat = np.zeros((H, S)), np.zeros((H + 1, S))
    for h in reversed(range(H)):
        u[h] = np.minimum(1, beta * norm(integrated(phi, V[h + 1]), grams[1])[states, policy[h]])
        x = integrated(phi, Vhat[h + 1])[states, policy[h]]
        Vhat[h] = np.minimum(1, u[h] + 2 * beta * norm(x, grams[0]) + x @ theta)
    return Uncertainty(u, Vhat, V)


def policies(H: int, S: int, A: int) -> np.ndarray:
    """All deterministic policies of the first H - 1 stages, int`[A^(S (H - 1)), H, S]`; 0 in the last."""
    found = np.zeros((A ** (S * (H - 1)), H, S), int)
    found[:, :-1] = np.array(list(itertools.product(range(A), repeat=S * (H - 1)))).reshape(-1, H - 1, S)
    return found


def largest_uncertainty(phi: np.ndarray, theta: np.ndarray, grams: Any, beta: float, H: int) -> float:
    """The largest Vhat at state 0 over deterministic policies and rewards 1[h = h0] f(s), by enumeration.

    V of a reward and the features of all policies at once, stage by stage.
    """
    S, A = phi.shape[:2]
    rules = np.array(list(itertools.product(range(A), repeat=S)))
    states, best = np.arange(S), 0.0
    rows = phi[states, rules]  # [rules, S, S, d]
    inverse = [np.linalg.inv(g) for g in grams]

    def length(x: np.ndarray, i: int) -> np.ndarray:
        return np.sqrt(np.maximum(((x @ inverse[i]) * x).sum(-1), 0))

    for f in sets(S):
        V, Vhat = f[None], np.zeros((1, S))
        for _ in range(H - 1):  # one more stage before the one that pays, for every policy so far
            x = np.einsum("kstd,nt->nksd", rows, V).reshape(-1, S, len(theta))
            y = np.einsum("kstd,nt->nksd", rows, Vhat).reshape(-1, S, len(theta))
            Vhat = np.minimum(1, np.minimum(1, beta * length(x, 1)) + 2 * beta * length(y, 0) + y @ theta)
            V = x @ theta
            best = max(best, float(Vhat[:, 0].max()))
    return best


def moment_variances(
    means: np.ndarray, errors: np.ndarray, online: np.ndarray, beta: float, alpha: float, gamma: float
) -> np.ndarray:
    """Variances sigma_m^2 `[M]` of one observation, order by order; arguments `[M]`.

    means <x_m, theta_m>; errors |x_m| in the snapshot matrices; online |x_m| in the matrices of the moment.
    """
    found = []
    for m in range(len(means)):
        variance = 1.0
        if m + 1 < len(means):
            variance = np.clip(means[m + 1], 0, 1) - np.clip(means[m], 0, 1) ** 2
            variance += np.clip(2 * beta * errors[m], 0, 1) + np.clip(beta * errors[m + 1], 0, 1)
        found.append(max(gamma**2 * online[m], variance, alpha**2))
    return np.array(found)
