"""Worst planning error of a model: what planning with it can lose, over all rewards of total at most 1.

For a true kernel P and a model Q the planning error of a reward r is V*_P(r) - V_P^{pi(r)}(r), where pi(r) is
optimal for r under Q and ties go to the adversary. Its supremum over

    R = {r >= 0 : sum_h max_{s, a} r_h(s, a) <= 1}

is not attained at extreme points of R, because the planned policy changes with r. `lower` finds a reward with
a large error by alternating linear programmes, `upper` bounds the supremum by twice the largest total
variation between the state distributions of both models, and `exact` solves a programme for every pair of
deterministic policies where they are few.

Legend: `S` states, `A` actions, `H` steps, `n` rewards. P, Q: `[S, A, S]` or `[H, S, A, S]`; mu0: a start
state or a distribution `[S]`. Everything raises `UsageError` for arrays that are no kernels.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from jaxrl.core.errors import UsageError
from theory.exact.finite_lp import TIGHT, kernel, solved, start

TIE = 1e-9  # values closer than this are ties, which go to the adversary
MOST_VERTICES = 4096  # extreme points of R that are tried one by one
MOST_PAIRS = 20_000  # pairs of policies of `exact`
MOST_POLICIES = 1_000_000  # policies of `largest_total_variation`


class Worst(NamedTuple):
    """A reward and the error that planning for it has.

    value: float; reward: float64`[H, S, A]`, an element of R; planned, optimal: int`[H, S]`, policies
    that are optimal for it under the model and under the true kernel.
    """

    value: float
    reward: np.ndarray
    planned: np.ndarray
    optimal: np.ndarray


class Bracket(NamedTuple):
    """Two numbers between which the worst planning error lies, and the reward that attains the first one."""

    lower: float
    upper: float
    reward: np.ndarray


class Plans(NamedTuple):
    """Both sides of planning for `n` rewards.

    error: float64`[n]`; planned, optimal: int`[n, H, S]`, as in `Worst`.
    """

    error: np.ndarray
    planned: np.ndarray
    optimal: np.ndarray


def bracket(P: Any, Q: Any, H: int, mu0: Any = 0, starts: Any = None) -> Bracket:
    """The bracket [`lower`, `upper`] of the worst planning error; arguments as theirs."""
    low = lower(P, Q, H, mu0, starts)
    return Bracket(low.value, upper(P, Q, H, mu0), low.reward)


def plans(P: Any, Q: Any, rewards: Any, mu0: Any = 0) -> Plans:
    """Planning errors of given rewards `[n, H, S, A]`; the worst of the optimal actions under Q counts.

    Raises `UsageError` for rewards of another shape or that are not finite.
    """
    r = np.asarray(rewards, np.float64)
    if r.ndim != 4 or not np.isfinite(r).all():
        raise UsageError(f"rewards: must be finite numbers [n, H, S, A], got shape {r.shape}")
    P, Q, mu0 = _models(P, Q, r.shape[1], mu0)
    if r.shape[1:] != P.shape[:3]:
        raise UsageError(f"rewards: shape {r.shape} does not fit the kernel [H, S, A] = {P.shape[:3]}")
    return _plans(P, Q, r, mu0)


def lower(
    P: Any, Q: Any, H: int, mu0: Any = 0, starts: Any = None, *, random: int = 60, seed: int = 0
) -> Worst:
    """A reward with a large planning error: a lower bound on the worst one, by alternating programmes.

    For fixed policies (pi, pi') the best reward for which pi' is optimal under Q is a linear programme; pi is
    then made optimal under P, pi' the worst under P of those that are optimal under Q, until nothing grows.
    It begins at `random` rewards, at `starts` `[n, H, S, A]` and at every extreme point of R; where these are
    too many, at the ten of the largest errors among `starts` and what pays one state at one step.
    """
    P, Q, mu0 = _models(P, Q, H, mu0)
    given, few = _extreme_points(P)
    if starts is not None:
        given = np.concatenate([given, np.asarray(starts, np.float64)])
    if not few:
        given = given[np.argsort(-_plans(P, Q, given, mu0).error, kind="stable")[:10]]
    given = np.concatenate([given, _random_rewards(P, random, seed)])
    programme, first = _Programme(P, Q, mu0), _plans(P, Q, given, mu0)
    order = np.argsort(-first.error, kind="stable")
    best = _worst(given[order[0]], first, order[0])
    tried: set[bytes] = set()
    for i in order:
        now = _worst(given[i], first, i)
        while (pair := now.optimal.tobytes() + now.planned.tobytes()) not in tried:
            tried.add(pair)
            reward = programme.solve(now.optimal, now.planned)
            then = _worst(reward, _plans(P, Q, reward[None], mu0), 0)
            if then.value <= now.value + 1e-13:
                break
            now = then
        best = now if now.value > best.value else best
    return best


def upper(P: Any, Q: Any, H: int, mu0: Any = 0) -> float:
    """2 min{1, U}, an upper bound on the worst planning error of any reward in R.

    U_H = 0 and U_h(s) = max_a [TV(P, Q)(s, a) + sum_x P(x | s, a) U_{h+1}(x)]; U is the smaller of this at
    the start and of the same with the transitions of Q.
    """
    return 2 * min(1.0, *total_variation_bounds(P, Q, H, mu0))


def total_variation_bounds(P: Any, Q: Any, H: int, mu0: Any = 0) -> tuple[float, float]:
    """U of `upper` under P and under Q, each a bound on `largest_total_variation`."""
    P, Q, mu0 = _models(P, Q, H, mu0)
    apart = np.abs(P - Q).sum(-1) / 2
    found = []
    for model in (P, Q):
        U = np.zeros(P.shape[1])
        for h in reversed(range(H - 1)):
            U = (apart[h] + model[h] @ U).max(-1)
        found.append(float(mu0 @ U))
    return found[0], found[1]


def largest_total_variation(P: Any, Q: Any, H: int, mu0: Any = 0) -> float:
    """max_{h, pi} TV(d^pi_{P,h}, d^pi_{Q,h}) of state distributions, by enumerating deterministic policies.

    It is the largest difference of values |V^pi_P(r) - V^pi_Q(r)| over policies and rewards in R. Raises
    `UsageError` where the A^{S (H - 1)} policies are too many.
    """
    P, Q, mu0 = _models(P, Q, H, mu0)
    S, A = P.shape[1:3]
    if S * (H - 1) * np.log(A) > np.log(MOST_POLICIES):
        raise UsageError(f"H: {A}^{S * (H - 1)} policies are too many to enumerate; take `upper`")
    rules = np.array(list(itertools.product(range(A), repeat=S)))
    d, e, best = mu0[None], mu0[None], 0.0
    for h in range(H - 1):
        both = []
        for model, before in ((P, d), (Q, e)):
            steps = model[h][np.arange(S), rules]  # [rules, S, S]
            both.append(np.einsum("ns,kst->nkt", before, steps).reshape(-1, S))
        d, e = both
        best = max(best, float(np.abs(d - e).sum(-1).max()) / 2)
    return best


def exact(P: Any, Q: Any, H: int, mu0: Any = 0) -> Worst:
    """The worst planning error, by a linear programme for every pair of deterministic policies.

    Raises `UsageError` where there are more than `MOST_PAIRS` of them, which three states reach at once.
    """
    P, Q, mu0 = _models(P, Q, H, mu0)
    S, A = P.shape[1:3]
    first = np.flatnonzero(mu0 > 0)  # decisions elsewhere at the first step change nothing
    free = len(first) + S * (H - 1)
    if 2 * free * np.log(A) > np.log(MOST_PAIRS):
        raise UsageError(f"H: {A}^{2 * free} pairs of policies are too many to enumerate; take `bracket`")
    policies = np.zeros((A**free, H, S), int)
    decisions = np.array(list(itertools.product(range(A), repeat=free)))
    policies[:, 0, first], policies[:, 1:] = (
        decisions[:, : len(first)],
        decisions[:, len(first) :].reshape(-1, H - 1, S),
    )
    programme, best = _Programme(P, Q, mu0), None
    for planned in policies:
        for optimal in policies:
            reward = programme.solve(optimal, planned)
            found = _worst(reward, _plans(P, Q, reward[None], mu0), 0)
            best = found if best is None or found.value > best.value else best
    assert best is not None
    return best


class _Programme:
    """The best reward in R for which a policy is optimal under Q, for a pair of policies.

    Variables r_h(s, a), W_h(s), m_h: maximise <d^pi_P - d^pi'_P, r> subject to
    W_h(s) >= r_h(s, a) + Q W_{h+1}, with equality at a = pi'_h(s), 0 <= r_h(s, a) <= m_h, sum_h m_h <= 1.
    """

    def __init__(self, P: np.ndarray, Q: np.ndarray, mu0: np.ndarray) -> None:
        self.P, self.Q, self.mu0 = P, Q, mu0
        H, S, A = P.shape[:3]
        n = H * S * A
        own = sparse.kron(sparse.eye(H * S), np.ones((A, 1)))
        later: Any = sparse.lil_matrix((n, H * S))
        for h in range(H - 1):
            later[h * S * A : (h + 1) * S * A, (h + 1) * S : (h + 2) * S] = Q[h].reshape(S * A, S)
        # r + Q W' - W <= 0, one row per (h, s, a)
        self.advantage = sparse.hstack(
            [sparse.eye(n), later.tocsr() - own, sparse.csr_matrix((n, H))], format="csr"
        )
        below = sparse.hstack(
            [
                sparse.eye(n),
                sparse.csr_matrix((n, H * S)),
                -sparse.kron(sparse.eye(H), np.ones((S * A, 1))),
            ]
        )
        total = sparse.csr_matrix(np.r_[np.zeros(n + H * S), np.ones(H)][None])
        self.above = sparse.vstack([self.advantage, below, total], format="csr")
        self.limits = np.r_[np.zeros(2 * n), 1.0]

    def solve(self, optimal: np.ndarray, planned: np.ndarray) -> np.ndarray:
        """float64`[H, S, A]`, the reward for int`[H, S]` policies pi and pi'."""
        H, S, A = self.P.shape[:3]
        gain = _visits(self.P, optimal, self.mu0) - _visits(self.P, planned, self.mu0)
        cost = np.r_[-gain.ravel(), np.zeros(H * S + H)]
        rows = np.arange(H * S) * A + planned.ravel()
        out = linprog(
            cost, A_ub=self.above, b_ub=self.limits, A_eq=self.advantage[rows], b_eq=np.zeros(H * S),
            options=TIGHT,
        )  # fmt: skip
        r = np.maximum(solved(out).x[: H * S * A], 0).reshape(H, S, A)
        return self._with_ties(r, planned)

    def _with_ties(self, r: np.ndarray, planned: np.ndarray) -> np.ndarray:
        """`r` without the tolerance of the solver: pi' exactly optimal, the sum of maxima at most 1."""
        H, S = r.shape[:2]
        W, states = np.zeros(S), np.arange(S)
        for h in reversed(range(H)):
            q = r[h] + self.Q[h] @ W
            W = q.max(-1)
            r[h, states, planned[h]] += W - q[states, planned[h]]
        return r / max(1.0, r.max((1, 2)).sum())


def _extreme_points(P: np.ndarray) -> tuple[np.ndarray, bool]:
    """Extreme points of R `[n, H, S, A]`, and whether these are all or only those of single states."""
    H, S, A = P.shape[:3]
    few = S * A < 40 and H * 2 ** (S * A) <= MOST_VERTICES
    if few:
        sets = np.array(list(itertools.product((0.0, 1.0), repeat=S * A)))[1:].reshape(-1, S, A)
    else:
        sets = np.repeat(np.eye(S)[:, :, None], A, axis=2)
    return np.einsum("hk,nsa->hnksa", np.eye(H), sets).reshape(-1, H, S, A), few


def _random_rewards(P: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Rewards `[n, H, S, A]` in R: weights of the steps from a Dirichlet distribution, times uniform ones."""
    rng, (H, S, A) = np.random.default_rng(seed), P.shape[:3]
    return rng.dirichlet(np.full(H, 0.3), n)[:, :, None, None] * rng.random((n, H, S, A))


def _plans(P: np.ndarray, Q: np.ndarray, r: np.ndarray, mu0: np.ndarray) -> Plans:
    n, H, S, _ = r.shape
    best, model, worst = np.zeros((n, S)), np.zeros((n, S)), np.zeros((n, S))
    planned, optimal = np.zeros((n, H, S), int), np.zeros((n, H, S), int)
    for h in reversed(range(H)):
        q_best, q_model, q_worst = (
            r[:, h] + np.tensordot(v, steps[h], (1, 2)) for steps, v in ((P, best), (Q, model), (P, worst))
        )
        optimal[:, h] = (q_best >= q_best.max(-1, keepdims=True) - TIE).argmax(-1)
        tied = q_model >= q_model.max(-1, keepdims=True) - TIE
        planned[:, h] = np.where(tied, q_worst, np.inf).argmin(-1)
        best, model = q_best.max(-1), q_model.max(-1)
        worst = np.take_along_axis(q_worst, planned[:, h, :, None], -1)[..., 0]
    return Plans((best - worst) @ mu0, planned, optimal)


def _worst(reward: np.ndarray, found: Plans, i: int) -> Worst:
    return Worst(float(found.error[i]), reward, found.planned[i], found.optimal[i])


def _visits(P: np.ndarray, policy: np.ndarray, mu0: np.ndarray) -> np.ndarray:
    """float64`[H, S, A]`, visits of a deterministic policy int`[H, S]`."""
    H, S, A = P.shape[:3]
    found, states = np.zeros((H, S, A)), mu0
    for h in range(H):
        found[h, np.arange(S), policy[h]] = states
        states = states @ P[h][np.arange(S), policy[h]]
    return found


def _models(P: Any, Q: Any, H: int, mu0: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    P, Q = kernel("P", P, H), kernel("Q", Q, H)
    if P.shape != Q.shape:
        raise UsageError(f"Q: shape {Q.shape} differs from that of P, {P.shape}")
    return P, Q, start(mu0, P.shape[1])
