"""The printed definitions have the reference values on the hashed mixture.

Statement. On the hashed mixture with three states, two actions and two features, H = 4, the integrated
features, the exact and the l1 inner maximisation, the pseudo-reward, PLAN, the truncated uncertainty
(with V_{h+1} inside the stepwise one), its largest value, and the moment and Bernstein weights of one
observation are the numbers below, which a second implementation computed.
(zhang2023hf; zhang2021rewardfree.)

Check. All numbers, rounded to ten digits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from theory.exact.result import Result
from theory.reward_free import definitions
from theory.reward_free.instances import GRAM, OTHER, Mixture, hashed

TOLERANCE = 1e-8
GAMMA = 2**-0.25

NORMS = [
    0.09970055985732,
    0.18847081322308,
    0.20926553357948,
    0.1409914519958,
    0.2207314074187,
    0.22830530270018,
]
MAXIMISERS = ["011", "110", "100", "110", "100", "001"]
L1 = [0.1141932724, 0.2575767994, 0.2895911529, 0.1851405613, 0.3092832061, 0.3202585405]
PSEUDO = [
    0.14955083978598,
    0.28270621983462,
    0.31389830036922,
    0.21148717799371,
    0.33109711112804,
    0.34245795405027,
]
PLAN = [[0.6296330393, 0.6514610708, 0.682982532], [0.3029264537, 0.3183745758, 0.3389738022]]
VALUE = [0.3527108961, 0.3880980861, 0.6108450075]
VALUE_OTHER = [0.3442791954, 0.3741415451, 0.6199676558]
STEP = [0.0064059686, 0.0068400968, 0.0092074065]
TRAJECTORY = [[0.0201007288, 0.0228627655, 0.0233971096], [0.0155721268, 0.0096780434, 0.0180877648]]
LARGEST = [0.0806704513, 0.3599356657]
MOMENTS = [0.1113061819, 0.1131245743, 0.0829676293, 1.0]


class Problem(NamedTuple):
    """The mixture, its reward `[H, S, A]` and the policy int`[H, S]` whose values are asked."""

    mixture: Mixture
    reward: np.ndarray
    policy: np.ndarray


def instance() -> Problem:
    """Reward ((2 s + 3 a) mod 5) / 16 at every stage, actions (h + s) mod 2."""
    s, a = np.ix_(range(3), range(2))
    reward = np.broadcast_to(((2 * s + 3 * a) % 5) / 16, (4, 3, 2))
    return Problem(hashed(), reward, (np.arange(4)[:, None] + np.arange(3)) % 2)


def check(own_values: bool = False) -> Result:
    """Largest error of all numbers; `own_values`: u_h from V_h in place of V_{h+1}."""
    (phi, theta), reward, policy = instance()
    P = phi @ theta
    norms, maximisers = definitions.largest_norm(phi, GRAM)
    pseudo = definitions.pseudo_reward(phi, GRAM, 1.0, 4)
    plan = definitions.plan(phi, theta, GRAM, pseudo, 1.0, 4.0)
    grams = 2 * GRAM, GRAM
    u = definitions.uncertainty(phi, theta, policy, reward, grams, 0.25)
    if own_values:
        x = definitions.integrated(phi, u.V[0])[np.arange(3), policy[0]]
        u = u._replace(u=np.minimum(1, 0.25 * definitions.norm(x, GRAM))[None])
    largest = [definitions.largest_uncertainty(phi, theta, grams, beta, 4) for beta in (0.25, 1.0)]
    read = np.array([[float(c) for c in text] for text in MAXIMISERS])
    errors = [
        P[0, 0] - [0.21718931475029, 0.49709639953542, 0.28571428571429],
        norms.ravel() - NORMS,
        maximisers.reshape(6, 3) - read,
        definitions.surrogate(phi, GRAM).ravel() - L1,
        pseudo[0].ravel() - PSEUDO,
        plan.V[:2] - PLAN,
        plan.policy[0] - [1, 0, 1],
        u.V[0] - VALUE,
        u.u[0] - STEP,
        u.Vhat[:2] - TRAJECTORY,
        definitions.values(phi, OTHER, policy, reward)[0] - VALUE_OTHER,
        np.subtract(largest, LARGEST),
        _weights(phi, theta) - MOMENTS,
        _bernstein(phi, theta) - [1.1089363009, 1.2674140704, 2.3763503713],
    ]
    measured = max(float(np.abs(e).max()) for e in errors)
    return Result(measured, TOLERANCE, measured <= TOLERANCE)


def broken() -> Result:
    """The stepwise uncertainty as printed, with the value of the same stage."""
    return check(own_values=True)


def _weights(phi: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """sigma^2 of four moments after the observation of the pair (0, 1)."""
    v, m = np.array([0.9, 0.1, 0.6]), np.arange(4)
    x = np.stack([definitions.integrated(phi, v**2.0**k)[0, 1] for k in m])
    means = (x @ theta) * (1 - 0.1 * m)
    errors = definitions.norm(x, GRAM) / np.sqrt(1 + m)
    return definitions.moment_variances(means, errors, errors / np.sqrt(1.5), 0.25, 0.05, GAMMA)


def _bernstein(phi: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Variance, its error and nu with alpha 0.1 of UCRL-RFE+ at the pair (0, 1), H = 4."""
    v = np.array([3.5, 0.2, 1.5])
    x, y = (definitions.integrated(phi, v**k)[0, 1] for k in (1, 2))
    variance = np.clip(y @ (0.9 * theta), 0, 16) - np.clip(x @ theta, 0, 4) ** 2
    error = min(16, 0.5 * definitions.norm(y, 2 * GRAM)) + min(16, 2 * 4 * 0.2 * definitions.norm(x, GRAM))
    return np.array([variance, error, max(0.1, variance + error)])
