"""UCRL-RFE in plain numpy, one seed, vectorised over states, actions and starts of the ascent.

The same algorithm as `jaxrl.reward_free.ucrl_rfe` with rewards that sum to at most 1, the inner maximum by
ascent, and determinant replanning: what speed is compared with, and an independent derivation.
"""

from __future__ import annotations

import numpy as np

from benchmarks.reward_free.plain_hf import Array, ascend, draw, norms


class Learner:
    """State of one run; `episode` is one episode on given uniform numbers.

    gram `[d, d]`, b `[d]`: the regression. certificate: H V_1 of the current plan.
    """

    def __init__(
        self,
        phi: Array,
        mu0: Array,
        H: int,
        c_beta: float,
        bound: float,
        delta: float,
        *,
        budget: float,
        ratio: float,
        shadow: float,
    ) -> None:
        self.phi, self.mu0, self.H = phi, mu0, H
        self.S, self.A, _, self.d = phi.shape
        self.ratio, self.shadow = ratio, shadow
        self.beta = c_beta * (np.sqrt(self.d * np.log(3 * (1 + budget * H * bound**2) / delta)) + 1)
        self.rows = phi.transpose(0, 1, 3, 2).reshape(-1, self.S)
        self.gram = np.eye(self.d) / bound**2
        self.inverse = np.linalg.inv(self.gram)
        self.b = np.zeros(self.d)
        self.plans, self.log_det, self.at_plan = 0, 0.0, None

    def episode(self, theta: Array, u: Array) -> None:
        """Plans where that is due and runs an episode on the true theta `[d]` and u `[H + 1]`."""
        if self.at_plan is None or self.log_det - self.at_plan >= np.log(self.ratio):
            self.plan()
        s = draw(self.mu0, u[0])
        for h in range(self.H):
            a = self.policy[h, s]
            after = draw(self.phi[s, a] @ theta, u[h + 1])
            f = (h < self.H - 1) * self.sets[s * self.A + a]
            x = f @ self.phi[s, a]
            sx = self.inverse @ x
            self.gram += np.outer(x, x)
            self.b += x * f[after]
            self.inverse -= np.outer(sx, sx) / (1 + x @ sx)
            self.log_det += np.log1p(x @ sx)
            s = after

    def plan(self) -> None:
        """A new policy for the pseudo-reward, and the sets that are regressed on."""
        self.plans += 1
        self.inverse = np.linalg.inv(self.gram)
        self.log_det = self.at_plan = np.linalg.slogdet(self.gram)[1]
        theta = self.inverse @ self.b
        norm, self.sets = ascend(self.rows.reshape(-1, self.d, self.S), self.inverse)
        kernel = np.maximum(self.phi @ theta, 0).reshape(-1, self.S)
        kernel[kernel.sum(1) == 0] = 1
        kernel /= kernel.sum(1, keepdims=True)
        V, R = np.zeros(self.S), np.zeros(self.S)
        self.policy = np.zeros((self.H, self.S), int)
        for h in reversed(range(self.H)):
            paid = np.minimum(2 * self.beta / self.H * (h < self.H - 1) * norm, 1 / self.H)
            x = (self.rows @ V).reshape(-1, self.d)
            bonus = self.beta * norms(self.inverse, x)
            Q = np.clip(paid + x @ theta + bonus, 0, 1).reshape(self.S, self.A)
            beyond = (paid + bonus + kernel @ R).reshape(self.S, self.A)
            score = Q + self.shadow * beyond
            self.policy[h] = np.argmax(score >= score.max(1, keepdims=True) - 1e-9, 1)
            V, R = Q.max(1), beyond.max(1)
        self.certificate = self.H * float(self.mu0 @ V)
