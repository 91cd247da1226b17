"""Score-function estimators on every trajectory of a small problem: exact means and variances.

Legend: `K` trajectories, `H` actions, `V` places, `A` actions to choose from.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.submodular.credit import Sum, signal
from theory.exact.enumeration import trajectories
from theory.submodular.instances import Problem


class Samples(NamedTuple):
    """All trajectories with what estimators of the gradient are made of.

    probability: float[K]; score: float[K, H, H, V, A], gradient of log pi(a_h) for each h.

    float[K, H]: gain, marginal gains; prefix, F(tau_{0:h+1}); alone, F({s_{h+1}}).
    """

    probability: np.ndarray
    score: np.ndarray
    gain: np.ndarray
    prefix: np.ndarray
    alone: np.ndarray


def softmax(logits: np.ndarray) -> np.ndarray:
    """The softmax of `logits` over the last axis."""
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def samples(problem: Problem, logits: np.ndarray) -> Samples:
    """All trajectories of the softmax policy with `logits` float[H, V, A]."""
    pi, H = softmax(logits), problem.states - 1
    rows = trajectories(problem.mdp, pi, H)
    K, V = len(rows.probability), problem.mdp.n_states
    bonus = np.zeros((problem.states, V)) if problem.bonus is None else problem.bonus
    code, value = np.zeros(K, np.uint64), []
    extra = np.zeros(K)
    for h in range(problem.states):
        code = problem.memory.add(code, rows.states[:, h])
        extra = extra + bonus[h, rows.states[:, h]]
        value.append(problem.memory.value(code) + extra)
    F = np.stack(value, axis=1)
    alone = problem.memory.alone(V)[rows.states] + bonus[np.arange(problem.states), rows.states]
    score = np.zeros((K, H, *logits.shape))
    k = np.arange(K)
    for h in range(H):
        s, a = rows.states[:, h], rows.actions[:, h]
        score[k, h, h, s] = -pi[h, s]
        score[k, h, h, s, a] += 1
    return Samples(rows.probability, score, np.diff(F, axis=1), F[:, 1:], alone[:, 1:])


def weights(credit: Sum | Literal["modular"], x: Samples) -> np.ndarray:
    """float[K, H], what multiplies the gradient of log pi(a_h), as the learners compute it.

    credit: one of `SUMS`, or "modular", the values of single states to come.
    """
    with jax.enable_x64(True):
        gain = jnp.asarray(x.alone if credit == "modular" else x.gain).T
        cut = jnp.zeros(gain.shape, bool).at[-1].set(True)
        first = jnp.asarray(x.prefix[:, 0] - x.gain[:, 0])
        return np.asarray(signal("to_go" if credit == "modular" else credit, gain, cut, first)).T


def mean(x: Samples, weight: np.ndarray) -> np.ndarray:
    """float[H, V, A], expectation of the estimator with `weight` float[K, H]."""
    return np.einsum("k,kh,khgva->gva", x.probability, weight, x.score)


def variance(x: Samples, weight: np.ndarray) -> float:
    """Trace of the covariance of the estimator of one trajectory."""
    each = np.einsum("kh,khgva->kgva", weight, x.score)
    square = np.einsum("k,kgva->", x.probability, each**2)
    return float(square - (mean(x, weight) ** 2).sum())
