"""Two scripted runs end with the reference digits: UCRL-RFE, and regressions with moment weights.

Statement. With uniforms U[k, h] = frac((k H + h + 1) 0.6180339887498949) that choose successors by inversion,
(i) six episodes of UCRL-RFE in the published range, beta = 0.3, lambda = 0.9, and (ii) thirty episodes of
regressions on the powers V, V^2, V^4 of fixed targets with weights of three moments, beta = 0.1,
alpha = 0.1, gamma = 2^(-1/4), lambda = 1.8, visit the states and end with the numbers below, which a second
implementation computed.

Check. Both runs in plain loops, every printed digit.
"""

from __future__ import annotations

import numpy as np

from theory.exact.result import Result
from theory.reward_free import definitions
from theory.reward_free.instances import Mixture, hashed

H, TOLERANCE = 4, 1e-9
VISITED = ["01021", "00202", "01021", "00202", "01021", "02102"]
VALUES = [0.5901530373, 0.3538914985, 0.2888131297, 0.1889575058, 0.176794514, 0.1555707534]
GRAM = [[27.5797440899, 18.2922206657], [18.2922206657, 25.5819002546]]
THETA = [0.6441805947, 0.6913976526]
SIGMA2 = [
    [0.0405011425, 0.0198744913],
    [0.0247316057, 0.0302223861],
    [0.0344409645, 0.0150305542],
    [0.0465630411, 0.0133010685],
]
LOG_DETS = [9.792939595, 9.7553661496, 2.2313298557]
THETA_0 = [0.3662578891, 1.0930443441]


def instance() -> Mixture:
    """The hashed mixture."""
    return hashed()


def successor(row: np.ndarray, k: int, h: int) -> int:
    """The first state whose cumulative probability exceeds the scripted uniform."""
    u = np.modf((k * H + h + 1) * 0.6180339887498949)[0]
    return int(np.argmax(u < np.cumsum(row)))


def ucrl_rfe(beta: float = 0.3) -> tuple[list[str], list[float], np.ndarray, np.ndarray]:
    """Visited states and V_1(s_1) of every episode, and the last Gram matrix and estimate."""
    phi, true = instance()
    P, gram, b, theta = phi @ true, 0.9 * np.eye(2), np.zeros(2), np.zeros(2)
    visited, values = [], []
    for k in range(6):
        pseudo = definitions.pseudo_reward(phi, gram, beta, H)
        plan = definitions.plan(phi, theta, gram, pseudo, beta, float(H))
        maximisers = definitions.largest_norm(phi, gram)[1]
        gram, s, path = gram.copy(), 0, [0]
        for h in range(H):
            a = plan.policy[h, s]
            u = (H - 1 - h) * maximisers[s, a]
            x = u @ phi[s, a]
            s = successor(P[s, a], k, h)
            gram += np.outer(x, x)
            b += x * u[s]
            path.append(s)
        theta = np.linalg.solve(gram, b)
        visited.append("".join(map(str, path)))
        values.append(plan.V[0, 0])
    return visited, values, gram, theta


def moments(frozen: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """sigma^2 `[H, M]` of the last episode, log determinants and the estimate of order 0 at the end.

    frozen: the term with gamma uses the matrices from the start of the episode, too.
    """
    phi, true = instance()
    P, M, gamma = phi @ true, 3, 2**-0.25
    grams, b = np.tile(1.8 * np.eye(2), (M, 1, 1)), np.zeros((M, 2))
    sigma2 = np.zeros((H, M))
    for k in range(30):
        start, s = grams.copy(), 0
        estimates = np.stack([np.linalg.solve(g, y) for g, y in zip(start, b, strict=True)])
        for h in range(H):
            a, V = (h + k) % 2, ((np.arange(3) + 2 * h) % 3 + 1) / 4
            targets = np.stack([V**2.0**m for m in range(M)])
            x = targets @ phi[s, a]
            errors = np.array([definitions.norm(x[m], start[m]) for m in range(M)])
            online = np.array([definitions.norm(x[m], (start if frozen else grams)[m]) for m in range(M)])
            means = (x * estimates).sum(-1)
            sigma2[h] = definitions.moment_variances(means, errors, online, 0.1, 0.1, gamma)
            s = successor(P[s, a], k, h)
            grams += x[:, :, None] * x[:, None, :] / sigma2[h][:, None, None]
            b += x * (targets[:, s] / sigma2[h])[:, None]
    return sigma2, np.linalg.slogdet(grams)[1], np.linalg.solve(grams[0], b[0])


def check(frozen: bool = False) -> Result:
    """Largest error of all printed numbers; a path that differs counts as 1."""
    visited, values, gram, theta = ucrl_rfe()
    sigma2, log_dets, theta_0 = moments(frozen)
    errors = [
        float(visited != VISITED),
        np.subtract(values, VALUES),
        gram - GRAM,
        theta - THETA,
        sigma2[:, :2] - SIGMA2,
        sigma2[:, 2] - 1,
        log_dets - LOG_DETS,
        theta_0 - THETA_0,
    ]
    measured = max(float(np.abs(e).max()) for e in errors)
    return Result(measured, TOLERANCE, measured <= TOLERANCE)


def broken() -> Result:
    """Weights whose term with gamma uses the matrices from the start of the episode."""
    return check(frozen=True)
