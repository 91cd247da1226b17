"""HF-UCRL-RFE++ in plain numpy, one seed, vectorised over states, actions, candidate sets and orders.

The same algorithm as `jaxrl.reward_free.hf` with its defaults: merged estimate, greedy oracle over sets of
states, all of them up to eight states, moment weights, determinant replanning. Nothing is shared with it:
what speed is compared with, and an independent derivation of the same numbers.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

Array = np.ndarray
ASCENT_STEPS = 20


class Learner:
    """State of one run; `episode` is one episode on given uniform numbers.

    gram `[2, M, d, d]`, b `[2, M, d]`: the two series of regressions. certificate: 4 Vhat of the current
    plan. around: the number of orders whose ellipsoids the estimate is moved into, all by default.
    """

    def __init__(
        self,
        phi: Array,
        mu0: Array,
        H: int,
        M: int,
        c_beta: float,
        bound: float,
        delta: float,
        *,
        weights: str = "online",
        ratio: float = 1.0,
        shadow: float = 0.0,
        around: int | None = None,
    ) -> None:
        self.phi, self.mu0, self.H, self.M = phi, mu0, H, M
        self.S, self.A, _, self.d = phi.shape
        self.c_beta, self.bound, self.delta, self.weights = c_beta, bound, delta, weights
        self.ratio, self.shadow, self.around = ratio, shadow, around
        self.alpha, self.gamma, self.lam = H**-0.5, self.d**-0.25, self.d / bound**2
        self.rows = phi.transpose(0, 1, 3, 2).reshape(-1, self.S)
        few = self.S <= 8
        self.sets = np.array(list(itertools.product((0.0, 1.0), repeat=self.S))) if few else None
        self.target = np.zeros(self.S)
        self.gram = np.tile(self.lam * np.eye(self.d), (2, M, 1, 1))
        self.inverse = np.tile(np.eye(self.d) / self.lam, (2, M, 1, 1))
        self.b = np.zeros((2, M, self.d))
        self.k, self.plans, self.log_det, self.at_plan = 0, 0, np.zeros(2), None

    def episode(self, theta: Array, u: Array, drawn: Array | None = None) -> None:
        """Plans where that is due and runs an episode on the true theta `[d]` and u `[H + 1]`.

        drawn: the random sets `[n, S]` among the candidates, beyond eight states.
        """
        self.k += 1
        eta = np.log1p(self.k * self.H / (self.alpha**2 * self.d * self.lam))
        plain = np.sqrt(self.d * eta + 2 * np.log(1 / self.delta)) + np.sqrt(self.lam) * self.bound
        self.beta = self.c_beta * plain
        if self.at_plan is None or self.log_det.sum() - self.at_plan >= np.log(self.ratio):
            self.plan(drawn)
        estimates = np.einsum("imjk,imk->imj", self.inverse, self.b)
        snapshot = self.inverse.copy()
        s = draw(self.mu0, u[0])
        for h in range(self.H):
            a = self.policy[h, s]
            after = draw(self.phi[s, a] @ theta, u[h + 1])
            self.observe(h, s, a, after, estimates, snapshot)
            s = after

    def observe(self, h: int, s: int, a: int, after: int, estimates: Array, snapshot: Array) -> None:
        """The 2M updates of one transition."""
        V = np.clip(np.stack([self.hat[h + 1], self.value[h + 1]]), 0, 1)
        V = V[:, None] ** (2.0 ** np.arange(self.M))[:, None]
        x = V @ self.phi[s, a]
        sigma2 = np.ones((2, self.M))
        if self.weights != "none":
            mean = np.clip((x * estimates).sum(-1), 0, 1)
            error = norms(snapshot, x)
            slack = np.minimum(2 * self.beta * error[:, :-1], 1) + np.minimum(self.beta * error[:, 1:], 1)
            sigma2[:, :-1] = mean[:, 1:] - mean[:, :-1] ** 2 + slack
            own = norms(self.inverse, x) if self.weights == "online" else error
            sigma2 = np.maximum(np.maximum(self.gamma**2 * own, sigma2), self.alpha**2)
        w = 1 / sigma2
        y = V[:, :, after]
        self.gram += w[..., None, None] * x[..., :, None] * x[..., None, :]
        self.b += (w * y)[..., None] * x
        sx = np.einsum("imjk,imk->imj", self.inverse, x)
        square = (sx * x).sum(-1)
        self.inverse -= (w / (1 + w * square))[..., None, None] * sx[..., :, None] * sx[..., None, :]
        self.log_det += np.log1p(w * square)[:, 0]

    def plan(self, drawn: Array | None) -> None:
        """A new policy and its two value tables; `drawn` as in `episode`."""
        self.plans += 1
        self.inverse = np.linalg.inv(self.gram)
        self.log_det = np.linalg.slogdet(self.gram[:, 0])[1]
        self.at_plan = self.log_det.sum()
        merged = self.gram.sum((0, 1)) - (2 * self.M - 1) * self.lam * np.eye(self.d)
        self.theta = np.linalg.solve(merged, self.b.sum((0, 1)))
        self.theta = self.inside(self.theta)
        kernel = np.maximum(self.phi @ self.theta, 0).reshape(-1, self.S)
        kernel[kernel.sum(1) == 0] = 1
        kernel /= kernel.sum(1, keepdims=True)
        V = self.candidates(drawn)
        U, R = np.zeros_like(V), np.zeros_like(V)
        tables, scores = [(V, U, None)], [np.zeros(len(V))]
        for _ in range(1, self.H):
            V, U, R, action = self.backup(V, U, R, kernel)
            tables.append((V, U, action))
            scores.append((U + self.shadow * R) @ self.mu0)
        score = np.stack(scores, 1).ravel()
        best, stage = divmod(int(np.argmax(score >= score.max() - 1e-9)), self.H)
        self.target = tables[0][0][best]
        self.hat, self.value = np.zeros((2, self.H + 1, self.S))
        self.policy = np.zeros((self.H, self.S), int)
        for t in range(stage + 1):
            V, U, action = tables[t]
            self.value[stage - t], self.hat[stage - t] = V[best], U[best]
            if action is not None:
                self.policy[stage - t] = action[best]
        self.certificate = 4 * float(self.hat[0] @ self.mu0)

    def candidates(self, drawn: Array | None) -> Array:
        """The sets `[n, S]` that the oracle tries."""
        if drawn is None:
            return self.sets
        one = np.eye(self.S)
        found = ascend(self.rows.reshape(-1, self.d, self.S), self.inverse[1, 0])[1]
        return np.concatenate([one, 1 - one, found, drawn, self.target[None]])

    def backup(self, V: Array, U: Array, R: Array, kernel: Array) -> tuple[Array, ...]:
        """One stage of the greedy oracle for all sets: V, Vhat, shadow sum and action, `[n, S]` each."""
        x, y = ((table @ self.rows.T).reshape(len(V), -1, self.d) for table in (V, U))
        raw = self.beta * norms(self.inverse[1, 0], x)
        slack = 2 * self.beta * norms(self.inverse[0, 0], y)
        hat = np.minimum(np.minimum(raw, 1) + slack + np.clip(y @ self.theta, 0, 1), 1)
        found = [
            a.reshape(len(V), self.S, self.A)
            for a in (np.clip(x @ self.theta, 0, 1), hat, raw + R @ kernel.T)
        ]
        score = found[1] + self.shadow * found[2]
        action = np.argmax(score >= score.max(-1, keepdims=True) - 1e-9, -1)
        return *(np.take_along_axis(a, action[..., None], -1)[..., 0] for a in found), action

    def inside(self, theta: Array) -> Array:
        """Theta `[d]` by alternating projections onto the ellipsoids `around` it, at most 50 rounds."""
        centres = np.einsum("imjk,imk->imj", self.inverse, self.b)[:, : self.around].reshape(-1, self.d)
        grams = self.gram[:, : self.around].reshape(-1, self.d, self.d)
        for _ in range(50):
            away = theta - centres
            if np.all(np.sqrt(np.einsum("mj,mjk,mk->m", away, grams, away)) <= self.beta * (1 + 1e-5)):
                break
            for centre, gram in zip(centres, grams, strict=True):
                step = theta - centre
                theta = centre + step * min(1, self.beta / max(np.sqrt(step @ gram @ step), self.beta))
        return theta


def ascend(by_pair: Array, inverse: Array) -> tuple[Array, Array]:
    """Largest |phi_f| at every pair `[P]` and its set `[P, S]`, climbing from all and from single states;
    by_pair `[P, d, S]`, inverse `[d, d]`.
    """
    S = by_pair.shape[-1]
    curvature = np.swapaxes(by_pair, 1, 2) @ inverse @ by_pair
    f = np.concatenate([np.ones((1, S)), np.eye(S)])
    for _ in range(ASCENT_STEPS):
        before, f = f, (f @ curvature > 0).astype(float)
        if np.array_equal(before, f):
            break
    norm = norms(inverse, f @ np.swapaxes(by_pair, 1, 2))
    best = np.argmax(norm >= norm.max(1, keepdims=True) - 1e-9, 1)
    pair = np.arange(len(f))
    return norm[pair, best], f[pair, best]


def norms(inverse: Array, x: Array) -> Any:
    """|x| in the metric of `inverse` `[..., d, d]`; x `[..., d]`, or `[n, P, d]` for one matrix."""
    image = x @ inverse if inverse.ndim == 2 else np.einsum("imjk,imk->imj", inverse, x)
    return np.sqrt(np.maximum((image * x).sum(-1), 0))


def draw(p: Array, u: float) -> int:
    """The inverse distribution function of p `[S]` at u, never a state of probability 0."""
    return int(min(np.searchsorted(np.cumsum(p), u, side="right"), np.flatnonzero(p > 0)[-1]))
