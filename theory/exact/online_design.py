"""The smallest number of online episodes that finishes what offline data began, by optimal design.

With n(s, a) offline rows and T online episodes of visits x(s, a) = sum_h q_h(s, a) each, a policy pi is
known to the width

    max over h of sum_{s, a} q^pi_h(s, a)^2 / (n(s, a) + T x(s, a)),

the squared norm of its visits in the metric of the rows. The design is the mixture of policies whose visits
make the largest width over all policies smallest; Frank-Wolfe finds it, with backward induction for the best
direction. The largest width is convex in the visits of a policy, so that deterministic policies suffice.

Legend: `S` states, `A` actions, `H` steps, `n` policies and steps. P: `[S, A, S]` or `[H, S, A, S]`.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from jaxrl.core.errors import UsageError
from theory.exact.finite_lp import kernel, start

MOST_POLICIES = 50_000
ROUNDS = 100  # of Frank-Wolfe
NOTHING = 1e-12  # rows that every pair has, so that a width without data is a large number


class Design(NamedTuple):
    """A mixture of policies and how well it does.

    width: float, the largest width of any policy; bound: float, below which no design of as many episodes
    brings it; visits: float64`[S, A]` per episode.
    """

    width: float
    bound: float
    visits: np.ndarray


class Episodes(NamedTuple):
    """Numbers of episodes: no design reaches the width with `fewer`, and `design` reaches it with `enough`.

    `enough` is infinite where no number of episodes suffices within `most`; design is then None.
    """

    fewer: float
    enough: float
    design: Design | None


def smallest_episodes(
    P: Any, H: int, offline: Any, width: float, mu0: Any = 0, *, most: float = 1e9, precision: float = 0.02
) -> Episodes:
    """The smallest number of online episodes after which every policy has at most the width, bracketed.

    offline: `[S, A]` rows of offline data. mu0: a state or `[S]`. precision: relative, of the bracket.
    Episodes are not rounded to whole ones. Raises `UsageError` for data of another shape or negative ones, a
    width that is not positive, and problems with too many policies.
    """
    if not width > 0:
        raise UsageError(f"width: must be > 0, got {width}")
    problem = _Problem(P, H, offline, mu0)
    if problem.widths(np.zeros(problem.offline.shape)).max() <= width:
        return Episodes(0.0, 0.0, problem.design(0.0, precision))
    low, high = 0.0, 1.0
    while (best := problem.design(high, precision / 2)).width > width:
        low = high if best.bound > width else low
        if high > most:
            return Episodes(low, np.inf, None)
        high *= 2
    while high - low > precision * high:
        middle = (low + high) / 2
        found = problem.design(middle, precision / 4)
        if found.bound > width:
            low = middle
        elif found.width <= width:
            best, high = found, middle
        else:  # the answer is closer to the middle than the design is precise
            near = middle * precision / 3
            above, below = (problem.design(middle + x, precision / 4) for x in (near, -near))
            best, high = (above, middle + near) if above.width <= width else (best, high)
            low = middle - near if below.bound > width else low
            break
    return Episodes(low, high, best)


def design(P: Any, H: int, offline: Any, episodes: float, mu0: Any = 0, *, precision: float = 0.01) -> Design:
    """The best design of so many online episodes, to a relative precision; arguments as above."""
    return _Problem(P, H, offline, mu0).design(episodes, precision)


class _Problem:
    """Visits of all deterministic policies, and the rows that are there."""

    def __init__(self, P: Any, H: int, offline: Any, mu0: Any) -> None:
        self.P = kernel("P", P, H)
        S, A = self.P.shape[1:3]
        self.mu0 = start(mu0, S)
        self.offline = np.asarray(offline, np.float64)
        if self.offline.shape != (S, A) or not np.all(self.offline >= 0):
            raise UsageError(f"offline: must be counts [S, A] = {(S, A)}, got shape {self.offline.shape}")
        self.squares = self._squares()

    def _squares(self) -> np.ndarray:
        """Distinct q^pi_h(s, a)^2, `[n, S A]`, of all deterministic policies and steps."""
        H, S, A = self.P.shape[:3]
        rules = np.array(list(itertools.product(range(A), repeat=S)))
        taken = np.eye(A)[rules]  # [rules, S, A]
        states, found = self.mu0[None], []
        for h in range(H):
            if len(states) * len(rules) > 20 * MOST_POLICIES:
                raise UsageError(
                    f"H: {len(states) * len(rules)} policies are too many; take a smaller problem"
                )
            visits = np.unique((states[:, None, :, None] * taken[None]).reshape(-1, S * A).round(14), axis=0)
            if len(visits) > MOST_POLICIES:
                raise UsageError(f"H: {len(visits)} policies are too many; take a smaller problem")
            found.append(visits**2)
            states = visits @ self.P[h].reshape(S * A, S)
        return np.unique(np.concatenate(found), axis=0)

    def widths(self, online: np.ndarray) -> np.ndarray:
        """`[n]`, for `[S, A]` online rows."""
        return self.squares @ (1 / (self.offline + online + NOTHING)).ravel()

    def best_visits(self, reward: np.ndarray) -> np.ndarray:
        """`[S, A]`, expected visits of an optimal policy for a reward `[S, A]` at every step."""
        H, S, A = self.P.shape[:3]
        V, policy = np.zeros(S), np.zeros((H, S), int)
        for h in reversed(range(H)):
            q = reward + self.P[h] @ V
            V, policy[h] = q.max(-1), q.argmax(-1)
        states, visits = self.mu0, np.zeros((S, A))
        for h in range(H):
            np.add.at(visits, (np.arange(S), policy[h]), states)
            states = states @ self.P[h][np.arange(S), policy[h]]
        return visits

    def design(self, episodes: float, precision: float) -> Design:
        """Fully corrective Frank-Wolfe on a smooth maximum of log widths, until both ends agree.

        Each round adds the policy of the steepest descent and weighs all found so far anew. The smooth
        maximum is convex, because logarithms of sums of reciprocals are.
        """
        S, A = self.offline.shape
        sharp = 4 * np.log(len(self.squares) + 1) / precision
        found = np.stack([self.best_visits(r.reshape(S, A)).ravel() for r in np.eye(S * A)])
        found = np.unique(found.round(12), axis=0)
        weights, bound = np.full(len(found), 1 / len(found)), -np.inf
        for _ in range(ROUNDS):
            weights = self._weigh(weights, found, episodes, sharp)
            value, slope, largest = self._maximum(weights @ found, episodes, sharp)
            towards = self.best_visits(-slope.reshape(S, A)).ravel()
            gap = slope @ (weights @ found - towards)
            bound = max(bound, np.exp(value - gap - np.log(len(self.squares)) / sharp))
            if bound >= (1 - precision) * largest:
                break
            found, weights = np.vstack([found, towards]), np.append(weights, 0.0)
        return Design(float(largest), float(bound), (weights @ found).reshape(S, A))

    def _maximum(self, x: np.ndarray, episodes: float, sharp: float) -> tuple[float, np.ndarray, float]:
        """The smooth maximum of log widths at visits `[S A]`, its gradient, and the largest width itself."""
        rows = 1 / (self.offline.ravel() + NOTHING + episodes * x)
        widths = self.squares @ rows
        largest = widths.max()
        share = (widths / largest) ** sharp
        value = np.log(largest) + np.log(share.sum()) / sharp
        slope = -episodes * ((share / share.sum() / widths) @ self.squares) * rows**2
        return value, slope, largest

    def _weigh(self, weights: np.ndarray, found: np.ndarray, episodes: float, sharp: float) -> np.ndarray:
        """Weights of the visits found so far, first for blunter maxima, which are easier to descend."""
        for blunt in (s for s in (20.0, 200.0, sharp) if s <= sharp):
            out = minimize(
                lambda w, s=blunt: self._maximum(w @ found, episodes, s)[0],
                weights,
                jac=lambda w, s=blunt: found @ self._maximum(w @ found, episodes, s)[1],
                method="SLSQP",
                bounds=[(0, 1)] * len(weights),
                constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like}],
                options={"maxiter": 100, "ftol": 1e-12},
            )
            weights = np.maximum(out.x, 0)
            weights = weights / weights.sum()
        return weights
